// Reports as Vega-Lite charts. Vega is fetched when the first chart is drawn; it runs on its expression interpreter,
// so the page's policy can forbid eval.
import { group, natural, share, value } from "./format.js";
import { alias, groupTitle } from "./report.js";

let loading;
function libraries() {
  loading ??= (async () => {
    await import("vega");
    const [{ expressionInterpreter }] = await Promise.all([import("vega-interpreter"), import("vega-lite")]);
    return { vega: globalThis.vega, vegaLite: globalThis.vegaLite, expressionInterpreter };
  })();
  return loading;
}

export const COLOURS = 8;
export const MOST_SLICES = 7;
export const MOST_BARS = 40;
const OTHER = "Other";
const DAY = 24 * 3600 * 1000;
// Verdicts look the same on every chart: green passes, orange fails.
const MEANING = { pass: 2, good: 2, fail: 1, bad: 1 };

// Colours and text of the current theme, as the style sheet has them (classes c0 … c7).
export function theme() {
  const probe = document.createElement("div");
  probe.className = "probe";
  const swatches = [...Array(COLOURS).keys(), "other"].map((name) => {
    const swatch = document.createElement("i");
    swatch.className = `c${name}`;
    probe.append(swatch);
    return swatch;
  });
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const found = {
    colours: swatches.slice(0, COLOURS).map((each) => getComputedStyle(each).backgroundColor),
    other: getComputedStyle(swatches[COLOURS]).backgroundColor,
    ink: style.color,
    line: style.borderTopColor,
    card: style.backgroundColor,
    font: style.fontFamily,
  };
  probe.remove();
  return found;
}

// Series or slices with their colours: { name, key, colour (index), total }. `domain` are all values there are, so that a
// value keeps its colour when others are filtered away. The smallest beyond `most` become one, "Other".
export function palette(totals, domain, most = COLOURS) {
  const known = [...new Set([...domain, ...totals.keys()])].filter((each) => each !== null).sort(natural);
  const present = [...totals].filter(([key]) => key !== null).sort(([a, x], [b, y]) => y - x || natural(a, b));
  const kept = present.length > most ? present.slice(0, most - 1) : present;
  const merged = present.slice(kept.length);
  const taken = new Set();
  const entries = kept.map(([key, total]) => ({ key, name: group(key), total }));
  for (const each of entries) {
    each.colour = MEANING[String(each.key).toLowerCase()] ?? known.indexOf(each.key) % COLOURS;
    while (taken.has(each.colour) && taken.size < COLOURS) each.colour = (each.colour + 1) % COLOURS;
    taken.add(each.colour);
  }
  if (merged.length) {
    const rest = merged.reduce((a, [, total]) => a + total, 0);
    entries.push({ key: OTHER, name: `${OTHER} (${merged.length} values)`, total: rest, colour: "other", members: new Set(merged.map(([key]) => key)) });
  }
  return entries;
}

// The scale a number of seconds is read best in.
function scale(unit, largest) {
  if (unit !== "seconds") return { by: 1, title: undefined };
  if (largest >= 2 * 3600) return { by: 3600, title: "Hours" };
  if (largest >= 120) return { by: 60, title: "Minutes" };
  return { by: 1, title: "Seconds" };
}

// Ticks of a time axis: whole days while they are few (finer ones would repeat the date), then weeks, months or years.
function dayTicks(days, most) {
  const span = 1 + (Date.parse(days.at(-1)) - Date.parse(days[0])) / DAY;
  return span <= 60 ? { interval: "day", step: Math.ceil(span / most) } : most;
}

