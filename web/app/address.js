// Everything a reader chose is in the URL, so that a view can be bookmarked and sent: #/labeling/workers?job=a&since=…
// Values that repeat are lists; `label_attribute.moving=yes` is one value of one attribute. What is no filter (the two
// batches compared, the page of a list) is the address's `view`.

/** @typedef {Record<string, string | Array<string | number> | Record<string, string[]>>} Filters */
/** @typedef {{ path: string[], filters: Filters, view?: Record<string, string> }} Address */

const LISTS = ["batch", "job", "modality", "level", "label", "worker", "auditor", "change", "issue", "finding", "object_id", "instance_id"];
const NUMBERS = ["frame_no"];
const DAYS = ["since", "until"];
const ATTRIBUTES = ["label_attribute", "frame_attribute"];
const VIEW = ["a", "b", "cursor", "page", "from", "run", "project"];

/** @param {string} hash @returns {Address} */
export function read(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  /** @type {Record<string, any>} */
  const filters = {};
  /** @type {Record<string, string>} */
  const view = {};
  for (const [key, value] of new URLSearchParams(search)) {
    const [name, ...rest] = key.split(".");
    const attribute = rest.join(".");
    if (LISTS.includes(key)) filters[key] = [...new Set([...(filters[key] ?? []), value])];
    else if (NUMBERS.includes(key) && /^\d{1,9}$/.test(value)) filters[key] = [...new Set([...(filters[key] ?? []), Number(value)])];
    else if (DAYS.includes(key) && /^\d{4}-\d{2}-\d{2}$/.test(value)) filters[key] = value;
    else if (ATTRIBUTES.includes(name) && attribute) {
      filters[name] ??= {};
      filters[name][attribute] = [...new Set([...(filters[name][attribute] ?? []), value])];
    } else if (VIEW.includes(key) && value) view[key] = value;
  }
  return { path: path.split("/").filter(Boolean).map(decoded), filters, view };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % is no reason to show nothing
  }
}

/** @param {Address} address */
export function write({ path, filters, view = {} }) {
  const search = new URLSearchParams();
  for (const [name, chosen] of Object.entries(filters)) {
    if (Array.isArray(chosen)) for (const value of chosen) search.append(name, String(value));
    else if (typeof chosen === "string") search.append(name, chosen);
    else for (const [attribute, values] of Object.entries(chosen)) for (const value of values) search.append(`${name}.${attribute}`, value);
  }
  for (const [name, value] of Object.entries(view)) if (value) search.append(name, value);
  const query = search.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/**
 * Filters without lists and attributes that nothing is left of.
 * @param {Record<string, any>} filters
 * @returns {Filters}
 */
export function prune(filters) {
  /** @type {Filters} */
  const kept = {};
  for (const [name, chosen] of Object.entries(filters)) {
    if (Array.isArray(chosen) || typeof chosen === "string") {
      if (chosen.length) kept[name] = chosen;
    } else if (chosen) {
      const attributes = Object.fromEntries(Object.entries(chosen).filter(([, values]) => values.length));
      if (Object.keys(attributes).length) kept[name] = attributes;
    }
  }
  return kept;
}

/**
 * One entry for each chosen value, with the filters that remain without it.
 * @param {Filters} filters
 * @returns {Array<{ name: string, attribute?: string, value: string | number, without: Filters }>}
 */
export function choices(filters) {
  const found = [];
  for (const [name, chosen] of Object.entries(filters)) {
    if (typeof chosen === "string") found.push({ name, value: chosen, without: prune({ ...filters, [name]: "" }) });
    else if (Array.isArray(chosen))
      for (const value of chosen) found.push({ name, value, without: prune({ ...filters, [name]: chosen.filter((each) => each !== value) }) });
    else
      for (const [attribute, values] of Object.entries(chosen))
        for (const value of values)
          found.push({
            name,
            attribute,
            value,
            without: prune({ ...filters, [name]: { ...chosen, [attribute]: values.filter((each) => each !== value) } }),
          });
  }
  return found;
}
