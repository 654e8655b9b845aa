// The marks of legends, as SVG paths around 0, 0: the same on the page, on pictures and, by name, in Vega's charts.
import { html } from "./html.js";

const SHAPES = {
  circle: (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  square: (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  "triangle-up": (r) => `M0,${-r}L${r},${r}H${-r}Z`,
  "triangle-down": (r) => `M0,${r}L${r},${-r}H${-r}Z`,
  "triangle-right": (r) => `M${r},0L${-r},${r}V${-r}Z`,
  "triangle-left": (r) => `M${-r},0L${r},${r}V${-r}Z`,
  diamond: (r) => `M0,${-r * 1.2}L${r * 1.2},0L0,${r * 1.2}L${-r * 1.2},0Z`,
  cross: (r) => `M${-r / 3},${-r}H${r / 3}V${-r / 3}H${r}V${r / 3}H${r / 3}V${r}H${-r / 3}V${r / 3}H${-r}V${-r / 3}H${-r / 3}Z`,
  line: (r) => `M${-r * 1.6},0H${r * 1.6}`,
};

/** @param {string} shape a name of Vega's, or line @param {number} r half its width, pixels */
export const path = (shape, r) => (SHAPES[shape] ?? SHAPES.square)(r);

/** @param {{ shape?: string, colour: number | string, dash?: string }} mark `colour` is a class c0 … c7, cother or cink */
export const Symbol = ({ shape = "square", colour, dash }) =>
  html`<svg class=${`symbol ink${colour} ${shape === "line" ? "stroked" : ""}`} width=${shape === "line" ? 20 : 13} height="13" viewBox=${shape === "line" ? "-10 -6.5 20 13" : "-6.5 -6.5 13 13"} aria-hidden="true">
    <path d=${path(shape, shape === "line" ? 6 : 5)} stroke-dasharray=${dash} />
  </svg>`;
