// The same points on a plain canvas, for browsers without WebGL: little discs straight into the pixels.

export function flatPainter(canvas) {
  const context = canvas.getContext("2d");
  let image = null;
  let [xs, ys, rgba] = [[], [], new Uint8Array(0)];
  return {
    name: "canvas",
    points(x, y) { [xs, ys] = [x, y]; },
    colours(values) { rgba = values; },
    draw(view, diameter, ratio) {
      const { width, height } = canvas;
      if (!image || image.width !== width || image.height !== height) image = context.createImageData(width, height);
      const out = new Uint32Array(image.data.buffer).fill(0);
      const side = Math.max(1, Math.round(diameter * ratio * 0.95));
      const spans = discOf(side, width);
      const scale = view.scale * ratio;
      for (let i = 0; i < xs.length; i += 1) {
        const left = Math.round(width / 2 + (xs[i] - view.x) * scale - side / 2);
        const top = Math.round(height / 2 - (ys[i] - view.y) * scale - side / 2);
        if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
        const colour = (rgba[4 * i + 3] << 24) | (rgba[4 * i + 2] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i];
        const start = top * width + left;
        for (let s = 0; s < spans.length; s += 2) for (let at = start + spans[s]; at < start + spans[s + 1]; at += 1) out[at] = colour;
      }
      context.putImageData(image, 0, 0);
    },
  };
}

// Where each row of a disc begins and ends, counted in pixels from its upper left corner.
function discOf(side, width) {
  const spans = [];
  const radius = side / 2;
  for (let row = 0; row < side; row += 1) {
    const half = Math.sqrt(Math.max(0, radius ** 2 - (row + 0.5 - radius) ** 2));
    spans.push(row * width + Math.round(radius - half), row * width + Math.round(radius + half));
  }
  return spans;
}
