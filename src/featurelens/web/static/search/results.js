// The right half of the search page: the whole gallery, or what was found, as one grid.
import { $, fill } from "../lib/dom.js";
import { gallery, post } from "../lib/api.js";
import { count, items, similarity, thing, things } from "../lib/format.js";
import { PagesOfImages } from "../lib/pages-of-images.js";
import { notice, problemBox, stateBox } from "../lib/state.js";
import { MOST, hasQuery, isSingle, requestOf } from "./state.js";

const FIRST = 300;
const FIRST_PARTS = 60;   // a part is looked for place by place, which takes longer

export class Results {
  constructor(grid, { onhits, onshow }) {
    Object.assign(this, { grid, onhits, onshow, k: FIRST, hits: [], line: null });
    grid.need = (first, last, hasty) => this.pages?.need(first, last, hasty);
    grid.onend = () => this.more();
  }

  /** Show the state; resolves when there is something (or nothing) to see. */
  async load(state) {
    this.stopper?.abort();
    this.pages?.stop();
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    this.state = state;
    this.k = state.box && isSingle(state) ? FIRST_PARTS : FIRST;
    const waiting = setTimeout(() => this.busy(true), 120);
    try {
      await (hasQuery(state) ? this.search(signal) : this.browse(signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.nothing(problemOf(error, state, () => this.load(state)));
    } finally {
      clearTimeout(waiting);
      if (!signal.aborted) this.busy(false);
    }
  }

  async browse(signal, keep = false) {
    const pages = new PagesOfImages({ label: this.state.label, path: this.state.path, onpage: (first, last) => this.grid.filled(first, last), onerror: () => {} });
    await pages.start();
    const limited = this.state.path || this.state.label;
    const all = limited ? (await gallery()).images : 0;
    if (signal.aborted) return pages.stop();
    this.pages?.stop();
    this.pages = pages;
    this.hits = [];
    this.onhits([], null);
    fill($("#notice"));
    this.heading(() => (limited ? [`Filtered ${things()}`, `${count(pages.total)} of ${items(all)}`] : [`All ${things()}`, items(pages.total)]));
    if (!pages.total) return this.nothing(limited ? noneHere(this.onshow) : emptyGallery());
    return this.show({ count: pages.total, itemAt: pages.itemAt }, keep);
  }

  /** While the folder is being indexed: show what has come, unless the reader is elsewhere in the grid. */
  async refresh() {
    if (hasQuery(this.state) || scrollY > 300 || this.grid.box.contains(document.activeElement)) return;
    await this.browse(this.stopper.signal, true).catch(() => {});
  }

  async search(signal, keep = false) {
    const said = await post("/search", requestOf(this.state, this.k), { signal });
    this.pages = null;
    this.got = said.hits.length;
    const asked = new Set([...this.state.like, ...this.state.unlike]);
    this.line = said.nothing_matches_below ?? null;
    this.hits = said.hits.filter((hit) => !asked.has(hit.id));
    // The line is about the best hit: below it nothing matches. A later hit below it may well be right, and only
    // lies farther off than a nearest neighbour usually does.
    const some = this.line !== null && this.hits.length > 0 && this.hits[0].similarity >= this.line;
    for (const hit of this.hits) hit.beyond = some && hit.similarity < this.line;
    this.took = said.took_ms;
    this.onhits(this.hits, this.line);
    this.threshold(this.state.min, keep);
  }

  /** Show only hits from this similarity on. */
  threshold(min, keep = true) {
    this.state = { ...this.state, min };
    if (!hasQuery(this.state)) return;
    const { hits, line } = this;
    let shown = min === null ? hits.length : hits.findIndex((hit) => hit.similarity < min);
    if (shown < 0) shown = hits.length;
    const breakAt = line === null ? -1 : hits.findIndex((hit) => hit.beyond);
    this.heading(() => ["Most similar", `${items(shown)} · ${taken(this.took)}`]);
    fill($("#notice"), line !== null && shown && hits[0].similarity < line ? weak(hits[0], line) : null);
    if (!hits.length) return this.nothing(stateBox("search", `No ${thing()} passes the filters`, `No ${thing()} of the gallery has this folder and this label.`, [["Clear the filters", () => this.onshow({ path: "", label: "" }), true]]));
    if (!shown) return this.nothing(stateBox("search", "Nothing is that similar", `The best is ${similarity(hits[0].similarity)}, the threshold stands at ${similarity(min)}.`, [["Show everything", () => this.onshow({ min: null }), true]]));
    this.show({ count: shown, itemAt: (index) => hits[index], breakAt: breakAt > 0 ? breakAt : -1, divider: breakAt > 0 ? `Below ${similarity(line)}: farther than nearest neighbours here usually are` : null }, keep);
  }

  // At the end of the list: ask for more, as long as there is more.
  async more() {
    if (this.growing || !hasQuery(this.state) || this.got < this.k || this.k >= MOST || this.state.min !== null) return;
    this.growing = true;
    this.k = Math.min(this.k * 4, MOST);
    try {
      await this.search(this.stopper.signal, true);
    } catch {
      // What is shown stays; the next time the end is reached, it is tried again.
    }
    this.growing = false;
  }

  show(source, keep = false) {
    fill($("#state"));
    this.grid.box.hidden = false;
    this.grid.set(source, { keep });
  }

  nothing(box) {
    this.grid.box.hidden = true;
    this.grid.set({ count: 0, itemAt: () => undefined });
    fill($("#state"), box);
  }

  busy(yes) {
    this.grid.box.setAttribute("aria-busy", yes);
    if (yes) $("#sub").textContent = hasQuery(this.state) ? "Searching …" : "Loading …";
  }

  /** `words()`: the title and the line below it. */
  heading(words) {
    this.words = words;
    this.tell();
  }

  /** Say it again: what the gallery holds may be known only now. */
  tell() {
    if (!this.words) return;
    const [title, sub] = this.words();
    $("#title").textContent = title;
    $("#sub").textContent = sub;
    document.title = `${title} · featurelens`;
  }
}

const taken = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function weak(best, line) {
  return notice("care", `Nothing here really matches. The best similarity is ${similarity(best.similarity)}; 95 % of the ${things()} of this gallery have a neighbour above ${similarity(line)}.`);
}

function noneHere(onshow) {
  return stateBox("filter", `No ${thing()} passes the filters`, `No ${thing()} of the gallery has this folder and this label.`, [["Clear the filters", () => onshow({ path: "", label: "" }), true]]);
}

function emptyGallery() {
  return stateBox("image", "The gallery is empty", "Index its folder to fill it: search works on what is there while the rest comes.", [["Go to the jobs", "/jobs", true]]);
}

function problemOf(error, state, again) {
  if (state.upload && (error.status === 404 || error.status === 410)) {
    return stateBox("image", "That picture is gone", "The server keeps the latest pictures in memory only. Drop or choose it again.", [[`Show all ${things()}`, "/", true]]);
  }
  if (error.body?.job_kind === "concepts" || (state.concepts.length && error.status === 409)) return stateBox("concepts", "Not along these concepts", error.message, [["To the concepts", "/concepts", true]]);
  if (error.status === 404) return stateBox("image", `That ${thing()} is not in the gallery`, error.message, [[`Show all ${things()}`, "/", true]]);
  return problemBox(error, again);
}
