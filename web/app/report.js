// An answer of the API as the page shows it. Pure: no DOM, no network.
import { group, natural, value, words } from "./format.js";
import { text } from "./strings.js";

/** @typedef {Record<string, any>} Row one row of an answer, by column name */

const UNIT_WORDS = { seconds: "seconds", rate: "per hour", share: "share", usd: "US dollars" };
const ROUND = ["pie", "donut"];
const CHARTS = [...ROUND, "bar", "hbar", "line", "control", "interval", "heat", "scatter"];

export const isChart = (visual) => CHARTS.includes(visual.type);
export const isRound = (visual) => ROUND.includes(visual.type);

/** @param {string} reference */
export const alias = (reference) => reference.split(".").pop() ?? reference;

export function groupTitle(dataset, reference) {
  return reference.includes(".") ? words(alias(reference)) : dataset.dimensions[reference].title;
}

/** Whether a dimension holds days: ISO dates that are drawn on an axis of time. */
export const isDay = (dataset, reference) => dataset.dimensions[reference]?.kind === "day";

const TIMES = { day: "day", time: "timestamp" };

/** The unit in which a dimension that holds days or times is printed; undefined for any other. */
export const timeUnit = (dataset, reference) => TIMES[dataset.dimensions[reference]?.kind];

/** A group's value as text. */
export const named = (dataset, reference, found) => (found !== null && found !== undefined && timeUnit(dataset, reference) ? value(found, timeUnit(dataset, reference)) : group(found));

/** Rows of the answer as objects by column name. @returns {Row[]} */
export const records = (answer) => answer.rows.map((row) => Object.fromEntries(answer.columns.map((column, i) => [column.name, row[i]])));

// In the visual's order. Athena sorts text as text; readers want "2" before "10".
export function ordered(visual, found) {
  if (visual.sort !== "group") return found;
  const keys = visual.rows.map(alias);
  return found.toSorted((a, b) => keys.reduce((so, key) => so || natural(a[key], b[key]), 0));
}

// The dimensions that make the groups of rows, without the one of which one value is shown at a time.
export const groupsOf = (visual) => visual.rows.filter((each) => each !== visual.pick);

// What a point of a chart is called: all its groups.
export const pointName = (visual, dataset, row) => groupsOf(visual).map((each) => named(dataset, each, row[alias(each)])).join(", ");

// Measures to show: those asked for, and the n they rest on. Bounds are shown with their measure.
export function shownMeasures(visual, dataset) {
  return [...new Set([...visual.measures, ...visual.measures.map((each) => dataset.measures[each].n).filter(Boolean)])];
}

// Bounds of the measure in a row: [lower, upper], undefined where it has none or they are not known.
export function bounds(dataset, name, row) {
  const { lower, upper } = dataset.measures[name];
  if (!lower || !upper) return undefined;
  const found = [row[lower], row[upper]];
  return found.every((each) => each !== null && each !== undefined) ? found : undefined;
}

// --- Two batches -------------------------------------------------------------------------------------------------------

const SIDE = "side";

// Rows of both answers, each with its batch. `names` are the two batches.
export const bothSides = (found, other, names) => [...found.map((each) => ({ ...each, [SIDE]: names[0] })), ...other.map((each) => ({ ...each, [SIDE]: names[1] }))];

// A report by batch shows both as it is, and is asked once for both.
export const isByBatch = (visual, dataset) => [...visual.rows, visual.columns].some((each) => each && dataset.dimensions[each]?.filter === "batch");

const sided = (dataset) => ({ ...dataset, dimensions: { ...dataset.dimensions, [SIDE]: { title: text.compare.side, kind: "text", filter: null } } });

// The visual and data set that show both batches in one table: the batch is one more group.
export function sidedTable(visual, dataset) {
  return [{ ...visual, rows: [...visual.rows, SIDE] }, sided(dataset)];
}

