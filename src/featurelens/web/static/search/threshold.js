// The threshold: a slider under a histogram of the similarities found, with the line below which nothing really matches.
import { el, fill, svg } from "../lib/dom.js";
import { count, similarity, things } from "../lib/format.js";

const BARS = 44;

export class Threshold {
  /** `onmin(value or null, done)`: the threshold moves (null: everything is shown); `done` when it is let go. */
  constructor(box, onmin) {
    this.box = box;
    this.slider = el("input", { type: "range", min: 0, max: 1, step: 0.005, "aria-label": "Least similarity" });
    this.value = el("strong");
    this.plot = svg("svg", { viewBox: `0 0 ${BARS} 20`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.mark = el("div", { class: "mark" });
    this.words = el("p");
    fill(box, el("div", { class: "head" }, el("span", {}, "Least similarity"), this.value), el("div", { class: "plot" }, this.plot, this.mark), this.slider, this.words);
    const min = () => (Number(this.slider.value) <= Number(this.slider.min) ? null : Number(this.slider.value));
    const moved = (done) => {
      if (!this.hits) return; // nothing found yet: nothing to hide
      if (!done) this.draw(min());
      onmin(min(), done);
    };
    this.slider.addEventListener("input", () => moved(false));
    this.slider.addEventListener("change", () => moved(true));
  }

  /** Other hits: best first. `line` may be null. */
  set(hits, line, min) {
    this.box.hidden = !hits.length;
    if (!hits.length) return;
    this.hits = hits.map((hit) => hit.similarity);
    this.line = line;
    const floor = Math.min(this.hits.at(-1), line ?? 1);
    this.low = Math.max(-1, Math.floor(floor * 20 - 0.5) / 20);
    this.high = Math.max(this.low + 0.1, Math.min(1, Math.ceil(this.hits[0] * 20) / 20));
    this.slider.min = this.low;
    this.slider.max = this.high;
    this.draw(min);
  }

  draw(min) {
    this.slider.value = min ?? this.low;
    const shown = min === null ? this.hits.length : this.hits.filter((value) => value >= min).length;
    this.value.textContent = min === null ? "any" : similarity(min);
    this.slider.setAttribute("aria-valuetext", `${min === null ? "any" : similarity(min)}, ${count(shown)} shown`);
    const bins = new Array(BARS).fill(0);
    for (const value of this.hits) bins[Math.max(0, Math.min(BARS - 1, Math.floor(((value - this.low) / (this.high - this.low)) * BARS)))] += 1;
    const most = Math.sqrt(Math.max(...bins));
    const edge = min === null ? -1 : Math.floor(((min - this.low) / (this.high - this.low)) * BARS);
    fill(this.plot, bins.map((many, i) => {
      const high = many ? Math.max(1, (20 * Math.sqrt(many)) / most) : 0;
      return svg("rect", { x: i + 0.1, y: 20 - high, width: 0.8, height: high, class: i < edge ? "out" : "" });
    }));
    const known = this.line !== null && this.line !== undefined;
    const at = known ? (this.line - this.low) / (this.high - this.low) : 0;
    this.mark.hidden = !known || at > 1;
    this.mark.style.left = `${100 * Math.max(0, at)}%`;
    this.words.className = known ? "" : "soft";
    this.words.textContent = known ? `95 % of the ${things()} here have a neighbour of ${similarity(this.line)} or more. If the best match stays below, nothing really matches.` : "";
  }
}
