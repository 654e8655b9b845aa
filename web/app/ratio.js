// Items, anomalies and their ratio in a window: of the whole project, by line and camera, and over time.
import { Card } from "./card.js";
import { interval, value } from "./format.js";
import { html } from "./html.js";
import { report } from "./figures.js";
import { OfProject } from "./of-project.js";
import { Moment, Problem } from "./parts.js";
import { usePolled } from "./poll.js";
import { link, request } from "./route.js";
import { text } from "./strings.js";
import { wilson } from "./version.js";

const said = text.ratio;
const ROOMY = ["anomalies", "rejects", "reviews"]; // a narrow page has room for the ratio and what it is of
const COLUMNS = { items: said.items, anomalies: said.anomalies, rejects: said.rejects, reviews: said.reviews, ratio: said.ratio };
const SPANS = ["1d", "3d", "1w", "2w", "1m", "3m", "6m"];
const BY_HOUR = ["1d", "3d"]; // of longer windows the API tells days
const SHARE = { unit: "share", adds: false, lower: null, upper: null, n: null };
const COUNT = { unit: "count", adds: true, lower: null, upper: null, n: null };
const NO_CHOICE = { offers: () => false, has: () => false, choose: () => {} };

/** @typedef {import("../types/api").InspectionDashboard} Dashboard */

const dimension = (title, kind = "text") => ({ title, kind, filter: null });

/** @param {Dashboard} answer */
export function reports(answer) {
  const found = [];
  const bounds = { ratio: { ...SHARE, title: said.ratio, lower: "lower", upper: "upper", n: "items" }, lower: { ...SHARE, title: said.lower }, upper: { ...SHARE, title: said.upper }, items: { ...COUNT, title: said.items } };
  const cameras = answer.places.filter((each) => each.camera);
  if (cameras.length)
    found.push(
      report(
        { id: "cameras", type: "interval", title: said.byCamera, note: said.byCameraNote, rows: ["place"], measures: ["ratio"] },
        { place: dimension(said.camera) },
        bounds,
        cameras.map((each) => ({ place: `${each.line} / ${each.camera}`, ratio: each.ratio, lower: each.low, upper: each.high, items: each.items })),
        said.items.toLowerCase(),
        answer.as_of,
      ),
    );
  if (answer.hours.length > 1) {
    const byHour = BY_HOUR.includes(answer.span);
    found.push(
      report(
        { id: "time", type: "line", title: said.overTime, note: said.overTimeNote, rows: ["at"], measures: ["ratio"] },
        { at: dimension(byHour ? said.hour : said.day, byHour ? "time" : "day") },
        { ratio: { ...SHARE, title: said.ratio, n: "items" }, items: { ...COUNT, title: said.items }, anomalies: { ...COUNT, title: said.anomalies } },
        answer.hours.map((each) => ({ at: byHour ? each.at : each.at.slice(0, 10), ratio: each.anomalies / each.items, items: each.items, anomalies: each.anomalies })),
        said.items.toLowerCase(),
        answer.as_of,
      ),
    );
  }
  return found;
}

/** @param {{ places: Dashboard["places"] }} props */
const Places = ({ places }) => html`<section class="card span4" aria-labelledby="places"><header><h2 id="places">${said.places}</h2></header>
  <div class="scroll" tabindex="0" role="region" aria-label=${text.reports.tableOf(said.places)}><table class="places">
    <thead><tr><th scope="col">${said.line}</th><th scope="col">${said.camera}</th>${Object.entries(COLUMNS).map(([name, title]) => html`<th key=${name} scope="col" class=${ROOMY.includes(name) ? "number roomy" : "number"}>${title}${name === "ratio" && html`<span class="bounds below">${text.reports.interval}</span>`}</th>`)}</tr></thead>
    <tbody>${places.map((each) => html`<tr key=${`${each.line}/${each.camera}`}><th scope="row">${each.line || said.allLines}</th><td>${each.camera || said.allCameras}</td>${["items", "anomalies", "rejects", "reviews"].map((name) => html`<td key=${name} class=${ROOMY.includes(name) ? "number roomy" : "number"}>${value(each[name], "count")}</td>`)}<td class="number">${value(each.ratio, "share")}<span class="bounds below">${interval(each.low, each.high, "share")}</span></td></tr>`)}</tbody>
  </table></div></section>`;

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
function Content({ api, project, path, chosen, address }) {
  const span = SPANS.includes(chosen.span) ? chosen.span : "1d";
  const { answer, fault, refresh } = usePolled(api, /** @type {`/api/inspection/projects/${string}/dashboard`} */ (request(`${path}/dashboard`, { span })));
  const whole = answer?.places.find((each) => !each.line);
  const figures = whole && [["items", whole.items], ["anomalies", whole.anomalies], ["rejects", whole.rejects], ["reviews", whole.reviews]];
  const known = (found) => (reference) => [...new Set(found.outcome.answer.rows.map((row) => row[found.outcome.answer.columns.findIndex((each) => each.name === reference)]))];
  const between = whole && wilson(whole.anomalies, whole.items);
  return html`<div class="controls">
      <label class="pick">${said.window} <select onChange=${(event) => (location.hash = link(address.path, { project, span: event.target.value }))}>${SPANS.map((each) => html`<option key=${each} value=${each} selected=${each === span}>${said.spans[each]}</option>`)}</select></label>
      <p role="status">${answer && html`${said.asOf} <${Moment} at=${answer.as_of} />`}</p>
      <button type="button" onClick=${refresh}>${text.shared.refresh}</button>
    </div>
    <p class="quiet">${said.lines}</p>
    ${fault && html`<${Problem} fault=${fault} retry=${refresh} />`}
    ${!answer && !fault && html`<p class="loading" role="status">${text.shared.loading}</p>`}
    ${answer && !whole && html`<div class="empty page"><p>${said.nothing}</p></div>`}
    ${whole &&
    html`<div class="grid spaced">
      <section class="card kpi span2"><h2>${said.ratio}</h2><p class="figure">${value(whole.ratio, "share")}</p><p class="quiet">${text.reports.interval} ${interval(between[0], between[1], "share")}</p><p class="quiet">${text.reports.n(value(whole.items, "count"), said.items.toLowerCase())}</p></section>
      <section class="card kpi span2"><h2>${said.counts}</h2><dl>${figures.map(([name, count]) => html`<div key=${name}><dt>${COLUMNS[name]}</dt><dd>${value(count, "count")}</dd></div>`)}</dl></section>
      ${reports(answer).map((each) => html`<${Card} key=${`${span}${each.visual.id}`} slug=${`${project}-${span}`} source=${said.source} visual=${each.visual} dataset=${each.dataset} outcome=${each.outcome} busy=${false} filtered=${false} titles=${{}} known=${known(each)} choice=${NO_CHOICE} drill=${() => ""} chips=${() => []} retry=${refresh} clear=${() => {}} />`)}
      <${Places} places=${answer.places} />
    </div>`}`;
}

/** @param {{ api: import("../types/console").Api, [name: string]: any }} props */
export const Dashboard = ({ api, address, page }) => html`<${OfProject} api=${api} address=${address} title=${page.title} lead=${said.lead} content=${Content} />`;