// The visual, data set and rows that show both batches in one chart: the batch is the series. Undefined where the chart
// has series of its own: then each batch gets a chart.
export function sidedChart(visual, dataset, found, names) {
  if (visual.columns || visual.type === "control" || visual.type === "heat") return undefined;
  const both = { ...visual, columns: SIDE, grouped: true };
  if (!isRound(visual)) return [both, sided(dataset), found];
  // Slices of two pies cannot be compared by eye: the shares lie side by side as bars.
  const [name] = visual.measures;
  const key = alias(visual.rows[0]);
  const wholes = new Map(names.map((side) => [side, sum(found.filter((each) => each[SIDE] === side && each[key] !== null).map((each) => each[name])) ?? 0]));
  const measure = { ...dataset.measures[name], unit: "share", adds: false, lower: null, upper: null };
  const shares = found.filter((each) => each[key] !== null && wholes.get(each[SIDE])).map((each) => ({ ...each, [name]: each[name] / wholes.get(each[SIDE]) }));
  return [{ ...both, type: "hbar" }, { ...sided(dataset), measures: { ...dataset.measures, [name]: measure } }, shares];
}

// --- Tables ------------------------------------------------------------------------------------------------------------

// The report as a table: { head: [{ title, unit, numeric, reference?, value?, measure? }], rows: [{ cells, records }] }, cells raw,
// records the answer's row behind each cell. Row groups come first. With `columns`, one measure is spread over the
// columns' values, with a total where the measure adds up.
export function table(visual, dataset, found) {
  const references = groupsOf(visual);
  const rowKeys = references.map(alias);
  const groups = references.map((each) => ({ title: groupTitle(dataset, each), unit: timeUnit(dataset, each) ?? "text", numeric: false, reference: each }));
  if (!visual.columns) {
    const measures = shownMeasures(visual, dataset);
    const head = [...groups, ...measures.map((each) => ({ title: dataset.measures[each].title, unit: dataset.measures[each].unit, numeric: true, measure: each }))];
    return { head, rows: found.map((each) => ({ cells: [...rowKeys, ...measures].map((key) => each[key]), records: head.map(() => each) })) };
  }
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const columnKey = alias(visual.columns);
  const values = [...new Set(found.map((each) => each[columnKey]))].sort(natural);
  const byRow = new Map();
  for (const each of found) {
    const key = JSON.stringify(rowKeys.map((row) => each[row]));
    if (!byRow.has(key)) byRow.set(key, { row: each, keys: rowKeys.map((row) => each[row]), cells: new Map() });
    byRow.get(key).cells.set(each[columnKey], each);
  }
  const nothing = measure.unit === "count" && measure.adds ? 0 : null;
  const head = [...groups, ...values.map((each) => ({ title: named(dataset, visual.columns, each), unit: measure.unit, numeric: true, reference: visual.columns, value: each, measure: name }))];
  if (measure.adds) head.push({ title: text.reports.total, unit: measure.unit, numeric: true });
  const rows = [...byRow.values()].map(({ row, keys, cells }) => {
    const spread = values.map((each) => cells.get(each));
    const filled = [...keys, ...spread.map((each) => each?.[name] ?? nothing)];
    return {
      cells: measure.adds ? [...filled, sum(spread.map((each) => each?.[name]))] : filled,
      records: [...keys.map(() => row), ...spread, ...(measure.adds ? [undefined] : [])],
    };
  });
  return { head, rows };
}

// Without the rows of a pivot in which nothing is recorded: a job that has no such attribute says nothing about it.
export function recorded(visual, found) {
  const column = alias(visual.columns);
  const row = alias(visual.rows[0]);
  const told = new Set(found.filter((each) => each[column] !== null).map((each) => each[row]));
  return found.filter((each) => told.has(each[row]));
}

export const sum = (numbers) => {
  const known = numbers.filter((each) => each !== null && each !== undefined);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
};

// The CSV's header names the unit, its cells are raw: seconds, not "3 h". Measures with an interval bring its bounds;
// a matrix of such is written long, one row for each cell.
export function csvTable(visual, dataset, found) {
  const title = (each) => (UNIT_WORDS[each.unit] ? `${each.title} (${UNIT_WORDS[each.unit]})` : each.title);
  const first = dataset.measures[visual.measures[0]];
  if (visual.columns && !first.lower && visual.measures.length === 1) {
    const { head, rows } = table(visual, dataset, found);
    return { head: head.map(title), rows: rows.map((each) => each.cells) };
  }
  const groups = [...visual.rows, ...(visual.columns ? [visual.columns] : [])].filter((each) => each !== visual.pick);
  const measures = [...new Set(shownMeasures(visual, dataset).flatMap((each) => [each, dataset.measures[each].lower, dataset.measures[each].upper]).filter(Boolean))];
  return {
    head: [...groups.map((each) => groupTitle(dataset, each)), ...measures.map((each) => title(dataset.measures[each]))],
    rows: found.map((each) => [...groups.map(alias), ...measures].map((key) => each[key])),
  };
}

