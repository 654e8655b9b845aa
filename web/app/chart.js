// Reports as Vega-Lite specifications, one function for each type of visual. Pure but for the width and look it is given.
// Every datum carries `tip`, its numbers in words, and `at`, the index of its point, which a click picks.
import { COLOURS, contrast, mixed } from "./drawing.js";
import { brief, group, instant, interval, natural, share, value } from "./format.js";
import { alias, bounds, groupTitle, groupsOf, isDay, isRound, isSignal, named, timeUnit } from "./report.js";
import { text } from "./strings.js";

/** @typedef {import("./drawing.js").Look} Look */
/** @typedef {{ key: any, name: string, total: number, colour: number | "other", members?: Set<any> }} Series */

export const MOST_SLICES = 7;
export const MOST_BARS = 40;
const MOST_CELLS = 40; // rows or columns of a matrix
const OTHER = Symbol("other"); // no group of the data
const DAY = 24 * 3600 * 1000;
// Verdicts look the same on every chart: green passes, orange fails.
const MEANING = { pass: 2, good: 2, fail: 1, bad: 1 };
// Series differ in shape and dashes as well as in colour.
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"];
const DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [5, 5], [1, 3], [12, 3], [3, 6]];

/**
 * Series or slices with their colours: the largest first where numbers add up, else in the order of their names; in the
 * order of `domain` if it is `fixed`. `domain` are all values there are, so that a value keeps its colour when others are
 * filtered away. The smallest beyond `most` become one, "Other"; where numbers do not add up they are left out.
 * @param {Map<any, number>} totals
 * @param {any[]} domain
 * @param {{ most?: number, adds?: boolean, fixed?: boolean }} [how]
 * @returns {Series[]}
 */
export function palette(totals, domain, { most = COLOURS, adds = true, fixed = false } = {}) {
  const known = fixed ? domain : [...new Set([...domain, ...totals.keys()])].filter((each) => each !== null).sort(natural);
  const rank = (each) => (fixed ? known.indexOf(each) : 0);
  const present = [...totals].filter(([key]) => key !== null).sort(([a, x], [b, y]) => rank(a) - rank(b) || (adds ? y - x : 0) || natural(a, b));
  const kept = present.length > most ? present.slice(0, adds ? most - 1 : most) : present;
  const merged = adds ? present.slice(kept.length) : [];
  const taken = new Set();
  const entries = kept.map(([key, total]) => ({ key, name: group(key), total, colour: 0 }));
  /** @type {Series[]} */
  const found = entries;
  for (const each of entries) {
    each.colour = MEANING[String(each.key).toLowerCase()] ?? known.indexOf(each.key) % COLOURS;
    while (taken.has(each.colour) && taken.size < COLOURS) each.colour = (each.colour + 1) % COLOURS;
    taken.add(each.colour);
  }
  if (merged.length) {
    const rest = merged.reduce((a, [, total]) => a + total, 0);
    found.push({ key: OTHER, name: text.reports.other(merged.length), total: rest, colour: "other", members: new Set(merged.map(([key]) => key)) });
  }
  return found;
}

// --- What all have in common -------------------------------------------------------------------------------------------

/** @param {Look} look */
const base = (look) => ({
  background: null,
  autosize: { type: "fit", contains: "padding" },
  padding: 0,
  config: {
    font: look.font,
    view: { stroke: null },
    axis: {
      labelColor: look.ink,
      titleColor: look.ink,
      titleFontWeight: 500,
      labelFontSize: 12,
      titleFontSize: 12,
      gridColor: look.line,
      gridOpacity: 0.5,
      domainColor: look.line,
      tickColor: look.line,
      labelPadding: 6,
      titlePadding: 8,
    },
    legend: { labelColor: look.ink, titleColor: look.ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, gradientStrokeColor: look.line },
    arc: { stroke: look.card, strokeWidth: 2 },
  },
});

const TIP = { field: "tip", type: "nominal" };

/** @param {Look} look @param {Series} entry */
const colourOf = (look, entry) => (entry.colour === "other" ? look.other : look.colours[entry.colour]);

