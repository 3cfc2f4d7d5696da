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
    const places = this.choose(view, points, passes);
    for (const [i, x, y] of places) {
      const picture = this.picture(points.ids[i], moving);
      if (!picture) continue;
      const scale = SIDE / Math.max(picture.width, picture.height);
      const [w, h] = [picture.width * scale, picture.height * scale];
      context.fillStyle = colour(i);
      context.beginPath();
      context.roundRect(x - w / 2 - 2, y - h / 2 - 2, w + 4, h + 4, 5);
      context.fill();
      context.save();
      context.beginPath();
      context.roundRect(x - w / 2, y - h / 2, w, h, 3.5);
      context.clip();
      context.drawImage(picture, x - w / 2, y - h / 2, w, h);
      context.restore();
    }
  }

  // Points are tried in a fixed order, so that pictures stay where they are while the map moves.
  choose(view, points, passes) {
    const cellSide = SIDE + 8;
    const across = Math.ceil(view.width / cellSide) + 3;
    const taken = new Map();
    const found = [];
    const tried = Math.min(points.x.length, 30000);
    const stride = points.x.length / tried;
    for (let n = 0; n < tried && found.length < MOST; n += 1) {
      const i = Math.floor(n * stride);
      const [x, y] = view.toScreen(points.x[i], points.y[i]);
      if (x < 0 || y < 0 || x > view.width || y > view.height || !passes(i)) continue;
      const [col, row] = [Math.floor(x / cellSide), Math.floor(y / cellSide)];
      let free = true;
      for (let r = row - 1; free && r <= row + 1; r += 1) for (let c = col - 1; free && c <= col + 1; c += 1) {
        const other = taken.get(r * across + c);
        if (other && Math.abs(other[0] - x) < cellSide && Math.abs(other[1] - y) < cellSide) free = false;
      }
      if (!free) continue;
      taken.set(row * across + col, [x, y]);
      found.push([i, x, y]);
    }
    return found;
  }

  picture(id, moving) {
    const known = this.cache.get(id);
    if (known instanceof ImageBitmap) return known;
    if (known || moving || this.asked >= 12) return null;
    this.cache.set(id, "asked");
    this.asked += 1;
    const image = new Image();
    image.src = `/api/v1/images/${id}/thumbnail?side=96`;
    image.decode().then(() => createImageBitmap(image)).then((bitmap) => this.cache.set(id, bitmap), () => this.cache.set(id, "none")).finally(() => {
      this.asked -= 1;
      for (const old of this.cache.keys()) { if (this.cache.size <= KEPT) break; this.cache.delete(old); }
      this.changed();
    });
    return null;
  }
}
