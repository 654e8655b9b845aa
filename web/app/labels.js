// The single labels behind a report, a page at a time. Filters, page and the report they came from are in the address.
import { useEffect, useState } from "preact/hooks";
import { read, write } from "./address.js";
import { Chips } from "./filters.js";
import { group, time, words } from "./format.js";
import { html } from "./html.js";
import { alias } from "./report.js";
import { text } from "./strings.js";
import { find } from "./systems.js";

const said = text.labels;
const AT_ONCE = 50;

export const labelName = (found) => `${group(found.label || found.shape)}${found.instance_name ? ` · ${found.instance_name}` : ""}`;

// The page a reader came from: { href, title }; the first page of reports where nobody knows.
export function origin(address) {
  const from = address.view?.from ? read(`#/${address.view.from}`) : { path: [address.path[0], "annotations"], filters: {} };
  const found = find(from.path);
  return found && from.path[0] === address.path[0] ? { href: write(from), title: found.page.title } : { href: write({ path: [address.path[0], "annotations"], filters: {} }), title: find([address.path[0], "annotations"])?.page.title ?? "" };
}

// What a page remembers of where it was opened from.
export const remembered = (address) => write(address).slice(2);

export function Labels({ api, page, address, go }) {
  const [answer, setAnswer] = useState();
  const [fault, setFault] = useState();
  const [busy, setBusy] = useState(true);
  const [attempt, setAttempt] = useState(0);
  const { filters, view = {} } = address;
  const wanted = JSON.stringify([filters, view.cursor]);
  useEffect(() => {
    const stop = new AbortController();
    setBusy(true);
    setFault(undefined);
    api("/api/annotations", { body: { filters, limit: AT_ONCE, ...(view.cursor && { cursor: view.cursor }) }, signal: stop.signal })
      .then((found) => setAnswer(found))
      .catch((error) => error.name !== "AbortError" && setFault(error))
      .finally(() => !stop.signal.aborted && setBusy(false));
    return () => stop.abort();
  }, [wanted, attempt]);

  const back = origin(address);
  const number = Math.max(1, Number(view.page) || 1);
  const { cursor: _cursor, page: _page, ...kept } = view;
  const change = (next) => go({ path: address.path, filters: next, view: kept });
  const found = answer?.annotations ?? [];
  const open = (each) => write({ path: [address.path[0], "annotation", each.annotation_id], filters: {}, view: { from: remembered(address) } });
  const judged = found.some((each) => each.verdict);
  const columns = Object.entries({
    label: (each) => html`<a href=${open(each)}>${labelName(each)}</a>`,
    job: (each) => each.job,
    level: (each) => each.level,
    object: (each) => each.object_id,
    frame: (each) => (each.frame ? `${each.frame_no}: ${each.frame}` : each.frame_no),
    shape: (each) => each.shape,
    workers: (each) => each.workers?.join(", "),
    ...(judged && { verdict: (each) => each.verdict ?? "" }),
    attributes: (each) => Object.entries(each.attributes ?? {}).map(([name, value]) => `${words(name)}: ${value}`).join(", "),
    created: (each) => (each.created_at ? time(each.created_at) : ""),
  });
  return html`<div class="title">
      <div><p><a href=${back.href}>← ${said.back(back.title)}</a></p><h1 tabindex="-1">${page.title}</h1><p class="quiet">${said.lead}</p></div>
      <div class="freshness"><p role="status">${busy ? text.shared.loading : answer && `${text.shared.as_of} ${time(answer.as_of)}`}</p></div>
    </div>
    <div class="filters" role="search" aria-label=${text.reports.filters}><${Chips} filters=${filters} change=${change} /></div>
    ${fault &&
    html`<div class="problem" role="alert">
      <p><strong>${fault.message}</strong></p><p>${fault.remedy}</p>
      <button type="button" onClick=${() => setAttempt(attempt + 1)}>${text.shared.tryAgain}</button>
    </div>`}
    ${answer?.not_applied?.length > 0 && html`<p class="notice">${said.notApplied(answer.not_applied.map((each) => words(alias(each)).toLowerCase()).join(", "))}</p>`}
    ${!fault && answer && found.length === 0 && html`<div class="empty page"><p>${said.none}</p><p><a href=${back.href}>${said.back(back.title)}</a></p></div>`}
    ${!fault &&
    found.length > 0 &&
    html`<section class="card labels" aria-busy=${busy ? "true" : "false"} aria-label=${page.title}>
      <div class="scroll tall" tabindex="0" role="region" aria-label=${said.table}>
        <table>
          <thead><tr>${columns.map(([name]) => html`<th key=${name} scope="col">${said.columns[name]}</th>`)}</tr></thead>
          <tbody>${found.map((each) => html`<tr key=${each.annotation_id}>${columns.map(([name, cell], i) => (i === 0 ? html`<th key=${name} scope="row">${cell(each)}</th>` : html`<td key=${name}>${cell(each)}</td>`))}</tr>`)}</tbody>
        </table>
      </div>
      <footer class="paging">
        <p>${said.shown((number - 1) * AT_ONCE + 1, (number - 1) * AT_ONCE + found.length)}</p>
        ${number > 1 && html`<a class="button" href=${write({ path: address.path, filters, view: kept })}>${said.first}</a>`}
        ${answer.next && html`<a class="button" href=${write({ path: address.path, filters, view: { ...kept, cursor: answer.next, page: String(number + 1) } })}>${said.next}</a>`}
      </footer>
    </section>`}`;
}
