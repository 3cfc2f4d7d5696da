// Two pictures with their maps, and lines between the regions that answer each other.
import { $, el, fill, svg } from "../lib/dom.js";
import { drawHeat, peakOf } from "../lib/heat.js";

// Okabe and Ito's colours, which people who see colours differently can tell apart.
const COLOURS = ["#f0e442", "#56b4e9", "#e69f00", "#cc79a7", "#2fd3a3", "#ff7f3f"];

export class Pair {
  constructor(box) {
    this.box = box;
    this.look = "heat";
    this.count = 5;
    this.sides = [this.figure(), this.figure()];
    this.wires = svg("svg", { class: "wires", "aria-hidden": "true" });
    fill(box, this.sides.map((side) => side.root), this.wires);
    new ResizeObserver(() => this.wire()).observe(box);
  }

  figure() {
    const img = el("img", { alt: "" });
    const canvas = el("canvas", { "aria-hidden": "true" });
    const share = el("span", { class: "share", hidden: true });
    const view = el("div", { class: "view" }, img, canvas, share);
    const name = el("b");
    const caption = el("span", { class: "number" });
    const side = { root: el("figure", {}, view, el("figcaption", {}, name, caption)), img, canvas, view, name, caption, share };
    img.addEventListener("load", () => this.wire());
    view.addEventListener("pointermove", (event) => this.point(side, event));
    view.addEventListener("pointerleave", () => this.point(side, null));
    return side;
  }

  /** Show two pictures: [{picture, name, role}, ...]; maps come later. */
  pictures(both) {
    this.sides.forEach((side, i) => {
      if (both[i].picture) side.img.src = both[i].picture;
      side.img.alt = `${both[i].role}: ${both[i].name}`;
      side.name.textContent = both[i].role;
      side.caption.textContent = both[i].name;
    });
  }

  /** One picture with its map: what it is compared with has no picture. */
  single(picture, map) {
    this.sides[0].root.hidden = true;
    this.box.classList.add("one");
    this.pictures([{ ...picture, picture: "" }, picture]);
    this.maps(null, map, []);
  }

  /** Maps for both sides ({rows, cols, values} or null) and lines [{a, b, strength}]; without maps only the pictures. */
  maps(a, b, lines = [], shape = null) {
    this.values = [a, b];
    this.lines = lines;
    if (shape) for (const side of this.sides) side.view.style.aspectRatio = shape;
    this.draw();
  }

  draw() {
    const known = (this.values || []).filter(Boolean);
    const peak = known.length ? peakOf(...known) : 1;
    this.sides.forEach((side, i) => {
      const map = this.values?.[i];
      const shown = map && this.look !== "none";
      side.view.className = `view ${shown ? this.look : ""}`;
      side.canvas.hidden = !shown;
      if (shown) drawHeat(side.canvas, map, { peak, look: this.look });
    });
    this.wire();
  }

  wire() {
    const lines = (this.lines || []).slice(0, this.count);
    const home = this.box.getBoundingClientRect();
    const thick = home.width < 500 ? 0.7 : 1;
    fill(this.wires, lines.map((line, i) => {
      const colour = COLOURS[i % COLOURS.length];
      const boxes = [line.a, line.b].map((region, at) => this.region(at, region, home));
      const [from, to] = boxes.map((box) => [box.x + box.width / 2, box.y + box.height / 2]);
      const bend = (to[0] - from[0]) * 0.28;
      const lift = ((i % 3) - 1) * home.width * 0.035;   // lines between the same rows would lie on each other
      const d = `M${from} C${from[0] + bend},${from[1] + lift} ${to[0] - bend},${to[1] + lift} ${to}`;
      const width = thick * (1.5 + 2.5 * (line.strength ?? 1));
      return svg("g", { "data-line": i }, boxes.map((box) => [
        svg("rect", { ...box, rx: 3, stroke: "rgb(0 0 0 / 65%)", "stroke-width": thick * 5 }), svg("rect", { ...box, rx: 3, stroke: colour, "stroke-width": thick * 2.5 })]),
        svg("path", { d, class: "halo", "stroke-width": width + 2.5 }), svg("path", { d, class: "wire", stroke: colour, "stroke-width": width }));
    }));
  }

  region(at, [row, col], home) {
    const area = this.sides[at].view.getBoundingClientRect();
    const { rows, cols } = this.values[at];
    const [width, height] = [area.width / cols, area.height / rows];
    return { x: area.left - home.left + col * width, y: area.top - home.top + row * height, width, height };
  }

  point(side, event) {
    const at = this.sides.indexOf(side);
    const map = this.values?.[at];
    side.share.hidden = !event || !map;
    this.wires.classList.remove("pointing");
    if (!event || !map) return;
    const area = side.view.getBoundingClientRect();
    const row = Math.max(0, Math.min(map.rows - 1, Math.floor(((event.clientY - area.top) / area.height) * map.rows)));
    const col = Math.max(0, Math.min(map.cols - 1, Math.floor(((event.clientX - area.left) / area.width) * map.cols)));
    side.share.textContent = `this region: ${map.values.flat()[row * map.cols + col].toFixed(4)}`.replace("-", "−");
    const key = at === 0 ? "a" : "b";
    this.lines.slice(0, this.count).forEach((line, i) => {
      const here = line[key][0] === row && line[key][1] === col;
      $(`[data-line="${i}"]`, this.wires).classList.toggle("pointed", here);
      if (here) this.wires.classList.add("pointing");
    });
  }
}
