// Where a label lies on its frame, as outlines that can be drawn. Pure. Pixels from the upper left corner; cuboids are
// seen from above, in the units of their point cloud, north up.

/** @typedef {[number, number]} Point */
/** @typedef {{ points: Point[], closed: boolean, heading?: Point[], dots?: boolean }} Outline */

const number = (found) => (typeof found === "number" && Number.isFinite(found) ? found : typeof found === "string" && found.trim() !== "" && Number.isFinite(Number(found)) ? Number(found) : undefined);

/** @param {any} shape the label's own record @returns {{ left: number, top: number, right: number, bottom: number } | undefined} */
export function boxOf(shape) {
  const [left, top, width, height] = [shape.left_px, shape.top_px, shape.width_px, shape.height_px].map(number);
  return left === undefined || top === undefined || width === undefined || height === undefined ? undefined : { left, top, right: left + width, bottom: top + height };
}

/** @param {any} found @returns {Point[]} those of a list that are points */
const vertices = (found) => (Array.isArray(found) ? found : []).map((each) => /** @type {Point} */ ([number(each?.x), number(each?.y)])).filter(([x, y]) => x !== undefined && y !== undefined);

// Consolidated cuboids say center-x, workers' answers centerX.
function cuboid(geometry) {
  const [x, y, length, width] = [geometry["center-x"] ?? geometry.centerX, geometry["center-y"] ?? geometry.centerY, geometry.length, geometry.width].map(number);
  if (x === undefined || y === undefined || length === undefined || width === undefined) return undefined;
  const yaw = number(geometry.yaw) ?? 0;
  const [along, across] = [[Math.cos(yaw), Math.sin(yaw)], [-Math.sin(yaw), Math.cos(yaw)]];
  const corner = (u, v) => /** @type {Point} */ ([x + (along[0] * u * length) / 2 + (across[0] * v * width) / 2, -(y + (along[1] * u * length) / 2 + (across[1] * v * width) / 2)]);
  return { points: [corner(1, 1), corner(1, -1), corner(-1, -1), corner(-1, 1)], closed: true, heading: [corner(0, 0), corner(1, 0)] };
}

/** The outline of a label; undefined where it has none (a class, a mask, a span). @param {any} shape @returns {Outline | undefined} */
export function outlineOf(shape) {
  const box = boxOf(shape);
  if (box) return { points: [[box.left, box.top], [box.right, box.top], [box.right, box.bottom], [box.left, box.bottom]], closed: true };
  const geometry = shape.geometry;
  if (!geometry || typeof geometry !== "object") return undefined;
  if (shape.shape === "cuboid") return cuboid(geometry);
  const listed = vertices(geometry.vertices);
  if (listed.length > 1) return { points: listed, closed: shape.shape === "polygon" };
  const single = vertices([geometry, ...(Array.isArray(geometry.keypoints) ? geometry.keypoints : []), ...listed.slice(0, 1)]);
  return single.length ? { points: single, closed: false, dots: true } : undefined;
}

/** The text range of a span; undefined where it is none. @param {any} shape @returns {{ start: number, end: number } | undefined} */
export function spanOf(shape) {
  const [start, end] = [number(shape.geometry?.startOffset), number(shape.geometry?.endOffset)];
  return shape.shape === "span" && start !== undefined && end !== undefined && start >= 0 && end > start ? { start, end } : undefined;
}

/** @param {Outline[]} outlines */
export function extentOf(outlines) {
  const all = outlines.flatMap((each) => each.points);
  if (!all.length) return undefined;
  const [xs, ys] = [all.map(([x]) => x), all.map(([, y]) => y)];
  const least = (/** @type {number[]} */ found) => found.reduce((a, b) => Math.min(a, b));
  const most = (/** @type {number[]} */ found) => found.reduce((a, b) => Math.max(a, b));
  return { left: least(xs), top: least(ys), right: most(xs), bottom: most(ys) };
}

/** Intersection over union of the boxes around two labels (of two spans: of their ranges), 0 to 1; undefined without. */
export function iou(one, other) {
  const [s, t] = [spanOf(one), spanOf(other)];
  if (s && t) {
    const common = Math.max(0, Math.min(s.end, t.end) - Math.max(s.start, t.start));
    return common / (s.end - s.start + t.end - t.start - common);
  }
  const [a, b] = [one, other].map((each) => {
    const outline = outlineOf(each);
    return outline && extentOf([outline]);
  });
  if (!a || !b) return undefined;
  const common = Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const area = (box) => (box.right - box.left) * (box.bottom - box.top);
  const union = area(a) + area(b) - common;
  return union > 0 ? common / union : Number(a.left === b.left && a.top === b.top);
}

/**
 * The label among `shapes` that is the same thing as `wanted`: the same track; else, where nothing tracks, the one that
 * overlaps most; else the only one.
 */
export function counterpart(wanted, shapes) {
  if (wanted.instance_id) {
    const same = shapes.find((each) => each.instance_id === wanted.instance_id);
    if (same) return same;
    if (shapes.some((each) => each.instance_id && wanted.instance_name && each.instance_name === wanted.instance_name)) return shapes.find((each) => each.instance_name === wanted.instance_name);
  }
  const overlapping = shapes.map((each) => [iou(wanted, each) ?? 0, each]).filter(([overlap]) => overlap > 0.1).sort(([a], [b]) => b - a);
  if (overlapping.length) return overlapping[0][1];
  return shapes.length === 1 && !outlineOf(wanted) && !spanOf(wanted) ? shapes[0] : undefined;
}
