// What a click on a group of a report chooses. Pure. A pick is { name, attribute?, value }: one value of one filter.
import { prune } from "./address.js";
import { alias } from "./report.js";

/** @typedef {{ name: string, attribute?: string, value: string | number }} Pick */

const ATTRIBUTES = ["label_attribute", "frame_attribute"];

/**
 * The pick that a group of a report stands for; undefined where it stands for none.
 * @param {any} dataset
 * @param {string} reference a row or column of the visual
 * @param {Record<string, any>} row one row of the answer
 * @returns {Pick | undefined}
 */
export function pickOf(dataset, reference, row) {
  const value = row[alias(reference)];
  if (value === null || value === undefined) return undefined;
  if (reference.includes(".")) return { name: reference.split(".")[0], attribute: alias(reference), value: String(value) };
  const filter = dataset.dimensions[reference]?.filter;
  if (!filter) return undefined;
  if (ATTRIBUTES.includes(filter)) return row.attribute ? { name: filter, attribute: row.attribute, value: String(value) } : undefined;
  return { name: filter, value: filter === "frame_no" ? Number(value) : String(value) };
}

/**
 * Whether the page has a control for it: only such picks are offered, for only they can be seen and taken back.
 * @param {Array<{ id: string }>} controls
 * @param {Pick | undefined} pick
 */
export const offered = (controls, pick) => Boolean(pick && controls.some((each) => each.id === (pick.name === "day" ? "since" : pick.name)));

/** @param {Record<string, any>} filters @param {Pick} pick */
export function isChosen(filters, pick) {
  if (pick.name === "day") return filters.since === pick.value && filters.until === pick.value;
  const chosen = pick.attribute ? filters[pick.name]?.[pick.attribute] : filters[pick.name];
  return Boolean(chosen?.includes(pick.value));
}

/**
 * The filters with this pick in place of others of its filter (or `added` to them). Without it when it was the choice.
 * @param {Record<string, any>} filters
 * @param {Pick} pick
 * @param {boolean} [added]
 */
export function toggled(filters, pick, added = false) {
  if (pick.name === "day") return prune({ ...filters, since: isChosen(filters, pick) ? "" : pick.value, until: isChosen(filters, pick) ? "" : pick.value });
  const before = (pick.attribute ? filters[pick.name]?.[pick.attribute] : filters[pick.name]) ?? [];
  const rest = before.filter((/** @type {any} */ each) => each !== pick.value);
  const next = before.includes(pick.value) ? rest : added ? [...before, pick.value] : [pick.value];
  return prune({ ...filters, [pick.name]: pick.attribute ? { ...filters[pick.name], [pick.attribute]: next } : next });
}

/**
 * The filters of the single annotations behind a row: the page's, and each of its groups.
 * @param {any} visual
 * @param {any} dataset
 * @param {Record<string, any>} filters
 * @param {Record<string, any>} row
 */
export function drilled(visual, dataset, filters, row) {
  let found = filters;
  for (const reference of [...visual.rows, visual.columns].filter(Boolean)) {
    const pick = pickOf(dataset, reference, row);
    if (pick && !isChosen(found, pick)) found = toggled(found, pick);
  }
  return found;
}
