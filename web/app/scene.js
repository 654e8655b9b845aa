// Labels drawn as SVG on the outline of their frame, one layer for each level's output and each worker's answer. Layers
// differ in colour and in dashes. A text's spans are marked in the text itself.
import { html } from "./html.js";
import { extentOf, iou, outlineOf, spanOf } from "./geometry.js";
import { text } from "./strings.js";

const said = text.annotation;
export const DASHES = ["", "9 4", "2 3", "12 4 2 4", "6 6", "1 4", "14 3", "4 8"];

/** @typedef {{ id: string, title: string, detail: string, colour: number, dash: string, focus?: any, context: any[] }} Layer */

const list = (points) => points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ");
const round = (number) => Math.round(number * 1000) / 1000;

function Outline({ outline, layer, focus, size }) {
  const name = `mark ink${layer.colour} ${focus ? "focus" : "context"}`;
  const dash = layer.dash || undefined;
  if (outline.dots) return html`<g class=${name}>${outline.points.map(([x, y], i) => html`<circle key=${i} cx=${round(x)} cy=${round(y)} r=${round(size * (focus ? 0.008 : 0.005))} />`)}</g>`;
  return html`<g class=${name}>
    ${outline.closed ? html`<polygon points=${list(outline.points)} stroke-dasharray=${dash} />` : html`<polyline points=${list(outline.points)} stroke-dasharray=${dash} />`}
    ${outline.heading && html`<polyline points=${list(outline.heading)} />`}
  </g>`;
}

/**
 * What is drawn, and in which part of the frame.
 * @param {Layer[]} layers all of them: the view does not move when one is switched off
 * @param {{ width_px: number | null, height_px: number | null, told: boolean }} frame
 * @param {any} own the label itself: what overlaps it is near
 */
export function sceneOf(layers, frame, own) {
  const focused = [own, ...layers.flatMap((each) => (each.focus && (iou(own, each.focus) ?? 0) > 0 ? [each.focus] : []))].map(outlineOf).filter(Boolean);
  const all = layers.flatMap((each) => [each.focus, ...each.context].filter(Boolean).map(outlineOf)).filter(Boolean);
  const extent = extentOf(all);
  if (!extent) return undefined;
  const above = layers.some((each) => [each.focus, ...each.context].some((one) => one?.shape === "cuboid"));
  const told = frame.told && frame.width_px && frame.height_px && !above;
  const whole = told ? { left: 0, top: 0, right: frame.width_px, bottom: frame.height_px } : extent;
  // Labels beyond the frame's edge are a defect that must be seen.
  const shown = told ? { left: Math.min(whole.left, extent.left), top: Math.min(whole.top, extent.top), right: Math.max(whole.right, extent.right), bottom: Math.max(whole.bottom, extent.bottom) } : whole;
  return { whole: told ? whole : undefined, shown, near: extentOf(focused) ?? extent, above };
}

const viewBox = (box, room) => {
  const [wide, high] = [box.right - box.left || 1, box.bottom - box.top || 1];
  const margin = Math.max(wide, high) * room;
  return { x: box.left - margin, y: box.top - margin, width: wide + 2 * margin, height: high + 2 * margin };
};

/** @param {{ layers: Layer[], scene: NonNullable<ReturnType<typeof sceneOf>>, near: boolean, context: boolean, label: string }} props */
export function Scene({ layers, scene, near, context, label }) {
  const box = near ? viewBox(scene.near, 0.45) : viewBox(scene.shown, 0.02);
  const size = Math.max(box.width, box.height);
  const drawn = (shapes, layer, focus) => shapes.map((each, i) => [outlineOf(each), i]).filter(([outline]) => outline).map(([outline, i]) => html`<${Outline} key=${`${layer.id}-${focus}-${i}`} outline=${outline} layer=${layer} focus=${focus} size=${size} />`);
  return html`<svg class="scene" role="img" aria-label=${label} viewBox=${`${round(box.x)} ${round(box.y)} ${round(box.width)} ${round(box.height)}`} preserveAspectRatio="xMidYMid meet">
    ${scene.whole && html`<rect class="outline" x=${scene.whole.left} y=${scene.whole.top} width=${scene.whole.right - scene.whole.left} height=${scene.whole.bottom - scene.whole.top} />`}
    ${context && layers.map((layer) => drawn(layer.context, layer, false))}
    ${layers.map((layer) => drawn(layer.focus ? [layer.focus] : [], layer, true))}
  </svg>`;
}

// The pieces of a text between the ends of its spans: [{ said, spans }].
export function pieces(content, spans) {
  const characters = [...content];
  const ends = [...new Set([0, characters.length, ...spans.flatMap(({ start, end }) => [start, end])])].filter((each) => each <= characters.length).sort((a, b) => a - b);
  return ends.slice(0, -1).map((start, i) => ({ said: characters.slice(start, ends[i + 1]).join(""), spans: spans.filter((each) => each.start <= start && each.end >= ends[i + 1]) }));
}

/** A text once for each layer, its spans marked. @param {{ layers: Layer[], content: string }} props */
export const SpanText = ({ layers, content }) =>
  layers.map((layer) => {
    const spans = [layer.focus, ...layer.context].filter(Boolean).map((each) => ({ ...spanOf(each), label: each.label, focus: each === layer.focus })).filter((each) => each.end);
    return html`<figure key=${layer.id} class="spans">
      <figcaption>${layer.title}${layer.detail && html` <span class="quiet">${layer.detail}</span>`}</figcaption>
      <p>${pieces(content, spans).map((each, i) => (each.spans.length ? html`<mark key=${i} class=${`ink${layer.colour} ${each.spans.some((one) => one.focus) ? "focus" : ""}`}>${each.said}<sub>${each.spans.map((one) => one.label).join(", ")}</sub></mark>` : each.said))}</p>
      ${spans.length === 0 && html`<p class="quiet">${said.noShapes}</p>`}
    </figure>`;
  });
