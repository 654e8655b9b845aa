// How good a run's model is: its numbers with their intervals, and the charts that every report of the console uses.
import { Card } from "./card.js";
import { counted, interval, value } from "./format.js";
import { html } from "./html.js";
import { OfRun } from "./of-run.js";
import { Problem } from "./parts.js";
import { usePolled } from "./poll.js";
import { link } from "./route.js";
import { text } from "./strings.js";

const said = text.metrics;
const SHARE = { unit: "share", adds: false, lower: null, upper: null, n: null };
const COUNT = { unit: "count", adds: true, lower: null, upper: null, n: null };

/** @typedef {import("../types/api").Metrics} Metrics */

const dimension = (title, kind = "text") => ({ title, kind, filter: null });
const measure = (title, like, more = {}) => ({ ...like, title, ...more });

// A report as the cards take it: its visual, its data set, and rows as an answer of the API.
function report(id, visual, dimensions, measures, rows, counts = said.points) {
  const columns = [...Object.keys(dimensions), ...Object.keys(measures)];
  return {
    visual: { id, title: said.titles[id], note: said.notes[id], span: 2, ignores: [], sort: "group", ...visual },
    dataset: { counts, dimensions, measures },
    outcome: { answer: { columns: columns.map((name) => ({ name })), rows: rows.map((row) => columns.map((name) => row[name] ?? null)), not_applied: [], truncated: false, as_of: new Date().toISOString() } },
  };
}

/** @param {Metrics} metrics @param {"slides" | "tiles"} level */
export function reports({ evaluation, roc, training }, level) {
  const of = evaluation[level];
  const columns = said.columns;
  const found = [];
  const areas = evaluation.classes.map((name, i) => ({ name, area: of.auc_per_class[name], n: of.confusion[i].reduce((a, b) => a + b, 0) })).filter(({ area }) => area);
  if (areas.length)
    found.push(
      report("auc", { type: "interval", rows: ["class"], measures: ["auc"] }, { class: dimension(columns.class) }, { auc: measure(columns.auc, SHARE, { lower: "lower", upper: "upper", n: "n" }), lower: measure(columns.lower, SHARE), upper: measure(columns.upper, SHARE), n: measure(said.levels[level], COUNT) }, areas.map(({ name, area, n }) => ({ class: name, auc: area.value, lower: area.low, upper: area.high, n })), said.levels[level].toLowerCase()),
    );
  found.push(
    report("confusion", { type: "heat", rows: ["truth"], columns: "predicted", measures: ["slides"] }, { truth: dimension(columns.truth), predicted: dimension(columns.predicted) }, { slides: measure(said.levels[level], COUNT) }, of.confusion.flatMap((row, i) => row.map((n, j) => ({ truth: evaluation.classes[i], predicted: evaluation.classes[j], slides: n }))), said.levels[level].toLowerCase()),
  );
  if (level === "slides" && roc.length)
    found.push(
      report("roc", { type: "line", note: `${said.notes.roc} ${said.rocOf(roc[0].positives + roc[0].negatives)}`, rows: ["fpr"], columns: "class", measures: ["tpr"] }, { fpr: dimension(columns.fpr, "number"), class: dimension(columns.class) }, { tpr: measure(columns.tpr, SHARE) }, [
        ...roc.flatMap((curve) => curve.points.map((each) => ({ fpr: each.false_positive_rate, class: curve.label, tpr: each.true_positive_rate }))),
        ...[0, 1].map((each) => ({ fpr: each, class: said.chance, tpr: each })),
      ]),
    );
  found.push(
    report("reliability", { type: "line", rows: ["confidence"], columns: "line", measures: ["right"] }, { confidence: dimension(columns.confidence, "number"), line: dimension(columns.line) }, { right: measure(columns.right, SHARE, { n: "n" }), n: measure(said.levels[level], COUNT) }, [
      ...of.reliability.map((each) => ({ confidence: Number(each.confidence.toFixed(3)), line: said.measured, right: each.accuracy, n: each.n })),
      ...[0, 1].map((each) => ({ confidence: each, line: said.perfect, right: each })),
    ]),
  );
  const told = training.flatMap((point) => Object.entries(point.values).map(([name, number]) => ({ step: point.step, measure: name.replace(/^\w+/, (base) => said.trainingNames[base] ?? base), value: number })));
  if (told.length) found.push(report("training", { type: "line", rows: ["step"], columns: "measure", measures: ["value"], span: 4 }, { step: dimension(columns.step, "number"), measure: dimension(columns.measure) }, { value: { ...SHARE, unit: "number", title: columns.value } }, told));
  return found;
}

