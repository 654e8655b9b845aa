// An answer of the API as the page shows it. Pure: no DOM, no network.
import { group, natural, value, words } from "./format.js";

const UNIT_WORDS = { seconds: "seconds", rate: "per hour", share: "share" };

export const alias = (reference) => reference.split(".").pop();

export function groupTitle(dataset, reference) {
  return reference.includes(".") ? words(alias(reference)) : dataset.dimensions[reference].title;
}

// Rows of the answer as objects by column name.
export const records = (answer) => answer.rows.map((row) => Object.fromEntries(answer.columns.map((column, i) => [column.name, row[i]])));

// In the visual's order. Athena sorts text as text; readers want "2" before "10".
export function ordered(visual, found) {
  if (visual.sort !== "group") return found;
  const keys = visual.rows.map(alias);
  return found.toSorted((a, b) => keys.reduce((so, key) => so || natural(a[key], b[key]), 0));
}

// Measures to show: those asked for, and the n they rest on.
export function shownMeasures(visual, dataset) {
  return [...new Set([...visual.measures, ...visual.measures.map((each) => dataset.measures[each].n).filter(Boolean)])];
}

// The report as a table: { head: [{ title, unit, numeric }], rows: [[raw values]] }. Row groups come first.
// With `columns`, one measure is spread over the columns' values, with a total where the measure adds up.
export function table(visual, dataset, found) {
  const rowKeys = visual.rows.filter((each) => each !== visual.pick).map(alias);
  const groups = visual.rows.filter((each) => each !== visual.pick).map((each) => ({ title: groupTitle(dataset, each), unit: dataset.dimensions[each]?.kind === "day" ? "day" : "text", numeric: false }));
  if (!visual.columns) {
    const measures = shownMeasures(visual, dataset);
    const head = [...groups, ...measures.map((each) => ({ title: dataset.measures[each].title, unit: dataset.measures[each].unit, numeric: true }))];
    return { head, rows: found.map((each) => [...rowKeys, ...measures].map((key) => each[key])) };
  }
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  const columnKey = alias(visual.columns);
  const values = [...new Set(found.map((each) => each[columnKey]))].sort(natural);
  const byRow = new Map();
  for (const each of found) {
    const key = JSON.stringify(rowKeys.map((row) => each[row]));
    if (!byRow.has(key)) byRow.set(key, { keys: rowKeys.map((row) => each[row]), cells: new Map() });
    byRow.get(key).cells.set(each[columnKey], each[name]);
  }
  const nothing = measure.unit === "count" ? 0 : null;
  const head = [...groups, ...values.map((each) => ({ title: group(each), unit: measure.unit, numeric: true }))];
  if (measure.adds) head.push({ title: "Total", unit: measure.unit, numeric: true });
  const rows = [...byRow.values()].map(({ keys, cells }) => {
    const row = [...keys, ...values.map((each) => cells.get(each) ?? nothing)];
    return measure.adds ? [...row, sum([...cells.values()])] : row;
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

// The CSV's header names the unit, its cells are raw: seconds, not "3 h".
export function csvTable(visual, dataset, found) {
  const { head, rows } = table(visual, dataset, found);
  return { head: head.map((each) => (UNIT_WORDS[each.unit] ? `${each.title} (${UNIT_WORDS[each.unit]})` : each.title)), rows };
}

// What a chart shows: [{ key, series, y }], largest first or in natural order; and what it leaves out.
// `y` null (no measured time) and groups that are not recorded are left out, and said so in the notes.
export function points(visual, dataset, found) {
  const reference = visual.rows.filter((each) => each !== visual.pick)[0];
  const key = alias(reference);
  const series = visual.columns && alias(visual.columns);
  const [name] = visual.measures;
  const all = found.map((each) => ({ key: each[key], series: series ? each[series] : null, y: each[name] }));
  const kept = all.filter((each) => each.key !== null && each.y !== null);
  const totals = new Map();
  for (const each of kept) totals.set(each.key, (totals.get(each.key) ?? 0) + each.y);
  const order = [...totals.keys()].sort((a, b) => (visual.sort === "group" ? natural(a, b) : totals.get(b) - totals.get(a) || natural(a, b)));
  return {
    points: kept,
    order,
    totals,
    unrecorded: sum(all.filter((each) => each.key === null).map((each) => each.y)) ?? 0,
    unmeasured: new Set(all.filter((each) => each.key !== null && each.y === null).map((each) => each.key).filter((each) => !totals.has(each))).size,
  };
}

// The n below a report: what its numbers add up to, or the cases they were measured on.
export function sample(visual, dataset, found) {
  const [name] = visual.measures;
  const measure = dataset.measures[name];
  if (measure.n) return `n = ${value(sum(found.map((each) => each[measure.n])) ?? 0, "count")} ${dataset.measures[measure.n].title.toLowerCase()}`;
  if (measure.adds && measure.unit === "count" && visual.type !== "table") return `n = ${value(sum(found.map((each) => each[name])) ?? 0, "count")} ${measure.title.toLowerCase()}`;
  return `${found.length} ${found.length === 1 ? "row" : "rows"}`;
}

// Why a chosen filter does not show in this report.
export function unapplied(visual, dataset, names, titles) {
  const own = new Set([...visual.ignores, ...(visual.type === "pie" || visual.type === "donut" ? visual.rows : [])]);
  const title = (name) => (name.includes(".") ? words(alias(name)) : (titles[name] ?? name)).toLowerCase();
  const lacking = names.filter((each) => !own.has(each)).map(title);
  return [
    ...names.filter((each) => own.has(each)).map((each) => `Not filtered by ${title(each)}: it shows the shares of all its values.`),
    ...(lacking.length ? [`Not filtered by ${lacking.join(", ")}: these ${dataset.counts} do not record it.`] : []),
  ];
}

// Why a report has nothing to show, or undefined when it has something.
export function emptiness(visual, dataset, found, filtered) {
  const under = filtered ? " under these filters" : "";
  if (!found.length) return `No ${dataset.counts}${under || " yet"}.`;
  const measure = dataset.measures[visual.measures[0]];
  if (found.every((each) => each[visual.measures[0]] === null)) return `No recorded ${measure.title.toLowerCase()}${under}.`;
  const reference = visual.type === "pivot" ? visual.columns : visual.rows.at(-1);
  if (["pie", "donut", "bar", "hbar", "pivot"].includes(visual.type) && found.every((each) => each[alias(reference)] === null))
    return `None of the ${value(sum(found.map((each) => each[visual.measures[0]])), measure.unit)} ${dataset.counts}${under} has ${groupTitle(dataset, reference).toLowerCase()}.`;
  return undefined;
}
