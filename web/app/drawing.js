// Vega: fetched when the first chart is drawn, run on its expression interpreter, so that the page's policy can forbid
// eval. Colours and fonts come from the style sheet.

let loading;
function libraries() {
  loading ??= (async () => {
    await import("vega");
    const [{ expressionInterpreter }] = await Promise.all([import("vega-interpreter"), import("vega-lite")]);
    return { vega: /** @type {any} */ (globalThis).vega, vegaLite: /** @type {any} */ (globalThis).vegaLite, expressionInterpreter };
  })();
  return loading;
}

export const COLOURS = 8;

/** @typedef {{ colours: string[], other: string, ink: string, quiet: string, line: string, card: string, font: string }} Look */

/** Colours and text of the current theme, as the style sheet has them (classes c0 … c7). @returns {Look} */
export function theme() {
  const probe = document.createElement("div");
  probe.className = "probe";
  const swatches = [...Array(COLOURS).keys(), "other"].map((name) => {
    const swatch = document.createElement("i");
    swatch.className = `c${name}`;
    probe.append(swatch);
    return swatch;
  });
  const quiet = Object.assign(document.createElement("i"), { className: "quiet" });
  probe.append(quiet);
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const found = {
    colours: swatches.slice(0, COLOURS).map((each) => getComputedStyle(each).backgroundColor),
    other: getComputedStyle(swatches[COLOURS]).backgroundColor,
    ink: style.color,
    quiet: getComputedStyle(quiet).color,
    line: style.borderTopColor,
    card: style.backgroundColor,
    font: style.fontFamily,
  };
  probe.remove();
  return found;
}

/** @param {string} colour as computed styles have it */
const parts = (colour) => (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);

/** The colour a share of the way from one to another. @param {string} from @param {string} to @param {number} way */
export function mixed(from, to, way) {
  const [a, b] = [parts(from), parts(to)];
  return `rgb(${a.map((each, i) => Math.round(each + (b[i] - each) * way)).join(", ")})`;
}

/** Contrast of two colours as WCAG 2.2 defines it, 1 to 21. @param {string} one @param {string} other */
export function contrast(one, other) {
  const [a, b] = [one, other].map((colour) => {
    const [red, green, blue] = parts(colour).map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** @type {HTMLElement | undefined} */
let tip;
/** @param {any} _handler @param {MouseEvent} event @param {any} _item @param {string} said */
function showTip(_handler, event, _item, said) {
  tip ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip", ariaHidden: "true" }));
  tip.hidden = !said;
  if (!said) return;
  tip.textContent = said;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${Math.max(4, event.clientY - height - 10)}px`;
}

/**
 * Draws into an element. `clicked` gets the datum of a clicked mark.
 * @param {HTMLElement} element
 * @param {any} spec a Vega-Lite specification
 * @param {(datum: any, event: MouseEvent) => void} clicked
 * @returns {Promise<{ remove: () => void, picture: (scale: number) => Promise<HTMLCanvasElement> }>}
 */
export async function draw(element, spec, clicked) {
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
  view.addEventListener("click", (/** @type {any} */ event, /** @type {any} */ item) => item?.datum && clicked(item.datum, event));
  await view.runAsync();
  element.replaceChildren(container);
  return {
    remove() {
      if (tip) tip.hidden = true;
      view.finalize();
    },
    picture: (scale) => view.toCanvas(scale),
  };
}
