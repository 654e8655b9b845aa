// Addresses of the shell's own pages: #/quarantine?system=labeling&reason=…

// What stands behind the question mark of an address: { name: value }.
export const asked = (hash) => Object.fromEntries(new URLSearchParams(hash.split("?")[1] ?? ""));

// An address; parameters without a value are left out.
export function link(path, parameters = {}) {
  const told = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "" && value !== 0);
  const search = new URLSearchParams(told.map(([name, value]) => [name, String(value)])).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

/**
 * A path of the API with its query.
 * @template {string} P
 * @param {P} path
 * @param {Record<string, string | number | undefined>} [parameters]
 * @returns {P | `${P}?${string}`}
 */
export function request(path, parameters = {}) {
  const search = link([], parameters).split("?")[1];
  return search ? `${path}?${search}` : path;
}
