// One report: its chart or table, its n, its notes, its exports; or why there is nothing to show.
import { useEffect, useRef, useState } from "preact/hooks";
import { MOST_BARS, MOST_SLICES, palette, shapeOf, specification, summary } from "./chart.js";
import { csv, download } from "./csv.js";
import { draw, theme } from "./drawing.js";
import { group, interval, natural, share, time, value, words } from "./format.js";
import { html } from "./html.js";
import { savePicture } from "./picture.js";
import { alias, bothSides, bounds, csvTable, emptiness, groupTitle, groupsOf, isByBatch, isChart, isDay, isRound, isSignal, named, ordered, pointName, points, recorded, records, sample, shownMeasures, sidedChart, sidedTable, table, unapplied } from "./report.js";
import { pickOf } from "./select.js";
import { text } from "./strings.js";
import { Symbol } from "./symbol.js";

const said = text.reports;
const SHAPED = ["line", "interval", "scatter"]; // types whose series differ in shape

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

// The series or slices of a chart, and the rows of its legend: { name, amount?, colour, shape, dash?, pick? }.
function legendOf(visual, dataset, report, domain) {
  const measure = dataset.measures[visual.measures[0]];
  const round = isRound(visual);
  if (visual.type === "control")
    return {
      series: [],
      entries: [
        { name: said.inControl, colour: 0, shape: "circle" },
        { name: said.outOfControl, colour: 1, shape: "triangle-up" },
        { name: said.centre, colour: "ink", shape: "line" },
        { name: said.limits, colour: "ink", shape: "line", dash: [5, 4] },
      ],
    };
  if (!round && (!visual.columns || visual.type === "heat")) return { series: [], entries: [] };
  const totals = round ? report.totals : new Map();
  if (!round) for (const each of report.points) totals.set(each.series, (totals.get(each.series) ?? 0) + each.y);
  const series = palette(totals, domain, { most: round ? MOST_SLICES : undefined, adds: measure.adds || round, fixed: visual.columns === "side" });
  const shaped = SHAPED.includes(visual.type);
  const whole = series.reduce((all, each) => all + each.total, 0);
  return {
    series,
    left: totals.size - series.reduce((all, each) => all + (each.members?.size ?? 1), 0),
    entries: series.map((each) => {
      const point = report.points.find((one) => (round ? one.key : one.series) === each.key);
      const reference = round ? groupsOf(visual)[0] : visual.columns;
      return {
        name: each.key !== null && isDay(dataset, reference) && !each.members ? value(each.key, "day") : each.name,
        amount: measure.adds ? `${value(each.total, measure.unit)}${round ? ` · ${share(each.total, whole)}` : ""}` : undefined,
        colour: each.colour,
        shape: shaped ? shapeOf(each.colour) : "square",
        pick: point && !each.members ? pickOf(dataset, reference, point.row) : undefined,
      };
    }),
  };
}

function Legend({ title, entries, choice }) {
  if (!entries.length) return null;
  return html`<ul class="legend" aria-label=${title}>
    ${title && html`<li class="quiet" aria-hidden="true">${title}</li>`}
    ${entries.map((each) => {
      const shown = html`<${Symbol} shape=${each.shape} colour=${each.colour} dash=${each.dash?.join(" ")} /><span class="name">${each.name}</span>${each.amount && html` <span class="amount">${each.amount}</span>`}`;
      return html`<li key=${each.name}>${choice.offers(each.pick) ? html`<${Choose} pick=${each.pick} name=${each.name} choice=${choice}>${shown}<//>` : shown}</li>`;
    })}
  </ul>`;
}

// A group as a button that filters by it: what a click on its bar does, for keyboards too.
function Choose({ pick, name, choice, children }) {
  const on = choice.has(pick);
  return html`<button type="button" class="pickable" aria-pressed=${on ? "true" : "false"} title=${on ? said.unfilter(name) : said.filterBy(name)} onClick=${(event) => choice.choose([pick], event.shiftKey || event.ctrlKey || event.metaKey)}>${children}</button>`;
}

