// The photographs of a dataset: looked at, filtered, labelled by keyboard, imported.
import { useState } from "preact/hooks";
import { value } from "./format.js";
import { html } from "./html.js";
import { OfProject, Outcome } from "./of-project.js";
import { Problem, useAction } from "./parts.js";
import { Large, Picture, Shots, nameOf } from "./photographs.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";

const said = text.dataset;
const KEYS = { n: "normal", a: "anomaly" };
const KINDS = ["train", "test"];
const LABELS = ["normal", "anomaly", "none"];
export const REFUSED = "UPDATE_FAILED_ROLLBACK_COMPLETE"; // the dataset is as it was before
export const changing = (status) => status.endsWith("_IN_PROGRESS");

/** @typedef {import("../types/api").Photograph} Photograph */

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Import({ api, path, kind, done }) {
  const [source, setSource] = useState("");
  const [labelled, setLabelled] = useState(true);
  const load = useAction(async () => done((await api(/** @type {`/api/inspection/projects/${string}/import`} */ (`${path}/import`), { body: { kind, source: source.trim(), labelled } })).words));
  const sent = (event) => {
    event.preventDefault();
    load.act();
  };
  return html`<details class="card import"><summary>${said.importTitle}</summary>
    <form onSubmit=${sent}>
      <label class="pick">${said.source} <input type="text" required placeholder="s3://" pattern="s3://[a-z0-9][a-z0-9.\\-]+(/.*)?" title=${said.sourceHint} value=${source} onInput=${(event) => setSource(event.target.value)} /></label>
      <label class="choice"><input type="checkbox" checked=${labelled} onChange=${(event) => setLabelled(event.target.checked)} /> ${said.byFolder}</label>
      <p class="quiet">${said.sourceHint}</p>
      <button type="submit" disabled=${load.busy}>${load.busy ? said.importing : said.importInto(text.inspection.kinds[kind])}</button>
      ${load.fault && html`<${Problem} fault=${load.fault} />`}
    </form>
  </details>`;
}

// Labels that are not saved, by project and dataset: they outlive the page, and the browser asks before they are lost.
/** @type {Map<string, Record<string, string>>} */
const unsaved = new Map();
const asks = (event) => event.preventDefault();

/** @returns {[Record<string, string>, (change: (before: Record<string, string>) => Record<string, string>) => void]} */
function useUnsaved(of) {
  const [, drawn] = useState({});
  const change = (make) => {
    const after = make(unsaved.get(of) ?? {});
    if (Object.keys(after).length) unsaved.set(of, after);
    else unsaved.delete(of);
    if (unsaved.size) addEventListener("beforeunload", asks);
    else removeEventListener("beforeunload", asks);
    drawn({});
  };
  return [unsaved.get(of) ?? {}, change];
}