/** @param {Look} look @param {Series[]} series */
const byColour = (look, series) => ({ field: "s", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map((each) => colourOf(look, each)) } });
/** The shape that goes with a colour. @param {number | "other"} colour */
export const shapeOf = (colour) => (colour === "other" ? "square" : SHAPES[colour]);
const byShape = (series) => ({ field: "s", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map((each) => shapeOf(each.colour)) } });
const byDash = (series) => ({ field: "s", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map((each) => DASHES[each.colour === "other" ? 0 : each.colour]) } });

// The scale a number of seconds is read best in.
function scale(unit, largest) {
  if (unit !== "seconds") return { by: 1, title: undefined };
  if (largest >= 2 * 3600) return { by: 3600, title: text.reports.units.hours };
  if (largest >= 120) return { by: 60, title: text.reports.units.minutes };
  return { by: 1, title: text.reports.units.seconds };
}

const FORMATS = { count: "~s", share: "~%", usd: "$,.2~f" };
// Counts have no halves: as many ticks as there are whole numbers, at most.
const ticks = (unit, largest) => (unit === "count" ? Math.min(5, Math.max(1, Math.floor(largest))) : 5);

// An axis of a measure; `values` are all that must be on it, bounds too, and those of charts that share it.
function measured(measure, values, { zero, shared = false }) {
  const title = measure.title;
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  const { by, title: scaled } = scale(measure.unit, largest);
  const domain = measure.unit === "share" && !zero ? shareDomain(values) : shared ? [values.reduce((a, b) => Math.min(a, b), zero ? 0 : Infinity) / by, largest / by] : undefined;
  return {
    by,
    channel: {
      type: "quantitative",
      scale: { zero, nice: measure.unit !== "share" || zero, ...(domain && { domain }) },
      axis: { titleLimit: 250, title: scaled ? `${title} (${scaled})` : title, format: FORMATS[measure.unit] ?? ",~f", tickCount: ticks(measure.unit, largest) },
    },
  };
}

// Shares never leave 0 to 1, so neither does their axis.
function shareDomain(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(0.02, (high - low) * 0.08);
  return [Math.max(Math.min(low, 0), low - room), Math.min(Math.max(high, 1), high + room)];
}

// Ticks of a time axis: whole days while they are few (finer ones would repeat the date), then weeks, months or years.
function dayTicks(days, most) {
  const span = 1 + (Date.parse(days.at(-1)) - Date.parse(days[0])) / DAY;
  return span <= 60 ? { interval: "day", step: Math.ceil(span / most) } : most;
}

const dayAxis = (order, width, unit = "day") => ({
  type: "temporal",
  scale: { type: "utc" },
  axis: { title: null, format: unit === "day" ? "%-d %b %Y" : "%-d %b, %H:%M", labelOverlap: true, grid: false, tickCount: unit === "day" ? dayTicks(order, Math.max(2, Math.floor(width / 110))) : Math.max(2, Math.floor(width / 110)) },
});

// Names below a chart: level while they have room, then slanted.
function nameAxis(names, width, title) {
  const slanted = names.length * 80 > width;
  return { type: "nominal", sort: names, axis: { title, grid: false, ticks: false, labelAngle: slanted ? -40 : 0, labelLimit: slanted ? 120 : Math.floor((width - 60) / names.length) - 10 } };
}

// Names left of a chart, their title above them.
function sideAxis(names, title, width) {
  return {
    type: "nominal",
    sort: names,
    axis: { title, grid: false, ticks: false, labelLimit: Math.max(90, width * 0.38), titleAnchor: "end", titleAngle: 0, titleAlign: "left", titleY: -10, titleX: 0, titleBaseline: "bottom", titleLimit: width },
  };
}

const PADDING = { top: 6, left: 2, right: 10, bottom: 6 };

/** The numbers of a point in words: value, interval and n. */
function told(dataset, name, row) {
  const measure = dataset.measures[name];
  const between = bounds(dataset, name, row);
  const parts = [value(row[name], measure.unit)];
  if (between) parts.push(`(${text.reports.interval} ${interval(between[0], between[1], measure.unit)})`);
  if (measure.n && row[measure.n] !== undefined) parts.push(`, n = ${value(row[measure.n], "count")}`);
  return parts.join(" ").replace(" ,", ",");
}

