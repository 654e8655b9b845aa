// The bar of filters above a dashboard, and the chips of what is chosen. It changes the address; the page follows.
import { useEffect, useRef, useState } from "preact/hooks";
import { choices, prune } from "./address.js";
import { day, group, words } from "./format.js";
import { html } from "./html.js";
import { text } from "./strings.js";

const said = text.reports;

const MANY = 10; // values from which on a search field pays

// A disclosure that closes on Escape and on a click elsewhere.
function Menu({ label, chosen, children }) {
  const details = useRef();
  useEffect(() => {
    const close = (event) => {
      const open = details.current?.open;
      if (!open || (event.type === "keydown" ? event.key !== "Escape" : details.current.contains(event.target))) return;
      details.current.open = false;
      if (event.type === "keydown") details.current.querySelector("summary").focus();
    };
    addEventListener("keydown", close);
    addEventListener("pointerdown", close);
    return () => {
      removeEventListener("keydown", close);
      removeEventListener("pointerdown", close);
    };
  }, []);
  return html`<details class="menu" ref=${details}>
    <summary>${label} <span class="state">${said.chosen(chosen)}</span></summary>
    <div class="panel">${children}</div>
  </details>`;
}

function Values({ label, values, chosen, change }) {
  const [search, setSearch] = useState("");
  const shown = values.filter((each) => group(each).toLowerCase().includes(search.toLowerCase()));
  return html`<fieldset>
    <legend>${label}</legend>
    ${values.length > MANY && html`<input type="search" aria-label=${said.findIn(label)} placeholder=${said.find} value=${search} onInput=${(event) => setSearch(event.target.value)} />`}
    ${shown.map(
      (each) => html`<label class="choice" key=${each}>
        <input type="checkbox" checked=${chosen.includes(each)} onChange=${(event) => change(event.target.checked ? [...chosen, each] : chosen.filter((other) => other !== each))} />
        <span>${group(each)}</span>
      </label>`,
    )}
    ${shown.length === 0 && html`<p class="quiet">${values.length ? said.nothingFound : said.noValues}</p>`}
  </fieldset>`;
}

/**
 * A choice in words: "Moving: yes".
 * @param {Record<string, string>} titles of the controls, by filter
 * @param {{ name: string, attribute?: string, value: any }} choice
 */
export const chipText = (titles, { name, attribute, value }) => `${attribute ? words(attribute) : (titles[name] ?? words(name))}: ${name === "since" || name === "until" ? day(value) : group(value)}`;

// `options` maps a filter's id to its values (a list), or for attributes to { attribute: values }.
// What is chosen elsewhere and has no control here keeps its chip, greyed: it is not applied.
export function Filters({ controls, options, filters, change, children }) {
  const set = (name, chosen) => change(prune({ ...filters, [name]: chosen }));
  const control = ({ id, title, type }) => {
    if (type === "since" || type === "until")
      return html`<label class="day">${title}
        <input type="date" value=${filters[id] ?? ""} min=${id === "until" ? filters.since : undefined} max=${id === "since" ? filters.until : undefined} onChange=${(event) => set(id, event.target.value)} />
      </label>`;
    if (type === "attributes") {
      const chosen = filters[id] ?? {};
      const attributes = options[id] ?? {};
      const count = Object.values(chosen).reduce((all, values) => all + values.length, 0);
      return html`<${Menu} label=${title} chosen=${count}>
        ${Object.entries(attributes).map(([attribute, values]) => html`<${Values} key=${attribute} label=${words(attribute)} values=${values} chosen=${chosen[attribute] ?? []} change=${(next) => set(id, { ...chosen, [attribute]: next })} />`)}
        ${Object.keys(attributes).length === 0 && html`<p class="quiet">${said.noAttributes}</p>`}
      <//>`;
    }
    return html`<${Menu} label=${title} chosen=${(filters[id] ?? []).length}>
      <${Values} label=${title} values=${options[id] ?? []} chosen=${filters[id] ?? []} change=${(next) => set(id, next)} />
    <//>`;
  };
  const titles = Object.fromEntries(controls.map((each) => [each.id, each.title]));
  return html`<div class="filters" role="search" aria-label=${said.filters}>
    <div class="controls">${controls.map((each) => html`<div key=${each.id}>${control(each)}</div>`)}${children}</div>
    <${Chips} filters=${filters} titles=${titles} change=${change} elsewhere=${(name) => !(name in titles)} />
  </div>`;
}

/**
 * A button for each chosen value that takes it back.
 * @param {{ filters: any, titles?: Record<string, string>, change: (filters: any) => void, elsewhere?: (name: string) => boolean }} props
 */
export function Chips({ filters, titles = {}, change, elsewhere = () => false }) {
  const chips = choices(filters);
  if (!chips.length) return null;
  return html`<div class="chips">
    ${chips.map((each) => {
      const shown = chipText(titles, each);
      const unused = elsewhere(each.name);
      return html`<button key=${shown} type="button" class=${`chip ${unused ? "elsewhere" : ""}`} aria-label=${said.removeFilter(shown)} onClick=${() => change(each.without)}>${shown}${unused && html` <em>(${said.elsewhere})</em>`}<span aria-hidden="true">×</span></button>`;
    })}
    <button type="button" class="plain" onClick=${() => change({})}>${said.clearAll}</button>
  </div>`;
}
