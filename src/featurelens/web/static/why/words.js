// What a match or an explanation says, in sentences.
import { el } from "../lib/dom.js";
import { scaleGradient } from "../lib/heat.js";
import { similarity } from "../lib/format.js";
import { notice } from "../lib/state.js";

/** How the similarity was split, and what it leaves unexplained. */
export function matchWords(match, line) {
  const [left, right] = match.residual;
  const text = {
    split: "Bright regions are where it comes from: in each picture the regions add up to the similarity.",
    "left out": `Bright regions are those without which it would drop most. ${signed(left)} (query) and ${signed(right)} (match) of it belong to no single region.`,
    "map only": `Bright regions are where the feature maps agree. ${signed(left)} of the similarity comes from what has no place in the picture.`,
  }[match.kind] || "";
  const negative = [match.a, match.b].some((map) => map.values.flat().some((value) => value < -1e-6));
  return [
    typeof line === "number" && match.similarity < line ? notice("care", `95 % of the images here have a neighbour of ${similarity(line)} or more; these two are farther apart: read the regions with care.`) : null,
    el("p", {}, text),
    el("div", { class: "scale", "aria-hidden": "true", style: { "background-image": scaleGradient(negative) } }),
    el("div", { class: "ends" }, negative ? [el("span", {}, "speaks against"), el("span", {}, "adds most")] : [el("span", {}, "adds nothing"), el("span", {}, "adds most")]),
    el("p", { class: "soft small" }, "Lines join the regions that answer each other best. Point at a region for its share."),
  ];
}

/** Where words apply, and what that leaves unexplained. */
export function textWords(found) {
  const text = {
    split: "Bright regions are where the words apply: the regions add up to the similarity.",
    "left out": `Bright regions are those without which the similarity would drop most. ${signed(found.residual)} of it belongs to no single region.`,
    covered: "Bright regions are those that the similarity needs: each square is painted over in turn, and what is lost is shown.",
  }[found.kind];
  const negative = found.map.values.some((value) => value < -1e-6);
  return [
    el("p", {}, text),
    el("div", { class: "scale", "aria-hidden": "true", style: { "background-image": scaleGradient(negative) } }),
    el("div", { class: "ends" }, el("span", {}, negative ? "speaks against" : "adds nothing"), el("span", {}, "adds most")),
    el("p", { class: "soft small" }, "Similarities of words and pictures are lower than those of two pictures. Point at a region for its share."),
  ];
}

/** A trust verdict: a coloured level and the sentences behind it. */
export function trustWords(trust) {
  if (!trust) return [el("p", { class: "soft" }, "Not checked.")];
  const kind = { good: "good", "with care": "care", "do not trust": "bad" }[trust.level] || "care";
  const head = { good: "Trust: good", "with care": "Trust: with care", "do not trust": "Do not trust this map" }[trust.level];
  const words = trust.words.replace(/^(Trust: [a-z ]+\.|Do NOT trust this map\.)\s*/, "");
  return [el("span", { class: `chip ${kind}` }, head), el("p", {}, words)];
}

const NAMES = {
  similarity: "Similarity split", "grad-cam": "Grad-CAM", "layer-cam": "Layer-CAM", smoothgrad: "SmoothGrad", "input-x-gradient": "Input × gradient",
};

/** A method's name as people write it. */
export const methodName = (method) => NAMES[method] || method.replaceAll(/[_-]/g, " ").replace(/^./, (first) => first.toUpperCase());

const signed = (value) => (value < 0 ? "−" : "+") + similarity(Math.abs(value));
