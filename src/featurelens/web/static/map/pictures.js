// Pictures on the map where there is room for them: one for each free place of the screen, no two on top of each other.

const SIDE = 46;
const MOST = 240;
const KEPT = 600;

export class Pictures {
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, on: true, cache: new Map(), asked: 0 });
    this.context = canvas.getContext("2d");
  }

  /** Draw what fits; `frame`: {view, points, passes(i), colour(i), ratio, moving}. */
  draw({ view, points, passes, colour, ratio, moving }) {
    const { context, canvas } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.on) return;
    for (const [i, x, y] of this.choose(view, points, passes)) {
      const picture = this.picture(points.ids[i], moving, ratio);
      if (!picture) continue;
      const [w, h] = [picture.width / ratio, picture.height / ratio];
      context.fillStyle = colour(i);
      context.beginPath();
      context.roundRect(x - w / 2 - 2, y - h / 2 - 2, w + 4, h + 4, 5);
      context.fill();
      context.drawImage(picture, x - w / 2, y - h / 2, w, h);
    }
  }

  // Points are tried in a fixed order, so that pictures stay where they are while the map moves. One loop, no
  // objects: it runs in every frame.
  choose(view, points, passes) {
    const side = SIDE + 8;
    const across = Math.ceil(view.width / side) + 2;
    const down = Math.ceil(view.height / side) + 2;
    const taken = new Float32Array(2 * across * down).fill(-1e6);
    const found = [];
    const tried = Math.min(points.x.length, 30000);
    const stride = points.x.length / tried;
    const { scale } = view;
    const [left, top] = [view.width / 2 - view.x * scale, view.height / 2 + view.y * scale];
    for (let n = 0; n < tried && found.length < MOST; n += 1) {
      const i = Math.floor(n * stride);
      const x = left + points.x[i] * scale;
      const y = top - points.y[i] * scale;
      if (x < 0 || y < 0 || x > view.width || y > view.height) continue;
      const at = (1 + Math.floor(y / side)) * across + 1 + Math.floor(x / side);
      if (this.crowded(taken, at, across, x, y, side) || !passes(i)) continue;
      taken[2 * at] = x;
      taken[2 * at + 1] = y;
      found.push([i, x, y]);
    }
    return found;
  }

  crowded(taken, at, across, x, y, side) {
    for (let row = at - across; row <= at + across; row += across) {
      for (let cell = Math.max(0, row - 1); cell <= row + 1 && 2 * cell < taken.length; cell += 1) {
        if (Math.abs(taken[2 * cell] - x) < side && Math.abs(taken[2 * cell + 1] - y) < side) return true;
      }
    }
    return false;
  }

  picture(id, moving, ratio) {
    const known = this.cache.get(id);
    if (known instanceof ImageBitmap) return known;
    if (known || moving || this.asked >= 12) return null;
    this.cache.set(id, "asked");
    this.asked += 1;
    const image = new Image();
    image.src = `/api/v1/images/${id}/thumbnail?side=96`;
    image.decode().then(() => rounded(image, ratio)).then((bitmap) => this.cache.set(id, bitmap), () => this.cache.set(id, "none")).finally(() => {
      this.asked -= 1;
      for (const old of this.cache.keys()) { if (this.cache.size <= KEPT) break; this.cache.delete(old); }
      this.changed();
    });
    return null;
  }
}

// Scaled and cut to round corners once, so that a frame only has to copy it.
function rounded(image, ratio) {
  const scale = (SIDE * ratio) / Math.max(image.naturalWidth, image.naturalHeight);
  const [w, h] = [Math.max(1, Math.round(image.naturalWidth * scale)), Math.max(1, Math.round(image.naturalHeight * scale))];
  const canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext("2d");
  context.beginPath();
  context.roundRect(0, 0, w, h, 3.5 * ratio);
  context.clip();
  context.drawImage(image, 0, 0, w, h);
  return canvas.transferToImageBitmap();
}
