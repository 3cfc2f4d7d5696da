// The concepts of the gallery, as several pages show them.
import { el } from "./dom.js";
import { get } from "./api.js";
import { baseName } from "./format.js";

let known = null;

/** All of them, with three exemplars each, asked once for each page. */
export function concepts() {
  known ||= get("/concepts?top=3").catch((error) => { known = null; throw error; });
  return known;
}

/** "Concept 12 · stripes?": a name that words suggest is a guess. */
export const titleOf = (concept) => `Concept ${concept.number}${concept.name ? ` · ${concept.name}?` : ""}`;

/** "fires in 12 % of the images". */
export const share = (value) => `${(100 * value).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`;

/** "7 of 9 are shoes; chance 3.1", or "" without labels. */
export function purityText(purity) {
  return purity ? `${purity.count} of ${purity.of} labelled ${purity.label} (chance: ${(purity.of * purity.chance).toFixed(1)})` : "";
}

/** A bar as long as the share. */
export const bar = (value) => el("div", { class: "rate", "aria-hidden": "true" }, el("span", { style: { width: `${100 * value}%` } }));

/** An exemplar's picture, a link to a search with it; `full` with its figure and name. */
export function shot(exemplar, full = false) {
  const text = full ? [el("b", {}, exemplar.activation.toFixed(2)), ` · ${baseName(exemplar.name)}`] : null;
  if (!exemplar.image) return el("span", { class: "shot" }, el("span", { class: "gone" }, full ? "has left the gallery" : baseName(exemplar.name)), text);
  const label = `Search with ${exemplar.name}`;
  return el("a", { class: "shot", href: `/?like=${exemplar.image.id}`, title: `${exemplar.name}: ${exemplar.activation.toFixed(2)}${exemplar.label ? `, ${exemplar.label}` : ""}`, "aria-label": full ? null : label },
    el("img", { src: exemplar.picture, alt: full ? "" : exemplar.name, loading: "lazy", decoding: "async" }), text);
}
