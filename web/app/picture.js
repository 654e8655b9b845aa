// A chart as a PNG file that stands for itself: title, note, legend, numbers left out, filters, source and time are part
// of the picture. Drawn at twice the size, in the colours of the current theme.
import { save } from "./csv.js";
import { theme } from "./drawing.js";
import { path } from "./symbol.js";

const SCALE = 2;
const MARGIN = 20;
const LEAST = 420; // pixels: a pie alone is too narrow for the lines around it

/** @typedef {{ name: string, amount?: string, colour: number | "other" | "ink", shape?: string, dash?: number[] }} Entry */

/** Words of a text on as few lines of this width as they need. */
function wrapped(context, said, width) {
  const found = [];
  let line = "";
  for (const word of said.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (line && context.measureText(longer).width > width) {
      found.push(line);
      line = word;
    } else line = longer;
  }
  return [...found, line];
}

/**
 * @param {HTMLCanvasElement[]} charts at SCALE
 * @param {{ title: string, subtitles: string[], notes: string[], legend: Entry[] }} around
 * @returns {HTMLCanvasElement}
 */
export function composed(charts, { title, subtitles, notes, legend }) {
  const look = theme();
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const inner = Math.max(LEAST, ...charts.map((each) => each.width / SCALE));
  const colour = (entry) => (entry.colour === "ink" ? look.ink : entry.colour === "other" ? look.other : look.colours[entry.colour]);
  const write = (draw) => {
    let y = MARGIN;
    const lines = (said, font, ink, height) => {
      context.font = font;
      for (const line of wrapped(context, said, inner)) {
        y += height;
        if (draw) {
          context.fillStyle = ink;
          context.fillText(line, MARGIN, y - height * 0.28);
        }
      }
    };
    lines(title, `600 17px ${look.font}`, look.ink, 23);
    for (const each of subtitles) lines(each, `13px ${look.font}`, look.quiet, 18);
    y += 8;
    let x = 0;
    context.font = `13px ${look.font}`;
    for (const [i, each] of legend.entries()) {
      const said = `${each.name}${each.amount ? `  ${each.amount}` : ""}`;
      const wide = context.measureText(said).width + 40;
      if (i === 0) y += 20;
      else if (x + wide > inner) {
        x = 0;
        y += 20;
      }
      if (draw) {
        context.save();
        context.translate(MARGIN + x + 8, y - 9);
        const mark = new Path2D(path(each.shape ?? "square", 5));
        context.strokeStyle = context.fillStyle = colour(each);
        context.lineWidth = 1.6;
        if (each.shape === "line") {
          context.setLineDash(each.dash ?? []);
          context.stroke(mark);
        } else context.fill(mark);
        context.restore();
        context.fillStyle = look.ink;
        context.fillText(said, MARGIN + x + 22, y - 5);
      }
      x += wide;
    }
    if (legend.length) y += 8;
    for (const chart of charts) {
      const [wide, high] = [chart.width / SCALE, chart.height / SCALE];
      if (draw) context.drawImage(chart, MARGIN + (charts.length === 1 && wide < inner ? (inner - wide) / 2 : 0), y, wide, high);
      y += high + 6;
    }
    for (const each of notes) lines(each, `12px ${look.font}`, look.quiet, 17);
    return y + MARGIN;
  };
  const height = Math.ceil(write(false));
  canvas.width = (inner + 2 * MARGIN) * SCALE;
  canvas.height = height * SCALE;
  context.scale(SCALE, SCALE);
  context.fillStyle = look.card;
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(true);
  return canvas;
}

/** Saves charts as one PNG. `pictures` draw each chart's canvas. */
export async function savePicture(name, pictures, around) {
  const charts = await Promise.all(pictures.map((each) => each(SCALE)));
  const canvas = composed(charts, around);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("the browser gives no picture of this size");
  save(name, blob);
}
