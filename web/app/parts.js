// What several pages of the shell are made of.
import { useEffect, useRef, useState } from "preact/hooks";
import { duration, time } from "./format.js";
import { html } from "./html.js";
import { Icon } from "./icon.js";
import { text } from "./strings.js";

// A state in colour, shape and word.
export const Badge = ({ state, label }) => html`<span class=${`badge ${state}`}><${Icon} name=${state} size="15" />${label ?? text.shared.states[state]}</span>`;

export const Moment = ({ at }) => html`<time datetime=${at}>${time(at)}</time>`;

// The time in milliseconds, each second while `counting`.
export function useNow(counting) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (!counting) return undefined;
    setNow(Date.now());
    const clock = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(clock);
  }, [counting]);
  return now;
}

// The time something took, or has taken so far.
export function Took({ from, seconds }) {
  const counting = Boolean(from) && (seconds === null || seconds === undefined);
  const now = useNow(counting);
  if (!from) return html`–`;
  return html`${duration(counting ? Math.max(0, Math.floor((now - Date.parse(from)) / 1000)) : seconds)}`;
}

// Why something failed and what to do; `retry` asks again.
export const Problem = ({ fault, title, retry }) => html`<div class="problem" role="alert">
  <p>${title && html`<strong>${title}</strong> `}${fault.message}</p>
  ${fault.remedy && html`<p>${fault.remedy}</p>`}
  ${retry && html`<button type="button" onClick=${retry}>${text.shared.tryAgain}</button>`}
</div>`;

export const Title = ({ children, lead, aside }) => html`<div class="title">
  <div><h1 tabindex="-1">${children}</h1>${lead && html`<p class="quiet lead">${lead}</p>`}</div>
  ${aside && html`<div class="aside">${aside}</div>`}
</div>`;

// A button that asks before it acts. The dialog is the browser's: it holds the focus and closes on Escape.
export function Confirmed({ label, busy, question, meaning, yes, no, act, primary }) {
  const dialog = useRef();
  return html`<button type="button" class=${primary ? "primary" : ""} disabled=${Boolean(busy)} onClick=${() => dialog.current.showModal()}>${busy || label}</button>
    <dialog ref=${dialog} aria-labelledby="question" onClose=${(event) => event.target.returnValue === "yes" && act()}>
      <form method="dialog">
        <h2 id="question">${question}</h2>
        <p>${meaning}</p>
        <div class="choices">
          <button value="no" type="submit" onClick=${(event) => (event.target.form.closest("dialog").returnValue = "no")}>${no}</button>
          <button value="yes" type="submit" class="primary">${yes}</button>
        </div>
      </form>
    </dialog>`;
}

// A request that changes something: { busy, fault, act }. One at a time.
export function useAction(perform) {
  const [state, setState] = useState({ busy: false });
  const act = async () => {
    setState({ busy: true });
    try {
      await perform();
      setState({ busy: false });
    } catch (fault) {
      setState({ busy: false, fault });
    }
  };
  return { ...state, act };
}
