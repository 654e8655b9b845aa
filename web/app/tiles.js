// The tiles of a slide and their scores, and how they are painted over it. No network; it draws on the canvas it is given.

/** @typedef {import("../types/api").SlidePage} SlidePage */
/** @typedef {{ column: number, row: number, x: number, y: number, kept: boolean, background: number, scores?: number[], attention?: number }} Tile */

// As sextant/slides/view_model.py has them; tests/slides/test_results.py holds these and the ramp to the product's.
const DROPPED = 255;
const STEPS = 200;
// Eleven steps of viridis (Smith and van der Walt, CC0), as the heatmap files have them (sextant/slides/results.py).
const RAMP = [[68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140], [34, 168, 132], [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37]];
const LEAST = 6; // screen pixels of a tile from which on outlines can be told apart

/** The colour of a score from 0 to 1. @param {number} score */
export function tone(score) {
  const place = Math.min(1, Math.max(0, score)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(place));
  return `rgb(${RAMP[low].map((each, i) => Math.round(each + (RAMP[low + 1][i] - each) * (place - low))).join(", ")})`;
}

/**
 * All tiles of the slide by row and column.
 * @param {SlidePage} slide
 */
export function tilesOf({ grid, scores }) {
  const shares = Uint8Array.from(atob(grid.shares), (each) => each.charCodeAt(0));
  const byPlace = new Map((scores?.x ?? []).map((x, i) => [Math.round(scores.y[i] / grid.span) * grid.columns + Math.round(x / grid.span), i]));
  /** @type {Tile[]} */
  const tiles = [...shares].map((share, number) => {
    const [row, column] = [Math.floor(number / grid.columns), number % grid.columns];
    const scored = byPlace.get(number);
    return {
      column,
      row,
      x: Math.round(column * grid.span),
      y: Math.round(row * grid.span),
      kept: share !== DROPPED,
      background: share === DROPPED ? 1 : share / STEPS,
      ...(scored !== undefined && { scores: scores.scores[scored], attention: scores.attention?.[scored] }),
    };
  });
  const at = (column, row) => (column >= 0 && row >= 0 && column < grid.columns && row < grid.rows ? tiles[row * grid.columns + column] : undefined);
  return { tiles, at, under: (x, y) => at(Math.floor(x / grid.span), Math.floor(y / grid.span)), columns: grid.columns, rows: grid.rows, span: grid.span };
}

/** The tiles that score highest, ten at most. @param {Tile[]} tiles @param {number} number of the class */
export const highest = (tiles, number) => tiles.filter((each) => each.scores).sort((a, b) => b.scores[number] - a.scores[number]).slice(0, 10);

/**
 * Paints the tiles that can be seen.
 * @param {CanvasRenderingContext2D} context in screen pixels, cleared
 * @param {ReturnType<typeof tilesOf>} known
 * @param {{ left: number, top: number, scale: number, width: number, height: number }} view where the slide lies, in screen pixels
 * @param {{ shown: number, opacity: number, outlined: boolean, chosen?: Tile }} how `shown` is a class's number, -1 for none
 */
export function paint(context, known, { left, top, scale, width, height }, { shown, opacity, outlined, chosen }) {
  const side = known.span * scale;
  const first = (offset) => Math.max(0, Math.floor(-offset / side));
  const last = (offset, size, count) => Math.min(count - 1, Math.floor((size - offset) / side));
  // Edges are rounded, not sides: neighbours meet without a gap.
  const edges = (offset, number) => [Math.round(offset + number * side), Math.round(offset + (number + 1) * side)];
  for (let row = first(top); row <= last(top, height, known.rows); row += 1) {
    for (let column = first(left); column <= last(left, width, known.columns); column += 1) {
      const tile = known.at(column, row);
      const [x, right] = edges(left, column);
      const [y, bottom] = edges(top, row);
      if (shown >= 0 && tile.scores) {
        context.globalAlpha = opacity;
        context.fillStyle = tone(tile.scores[shown]);
        context.fillRect(x, y, right - x, bottom - y);
      }
      if (outlined && side >= LEAST) outline(context, tile.kept, x, y, right - x, bottom - y);
    }
  }
  context.globalAlpha = 1;
  if (chosen) {
    const [x, right] = edges(left, chosen.column);
    const [y, bottom] = edges(top, chosen.row);
    for (const [colour, line] of /** @type {const} */ ([["white", 5], ["black", 2]])) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x, y, right - x, bottom - y);
    }
  }
}

function outline(context, kept, x, y, width, height) {
  context.globalAlpha = kept ? 0.7 : 0.55;
  context.strokeStyle = kept ? "rgb(0, 90, 50)" : "rgb(90, 90, 90)";
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  if (kept) return;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + width, y + height);
  context.moveTo(x + width, y);
  context.lineTo(x, y + height);
  context.stroke();
}

/**
 * The longest round length that fits: { length, unit: "µm" | "mm", pixels }.
 * @param {number} mpp µm per pixel of level 0 @param {number} scale screen pixels per pixel of level 0 @param {number} most screen pixels
 */
export function scaleBar(mpp, scale, most) {
  const reach = (most / scale) * mpp;
  const power = 10 ** Math.floor(Math.log10(reach));
  const length = [5, 2, 1].map((each) => each * power).find((each) => each <= reach) ?? power;
  return { length: length >= 1000 ? length / 1000 : length, unit: length >= 1000 ? "mm" : "µm", pixels: (length / mpp) * scale };
}