// --- Slices and bars ---------------------------------------------------------------------------------------------------

function slices(visual, measure, report, series, width, look, faded) {
  const whole = series.reduce((a, each) => a + each.total, 0);
  const size = Math.min(width, 220);
  return {
    ...base(look),
    width: size,
    height: size,
    data: {
      values: series.map((each, i) => {
        const at = report.points.findIndex((point) => point.key === each.key);
        return { i, at, name: each.name, y: each.total, opacity: at >= 0 && faded(report.points[at].row) ? 0.35 : 1, tip: `${each.name}: ${value(each.total, measure.unit)} (${share(each.total, whole)})` };
      }),
    },
    mark: { type: "arc", innerRadius: visual.type === "donut" ? size * 0.29 : 0 },
    encoding: {
      theta: { field: "y", type: "quantitative", stack: true },
      order: { field: "i", type: "quantitative" },
      color: { field: "name", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map((each) => colourOf(look, each)) } },
      opacity: { field: "opacity", type: "quantitative", scale: null },
      tooltip: TIP,
    },
  };
}

function bars(visual, dataset, report, series, width, look, peers) {
  const [reference] = groupsOf(visual);
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const days = isDay(dataset, reference) && visual.type === "bar";
  const order = days ? report.order : report.order.slice(0, MOST_BARS);
  const shown = new Set(order);
  const seriesOf = (key) => series.find((each) => each.members?.has(key) || each.key === key);
  const merged = new Map();
  for (const [at, each] of report.points.entries()) {
    if (!shown.has(each.key)) continue;
    const entry = visual.columns ? seriesOf(each.series) : undefined;
    if (visual.columns && !entry) continue;
    const id = JSON.stringify([each.key, entry?.name]);
    const point = merged.get(id) ?? { at, key: each.key, series: entry?.name ?? "", i: entry ? series.indexOf(entry) : 0, raw: 0, row: each.row, parts: 0 };
    point.raw += each.y;
    point.parts += 1;
    merged.set(id, point);
  }
  // Beside one another the bars of one group are compared; on one another they make a whole.
  const grouped = Boolean(visual.grouped) || (visual.columns && !measure.adds);
  const tallest = peers.flatMap((peer) => (grouped ? peer.points.map((each) => each.y) : [...peer.totals.values()]));
  const { by, channel } = measured(measure, [...tallest, ...[...merged.values()].map((each) => each.raw)], { zero: true, shared: peers.length > 1 });
  const lane = (DAY * 0.84) / (grouped ? series.length : 1);
  const values = [...merged.values()].map((each) => {
    const label = named(dataset, reference, each.key);
    // A day's bar stands around its midnight, so that the axis writes the date below its middle.
    const from = days ? Date.parse(each.key) - DAY * 0.42 + (grouped ? each.i * lane : 0) : 0;
    return {
      ...(days ? { k: from, end: from + lane } : { k: label }),
      at: each.at,
      s: each.series,
      i: each.i,
      y: each.raw / by,
      low: 0,
      high: each.raw / by,
      tip: `${label}${each.series ? `, ${each.series}` : ""}: ${each.parts === 1 ? told(dataset, name, each.row) : value(each.raw, measure.unit)}`,
    };
  });
  if (days && !grouped) {
    // Bars with a beginning and an end are not stacked by Vega-Lite: the floors are laid here.
    const floors = new Map();
    for (const each of values.toSorted((a, b) => a.i - b.i)) {
      each.low = floors.get(each.k) ?? 0;
      each.high = each.low + each.y;
      floors.set(each.k, each.high);
    }
  }
  const horizontal = visual.type === "hbar";
  const names = order.map((each) => named(dataset, reference, each));
  const lanes = grouped ? series.length : 1;
  const amount = { ...(days ? { field: "low" } : { field: "y", stack: grouped ? null : "zero" }), ...channel, axis: { ...channel.axis, ...(horizontal ? {} : { grid: true }) } };
  const category = days ? dayAxis(order, width) : horizontal ? sideAxis(names, visual.pick ? null : groupsOf(visual).map((each) => groupTitle(dataset, each)).join(", "), width) : nameAxis(names, width, groupTitle(dataset, reference));
  // Of few days only those with bars are named; the room around them is no data.
  if (days && order.length < FEWEST) Object.assign(category.axis, { values: order.map((each) => ({ year: Number(each.slice(0, 4)), month: Number(each.slice(5, 7)), date: Number(each.slice(8, 10)), utc: true })), tickCount: undefined });
  const thick = grouped ? {} : horizontal ? { height: { band: 0.7 } } : days ? {} : order.length < 6 ? { width: 48 } : { width: { band: 0.7 } };
  return {
    ...base(look),
    padding: { ...PADDING, top: horizontal ? 18 : 6 },
    width,
    height: horizontal ? 84 + order.length * (grouped ? 10 + 18 * lanes : 28) : 280,
    data: { values },
    mark: { type: days ? "rect" : "bar", ...thick },
    encoding: {
      [horizontal ? "y" : "x"]: { field: "k", ...category, ...(grouped && !days ? { scale: { paddingInner: 0.25 } } : days ? { scale: { type: "utc", padding: fewDays(order, width) } } : {}) },
      ...(days && { x2: { field: "end" }, y2: { field: "high" } }),
      ...(grouped && !days && { [horizontal ? "yOffset" : "xOffset"]: { field: "s", type: "nominal", sort: series.map((each) => each.name) } }),
      [horizontal ? "x" : "y"]: amount,
      color: visual.columns ? byColour(look, series) : { value: look.colours[0] },
      ...(visual.columns && !days && !grouped && { order: { field: "i", type: "quantitative" } }),
      tooltip: TIP,
    },
  };
}

