// A map over a picture: one value for each region, drawn smooth, on a scale that two pictures can share.

// Where a region adds much: from red over orange to pale yellow; where it speaks against: blues. Nothing is clear.
const WARM = [[150, 20, 60], [205, 45, 50], [240, 100, 30], [252, 175, 30], [255, 246, 150]];
const COLD = [[20, 60, 160], [35, 105, 215], [80, 160, 250], [170, 215, 255]];

/** The largest value (by amount) of some maps: what a shared scale ends at. */
export function peakOf(...maps) {
  let most = 1e-12;
  for (const map of maps) for (const value of map.values.flat()) most = Math.max(most, Math.abs(value));
  return most;
}

/** Draw `map` {rows, cols, values} onto a canvas; look is "heat" or "spot" (dark where little adds). */
export function drawHeat(canvas, map, { peak = peakOf(map), look = "heat" } = {}) {
  const { rows, cols } = map;
  const values = map.values.flat();
  const small = new OffscreenCanvas(cols, rows);
  const pixels = new ImageData(cols, rows);
  for (let i = 0; i < rows * cols; i += 1) {
    const share = Math.max(-1, Math.min(1, values[i] / peak));
    pixels.data.set(look === "spot" ? [8, 10, 12, 235 * (1 - Math.max(0, share)) ** 1.3] : heatOf(share), 4 * i);
  }
  small.getContext("2d").putImageData(pixels, 0, 0);
  const scale = Math.max(1, Math.ceil(384 / Math.max(rows, cols)));
  canvas.width = cols * scale;
  canvas.height = rows * scale;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** A horizontal strip of the scale, as a CSS gradient. */
export function scaleGradient(negative = false) {
  const stops = [];
  for (let i = 0; i <= 12; i += 1) {
    const share = negative ? i / 6 - 1 : i / 12;
    const [r, g, b, a] = heatOf(share);
    stops.push(`rgb(${r} ${g} ${b} / ${(a / 255).toFixed(3)})`);
  }
  return `linear-gradient(90deg, ${stops.join(", ")})`;
}

function heatOf(share) {
  const ramp = share < 0 ? COLD : WARM;
  const at = Math.abs(share) * (ramp.length - 1);
  const low = Math.min(ramp.length - 2, Math.floor(at));
  const rest = at - low;
  const colour = ramp[low].map((value, i) => Math.round(value + rest * (ramp[low + 1][i] - value)));
  return [...colour, Math.round(255 * 0.86 * Math.abs(share) ** 1.4)];
}
