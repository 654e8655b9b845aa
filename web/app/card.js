// One report: its chart or table, its n, its notes, its CSV; or why there is nothing to show.
import { useEffect, useRef, useState } from "preact/hooks";
import { MOST_BARS, MOST_SLICES, draw, palette, specification, summary, theme } from "./chart.js";
import { csv, download } from "./csv.js";
import { counted, group, natural, share, value, words } from "./format.js";
import { html } from "./html.js";
import { alias, csvTable, emptiness, groupTitle, ordered, points, recorded, records, sample, shownMeasures, table, unapplied } from "./report.js";

const isChart = (visual) => ["pie", "donut", "bar", "hbar"].includes(visual.type);

function useWidth() {
  const element = useRef();
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

// Counts up when the reader or the operating system changes between light and dark.
function useTheme() {
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const changed = () => setTheme((count) => count + 1);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", changed);
    addEventListener("sextant:theme", changed);
    return () => {
      system.removeEventListener("change", changed);
      removeEventListener("sextant:theme", changed);
    };
  }, []);
  return theme;
}

function Chart({ visual, dataset, found, domain }) {
  const [frame, width] = useWidth();
  const plot = useRef();
  const themeCount = useTheme();
  const report = points(visual, dataset, found);
  const measure = dataset.measures[visual.measures[0]];
  const round = visual.type === "pie" || visual.type === "donut";
  const totals = round ? report.totals : new Map();
  if (visual.columns) for (const each of report.points) totals.set(each.series, (totals.get(each.series) ?? 0) + each.y);
  const series = round || visual.columns ? palette(totals, domain, round ? MOST_SLICES : undefined) : [];
  const whole = series.reduce((all, each) => all + each.total, 0);
  const content = JSON.stringify([visual.id, found, series.map((each) => each.colour)]);
  useEffect(() => {
    if (!width || !report.order.length) return undefined;
    let gone = false;
    let remove;
    draw(plot.current, specification(visual, dataset, report, series, width, theme())).then((done) => {
      remove = done;
      if (gone) remove();
      else plot.current.dataset.drawn = "";
    });
    return () => {
      gone = true;
      remove?.();
    };
  }, [content, width, themeCount]);
  const legend =
    series.length > 0 &&
    html`<ul class="legend">
      ${series.map(
        (each) => html`<li key=${each.name}>
          <i class=${`swatch c${each.colour}`}></i><span class="name">${each.name}</span>
          <span class="amount">${value(each.total, measure.unit)}${round && ` · ${share(each.total, whole)}`}</span>
        </li>`,
      )}
    </ul>`;
  const left = report.order.length - MOST_BARS;
  return html`<div class=${round ? "round" : ""}>
    ${!round && legend}
    <div class="frame" ref=${frame}><div class="plot" ref=${plot} role="img" aria-label=${summary(visual, dataset, report, series)}></div></div>
    ${round && legend}
  </div>
  ${report.unrecorded > 0 && html`<p class="quiet">${value(report.unrecorded, measure.unit)} ${measure.unit === "count" ? dataset.counts : ""} without ${words(alias(visual.rows.at(-1))).toLowerCase()} are not in the chart.</p>`}
  ${report.unmeasured > 0 && html`<p class="quiet">${counted(report.unmeasured, `${groupTitle(dataset, visual.rows[0]).toLowerCase()}s`)} without a recorded ${measure.title.toLowerCase()} ${report.unmeasured === 1 ? "is" : "are"} not in the chart.</p>`}
  ${!round && left > 0 && dataset.dimensions[visual.rows[0]]?.kind !== "day" && html`<p class="quiet">The first ${MOST_BARS} of ${report.order.length}; table and CSV have all.</p>`}`;
}

