// A grid of any number of tiles of which only those in sight exist. Tiles are taken along and refilled, never rebuilt;
// the page's own scrollbar moves it. Written so that no step of scrolling takes longer than a frame.

import { clampRow, layoutOf, rowAt, topOf } from "./grid-layout.js";
import { moveKey } from "./grid-keys.js";

const AHEAD = 1.2;          // how many screens beyond the sight are kept filled
const FIRST_MS = 200;       // so long what lies beyond the sight waits for what is in it
const FOOT = 70;            // pixels at the bottom that a phone's navigation covers
const FAST = 6;             // pixels a millisecond from which on pictures wait until it slows down
const AT_ONCE = 16;         // tiles beyond the sight that are filled within one frame

export class VirtualGrid {
  /**
   * `tile(): {root, focusable, show(item, index, hasty), clear()}` makes one empty tile; `need(first, last)` is told which items
   * are wanted; `onkey(event, item, index)` gets the keys the grid does not use.
   */
  constructor(box, { tile, need = () => {}, onkey = () => {}, onend = () => {}, width = 190, text = 45, gap = 14 }) {
    Object.assign(this, { box, makeTile: tile, need, onkey, onend, wanted: width, text, gap });
    this.source = { count: 0, itemAt: () => undefined, breakAt: -1 };
    this.used = new Map();   // index → tile
    this.free = [];
    this.active = 0;
    this.freshUntil = 0;
    this.last = { y: 0, at: 0 };
    this.divider = null;
    box.classList.add("grid");
    box.setAttribute("role", "list");
    this.onscroll = () => this.soon();
    addEventListener("scroll", this.onscroll, { passive: true });
    this.watch = new ResizeObserver(() => this.resized());
    this.watch.observe(box);
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("focusin", (event) => {
      for (const [index, tile] of this.used) if (tile.root.contains(event.target)) this.point(index);
    });
  }

  /** Show other items: {count, itemAt(index), breakAt, divider}; `keep`: the same ones, grown or changed. */
  set(source, { keep = false } = {}) {
    this.source = { breakAt: -1, divider: null, ...source };
    if (!keep) {
      this.active = 0;
      for (const index of [...this.used.keys()]) this.release(index);
    }
    if (!keep) this.freshUntil = performance.now() + FIRST_MS;
    this.active = Math.min(this.active, Math.max(0, this.source.count - 1));
    this.resized(true);
  }

  /** Items [first, last) have come: fill their tiles. */
  filled(first, last) {
    for (const [index, tile] of this.used) if (index >= first && index < last) this.showIn(tile, index, false);
  }

  /** Tiles of about this width from now on. */
  resize(width) {
    this.wanted = width;
    this.resized(true);
  }

  /** Scroll an item into sight and put the focus on it. */
  focus(index) {
    if (!this.source.count) return;
    this.point(Math.max(0, Math.min(this.source.count - 1, index)));
    this.reveal(this.active);
    this.draw();
    this.used.get(this.active)?.root.querySelector("a")?.focus({ preventScroll: true });
  }

  get first() {
    return this.used.size ? Math.min(...this.used.keys()) : 0;
  }

  destroy() {
    removeEventListener("scroll", this.onscroll);
    this.watch.disconnect();
    this.box.replaceChildren();
  }

  // --- what follows is the grid's own business

  resized(always = false) {
    const wide = this.box.clientWidth;
    if (!wide || (!always && wide === this.wide)) return;
    this.wide = wide;
    this.layout = layoutOf(wide, this.source, { wanted: this.wanted, text: this.text, gap: this.gap });
    this.box.style.height = `${this.layout.shown}px`;
    for (const tile of this.used.values()) this.size(tile);
    for (const tile of this.free) this.size(tile);
    this.draw(true);
  }

