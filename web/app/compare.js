// Which two batches are compared. Both are in the address.
import { group } from "./format.js";
import { html } from "./html.js";
import { text } from "./strings.js";

const said = text.compare;

/** The batches compared: [A, B], or undefined while there are not two. */
export const pair = (view) => (view?.a && view.b && view.a !== view.b ? [view.a, view.b] : undefined);

/**
 * @param {object} props
 * @param {string[]} props.batches all there are
 * @param {Record<string, string>} props.view of the address
 * @param {(view: Record<string, string>) => void} props.change
 */
export function Compare({ batches, view, change }) {
  const begun = "a" in view || "b" in view;
  if (!begun) {
    if (batches.length < 2) return null;
    return html`<div class="compare"><button type="button" onClick=${() => change({ ...view, a: batches.at(-2) ?? "", b: batches.at(-1) ?? "" })}>${said.button}</button></div>`;
  }
  const select = (side, label) =>
    html`<label class="pick">${label}
      <select onChange=${(event) => change({ ...view, [side]: event.target.value })}>
        <option value="" disabled selected=${!view[side]}>${said.choose}</option>
        ${[...new Set([...batches, ...(view[side] ? [view[side]] : [])])].map((each) => html`<option key=${each} value=${each} selected=${each === view[side]}>${group(each)}</option>`)}
      </select>
    </label>`;
  const { a, b, ...rest } = view;
  return html`<div class="compare begun" role="group" aria-label=${said.title}>
    ${select("a", said.a)} ${select("b", said.b)}
    <button type="button" disabled=${!a || !b} onClick=${() => change({ ...view, a: b, b: a })}>${said.swap}</button>
    <button type="button" class="plain" onClick=${() => change(rest)}>${said.stop}</button>
    ${!pair(view) && html`<p class="notice">${said.pending}</p>`}
  </div>`;
}