// A Vega-Lite specification. `width` is in pixels; heights follow from the number of bars.
export function specification(visual, dataset, report, series, width, look) {
  const reference = visual.rows.filter((each) => each !== visual.pick)[0];
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const colour = (entry) => (entry.colour === "other" ? look.other : look.colours[entry.colour]);
  const tooltip = { field: "tip", type: "nominal" };
  const base = {
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
      arc: { stroke: look.card, strokeWidth: 2 },
    },
  };

  if (visual.type === "pie" || visual.type === "donut") {
    const whole = series.reduce((a, each) => a + each.total, 0);
    const size = Math.min(width, 220);
    return {
      ...base,
      width: size,
      height: size,
      data: { values: series.map((each, i) => ({ i, name: each.name, y: each.total, tip: `${each.name}: ${value(each.total, measure.unit)} (${share(each.total, whole)})` })) },
      mark: { type: "arc", innerRadius: visual.type === "donut" ? size * 0.29 : 0 },
      encoding: {
        theta: { field: "y", type: "quantitative", stack: true },
        order: { field: "i", type: "quantitative" },
        color: { field: "name", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map(colour) } },
        tooltip,
      },
    };
  }

  const isDay = dataset.dimensions[reference]?.kind === "day";
  const order = isDay ? report.order : report.order.slice(0, MOST_BARS);
  const shown = new Set(order);
  const { by, title } = scale(measure.unit, Math.max(...order.map((each) => report.totals.get(each))));
  const seriesOf = (key) => series.find((each) => each.members?.has(key) || each.key === key);
  const merged = new Map();
  for (const each of report.points.filter((point) => shown.has(point.key))) {
    const entry = visual.columns ? seriesOf(each.series) : undefined;
    const id = JSON.stringify([each.key, entry?.name]);
    const point = merged.get(id) ?? { key: each.key, series: entry?.name ?? "", i: entry ? series.indexOf(entry) : 0, raw: 0 };
    point.raw += each.y;
    merged.set(id, point);
  }
  const values = [...merged.values()].map((each) => {
    const label = isDay ? value(each.key, "day") : group(each.key);
    return {
      // A day's bar stands around its midnight, so that the axis writes the date below its middle.
      ...(isDay ? { k: Date.parse(each.key) - DAY * 0.42, end: Date.parse(each.key) + DAY * 0.42 } : { k: label }),
      s: each.series,
      i: each.i,
      y: each.raw / by,
      tip: `${label}${each.series ? `, ${each.series}` : ""}: ${value(each.raw, measure.unit)}`,
    };
  });
  const horizontal = visual.type === "hbar";
  const slanted = order.length * 80 > width;
  if (isDay) {
    // Bars with a beginning and an end are not stacked by Vega-Lite: the floors are laid here.
    const floors = new Map();
    for (const each of values.toSorted((a, b) => a.i - b.i)) {
      each.low = floors.get(each.k) ?? 0;
      each.high = each.low + each.y;
      floors.set(each.k, each.high);
    }
  }
  const largest = Math.max(...order.map((each) => report.totals.get(each)));
  const amount = {
    ...(isDay ? { field: "low" } : { field: "y", stack: "zero" }),
    type: "quantitative",
    scale: { zero: true, nice: true },
    // Counts have no halves: as many ticks as there are whole numbers, at most.
    axis: { title: title ?? measure.title, format: by === 1 && measure.unit === "count" ? "~s" : "~g", tickCount: measure.unit === "count" ? Math.min(5, Math.max(1, largest)) : 5, ...(horizontal ? {} : { grid: true }) },
  };
  const category = isDay
    ? { field: "k", type: "temporal", scale: { type: "utc" }, axis: { title: null, format: "%-d %b %Y", labelOverlap: true, grid: false, tickCount: dayTicks(order, Math.max(2, Math.floor(width / 110))) } }
    : {
        field: "k",
        type: "nominal",
        sort: order.map(group),
        axis: { title: horizontal && !visual.pick ? groupTitle(dataset, reference) : null, grid: false, labelLimit: horizontal ? Math.max(90, width * 0.38) : slanted ? 120 : Math.floor((width - 60) / order.length) - 10, ticks: false, ...(horizontal ? { titleAnchor: "end", titleAngle: 0, titleAlign: "left", titleY: -10, titleX: 0, titleBaseline: "bottom", titleLimit: width } : { labelAngle: slanted ? -40 : 0 }) },
      };
  return {
    ...base,
    padding: { top: horizontal ? 18 : 6, left: 2, right: 10, bottom: 6 },
    width,
    height: horizontal ? 84 + order.length * 28 : 280,
    data: { values },
    mark: { type: isDay ? "rect" : "bar", ...(horizontal ? { height: { band: 0.7 } } : isDay ? {} : { width: { band: 0.7 } }), ...(!horizontal && order.length < 6 && !isDay ? { width: 48 } : {}) },
    encoding: {
      [horizontal ? "y" : "x"]: category,
      ...(isDay && { x2: { field: "end" }, y2: { field: "high" } }),
      [horizontal ? "x" : "y"]: amount,
      color: visual.columns
        ? { field: "s", type: "nominal", legend: null, scale: { domain: series.map((each) => each.name), range: series.map(colour) } }
        : { value: look.colours[0] },
      ...(visual.columns && !isDay && { order: { field: "i", type: "quantitative" } }),
      tooltip,
    },
  };
}

let tip;
function showTip(_handler, event, _item, text) {
  tip ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip", ariaHidden: "true" }));
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${Math.max(4, event.clientY - height - 10)}px`;
}

// Draws into an element; returns a function that takes the chart away.
export async function draw(element, spec) {
  const { vega, vegaLite, expressionInterpreter } = await libraries();
  // Vega names its container "Vega visualization"; the element around it carries the chart's own name.
  const container = document.createElement("div");
  container.ariaHidden = "true";
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec, undefined, { ast: true }), {
    expr: expressionInterpreter,
    renderer: "svg",
    container,
    hover: true,
    tooltip: showTip,
  });
  await view.runAsync();
  element.replaceChildren(container);
  return () => {
    if (tip) tip.hidden = true;
    view.finalize();
  };
}

// A chart in words, for those who do not see it. The table beside it has every number.
export function summary(visual, dataset, report, series) {
  const [name] = visual.measures;
  const unit = dataset.measures[name].unit;
  const parts = visual.type === "pie" || visual.type === "donut" ? series.map((each) => [each.name, each.total]) : report.order.slice(0, MOST_BARS).map((key) => [group(key), report.totals.get(key)]);
  const said = parts.slice(0, 12).map(([label, total]) => `${label} ${value(total, unit)}`);
  return `${visual.title}. ${said.join("; ")}${parts.length > 12 ? `; and ${parts.length - 12} more` : ""}.`;
}

export const seriesDomain = (visual) => alias(visual.columns ?? visual.rows[0]);