// All that an axis must reach: the numbers of some reports and their bounds.
const reached = (dataset, name, peers) => peers.flatMap((peer) => peer.points.flatMap((each) => [each.y, ...(bounds(dataset, name, each.row) ?? [])]));

// --- Lines and control charts ------------------------------------------------------------------------------------------

const FEWEST = 7;

// Pixels to leave free on both sides of a chart of daily bars: it spans a week at least, or a single day would fill it.
function fewDays(order, width) {
  const lacking = FEWEST - 1 - (Date.parse(order.at(-1)) - Date.parse(order[0])) / DAY;
  return lacking > 0 ? ((width - 60) * lacking) / FEWEST / 2 : 0;
}

const pointOf = (days, key) => (days ? Date.parse(instant(key)) : key);

function lines(visual, dataset, report, series, width, look, peers) {
  const [reference] = groupsOf(visual);
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const days = timeUnit(dataset, reference);
  const number = dataset.dimensions[reference]?.kind === "number";
  const entries = visual.columns ? series : [{ key: null, name: "", total: 0, colour: 0 }];
  const shown = report.points.map((each, at) => ({ ...each, at, entry: entries.find((entry) => !visual.columns || entry.key === each.series) })).filter((each) => each.entry);
  const between = shown.map((each) => bounds(dataset, name, each.row));
  const { by, channel } = measured(measure, reached(dataset, name, peers), { zero: measure.adds, shared: peers.length > 1 });
  const values = shown.map((each, i) => ({
    at: each.at,
    k: number ? Number(each.key) : days ? pointOf(days, each.key) : named(dataset, reference, each.key),
    s: each.entry.name,
    y: each.y / by,
    ...(between[i] && { low: between[i][0] / by, high: between[i][1] / by }),
    tip: `${named(dataset, reference, each.key)}${each.entry.name ? `, ${each.entry.name}` : ""}: ${told(dataset, name, each.row)}`,
  }));
  const x = { field: "k", ...(days ? dayAxis(report.order, width, days) : number ? { type: "quantitative", scale: { zero: false }, axis: { title: groupTitle(dataset, reference), grid: false, format: ",~f", ...(report.order.every((each) => Number.isInteger(Number(each))) && { tickMinStep: 1 }) } } : nameAxis(report.order.map((each) => named(dataset, reference, each)), width, groupTitle(dataset, reference))) };
  const y = { field: "y", ...channel, axis: { ...channel.axis, grid: true } };
  return {
    ...base(look),
    padding: PADDING,
    width,
    height: 260,
    data: { values },
    encoding: { x, color: byColour(look, entries) },
    layer: [
      { transform: [{ filter: "isValid(datum.low)" }], mark: { type: "area", opacity: 0.16, interpolate: "linear" }, encoding: { y: { ...y, field: "low" }, y2: { field: "high" } } },
      { mark: { type: "line", strokeWidth: 2 }, encoding: { y, strokeDash: byDash(entries) } },
      { mark: { type: "point", filled: true, size: 60, opacity: 1 }, encoding: { y, shape: byShape(entries), tooltip: TIP } },
    ],
  };
}

