// Photographs and their masks, and lists of them that are worked through by keyboard.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { request } from "./route.js";
import { text } from "./strings.js";

const said = text.photographs;
const AT_ONCE = 6;
const BUSY = [429, 503];
const RETRIES = 4;
const LARGE_PX = 1400;
const NEAR = "300px"; // a picture is fetched when it is this near to the window
const LOOK = 300; // milliseconds: a letter that comes sooner was meant for the photograph before

let running = 0;
const waiting = [];

// Runs when it is its turn: a page of pictures must not use up what the API takes.
async function inTurn(perform) {
  if (running >= AT_ONCE) await new Promise((go) => waiting.push(go));
  else running += 1;
  try {
    return await perform();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}

async function fetched(api, path, signal, attempt = 0) {
  try {
    return await inTurn(() => (signal.aborted ? undefined : api(path, { blob: true, signal })));
  } catch (fault) {
    if (!BUSY.includes(fault.status) || attempt >= RETRIES) throw fault;
    await new Promise((go) => setTimeout(go, 500 * 2 ** attempt));
    return fetched(api, path, signal, attempt + 1);
  }
}

// The address of a picture of the API, for as long as it is shown; undefined until it is there.
function useBlob(api, path, wanted) {
  const [state, setState] = useState({});
  useEffect(() => {
    if (!wanted || !path) return undefined;
    const stop = new AbortController();
    let url;
    setState({});
    fetched(api, path, stop.signal)
      .then((blob) => {
        if (stop.signal.aborted || !blob) return;
        url = URL.createObjectURL(blob);
        setState({ url });
      })
      .catch((fault) => fault.name !== "AbortError" && setState({ fault }));
    return () => {
      stop.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [api, path, wanted]);
  return wanted && path ? state : {};
}

/**
 * A photograph with its mask over it. `item` names a verdict's mask; with `masked` alone it is that of the dataset.
 * @param {object} props
 * @param {import("../types/console").Api} props.api
 * @param {string} props.project
 * @param {string} props.source
 * @param {string} [props.item]
 * @param {boolean} [props.masked]
 * @param {string} props.alt
 * @param {number} [props.px]
 */
export function Picture({ api, project, source, item, masked, alt, px = 320 }) {
  const frame = useRef();
  const [near, setNear] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && setNear(true), { rootMargin: NEAR });
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  const path = `/api/inspection/projects/${project}`;
  const photograph = useBlob(api, request(`${path}/picture`, { source, px }), near);
  const mask = useBlob(api, masked ? request(`${path}/mask`, item ? { item, px } : { source, px }) : "", near);
  return html`<div class="picture" ref=${frame} data-state=${photograph.url ? "there" : photograph.fault ? "failed" : "coming"}>
    ${photograph.url && html`<img src=${photograph.url} alt=${alt} />`}
    ${photograph.url && mask.url && html`<img class="mask" src=${mask.url} alt="" />`}
    ${photograph.fault && html`<p class="quiet">${said.notShown(photograph.fault.message)}</p>`}
  </div>`;
}

export const nameOf = (source) => source.slice(source.lastIndexOf("/") + 1);

/**
 * A list of pictures in which arrow keys move and letters act. `press(key, at, looked)` tells whether the key meant
 * something, and "next" when the focus is to move on. `looked` says that somebody can have looked at the photograph:
 * it is shown, the focus has been on it for a moment, and the key is not one that is held down.
 * @param {{ label: string, items: any[], keyOf: (item: any) => string, named: (item: any) => string, card: (item: any, at: number) => any, press?: (key: string, at: number, looked: boolean) => any }} props
 */
export function Shots({ label, items, keyOf, named, card, press = () => false }) {
  const list = useRef();
  const focused = useRef({ at: -1, since: 0 });
  const [at, setAt] = useState(0);
  const current = Math.min(at, Math.max(0, items.length - 1));
  const cards = () => [...list.current.querySelectorAll(":scope > li > .shot")];
  const move = (next) => {
    const found = cards();
    const chosen = Math.max(0, Math.min(found.length - 1, next));
    setAt(chosen);
    found[chosen]?.focus();
  };
  const columns = () => {
    const found = cards();
    return Math.max(1, found.filter((each) => each.offsetTop === found[0].offsetTop).length);
  };
  const comes = (to) => {
    setAt(to);
    if (focused.current.at !== to) focused.current = { at: to, since: performance.now() };
  };
  const keyed = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("dialog")) return;
    const shot = event.target.closest(".shot");
    const here = cards().indexOf(shot);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -items.length, End: items.length };
    if (event.key in steps) move(here + steps[event.key]);
    else {
      const shown = shot.querySelector(".picture")?.dataset.state === "there";
      const meant = press(event.key.toLowerCase(), here, shown && !event.repeat && performance.now() - focused.current.since >= LOOK);
      if (!meant) return;
      if (meant === "next") move(here + 1);
    }
    event.preventDefault();
  };
  return html`<ul class="shots" aria-label=${label} ref=${list} onKeyDown=${keyed}>${items.map(
    (item, i) => html`<li key=${keyOf(item)}><div class="shot card" role="group" aria-label=${named(item)} tabindex=${i === current ? "0" : "-1"} onFocusIn=${() => comes(i)}>${card(item, i)}</div></li>`,
  )}</ul>`;
}

/**
 * A photograph as large as the window, above the page; Escape closes it. Nothing while `shown` is undefined.
 * @param {{ api: import("../types/console").Api, [name: string]: any }} props
 */
export function Large({ api, project, shown, close }) {
  const dialog = useRef();
  const [bare, setBare] = useState(false);
  useEffect(() => {
    if (shown && !dialog.current.open) dialog.current.showModal();
  }, [shown]);
  if (!shown) return null;
  return html`<dialog class="large" ref=${dialog} aria-labelledby="large" onClose=${close}>
    <form method="dialog">
      <h2 id="large">${nameOf(shown.source)}</h2>
      <${Picture} api=${api} project=${project} source=${shown.source} item=${shown.item} masked=${shown.masked && !bare} alt=${shown.alt} px=${LARGE_PX} />
      <p class="quiet">${shown.words}</p>
      <div class="choices">
        ${shown.masked && html`<button type="button" aria-pressed=${bare ? "false" : "true"} onClick=${() => setBare(!bare)}>${said.mask}</button>`}
        <button type="submit">${said.close}</button>
      </div>
    </form>
  </dialog>`;
}
