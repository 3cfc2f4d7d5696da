// Maps of several methods side by side, each with its verdict.
import { $, $$, el, fill } from "../lib/dom.js";
import { post } from "../lib/api.js";
import { drawHeat } from "../lib/heat.js";
import { methodName, trustWords } from "../why/words.js";

export class Attributions {
  constructor(buttons, maps, id, methods) {
    Object.assign(this, { buttons, maps, id, queue: Promise.resolve() });
    this.methods = methods;
    fill(buttons, methods.map((method) => el("button", { type: "button", "aria-pressed": "false", data: { method }, onclick: () => this.toggle(method) }, methodName(method))));
  }

  /** Call it when the layers are drawn: the first map is made when the reader gets near it. */
  watch() {
    const near = new IntersectionObserver((seen) => {
      if (!seen[0].isIntersecting) return;
      near.disconnect();
      if (this.methods.length && !this.maps.childElementCount) this.toggle(this.methods[0]);
    }, { rootMargin: "200px" });
    near.observe(this.buttons);
  }

  toggle(method) {
    const button = $$("button", this.buttons).find((one) => one.dataset.method === method);
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    if (!on) return $$("article", this.maps).find((one) => one.dataset.method === method)?.remove();
    const card = el("article", { class: "card", data: { method } }, el("div", { class: "view skeleton" }), el("h3", {}, methodName(method)), el("div", { class: "said" }, el("p", { class: "soft" }, "Runs, with its checks …")));
    this.maps.append(card);
    // One after the other: each takes all the cores there are.
    this.queue = this.queue.then(() => (card.isConnected ? this.run(method, card) : null));
    return undefined;
  }

  async run(method, card) {
    const view = $(".view", card);
    try {
      const said = await post("/explain", { query: null, id: this.id, method, check: true });
      const canvas = el("canvas", { role: "img", "aria-label": `Map of ${methodName(method)}` });
      drawHeat(canvas, said.map);
      fill(view, el("img", { src: said.picture, alt: "" }), canvas);
      fill($(".said", card), trustWords(said.trust));
    } catch (error) {
      fill($(".said", card), el("p", {}, error.message));
    }
    view.classList.remove("skeleton");
  }
}