function control(visual, dataset, report, width, look, peers) {
  const [reference] = groupsOf(visual);
  const [name, centre, lower, upper] = visual.measures;
  const measure = dataset.measures[name];
  const days = isDay(dataset, reference);
  const order = report.order.toSorted(natural);
  const sorted = report.points.map((each, at) => ({ ...each, at })).sort((a, b) => natural(a.key, b.key));
  const all = peers.flatMap((peer) => peer.points.flatMap((each) => visual.measures.map((which) => each.row[which]))).filter((each) => each !== null && each !== undefined);
  const { by, channel } = measured(measure, all, { zero: false, shared: peers.length > 1 });
  const at = (raw) => (raw === null || raw === undefined ? null : raw / by);
  const values = sorted.map((each) => {
    const signal = isSignal(visual, each.row);
    const limits = interval(each.row[lower], each.row[upper], measure.unit);
    return {
      at: each.at,
      k: days ? pointOf(true, each.key) : named(dataset, reference, each.key),
      // Limits change between two days, not on them: each step spans its own day.
      from: days ? pointOf(true, each.key) - DAY / 2 : null,
      end: days ? pointOf(true, each.key) + DAY / 2 : null,
      y: at(each.y),
      centre: at(each.row[centre]),
      low: at(each.row[lower]),
      high: at(each.row[upper]),
      signal,
      tip: `${named(dataset, reference, each.key)}: ${told(dataset, name, each.row)}. ${text.reports.centre}: ${value(each.row[centre], measure.unit)}${limits ? `; ${text.reports.limits}: ${limits}` : ""}${signal ? `. ${text.reports.outOfControl}` : ""}`,
    };
  });
  const x = { field: "k", ...(days ? dayAxis(order, width) : nameAxis(order.map((each) => named(dataset, reference, each)), width, groupTitle(dataset, reference))), ...(!days && { scale: { type: "band" } }) };
  const y = { field: "y", ...channel, axis: { ...channel.axis, grid: false } };
  // A step as wide as its day, or as the band of its name.
  const step = (field, dash) => ({
    mark: { type: "rule", strokeDash: dash, strokeWidth: 1.2 },
    encoding: { x: days ? { ...x, field: "from" } : { ...x, bandPosition: 0 }, x2: days ? { field: "end" } : { field: "k", bandPosition: 1 }, y: { ...y, field }, color: { value: look.ink } },
  });
  const mark = (signal) => ({
    transform: [{ filter: signal ? "datum.signal" : "!datum.signal" }],
    mark: { type: "point", filled: true, opacity: 1, size: signal ? 150 : 55, shape: signal ? "triangle-up" : "circle", stroke: look.card, strokeWidth: 1 },
    encoding: { y, color: { value: look.colours[signal ? 1 : 0] }, tooltip: TIP },
  });
  return {
    ...base(look),
    padding: PADDING,
    width,
    height: 260,
    data: { values },
    encoding: { x },
    layer: [step("low", [5, 4]), step("high", [5, 4]), step("centre", [1, 0]), { mark: { type: "line", strokeWidth: 1, opacity: 0.5 }, encoding: { y, color: { value: look.colours[0] } } }, mark(false), mark(true)],
  };
}

// --- Intervals, matrices and scatters ----------------------------------------------------------------------------------

