// Everything a reader chose is in the URL, so that a view can be bookmarked and sent: #/labeling/workers?job=a&since=…
// Values that repeat are lists; `label_attribute.moving=yes` is one value of one attribute.

const LISTS = ["job", "modality", "level", "label", "worker"];
const DAYS = ["since", "until"];
const ATTRIBUTES = ["label_attribute", "frame_attribute"];

export function read(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const filters = {};
  for (const [key, value] of new URLSearchParams(search)) {
    const [name, ...rest] = key.split(".");
    const attribute = rest.join(".");
    if (LISTS.includes(key)) filters[key] = [...new Set([...(filters[key] ?? []), value])];
    else if (DAYS.includes(key) && /^\d{4}-\d{2}-\d{2}$/.test(value)) filters[key] = value;
    else if (ATTRIBUTES.includes(name) && attribute) {
      filters[name] ??= {};
      filters[name][attribute] = [...new Set([...(filters[name][attribute] ?? []), value])];
    }
  }
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), filters };
}

export function write({ path, filters }) {
  const search = new URLSearchParams();
  for (const [name, chosen] of Object.entries(filters)) {
    if (Array.isArray(chosen)) for (const value of chosen) search.append(name, value);
    else if (typeof chosen === "string") search.append(name, chosen);
    else for (const [attribute, values] of Object.entries(chosen)) for (const value of values) search.append(`${name}.${attribute}`, value);
  }
  const query = search.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

// Filters without lists and attributes that nothing is left of.
export function prune(filters) {
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

// One entry for each chosen value: { name, attribute, value, without } with the filters that remain without it.
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