function Figure({ name, found, note }) {
  const between = interval(found.low, found.high, "share");
  return html`<section class="card kpi span1" aria-labelledby=${`figure-${name}`}>
    <h2 id=${`figure-${name}`}>${said.figures[name]}</h2>
    <p class="figure">${value(found.value, "share")}</p>
    <p class="quiet">${note ?? (between ? `${text.reports.interval} ${between}` : said.noInterval)}</p>
  </section>`;
}

const NO_CHOICE = { offers: () => false, has: () => false, choose: () => {} };

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, run, chosen, address, busy }) {
  const path = /** @type {const} */ (`/api/slides/${run}/metrics`);
  const { answer, fault, refresh } = usePolled(api, path, () => busy);
  if (!answer) return fault ? html`<${Problem} fault=${fault} title=${fault.code === "NotEvaluated" && said.notYet} retry=${refresh} />` : html`<p class="loading" role="status">${text.shared.loading}</p>`;
  const { evaluation } = answer;
  const level = chosen.level === "tiles" ? "tiles" : "slides";
  const of = evaluation[level];
  const known = (found) => (reference) => [...new Set(found.outcome.answer.rows.map((row) => row[found.outcome.answer.columns.findIndex((each) => each.name === reference)]))];
  return html`${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    <div class="controls" role="search">
      <label class="pick">${said.level} <select onChange=${(event) => (location.hash = link(address.path, { ...chosen, level: event.target.value === "tiles" ? "tiles" : "" }))}>
        ${["slides", "tiles"].map((each) => html`<option key=${each} value=${each} selected=${each === level}>${said.levels[each]}</option>`)}
      </select></label>
      <p role="status">${text.reports.n(value(of.n, "count"), said.levels[level].toLowerCase())}, ${counted(of.patients, "patients")}</p>
    </div>
    <div class="grid">
      ${of.auc ? html`<${Figure} name="auc" found=${of.auc} />` : html`<section class="card kpi span1"><h2>${said.figures.auc}</h2><p class="quiet">${said.noAuc}</p></section>`}
      <${Figure} name="balanced_accuracy" found=${of.balanced_accuracy} />
      <${Figure} name="accuracy" found=${of.accuracy} />
      <${Figure} name="calibration_error" found=${{ value: of.calibration_error }} note=${said.calibrationNote} />
      ${reports(answer, level).map((each) => html`<${Card} key=${`${level}${each.visual.id}`} slug=${`slides-${run}-${level}`} source=${said.source} visual=${each.visual} dataset=${each.dataset} outcome=${each.outcome} busy=${false} filtered=${false} titles=${{}} known=${known(each)} choice=${NO_CHOICE} drill=${() => ""} chips=${() => []} retry=${refresh} clear=${() => {}} />`)}
    </div>
    <div class="below quiet">
      <p>${said.aggregation(evaluation.aggregation)}</p>
      ${!answer.training.length && html`<p>${said.noTraining}</p>`}
    </div>
    ${evaluation.missing?.length > 0 && html`<p class="notice">${said.missing(evaluation.missing.join(", "))}</p>`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Metrics = ({ api, address, page }) => html`<${OfRun} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