function Chart({ visual, dataset, found, all, domain, choice, heading, keep, failed }) {
  const [frame, width] = useWidth();
  const plot = useRef();
  const themeCount = useTheme();
  const report = points(visual, dataset, found);
  const { series, entries, left } = legendOf(visual, dataset, report, domain);
  const round = isRound(visual);
  const picksOf = (row) => [...groupsOf(visual), ...(visual.type === "heat" ? [visual.columns] : [])].map((each) => pickOf(dataset, each, row)).filter((each) => choice.offers(each));
  // What is picked now stands out where the report itself still shows everything.
  const own = round && report.points.some((each) => picksOf(each.row).some(choice.has));
  const faded = (row) => own && !picksOf(row).some(choice.has);
  const content = JSON.stringify([visual.id, visual.type, found, all, series.map((each) => each.colour), own && report.points.map((each) => faded(each.row))]);
  const clicked = useRef();
  clicked.current = (datum, event) => {
    const picks = datum.at >= 0 ? picksOf(report.points[datum.at].row) : [];
    if (picks.length) choice.choose(picks, event.shiftKey || event.ctrlKey || event.metaKey);
  };
  useEffect(() => {
    if (!width || !report.order.length) return undefined;
    let gone = false;
    let drawing;
    const element = plot.current;
    draw(element, specification(visual, dataset, report, series, width, theme(), { faded, peers: all?.map((rows) => points(visual, dataset, rows)) }), (...event) => clicked.current(...event)).then((done) => {
      drawing = done;
      if (gone) return drawing.remove();
      element.dataset.drawn = `${width}`;
      return keep(done.picture);
    }).catch((error) => !gone && failed(error));
    return () => {
      gone = true;
      drawing?.remove();
      keep(undefined);
    };
  }, [content, width, themeCount]);
  const clickable = report.points.some((each) => picksOf(each.row).length);
  const name = `${summary(visual, dataset, report, series)}${heading ? ` ${heading}` : ""}`;
  const signals = visual.type === "control" && report.points.filter((each) => isSignal(visual, each.row)).length;
  const measure = dataset.measures[visual.measures[0]];
  return html`${heading && html`<h3>${heading}</h3>`}
    <div class=${round ? "round" : ""}>
      ${!round && html`<${Legend} title=${visual.columns && visual.columns !== "side" && groupTitle(dataset, visual.columns)} entries=${entries} choice=${choice} />`}
      <div class="frame" ref=${frame}><div class=${`plot ${clickable ? "clickable" : ""}`} ref=${plot} role="img" aria-label=${name}></div></div>
      ${round && html`<${Legend} entries=${entries} choice=${choice} />`}
    </div>
    ${visual.type === "control" && html`<p>${said.signals(signals, report.points.length)}</p>`}
    ${notesOf(visual, dataset, report, left).map((each) => html`<p key=${each} class="quiet">${each}</p>`)}
    ${["line", "interval", "scatter"].includes(visual.type) && visual.measures.some((each) => dataset.measures[each].lower) && measure && html`<p class="quiet">${said.whiskers}</p>`}`;
}

// What a chart leaves out, in sentences.
function notesOf(visual, dataset, report, seriesLeft = 0) {
  const measure = dataset.measures[visual.measures[0]];
  const first = groupsOf(visual)[0];
  const beyond = report.order.length - MOST_BARS;
  const capped = ["interval", "heat"].includes(visual.type) || (["bar", "hbar"].includes(visual.type) && !isDay(dataset, first));
  return [
    measure.adds && report.unrecorded > 0 && said.unrecorded(value(report.unrecorded, measure.unit), measure.unit === "count" ? dataset.counts : "", words(alias(groupsOf(visual).at(-1))).toLowerCase()),
    report.unmeasured > 0 && said.unmeasured(report.unmeasured, `${groupTitle(dataset, first).toLowerCase()}s`, measure.title.toLowerCase()),
    capped && beyond > 0 && said.firstOf(MOST_BARS, report.order.length),
    seriesLeft > 0 && said.seriesLeft(seriesLeft),
  ].filter(Boolean);
}