// The photographs of the pages that were asked for; the first is asked again when the dataset has changed.
function useEntries(api, path, query) {
  const first = /** @type {`/api/inspection/projects/${string}/photographs`} */ (request(`${path}/photographs`, query));
  const { answer, fault, refresh } = usePolled(api, first, (told) => changing(told.dataset.status));
  const [more, setMore] = useState({ of: undefined, photographs: [], next: undefined });
  const mine = more.of === answer ? more : { photographs: [], next: answer?.next };
  const older = useAction(async () => {
    const page = await api(/** @type {typeof first} */ (request(`${path}/photographs`, { ...query, after: mine.next })));
    setMore({ of: answer, photographs: [...mine.photographs, ...page.photographs], next: page.next });
  });
  return { answer, fault, refresh, older, next: mine.next, photographs: answer ? [...answer.photographs, ...mine.photographs] : [] };
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path, chosen, address }) {
  const kind = KINDS.includes(chosen.kind) ? chosen.kind : "train";
  const label = LABELS.includes(chosen.show) ? chosen.show : "";
  const { answer, fault, refresh, older, next, photographs } = useEntries(api, path, { kind, label, find: chosen.find });
  const [changes, setChanges] = useUnsaved(`${project} ${kind}`);
  const [words, setWords] = useState("");
  const [shown, setShown] = useState();
  const to = (more) => link(address.path, { project, kind, show: label, find: chosen.find, ...more });
  const tell = (told) => {
    setWords(told);
    refresh();
  };
  const save = useAction(async () => {
    setWords("");
    const labels = Object.entries(changes).map(([source, found]) => ({ source, label: found }));
    const told = await api(/** @type {`/api/inspection/projects/${string}/labels`} */ (`${path}/labels`), { body: { kind, labels } });
    setChanges(() => ({}));
    tell(told.words);
  });
  const may = Boolean(answer?.may_change);
  const labelOf = (each) => changes[each.source] ?? each.label;
  const change = (each, found) =>
    setChanges((before) => {
      const { [each.source]: _, ...rest } = before;
      return found === each.label ? rest : { ...rest, [each.source]: found };
    });
  const named = (each) => `${nameOf(each.source)}, ${said.labels[labelOf(each) ?? "none"]}${each.source in changes ? `, ${said.unsaved}` : ""}`;
  const open = (each) => setShown({ source: each.source, masked: each.masked, alt: named(each), words: each.source });
  const press = (key, at) => {
    const each = photographs[at];
    if (key === "l") {
      open(each);
      return true;
    }
    if (!may) return false;
    if (key in KEYS) {
      change(each, KEYS[key]);
      return "next";
    }
    if (key === "u") {
      change(each, each.label);
      return true;
    }
    return false;
  };
  const count = Object.keys(changes).length;
  const pick = (title, name, options, current) => html`<label class="pick">${title} <select onChange=${(event) => (location.hash = to({ [name]: event.target.value }))}>${options.map(([id, each]) => html`<option key=${id} value=${id} selected=${id === current}>${each}</option>`)}</select></label>`;
  const absent = fault?.status === 404;
  return html`<${Outcome} action=${save} words=${words} />
    <div class="controls" role="search" aria-label=${said.filters}>
      ${pick(said.kind, "kind", KINDS.map((each) => [each, text.inspection.kinds[each]]), kind)}
      ${pick(said.label, "show", [["", said.all], ...LABELS.map((each) => [each, said.labels[each]])], label)}
      <input type="search" aria-label=${said.find} placeholder=${said.find} value=${chosen.find ?? ""} onChange=${(event) => (location.hash = to({ find: event.target.value }))} />
    </div>
    ${fault && !absent && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${absent && html`<div class="empty page"><p>${said.noDataset(text.inspection.kinds[kind])}</p><p>${said.howToBegin}</p></div>`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${(may || absent) && html`<${Import} api=${api} path=${path} kind=${kind} done=${tell} />`}
    ${answer &&
    html`<p role="status">${said.counts(value(answer.dataset.total, "count"), value(answer.dataset.normal, "count"), value(answer.dataset.anomaly, "count"), value(answer.dataset.total - answer.dataset.labeled, "count"))} ${changing(answer.dataset.status) && html`<strong>${answer.dataset.message}</strong>`}</p>
      ${answer.dataset.status === REFUSED && html`<p class="notice">${said.refused(answer.dataset.message)}</p>`}
      ${(answer.dataset.status.endsWith("FAILED") || answer.dataset.absent) && html`<p class="notice">${answer.dataset.message}</p>`}
      <p class="quiet">${said.order} ${may ? said.keys : text.shared.onlyAdmins} <a href=${link(["inspection", "doctor"], { project })}>${said.doctor}</a></p>
      ${count > 0 && html`<div class="controls sticky"><p role="status">${said.pending(count)}</p><button type="button" class="primary" disabled=${save.busy} onClick=${save.act}>${said.save(count)}</button><button type="button" onClick=${() => setChanges(() => ({}))}>${said.discard}</button></div>`}
      ${!photographs.length && html`<div class="empty"><p>${said.nothing}</p></div>`}
      <${Shots} label=${said.photographs} items=${photographs} keyOf=${(each) => each.source} named=${named} press=${press} card=${(each) => html`
        <${Picture} api=${api} project=${project} source=${each.source} masked=${each.masked} alt=${named(each)} />
        <p class="name" title=${each.source}>${nameOf(each.source)}</p>
        <div class="buttons">
          ${["normal", "anomaly"].map((found) => html`<button key=${found} type="button" tabindex="-1" class=${found} disabled=${!may} aria-pressed=${labelOf(each) === found ? "true" : "false"} onClick=${() => change(each, found)}>${said.labels[found]}</button>`)}
          <button type="button" tabindex="-1" class="plain" aria-label=${text.photographs.enlarge(nameOf(each.source))} onClick=${() => open(each)}>${text.photographs.large}</button>
        </div>
        ${(each.source in changes || each.kinds.length > 0) && html`<p class="quiet">${each.source in changes ? said.unsaved : each.kinds.join(", ")}</p>`}`} />
      ${next && html`<p class="more"><button type="button" disabled=${older.busy} onClick=${older.act}>${said.more}</button></p>`}
      ${older.fault && html`<${Problem} fault=${older.fault} />`}`}
    <${Large} api=${api} project=${project} shown=${shown} close=${() => setShown(undefined)} />`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Dataset = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
