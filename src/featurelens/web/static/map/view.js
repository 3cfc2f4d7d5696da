// From the plane to the screen and back: a centre and a scale.

export class View {
  constructor() {
    Object.assign(this, { x: 0, y: 0, zoom: 1, width: 1, height: 1 });
  }

  size(width, height) {
    Object.assign(this, { width, height });
  }

  /** Pixels for one unit of the plane; at zoom 1 the plane [-1, 1] fills the shorter side, but for a margin. */
  get scale() {
    return this.zoom * Math.max(80, Math.min(this.width, this.height) - 60) / 2;
  }

  toScreen(x, y) {
    return [this.width / 2 + (x - this.x) * this.scale, this.height / 2 - (y - this.y) * this.scale];
  }

  toPlane(px, py) {
    return [this.x + (px - this.width / 2) / this.scale, this.y - (py - this.height / 2) / this.scale];
  }

  move(dx, dy) {
    this.x = Math.max(-2, Math.min(2, this.x - dx / this.scale));
    this.y = Math.max(-2, Math.min(2, this.y + dy / this.scale));
  }

  /** Zoom so that what lies under (px, py) stays there. */
  zoomAt(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toPlane(px, py);
    this.zoom = Math.max(0.5, Math.min(400, this.zoom * factor));
    this.x = x - (px - this.width / 2) / this.scale;
    this.y = y + (py - this.height / 2) / this.scale;
  }

  reset() {
    Object.assign(this, { x: 0, y: 0, zoom: 1 });
  }
}
