// Numbers of a page as the report cards take them: what an answer of the dashboards' API is made of.

/**
 * A report: its visual, its data set, and rows as an answer of the API.
 * @param {Record<string, any>} visual
 * @param {Record<string, any>} dimensions
 * @param {Record<string, any>} measures
 * @param {Array<Record<string, any>>} rows
 * @param {string} counts what a row is, in the plural
 * @param {string} [asOf]
 * @returns {{ visual: any, dataset: any, outcome: any }}
 */
export function report(visual, dimensions, measures, rows, counts, asOf = new Date().toISOString()) {
  const columns = [...Object.keys(dimensions), ...Object.keys(measures)];
  return {
    visual: { span: 2, ignores: [], sort: "group", ...visual },
    dataset: { counts, dimensions, measures },
    outcome: { answer: { columns: columns.map((name) => ({ name })), rows: rows.map((row) => columns.map((name) => row[name] ?? null)), not_applied: [], truncated: false, as_of: asOf } },
  };
}
