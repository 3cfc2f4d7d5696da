// Leading a query along concepts: more of this, less of that.
import { el, icon } from "../lib/dom.js";
import { concepts, purityText, share, titleOf } from "../lib/concepts.js";
import { hasPictures } from "./state.js";

const signed = (weight) => `${weight > 0 ? "+" : ""}${weight.toFixed(1)}`.replace("-", "−");

/** The concepts of the query with a slider each, and a button that adds one; null where none were learned. */
export function steering(state, pictures, on) {
  if (!on.lead && !state.concepts.length) return null;
  const alone = !hasPictures(state) && !state.text && state.concepts.length === 1;
  const some = state.concepts.map(([number, weight]) => {
    const one = pictures.get(`concept ${number}`) || { number, exemplars: [] };
    const title = titleOf(one);
    const put = (value) => on.lead(state.concepts.map((pair) => (pair[0] === number ? [number, value] : pair)));
    const drop = () => on.lead(state.concepts.filter(([other]) => other !== number));
    const seen = one.exemplars.find((exemplar) => exemplar.picture);
    return el("li", {}, el("a", { class: "who", href: `/concept/${number}`, title: "What this concept is about" }, seen ? el("img", { src: seen.picture, alt: "" }) : null, el("span", {}, title)),
      el("button", { type: "button", "aria-label": `Leave out ${title}`, title: "Leave out", onclick: drop }, icon("close")),
      alone && weight > 0 ? null : slider(number, title, weight, put));
  });
  return el("div", { class: "along" }, some.length ? [el("h3", {}, alone ? "By concept" : "Along concepts"), el("ul", {}, some)] : null,
    on.lead ? el("div", { class: "row" }, el("button", { type: "button", id: "lead", onclick: () => pick(state, on) }, icon("concepts"), state.concepts.length ? "Another concept" : "More or less of …")) : null);
}

function slider(number, title, weight, put) {
  const said = el("output", {}, signed(weight));
  const end = Math.max(1, Math.abs(weight));
  const input = el("input", { type: "range", id: `weight-${number}`, min: -end, max: end, step: 0.1, value: weight, "aria-label": `How much of ${title}`, "aria-valuetext": signed(weight) });
  input.addEventListener("input", () => { said.textContent = signed(Number(input.value)); input.setAttribute("aria-valuetext", said.textContent); });
  input.addEventListener("change", () => put(Number(Number(input.value).toFixed(1))));
  return el("div", { class: "much" }, el("span", { "aria-hidden": "true" }, "less"), input, el("span", { "aria-hidden": "true" }, "more"), said);
}

// All concepts to choose from, those that fire most often first.
async function pick(state, on) {
  const said = await concepts().catch((error) => ({ concepts: [], problem: error.message }));
  const has = new Set(state.concepts.map(([number]) => number));
  const start = hasPictures(state) || state.text || state.concepts.length ? 0.5 : 1;
  const choose = (number, weight) => { dialog.close(); on.lead([...state.concepts, [number, weight]]); };
  const rows = said.concepts.filter((one) => one.frequency > 0 && !has.has(one.number)).map((one) => el("li", {},
    el("div", { class: "three" }, one.exemplars.filter((exemplar) => exemplar.picture).map((exemplar) => el("img", { src: exemplar.picture, alt: "", loading: "lazy", decoding: "async" }))),
    el("div", { class: "name" }, el("b", {}, titleOf(one)), el("span", {}, [`in ${share(one.frequency)}`, purityText(one.purity)].filter(Boolean).join(" · "))),
    el("div", { class: "both" }, el("button", { type: "button", "aria-label": `More of ${titleOf(one)}`, onclick: () => choose(one.number, start) }, icon("plus"), "More"),
      el("button", { type: "button", "aria-label": `Less of ${titleOf(one)}`, onclick: () => choose(one.number, -0.5) }, icon("minus"), "Less"))));
  const why = said.problem || said.strange || (said.searchable ? "" : "These concepts were learned from places in the images, and the mean of this network's map is not its vector: one can't search with them.");
  const dialog = el("dialog", { class: "picker", "aria-labelledby": "picker-title" },
    el("div", { class: "head" }, el("h2", { id: "picker-title" }, "More or less of which concept?"), el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    el("p", { class: "small soft" }, why || "Each with the images where it fires most. ", why ? " " : "", el("a", { href: "/concepts" }, "All concepts")), said.searchable ? el("ul", {}, rows) : null);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}
