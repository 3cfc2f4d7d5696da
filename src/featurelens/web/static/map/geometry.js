// Points in the plane: which is nearest, which lie within a polygon. The index is a grid of cells over [-1, 1].

const SIDE = 160;
const cell = (value) => Math.max(0, Math.min(SIDE - 1, Math.floor(((value + 1) / 2) * SIDE)));

/** Points sorted by cell: `order` holds their numbers, `starts` where each cell begins. */
export function indexOf(x, y) {
  const starts = new Int32Array(SIDE * SIDE + 1);
  const at = Int32Array.from(x, (value, i) => cell(y[i]) * SIDE + cell(value));
  for (const one of at) starts[one + 1] += 1;
  for (let i = 0; i < SIDE * SIDE; i += 1) starts[i + 1] += starts[i];
  const next = starts.slice(0, -1);
  const order = new Int32Array(x.length);
  at.forEach((one, i) => { order[next[one]++] = i; });
  return { order, starts };
}

/** The number of the point nearest to (px, py) within `reach`, or -1; `only` is {by, code} or null. */
export function nearest(points, px, py, reach, only = null) {
  let [best, found] = [reach * reach, -1];
  for (let row = cell(py - reach); row <= cell(py + reach); row += 1) {
    for (let i = points.starts[row * SIDE + cell(px - reach)]; i < points.starts[row * SIDE + cell(px + reach) + 1]; i += 1) {
      const one = points.order[i];
      const far = (points.x[one] - px) ** 2 + (points.y[one] - py) ** 2;
      if (far < best && passes(points, one, only)) [best, found] = [far, one];
    }
  }
  return found;
}

/** The ids of the points within a polygon [x0, y0, x1, y1, ...] (even-odd rule). */
export function inside(points, polygon, only = null) {
  const xs = polygon.filter((_, i) => i % 2 === 0);
  const ys = polygon.filter((_, i) => i % 2 === 1);
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const found = [];
  for (let i = 0; i < points.x.length; i += 1) {
    const [px, py] = [points.x[i], points.y[i]];
    if (px < left || px > right || py < low || py > high || !passes(points, i, only)) continue;
    let odd = false;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a, a += 1) {
      if (ys[a] > py !== ys[b] > py && px < ((xs[b] - xs[a]) * (py - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    }
    if (odd) found.push(points.ids[i]);
  }
  return found;
}

function passes(points, i, only) {
  return !only || points.groups[only.by][i] === only.code;
}