function intervals(visual, dataset, report, series, width, look, peers) {
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const order = report.order.slice(0, MOST_BARS);
  const shown = new Set(order);
  const entries = visual.columns ? series : [{ key: null, name: "", total: 0, colour: 0 }];
  const kept = report.points
    .map((each, at) => ({ ...each, at, entry: entries.find((entry) => !visual.columns || entry.key === each.series), between: bounds(dataset, name, each.row) }))
    .filter((each) => each.entry && shown.has(each.key));
  const { by, channel } = measured(measure, reached(dataset, name, peers), { zero: false, shared: peers.length > 1 });
  const label = (each) => (groupsOf(visual).length > 1 ? each : named(dataset, groupsOf(visual)[0], each));
  const values = kept.map((each) => ({
    at: each.at,
    k: label(each.key),
    s: each.entry?.name,
    y: each.y / by,
    ...(each.between && { low: each.between[0] / by, high: each.between[1] / by }),
    tip: `${label(each.key)}${each.entry?.name ? `, ${each.entry.name}` : ""}: ${told(dataset, name, each.row)}`,
  }));
  const lanes = visual.columns ? Math.min(series.length, 4) : 1;
  const x = { field: "y", ...channel, axis: { ...channel.axis, grid: true } };
  const names = order.map(label);
  const whisker = { transform: [{ filter: "isValid(datum.low)" }] };
  return {
    ...base(look),
    padding: { ...PADDING, top: 18 },
    width,
    height: 84 + order.length * (12 + 14 * lanes),
    data: { values },
    encoding: {
      y: { field: "k", ...sideAxis(names, groupsOf(visual).map((each) => groupTitle(dataset, each)).join(", "), width) },
      ...(visual.columns && { yOffset: { field: "s", type: "nominal", sort: series.map((each) => each.name) } }),
      color: byColour(look, entries),
      tooltip: TIP,
    },
    layer: [
      { ...whisker, mark: { type: "rule", strokeWidth: 1.6 }, encoding: { x: { ...x, field: "low" }, x2: { field: "high" } } },
      ...["low", "high"].map((end) => ({ ...whisker, mark: { type: "tick", orient: "vertical", size: 9, thickness: 1.6 }, encoding: { x: { ...x, field: end } } })),
      { mark: { type: "point", filled: true, size: 70, opacity: 1 }, encoding: { x, shape: byShape(entries) } },
    ],
  };
}

// The theme's own ink or card where the number can be read in it; between the two, black or white always can.
const inkOn = (ground, look) => [look.ink, look.card].find((each) => contrast(ground, each) >= 4.5) ?? ["rgb(0, 0, 0)", "rgb(255, 255, 255)"].find((each) => contrast(ground, each) >= 4.5);

function heat(visual, dataset, report, width, look, peers) {
  const [reference] = groupsOf(visual);
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const columnKey = alias(visual.columns);
  const rows = [...new Set(report.points.map((each) => each.key))].sort(natural).slice(0, MOST_CELLS);
  const columns = [...new Set(report.points.filter((each) => each.series !== null).map((each) => each.series))].sort(natural).slice(0, MOST_CELLS);
  const kept = report.points.map((each, at) => ({ ...each, at })).filter((each) => rows.includes(each.key) && columns.includes(each.series));
  const numbers = peers.flatMap((peer) => peer.points.map((each) => each.y));
  const [low, high] = [Math.min(...numbers, measure.unit === "share" || measure.adds ? 0 : Infinity), Math.max(...numbers)];
  const [pale, full] = [mixed(look.card, look.colours[0], 0.06), look.colours[0]];
  const across = (width - Math.max(60, width * 0.22)) / columns.length;
  const values = kept.map((each) => {
    const way = high > low ? (each.y - low) / (high - low) : 1;
    const ground = mixed(pale, full, way);
    const said = brief(each.y, measure.unit);
    return {
      at: each.at,
      k: named(dataset, reference, each.key),
      c: named(dataset, visual.columns, each.row[columnKey]),
      y: each.y,
      said: said.length * 7 < across - 4 ? said : "",
      ink: inkOn(ground, look),
      tip: `${named(dataset, reference, each.key)} × ${named(dataset, visual.columns, each.row[columnKey])}: ${told(dataset, name, each.row)}`,
    };
  });
  const slanted = columns.some((each) => String(each).length * 7 > across - 6);
  return {
    ...base(look),
    padding: { ...PADDING, top: 6 },
    width,
    height: 120 + rows.length * 26 + (slanted ? 50 : 0),
    data: { values },
    encoding: {
      x: { field: "c", type: "nominal", sort: columns.map((each) => named(dataset, visual.columns, each)), axis: { title: groupTitle(dataset, visual.columns), grid: false, ticks: false, labelAngle: slanted ? -40 : 0, labelLimit: 110, domain: false } },
      y: { field: "k", type: "nominal", sort: rows.map((each) => named(dataset, reference, each)), axis: { title: groupTitle(dataset, reference), grid: false, ticks: false, labelLimit: Math.max(80, width * 0.22), domain: false } },
      tooltip: TIP,
    },
    layer: [
      {
        mark: { type: "rect", stroke: look.card, strokeWidth: 2 },
        encoding: {
          color: {
            field: "y",
            type: "quantitative",
            scale: { domain: [low, high], range: [pale, full], interpolate: "rgb" },
            legend: { title: measure.title, titleLimit: width * 0.7 - 30, orient: "top", direction: "horizontal", gradientLength: Math.min(180, width / 2), gradientThickness: 10, format: FORMATS[measure.unit] ?? ",~f", tickCount: 3 },
          },
        },
      },
      { mark: { type: "text", fontSize: 12 }, encoding: { text: { field: "said" }, color: { field: "ink", type: "nominal", scale: null, legend: null } } },
    ],
    resolve: { scale: { color: "independent" } },
  };
}