function Table({ visual, dataset, found }) {
  const kept = visual.type === "pivot" ? recorded(visual, found) : found;
  const hidden = table(visual, dataset, found).rows.length - table(visual, dataset, kept).rows.length;
  const { head, rows } = table(visual, dataset, kept);
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`${visual.title}, table`}>
    <table>
      <thead><tr>${head.map((each, i) => html`<th key=${i} scope="col" class=${each.numeric ? "number" : ""}>${each.title}</th>`)}</tr></thead>
      <tbody>
        ${rows.map(
          (row, r) => html`<tr key=${r}>
            ${row.map((each, i) => (head[i].numeric ? html`<td key=${i} class="number">${value(each, head[i].unit)}</td>` : i === 0 ? html`<th key=${i} scope="row">${head[i].unit === "day" ? value(each, "day") : group(each)}</th>` : html`<td key=${i}>${group(each)}</td>`))}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>
  ${hidden > 0 && html`<p class="quiet">${counted(hidden, `${groupTitle(dataset, visual.rows[0]).toLowerCase()}s`)} without any ${words(alias(visual.columns)).toLowerCase()} ${hidden === 1 ? "is" : "are"} only in the CSV.</p>`}`;
}

function Figures({ visual, dataset, found }) {
  const [main, ...others] = visual.measures;
  const row = found[0] ?? {};
  const unknown = row[main] === null || row[main] === undefined;
  const n = dataset.measures[main].n;
  const extra = shownMeasures(visual, dataset).filter((each) => each !== main && each !== n);
  return html`<p class="figure">${value(row[main], dataset.measures[main].unit)}</p>
    ${unknown && html`<p class="quiet">Nothing to measure here.</p>`}
    ${n && html`<p class="quiet">n = ${value(row[n] ?? 0, "count")} ${dataset.measures[n].title.toLowerCase()}</p>`}
    ${extra.length > 0 &&
    html`<dl>${extra.map((each) => html`<div key=${each}><dt>${dataset.measures[each].title}</dt><dd>${value(row[each], dataset.measures[each].unit)}${others.includes(each) && dataset.measures[each].adds && dataset.measures[each].n === main && row[main] ? html` <span class="quiet">${share(row[each], row[main])}</span>` : ""}</dd></div>`)}</dl>`}`;
}

function Problem({ error, retry }) {
  return html`<div class="problem" role="alert">
    <p><strong>This report failed.</strong> ${error.message}</p>
    <p>${error.remedy}</p>
    ${error.query_execution_id && html`<p class="quiet">Query ${error.query_execution_id}</p>`}
    <button type="button" onClick=${retry}>Try again</button>
  </div>`;
}

export function Card({ slug, visual, dataset, outcome, busy, filtered, titles, known, retry, clear }) {
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState();
  const answer = outcome?.answer;
  let found = answer ? ordered(visual, records(answer)) : [];
  const attributes = visual.pick ? [...new Set(found.map((each) => each[visual.pick]))].sort(natural) : [];
  const attribute = attributes.includes(picked) ? picked : attributes[0];
  const all = found;
  if (visual.pick) found = found.filter((each) => each[visual.pick] === attribute);
  const empty = answer && visual.type !== "kpi" && emptiness(visual, dataset, found, filtered);
  const charted = isChart(visual) && !asTable;
  const exportCsv = () => {
    // With a choice of attribute the file still has every one, each row with its attribute.
    const { head, rows } = csvTable(visual.pick ? { ...visual, pick: null } : visual, dataset, visual.pick ? all : found);
    download(`${slug}-${visual.id}.csv`, csv(head, rows));
  };
  const colours = visual.columns ?? visual.rows.at(-1);
  return html`<section class=${`card span${visual.span} ${visual.type}`} id=${visual.id} aria-labelledby=${`${visual.id}-title`} aria-busy=${busy ? "true" : "false"}>
    <header>
      <h2 id=${`${visual.id}-title`}>${visual.title}</h2>
      ${answer &&
      !empty &&
      visual.type !== "kpi" &&
      html`<div class="actions">
        ${isChart(visual) && html`<button type="button" aria-pressed=${asTable} aria-label=${`Show ${visual.title} as table`} onClick=${() => setAsTable(!asTable)}>Table</button>`}
        <button type="button" aria-label=${`Export ${visual.title} as CSV`} onClick=${exportCsv}>CSV</button>
      </div>`}
    </header>
    ${visual.note && html`<p class="quiet">${visual.note}</p>`}
    ${!outcome && html`<p class="loading">Loading…</p>`}
    ${outcome?.error && html`<${Problem} error=${outcome.error} retry=${retry} />`}
    ${visual.pick && attributes.length > 0 && html`<label class="pick">Attribute <select onChange=${(event) => setPicked(event.target.value)}>${attributes.map((each) => html`<option key=${each} value=${each} selected=${each === attribute}>${words(each)}</option>`)}</select></label>`}
    ${answer && visual.type === "kpi" && html`<${Figures} visual=${visual} dataset=${dataset} found=${found} />`}
    ${empty && html`<div class="empty"><p>${empty}</p>${filtered && html`<button type="button" onClick=${clear}>Clear all filters</button>`}</div>`}
    ${answer && !empty && visual.type !== "kpi" && (charted ? html`<${Chart} visual=${visual} dataset=${dataset} found=${found} domain=${known(colours)} />` : html`<${Table} visual=${visual} dataset=${dataset} found=${found} />`)}
    ${answer &&
    html`<footer>
      ${visual.type !== "kpi" && !empty && html`<p>${sample(visual, dataset, isChart(visual) ? found.filter((each) => each[alias(visual.rows.at(-1))] !== null) : visual.type === "pivot" ? recorded(visual, found) : found)}</p>`}
      ${answer.truncated && html`<p class="notice">Cut at ${value(answer.rows.length, "count")} rows: choose filters to see the rest. Totals here lack it.</p>`}
      ${unapplied(visual, dataset, answer.not_applied, titles).map((each) => html`<p key=${each} class="notice">${each}</p>`)}
    </footer>`}
  </section>`;
}
