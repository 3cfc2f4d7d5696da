// The whole gallery (or what a filter leaves of it), fetched in pages as a grid comes to need them.
import { get } from "./api.js";

const PAGE = 200;
const KEPT = 60;     // pages in memory: 12,000 images

export class PagesOfImages {
  constructor({ label = "", path = "", onpage = () => {}, onerror = () => {} } = {}) {
    Object.assign(this, { label, path, onpage, onerror, total: 0 });
    this.pages = new Map();
    this.stopper = new AbortController();
  }

  /** Ask for the first page; resolves when `total` is known. */
  async start() {
    await this.fetch(0);
    return this;
  }

  itemAt = (index) => {
    const items = this.pages.get(Math.floor(index / PAGE));
    return Array.isArray(items) ? items[index % PAGE] : undefined;
  };

  /** Items [first, last) are wanted; while the grid flies by, only the latest wish is served. */
  need = (first, last, hasty = false) => {
    clearTimeout(this.later);
    if (hasty) { this.later = setTimeout(() => this.need(first, last), 80); return; }
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) if (!this.pages.has(page)) this.fetch(page).catch(this.onerror);
  };

  stop() {
    this.stopper.abort();
    clearTimeout(this.later);
  }

  async fetch(page) {
    this.pages.set(page, "asked");
    const query = new URLSearchParams({ offset: page * PAGE, limit: PAGE });
    if (this.label) query.set("label", this.label);
    if (this.path) query.set("path", this.path);
    try {
      const { total, images } = await get(`/images?${query}`, { signal: this.stopper.signal });
      this.total = total;
      for (const image of images) image.plain = true;
      this.pages.delete(page);
      this.pages.set(page, images);
      for (const old of this.pages.keys()) { if (this.pages.size <= KEPT) break; if (old !== page) this.pages.delete(old); }
      this.onpage(page * PAGE, page * PAGE + images.length);
    } catch (error) {
      this.pages.delete(page);
      if (error.name !== "AbortError") throw error;
    }
  }
}
