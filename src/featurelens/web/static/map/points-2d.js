// The same points on a plain canvas, for browsers without WebGL: squares straight into the pixels.

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
      const side = Math.max(1, Math.round(diameter * ratio * 0.8));
      const scale = view.scale * ratio;
      for (let i = 0; i < xs.length; i += 1) {
        const left = Math.round(width / 2 + (xs[i] - view.x) * scale - side / 2);
        const top = Math.round(height / 2 - (ys[i] - view.y) * scale - side / 2);
        if (left < 0 || top < 0 || left + side > width || top + side > height) continue;
        const colour = (rgba[4 * i + 3] << 24) | (rgba[4 * i + 2] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i];
        for (let row = top * width + left; row < (top + side) * width + left; row += width) for (let at = row; at < row + side; at += 1) out[at] = colour;
      }
      context.putImageData(image, 0, 0);
    },
  };
}