// --- Charts ------------------------------------------------------------------------------------------------------------

// What a chart shows: [{ key, series, y, row }], largest first or in natural order; and what it leaves out.
// `y` null (no measured time) and groups that are not recorded are left out, and said so in the notes.
export function points(visual, dataset, found) {
  const references = groupsOf(visual);
  const series = visual.columns && alias(visual.columns);
  const [name] = visual.measures;
  const scatter = visual.type === "scatter";
  const wholly = scatter || (references.length > 1 && (!visual.columns || visual.type === "interval"));
  const keyOf = (each) => (wholly ? pointName(visual, dataset, each) : each[alias(references[0])]);
  const all = found.map((each) => ({ key: keyOf(each), series: series ? each[series] : null, y: scatter && each[visual.measures[1]] === null ? null : each[name], row: each }));
  const kept = all.filter((each) => each.key !== null && each.y !== null);
  const totals = new Map();
  for (const each of kept) totals.set(each.key, (totals.get(each.key) ?? 0) + each.y);
  const byGroup = visual.sort === "group" || timeUnit(dataset, references[0]);
  const order = [...totals.keys()].sort((a, b) => (byGroup ? natural(a, b) : totals.get(b) - totals.get(a) || natural(a, b)));
  return {
    points: kept,
    order,
    totals,
    unrecorded: sum(all.filter((each) => each.key === null).map((each) => each.y)) ?? 0,
    unmeasured: new Set(all.filter((each) => each.key !== null && each.y === null).map((each) => each.key).filter((each) => !totals.has(each))).size,
  };
}

// A point of a control chart that lies outside its limits.
export const isSignal = (visual, row) => {
  const [share, , lower, upper] = visual.measures.map((each) => row[each]);
  return share !== null && ((lower !== null && share < lower) || (upper !== null && share > upper));
};

// The n below a report: what its numbers add up to, or the cases they were measured on.
export function sample(visual, dataset, found) {
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  if (measure.n && dataset.measures[measure.n].adds) return text.reports.n(value(sum(found.map((each) => each[measure.n])) ?? 0, "count"), dataset.measures[measure.n].title.toLowerCase());
  if (measure.adds && measure.unit === "count" && visual.type !== "table") return text.reports.n(value(sum(found.map((each) => each[name])) ?? 0, "count"), measure.title.toLowerCase());
  return `${found.length} ${found.length === 1 ? "row" : "rows"}`;
}

// Why a chosen filter does not show in this report.
export function unapplied(visual, dataset, names, titles) {
  const own = new Set([...visual.ignores, ...(isRound(visual) ? visual.rows : [])]);
  const title = (name) => (name.includes(".") ? words(alias(name)) : (titles[name] ?? words(name))).toLowerCase();
  const lacking = names.filter((each) => !own.has(each)).map(title);
  return [...names.filter((each) => own.has(each)).map((each) => text.reports.unfilteredOwn(title(each))), ...(lacking.length ? [text.reports.unfilteredLacking(lacking.join(", "), dataset.counts)] : [])];
}

// Why a report has nothing to show, or undefined when it has something.
export function emptiness(visual, dataset, found, filtered) {
  const under = filtered ? text.reports.under : "";
  if (!found.length) return text.reports.none(dataset.counts, under);
  const measure = dataset.measures[visual.measures[0]];
  if (found.every((each) => each[visual.measures[0]] === null)) return text.reports.noneRecorded(measure.title.toLowerCase(), under);
  const reference = visual.type === "pivot" ? visual.columns : groupsOf(visual).at(-1);
  if ([...ROUND, "bar", "hbar", "pivot"].includes(visual.type) && found.every((each) => each[alias(reference)] === null))
    return text.reports.noneHas(value(sum(found.map((each) => each[visual.measures[0]])), measure.unit), dataset.counts, under, groupTitle(dataset, reference).toLowerCase());
  return undefined;
}