  size(tile) {
    tile.root.style.width = `${this.layout.width}px`;
    tile.root.style.height = `${this.layout.height}px`;
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  draw(moved = false) {
    if (!this.layout) return;
    const now = performance.now();
    const top = -this.box.getBoundingClientRect().top;
    const speed = Math.abs(top - this.last.y) / Math.max(1, now - this.last.at);
    const hasty = now - this.last.at < 120 && speed > FAST;
    this.last = { y: top, at: now };
    const high = innerHeight;
    const { source, layout } = this;
    // A grid higher than a browser allows is squeezed: `shift` is how far the rows in sight stand from their true place.
    const real = Math.max(0, top) * layout.squeeze;
    const shift = layout.squeeze === 1 ? 0 : Math.max(0, top) - real;
    const fresh = now < this.freshUntil;
    const ahead = fresh ? 0 : hasty ? 0.2 : AHEAD;
    const from = clampRow(layout, rowAt(layout, real - high * ahead));
    const to = clampRow(layout, rowAt(layout, real + high * (1 + ahead))) + 1;
    const [first, last] = [layout.firstOf(from), Math.min(source.count, layout.firstOf(to))];
    for (const index of [...this.used.keys()]) if ((index < first || index >= last) && index !== this.pinned()) this.release(index);
    const seen = layout.firstOf(clampRow(layout, rowAt(layout, real)));
    const unseen = layout.firstOf(clampRow(layout, rowAt(layout, real + high)) + 1);
    let left = AT_ONCE;
    for (let index = first; index < last; index += 1) {
      if ((index < seen || index >= unseen) && !moved && this.isToFill(index, hasty)) {
        if (!left) { this.soon(); continue; }
        left -= 1;
      }
      this.place(index, shift, moved, hasty);
    }
    this.placeDivider(shift);
    this.need(first, last, hasty);
    if (last >= source.count && source.count) this.onend();
    clearTimeout(this.calm);
    if (fresh || hasty) this.calm = setTimeout(() => this.draw(), fresh ? FIRST_MS : 90);
  }

  pinned() {
    return this.box.contains(document.activeElement) ? this.active : -1;
  }

  isToFill(index, hasty) {
    const tile = this.used.get(index);
    return !tile || (tile.hasty && !hasty);
  }

  place(index, shift, moved, hasty) {
    const toFill = moved || this.isToFill(index, hasty);
    let tile = this.used.get(index);
    const fresh = !tile;
    if (fresh) {
      tile = this.free.pop() || this.make();
      this.used.set(index, tile);
      tile.root.hidden = false;
    }
    if (fresh || moved || this.layout.squeeze !== 1) {
      const { col, y } = this.layout.placeOf(index);
      tile.root.style.transform = `translate(${col * (this.layout.width + this.gap)}px, ${y + shift}px)`;
    }
    if (toFill) this.showIn(tile, index, hasty);
  }

  showIn(tile, index, hasty) {
    tile.hasty = hasty;
    tile.root.setAttribute("aria-posinset", index + 1);
    if (tile.of !== this.source.count) tile.root.setAttribute("aria-setsize", (tile.of = this.source.count));
    tile.show(this.source.itemAt(index), index, hasty);
    this.reach(tile, index === this.active);
  }

  make() {
    const tile = this.makeTile();
    tile.root.setAttribute("role", "listitem");
    this.size(tile);
    this.box.append(tile.root);
    return tile;
  }

  release(index) {
    const tile = this.used.get(index);
    this.used.delete(index);
    tile.clear();
    tile.root.hidden = true;
    this.free.push(tile);
  }

  placeDivider(shift) {
    const { source, layout } = this;
    this.divider ??= Object.assign(document.createElement("div"), { className: "divider" });
    if (!layout.hasBreak) return this.divider.remove();
    if (this.divider.textContent !== source.divider) this.divider.textContent = source.divider;
    this.divider.style.height = `${layout.gapAtBreak}px`;
    this.divider.style.transform = `translateY(${topOf(layout, layout.breakRow) - layout.gapAtBreak + shift}px)`;
    if (!this.divider.isConnected) this.box.append(this.divider);
    return undefined;
  }

  // Only one tile is in the tab order; the arrows move it.
  point(index) {
    const before = this.used.get(this.active);
    if (before) this.reach(before, false);
    this.active = index;
    const tile = this.used.get(index);
    if (tile) this.reach(tile, true);
  }

  reach(tile, yes) {
    if (tile.reached === yes) return;
    tile.reached = yes;
    for (const one of tile.focusable) one.tabIndex = yes ? 0 : -1;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moveKey(event.key, this.active, this.layout, this.source.count, innerHeight);
    if (next === null) return this.onkey(event, this.source.itemAt(this.active), this.active);
    event.preventDefault();
    return this.focus(next);
  }

  reveal(index) {
    const { y } = this.layout.placeOf(index);
    const top = this.box.getBoundingClientRect().top + scrollY;
    const sticky = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    const at = top + y / this.layout.squeeze;
    if (at < scrollY + sticky) scrollTo({ top: at - sticky });
    else if (at + this.layout.height > scrollY + innerHeight - FOOT) scrollTo({ top: at + this.layout.height - innerHeight + FOOT });
  }
}