const PLACES = [
  { align: "left", dx: 9, dy: 0, baseline: "middle" },
  { align: "right", dx: -9, dy: 0, baseline: "middle" },
  { align: "center", dx: 0, dy: -9, baseline: "bottom" },
  { align: "center", dx: 0, dy: 9, baseline: "top" },
];

// Where each name has room: the index of its place beside the point, or none. Points and names never cover one another.
function placed(dots, across, down) {
  const taken = dots.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
  return dots.map(({ x, y, label }, own) => {
    const wide = label.length * 6.6 + 2;
    const place = PLACES.findIndex(({ align, dx, dy, baseline }) => {
      const left = x + dx - (align === "right" ? wide : align === "center" ? wide / 2 : 0);
      const top = y + dy - (baseline === "middle" ? 7 : baseline === "bottom" ? 14 : 0);
      const box = { left, right: left + wide, top, bottom: top + 14 };
      const free = box.left >= 0 && box.right <= across && box.top >= 0 && box.bottom <= down && taken.every((other, i) => i === own || box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
      if (free) taken.push(box);
      return free;
    });
    return place;
  });
}

function scatter(visual, dataset, report, series, width, look) {
  const [across, up] = visual.measures;
  const height = 340;
  const entries = visual.columns ? series : [{ key: null, name: "", total: 0, colour: 0 }];
  const kept = report.points
    .map((each, at) => ({ ...each, at, entry: entries.find((entry) => !visual.columns || entry.key === each.series), wide: bounds(dataset, across, each.row), high: bounds(dataset, up, each.row) }))
    .filter((each) => each.entry);
  const on = (name, part) => {
    const numbers = kept.flatMap((each) => [each.row[name], ...(each[part] ?? [])]);
    const found = measured(dataset.measures[name], numbers, { zero: false });
    const [low, high] = [Math.min(...numbers) / found.by, Math.max(...numbers) / found.by];
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    const floor = low >= 0 && dataset.measures[name].unit !== "number" ? 0 : -Infinity;
    found.channel.scale.domain ??= [Math.max(floor, low - room), high + room];
    found.channel.scale.nice = false;
    return found;
  };
  const [x, y] = [on(across, "wide"), on(up, "high")];
  const inner = [width - 70, height - 56];
  const last = groupsOf(visual).at(-1);
  const way = (channel, number) => (number - channel.scale.domain[0]) / (channel.scale.domain[1] - channel.scale.domain[0] || 1);
  const dots = kept.map((each) => ({ x: way(x.channel, each.row[across] / x.by) * inner[0], y: (1 - way(y.channel, each.row[up] / y.by)) * inner[1], label: named(dataset, last, each.row[alias(last)]).slice(0, 24) }));
  const places = placed(dots, inner[0], inner[1]);
  const values = kept.map((each, i) => ({
    at: each.at,
    s: each.entry.name,
    x: each.row[across] / x.by,
    y: each.row[up] / y.by,
    ...(each.wide && { left: each.wide[0] / x.by, right: each.wide[1] / x.by }),
    ...(each.high && { low: each.high[0] / y.by, high: each.high[1] / y.by }),
    label: dots[i].label,
    place: places[i],
    tip: `${each.key}${each.entry.name ? `, ${each.entry.name}` : ""}: ${dataset.measures[across].title.toLowerCase()} ${told(dataset, across, each.row)}; ${dataset.measures[up].title.toLowerCase()} ${told(dataset, up, each.row)}`,
  }));
  const [ex, ey] = [{ field: "x", ...x.channel, axis: { ...x.channel.axis, grid: true } }, { field: "y", ...y.channel, axis: { ...y.channel.axis, grid: true } }];
  const rule = { type: "rule", strokeWidth: 1.2, opacity: 0.7 };
  return {
    ...base(look),
    padding: PADDING,
    width,
    height,
    data: { values },
    encoding: { color: byColour(look, entries) },
    layer: [
      { transform: [{ filter: "isValid(datum.left)" }], mark: rule, encoding: { x: { ...ex, field: "left" }, x2: { field: "right" }, y: ey } },
      { transform: [{ filter: "isValid(datum.low)" }], mark: rule, encoding: { x: ex, y: { ...ey, field: "low" }, y2: { field: "high" } } },
      { mark: { type: "point", filled: true, size: 80, opacity: 0.95 }, encoding: { x: ex, y: ey, shape: byShape(entries), tooltip: TIP } },
      ...PLACES.map((place, i) => ({ transform: [{ filter: `datum.place === ${i}` }], mark: { type: "text", fontSize: 12, ...place }, encoding: { x: ex, y: ey, text: { field: "label" }, color: { value: look.ink } } })),
    ],
  };
}

/**
 * A Vega-Lite specification.
 * @param {any} visual
 * @param {any} dataset
 * @param {ReturnType<import("./report.js").points>} report
 * @param {Series[]} series
 * @param {number} width pixels; heights follow from the content
 * @param {Look} look
 * @param {{ faded?: (row: import("./report.js").Row) => boolean, peers?: ReturnType<import("./report.js").points>[] }} [more]
 *   `faded`: what is not chosen where something is; `peers`: the reports, this one among them, that share its axes
 */
export function specification(visual, dataset, report, series, width, look, { faded = () => false, peers = [report] } = {}) {
  if (isRound(visual)) return slices(visual, dataset.measures[visual.measures[0]], report, series, width, look, faded);
  switch (visual.type) {
    case "line":
      return lines(visual, dataset, report, series, width, look, peers);
    case "control":
      return control(visual, dataset, report, width, look, peers);
    case "interval":
      return intervals(visual, dataset, report, series, width, look, peers);
    case "heat":
      return heat(visual, dataset, report, width, look, peers);
    case "scatter":
      return scatter(visual, dataset, report, series, width, look);
    default:
      return bars(visual, dataset, report, series, width, look, peers);
  }
}

// A chart in words, for those who do not see it. The table beside it has every number.
export function summary(visual, dataset, report, series) {
  const [name] = visual.measures;
  const { unit, adds } = dataset.measures[name];
  const parts = isRound(visual)
    ? series.map((each) => [each.name, value(each.total, unit)])
    : visual.columns && (!adds || visual.grouped)
      ? report.points.map((each) => [`${group(each.key)}, ${group(each.series)}`, value(each.y, unit)])
      : visual.type === "scatter"
        ? report.points.map((each) => [each.key, visual.measures.map((which) => value(each.row[which], dataset.measures[which].unit)).join(" and ")])
        : report.order.slice(0, MOST_BARS).map((key) => [group(key), value(report.totals.get(key), unit)]);
  const said = parts.slice(0, 12).map(([label, number]) => `${label} ${number}`);
  return text.reports.summary(visual.title, said, Math.max(0, parts.length - 12));
}
