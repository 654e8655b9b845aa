// The bar of filters above a dashboard, and the chips of what is chosen. It changes the address; the page follows.
import { useEffect, useRef, useState } from "preact/hooks";
import { choices, prune } from "./address.js";
import { day, group, words } from "./format.js";
import { html } from "./html.js";

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
    <summary>${label} <span class="state">${chosen ? `${chosen} chosen` : "all"}</span></summary>
    <div class="panel">${children}</div>
  </details>`;
}

function Values({ label, values, chosen, change }) {
  const [search, setSearch] = useState("");
  const shown = values.filter((each) => group(each).toLowerCase().includes(search.toLowerCase()));
  return html`<fieldset>
    <legend>${label}</legend>
    ${values.length > MANY && html`<input type="search" aria-label=${`Find in ${label}`} placeholder="Find" value=${search} onInput=${(event) => setSearch(event.target.value)} />`}
    ${shown.map(
      (each) => html`<label class="choice" key=${each}>
        <input type="checkbox" checked=${chosen.includes(each)} onChange=${(event) => change(event.target.checked ? [...chosen, each] : chosen.filter((other) => other !== each))} />
        <span>${group(each)}</span>
      </label>`,
    )}
    ${shown.length === 0 && html`<p class="quiet">${values.length ? "Nothing found." : "No values in the data."}</p>`}
  </fieldset>`;
}

// `options` maps a filter's id to its values (a list), or for attributes to { attribute: values }.
export function Filters({ controls, options, filters, change }) {
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
        ${Object.keys(attributes).length === 0 && html`<p class="quiet">No attributes in the data.</p>`}
      <//>`;
    }
    return html`<${Menu} label=${title} chosen=${(filters[id] ?? []).length}>
      <${Values} label=${title} values=${options[id] ?? []} chosen=${filters[id] ?? []} change=${(next) => set(id, next)} />
    <//>`;
  };
  const titles = Object.fromEntries(controls.map((each) => [each.id, each.title]));
  const chips = choices(filters);
  return html`<div class="filters" role="search" aria-label="Filters">
    <div class="controls">${controls.map((each) => html`<div key=${each.id}>${control(each)}</div>`)}</div>
    ${chips.length > 0 &&
    html`<div class="chips">
      ${chips.map(({ name, attribute, value, without }) => {
        const text = `${attribute ? words(attribute) : (titles[name] ?? words(name))}: ${name === "since" || name === "until" ? day(value) : group(value)}`;
        return html`<button key=${text} type="button" class="chip" aria-label=${`Remove filter ${text}`} onClick=${() => change(without)}>${text}<span aria-hidden="true">×</span></button>`;
      })}
      <button type="button" class="plain" onClick=${() => change({})}>Clear all filters</button>
    </div>`}
  </div>`;
}