function Table({ visual, dataset, found, choice, drill }) {
  const pivot = visual.type === "pivot";
  const kept = pivot ? recorded(visual, found) : found;
  const hidden = pivot ? table(visual, dataset, found).rows.length - table(visual, dataset, kept).rows.length : 0;
  const { head, rows } = table(visual, dataset, kept);
  const number = (cell, column, row) => {
    const between = column.measure && row && bounds(dataset, column.measure, row);
    return html`${value(cell, column.unit)}${between && html` <span class=${`bounds ${column.unit === "timestamp" ? "below" : ""}`}>${interval(between[0], between[1], column.unit)}</span>`}`;
  };
  const body = (cell, i, { records, cells }) => {
    const column = head[i];
    const row = records[i];
    if (column.numeric) {
      const shown = number(cell, column, row);
      const linked = drill && visual.columns && column.measure && row && cell;
      return html`<td key=${i} class="number">${linked ? html`<a href=${drill(row)} aria-label=${said.labelsOfRow(`${group(cells[0])}, ${column.title}`)}>${shown}</a>` : shown}</td>`;
    }
    const pick = pickOf(dataset, column.reference, row);
    const name = named(dataset, column.reference, cell);
    const shown = choice.offers(pick) ? html`<${Choose} pick=${pick} name=${name} choice=${choice}>${name}<//>` : name;
    return i === 0 ? html`<th key=${i} scope="row">${shown}</th>` : html`<td key=${i}>${shown}</td>`;
  };
  const top = (column, i) => {
    const row = column.reference && "value" in column && kept.find((each) => each[alias(column.reference)] === column.value);
    const pick = row ? pickOf(dataset, column.reference, row) : undefined;
    return html`<th key=${i} scope="col" class=${`${column.numeric ? "number" : ""} ${column.title.length > 20 ? "wordy" : ""}`}>${choice.offers(pick) ? html`<${Choose} pick=${pick} name=${column.title} choice=${choice}>${column.title}<//>` : column.title}</th>`;
  };
  const linked = drill && !visual.columns;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${said.tableOf(visual.title)}>
    <table>
      <thead><tr>${head.map(top)}${linked && html`<th scope="col">${said.singleLabels}</th>`}</tr></thead>
      <tbody>
        ${rows.map((row, r) => html`<tr key=${r}>${row.cells.map((each, i) => body(each, i, row))}${linked && html`<td><a href=${drill(row.records[0])} aria-label=${said.labelsOfRow(pointName(visual, dataset, row.records[0]))}>${said.list}</a></td>`}</tr>`)}
      </tbody>
    </table>
  </div>
  ${hidden > 0 && html`<p class="quiet">${said.hidden(hidden, `${groupTitle(dataset, visual.rows[0]).toLowerCase()}s`, words(alias(visual.columns)).toLowerCase())}</p>`}`;
}

// A measure with its interval and n.
function Figure({ dataset, name, row, side }) {
  const measure = dataset.measures[name];
  const unknown = row[name] === null || row[name] === undefined;
  const between = bounds(dataset, name, row);
  return html`${side && html`<p class="side"><${Symbol} shape=${side.shape} colour=${side.colour} />${side.name}</p>`}
    <p class=${`figure ${measure.unit === "timestamp" ? "long" : ""}`}>${value(row[name], measure.unit)}</p>
    ${unknown && html`<p class="quiet">${said.nothingToMeasure}</p>`}
    ${between && html`<p class="quiet">${said.interval} ${interval(between[0], between[1], measure.unit)}</p>`}
    ${measure.n && html`<p class="quiet">${said.n(value(row[measure.n] ?? 0, "count"), dataset.measures[measure.n].title.toLowerCase())}</p>`}`;
}

function Figures({ visual, dataset, row }) {
  const [main, ...others] = visual.measures;
  const n = dataset.measures[main].n;
  const extra = shownMeasures(visual, dataset).filter((each) => each !== main && each !== n);
  const one = (each) => {
    const measure = dataset.measures[each];
    const between = bounds(dataset, each, row);
    const part = others.includes(each) && measure.adds && measure.n === main && row[main];
    return html`<div key=${each}><dt>${measure.title}</dt><dd>${value(row[each], measure.unit)}${part ? html` <span class="quiet">${share(row[each], row[main])}</span>` : ""}${between && html` <span class="quiet">(${interval(between[0], between[1], measure.unit)})</span>`}</dd></div>`;
  };
  return html`<${Figure} dataset=${dataset} name=${main} row=${row} />
    ${extra.length > 0 && html`<dl>${extra.map(one)}</dl>`}`;
}

// One number of two batches, their difference, and whether it is more than chance.
function Versus({ visual, dataset, rows, names }) {
  const [main] = visual.measures;
  const measure = dataset.measures[main];
  const [a, b] = rows.map((each) => each[main]);
  const known = typeof a === "number" && typeof b === "number";
  const between = rows.map((each) => bounds(dataset, main, each));
  const amount = known && (measure.unit === "share" ? `${value(Math.abs(b - a) * 100, "rate")} ${text.compare.points}` : value(Math.abs(b - a), measure.unit));
  return html`<div class="versus">${rows.map((row, i) => html`<div key=${i}><${Figure} dataset=${dataset} name=${main} row=${row} side=${{ name: names[i], colour: i, shape: shapeOf(i) }} /></div>`)}</div>
    ${known && html`<p><strong>${text.compare.difference(`${b > a ? "+" : b < a ? "−" : "±"}${amount}`)}</strong></p>`}
    ${known && measure.lower && html`<p class="quiet">${between.every(Boolean) ? (between[0][0] <= between[1][1] && between[1][0] <= between[0][1] ? text.compare.overlap : text.compare.apart) : text.compare.noInterval}</p>`}`;
}

function Problem({ error, retry }) {
  return html`<div class="problem" role="alert">
    <p><strong>${said.failed}</strong> ${error.message}</p>
    <p>${error.remedy}</p>
    ${error.query_execution_id && html`<p class="quiet">${said.query(error.query_execution_id)}</p>`}
    <button type="button" onClick=${retry}>${text.shared.tryAgain}</button>
  </div>`;
}

/**
 * @param {object} props
 * @param {string} props.slug first part of the names of its files
 * @param {string} props.source title of its page
 * @param {any} props.visual
 * @param {any} props.dataset
 * @param {any} props.outcome the API's answer or error; undefined while it is asked for the first time
 * @param {boolean} props.busy
 * @param {boolean} props.filtered whether the reader filters the page
 * @param {Record<string, string>} props.titles of the page's filters
 * @param {(reference: string) => any[]} props.known all values there are
 * @param {() => void} props.retry
 * @param {() => void} props.clear takes all filters back
 * @param {string[]} [props.compared] names of the two batches, when two are compared
 * @param {{ offers: Function, has: Function, choose: Function }} props.choice filters by a pick
 * @param {(visual: any, row?: any) => string} props.drill the address of the single labels behind a row, or all of them
 * @param {(chosen: string[]) => string[]} props.chips the chosen filters in words, without those that do not apply
 */
export function Card({ slug, source, visual, dataset, outcome, busy, filtered, titles, known, compared, choice, drill, chips, retry, clear }) {
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState();
  const [fault, setFault] = useState();
  const drawings = useRef(new Map());
  const answer = outcome?.answer;
  const both = compared && outcome?.compared && answer && !answer.not_applied.includes("batch") ? compared : undefined;
  const sides = answer ? [answer, ...(both ? [outcome.compared] : [])].map((each) => ordered(visual, records(each))) : [[]];
  const attributes = visual.pick ? [...new Set(sides.flat().map((each) => each[visual.pick]))].sort(natural) : [];
  const attribute = attributes.includes(picked) ? picked : attributes[0];
  const all = both ? bothSides(sides[0], sides[1], both) : sides[0];
  const found = visual.pick ? all.filter((each) => each[visual.pick] === attribute) : all;
  const kpi = visual.type === "kpi";
  const empty = answer && !kpi && emptiness(visual, dataset, found, filtered);
  const charted = isChart(visual) && !asTable;
  const full = answer && !empty && !kpi;

  // What is drawn: one chart, one with both batches, or one for each batch; each [visual, data set, rows, heading].
  let charts = [];
  if (full && charted) {
    const one = both && sidedChart(visual, dataset, found, both);
    charts = one ? [one] : both ? both.map((name) => [visual, dataset, found.filter((each) => each.side === name), name]).filter(([, , rows]) => rows.length) : [[visual, dataset, found]];
  }
  const domainOf = (shown) => (shown.columns === "side" ? both : known(shown.columns ?? shown.rows.at(-1)));
  const [listed, listedData] = both ? sidedTable(visual, dataset) : [visual, dataset];
  const notes = answer ? unapplied(visual, dataset, answer.not_applied.filter((each) => !(compared && each === "batch")), titles) : [];
  const n = full ? sample(visual, dataset, isChart(visual) ? found.filter((each) => each[alias(groupsOf(visual).at(-1))] !== null) : visual.type === "pivot" ? recorded(visual, found) : found) : "";

  const exportCsv = () => {
    // With a choice of attribute the file still has every one, each row with its attribute.
    const { head, rows } = csvTable(visual.pick ? { ...listed, pick: null } : listed, listedData, visual.pick ? all : found);
    download(`${slug}-${visual.id}.csv`, csv(head, rows));
  };
  const exportPng = async () => {
    const rows = charts.map(([shown, data, part]) => ({ shown, data, report: points(shown, data, part) }));
    const chosen = chips(answer.not_applied);
    try {
      await savePicture(`${slug}-${visual.id}.png`, charts.map((_, i) => drawings.current.get(i)).filter(Boolean), {
        title: visual.pick ? `${visual.title}: ${words(attribute)}` : visual.title,
        subtitles: [visual.note, both && text.compare.on(...both)].filter(Boolean),
        legend: legendOf(rows[0].shown, rows[0].data, rows[0].report, domainOf(rows[0].shown)).entries,
        notes: [
          [n, ...rows.flatMap((each) => notesOf(each.shown, each.data, each.report))].join(". ").replaceAll("..", "."),
          ...notes,
          chosen.length ? said.picture.filters(chosen.join("; ")) : said.picture.unfiltered,
          `${said.picture.source(source)}. ${said.picture.asOf(time(answer.as_of))}`,
        ],
      });
      setFault(undefined);
    } catch (error) {
      setFault(said.pngFailed(error.message));
    }
  };
  return html`<section class=${`card span${both && kpi ? Math.max(2, visual.span) : visual.span} ${visual.type}`} id=${visual.id} aria-labelledby=${`${visual.id}-title`} aria-busy=${busy ? "true" : "false"}>
    <header>
      <h2 id=${`${visual.id}-title`}>${visual.title}</h2>
      ${full &&
      html`<div class="actions">
        ${visual.drill && html`<a class="button" href=${drill(visual)} aria-label=${said.labelsOf(visual.title)}>${said.labels}</a>`}
        ${isChart(visual) && html`<button type="button" aria-pressed=${asTable} aria-label=${said.asTable(visual.title)} onClick=${() => setAsTable(!asTable)}>${said.table}</button>`}
        <button type="button" aria-label=${said.asCsv(visual.title)} onClick=${exportCsv}>${said.csv}</button>
        ${charted && html`<button type="button" aria-label=${said.asPng(visual.title)} onClick=${exportPng}>${said.png}</button>`}
      </div>`}
    </header>
    ${visual.note && !kpi && html`<p class="quiet">${visual.note}</p>`}
    ${!outcome && html`<p class="loading">${text.shared.loading}</p>`}
    ${outcome?.error && html`<${Problem} error=${outcome.error} retry=${retry} />`}
    ${fault && html`<p class="notice" role="alert">${fault}</p>`}
    ${visual.pick && attributes.length > 0 && html`<label class="pick">${groupTitle(dataset, visual.pick)} <select onChange=${(event) => setPicked(event.target.value)}>${attributes.map((each) => html`<option key=${each} value=${each} selected=${each === attribute}>${words(each)}</option>`)}</select></label>`}
    ${answer && kpi && (both ? html`<${Versus} visual=${visual} dataset=${dataset} rows=${sides.map((each) => each[0] ?? {})} names=${both} />` : html`<${Figures} visual=${visual} dataset=${dataset} row=${found[0] ?? {}} />`)}
    ${visual.note && kpi && html`<p class="quiet">${visual.note}</p>`}
    ${empty && html`<div class="empty"><p>${empty}</p>${filtered && html`<button type="button" onClick=${clear}>${said.clearAll}</button>`}</div>`}
    ${charts.map(([shown, data, rows, heading], i) => html`<${Chart} key=${`${i}${heading ?? ""}`} visual=${shown} dataset=${data} found=${rows} all=${charts.length > 1 ? charts.map((each) => each[2]) : undefined} domain=${domainOf(shown)} choice=${choice} heading=${heading} keep=${(picture) => drawings.current.set(i, picture)} failed=${(error) => setFault(said.notDrawn(error.message))} />`)}
    ${full && !charted && html`<${Table} visual=${listed} dataset=${listedData} found=${found} choice=${choice} drill=${visual.drill ? (row) => drill(visual, row) : undefined} />`}
    ${answer &&
    html`<footer>
      ${full && html`<p>${n}</p>`}
      ${answer.truncated && html`<p class="notice">${said.cut(value(answer.rows.length, "count"))}</p>`}
      ${compared && !both && !isByBatch(visual, dataset) && html`<p class="notice">${text.compare.notCompared(dataset.counts)}</p>`}
      ${notes.map((each) => html`<p key=${each} class="notice">${each}</p>`)}
    </footer>`}
  </section>`;
}
