// The slides of a run: split, state, tiles and prediction. What a reader chose is in the address.
import { csv, download } from "./csv.js";
import { natural, value } from "./format.js";
import { html } from "./html.js";
import { OfRun } from "./of-run.js";
import { Badge, Problem } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";

const said = text.cohort;
const SPLITS = ["train", "valid", "test"];

/** @typedef {import("../types/api").CohortSlide} CohortSlide */

/** Whether the prediction is right; undefined without one. @param {CohortSlide} slide */
export const outcome = (slide) => (slide.predicted ? slide.predicted === slide.label : undefined);

/**
 * The slides that the address asks for.
 * @param {CohortSlide[]} slides
 * @param {Record<string, string>} chosen
 */
export function matching(slides, { split, label, wrong, find = "" }) {
  const wanted = find.toLowerCase();
  return slides.filter((each) => (!split || each.split === split) && (!label || each.label === label) && (!wrong || outcome(each) === false) && `${each.slide}\n${each.patient ?? ""}`.toLowerCase().includes(wanted));
}

function Counts({ cohort }) {
  const of = (split, label) => cohort.counts.filter((each) => (!split || each.split === split) && each.label === label).reduce((sum, each) => ({ slides: sum.slides + each.slides, patients: sum.patients + each.patients }), { slides: 0, patients: 0 });
  return html`<section class="card" aria-labelledby="counts">
    <header><h2 id="counts">${said.counts}</h2></header>
    <p class="quiet">${said.countsLead}</p>
    <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.counts)}>
      <table class="counts">
        <thead><tr><th scope="col">${said.class}</th>${SPLITS.map((each) => html`<th key=${each} scope="col">${text.slides.splits[each]}</th>`)}</tr></thead>
        <tbody>${cohort.classes.map(
          (label) => html`<tr key=${label}><th scope="row">${label}</th>${SPLITS.map((split) => {
            const { slides, patients } = of(split, label);
            return html`<td key=${split}>${slides ? said.counted(slides, patients) : text.shared.none}</td>`;
          })}</tr>`,
        )}</tbody>
      </table>
    </div>
  </section>`;
}

function Search({ cohort, address, chosen }) {
  const changed = (name, found) => link(address.path, { ...chosen, [name]: found });
  const choose = (name) => (event) => (location.hash = changed(name, event.target.value));
  const pick = (name, label, all, options) => html`<label class="pick">${label} <select onChange=${choose(name)}>
    <option value="" selected=${!chosen[name]}>${all}</option>
    ${options.map(([id, title]) => html`<option key=${id} value=${id} selected=${chosen[name] === id}>${title}</option>`)}
  </select></label>`;
  return html`<div class="controls" role="search" aria-label=${said.filters}>
    ${pick("split", said.split, said.allSplits, SPLITS.map((each) => [each, text.slides.splits[each]]))}
    ${pick("label", said.label, said.allLabels, cohort.classes.map((each) => [each, each]))}
    <label class="choice"><input type="checkbox" checked=${Boolean(chosen.wrong)} onChange=${(event) => (location.hash = changed("wrong", event.target.checked ? "yes" : ""))} /> ${said.wrongOnly}</label>
    <input type="search" aria-label=${said.find} placeholder=${said.find} value=${chosen.find ?? ""} onInput=${(event) => location.replace(changed("find", event.target.value))} />
  </div>`;
}

const State = ({ slide }) => html`<${Badge} state=${said.badges[slide.state]} label=${said.states[slide.state]} />${slide.reason && html`<p><strong>${slide.reason}</strong></p><p class="quiet">${slide.detail}</p>`}`;

function Outcome({ slide }) {
  const right = outcome(slide);
  if (right === undefined) return "–";
  return html`<${Badge} state=${right ? "succeeded" : "failed"} label=${right ? said.right : said.wrong} />`;
}

const CELLS = {
  patient: (each) => each.patient ?? "–",
  label: (each) => each.label ?? "–",
  split: (each) => (each.split ? text.slides.splits[each.split] : "–"),
  state: (each) => html`<${State} slide=${each} />`,
  tiles: (each) => (each.tiles === null ? "–" : said.tiles(value(each.kept, "count"), value(each.tiles, "count"))),
  engine: (each) => (each.engine ? (said.engines[each.engine] ?? each.engine) : "–"),
  predicted: (each) => each.predicted ?? "–",
  score: (each) => (each.score === null ? "–" : value(each.score, "share")),
  outcome: (each) => html`<${Outcome} slide=${each} />`,
};
// Of the columns: numbers, sentences, and what a narrow window has no room for.
const KINDS = { tiles: "number", score: "number", state: "wordy", patient: "roomy", engine: "roomy" };

function Table({ slides, run }) {
  const columns = Object.entries(CELLS);
  const kind = (name) => KINDS[name] ?? "";
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label=${said.table}>
    <table class="cohort">
      <thead><tr><th scope="col">${said.columns.slide}</th>${columns.map(([name]) => html`<th key=${name} scope="col" class=${kind(name)}>${said.columns[name]}</th>`)}</tr></thead>
      <tbody>${slides.map(
        (each) => html`<tr key=${each.slide}>
          <th scope="row">${each.viewable ? html`<a href=${link(["slides", "slide", each.slide], { run })}>${each.slide}</a>` : each.slide}</th>
          ${columns.map(([name, cell]) => html`<td key=${name} class=${kind(name)}>${cell(each)}</td>`)}
        </tr>`,
      )}</tbody>
    </table>
  </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, run, chosen, address, busy }) {
  const path = /** @type {const} */ (`/api/slides/${run}/cohort`);
  const { answer: cohort, fault, refresh } = usePolled(api, path, () => busy);
  if (!cohort) return fault ? html`<${Problem} fault=${fault} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const found = matching(cohort.slides, chosen).sort((a, b) => natural(a.slide, b.slide));
  const exported = () =>
    download(said.exportName(run), csv(said.exportHead, found.map((each) => [each.slide, each.patient, each.label, each.split, each.state, each.kept, each.tiles, each.engine, each.predicted, each.score, each.reason, each.detail])));
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="stack">
      <${Counts} cohort=${cohort} />
      <section class="card" aria-labelledby="slides">
        <header><h2 id="slides">${said.slides}</h2><div class="actions"><button type="button" onClick=${exported}>${text.shared.exportCsv}</button></div></header>
        <${Search} cohort=${cohort} address=${address} chosen=${chosen} />
        <p role="status">${said.shown(found.length, cohort.slides.length)}</p>
        ${found.length ? html`<${Table} slides=${found} run=${run} />` : html`<div class="empty"><p>${said.nothing}</p><p><a href=${link(address.path, { run: chosen.run })}>${said.clear}</a></p></div>`}
      </section>
    </div>`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Cohort = ({ api, address, page }) => html`<${OfRun} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
