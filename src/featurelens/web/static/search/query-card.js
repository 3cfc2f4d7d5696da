// The card that says what is being searched with.
import { el, fill, icon } from "../lib/dom.js";
import { boxed } from "./box.js";
import { hasPictures, hasQuery, isSingle } from "./state.js";
import { steering } from "./steering.js";

/** Draw the card. `pictures`: id or "upload" → {name, thumbnail, preview}; `on`: {choose, clear, box, drop(id), lead(concepts)}. */
export function drawQuery(card, state, pictures, on) {
  const held = card.contains(document.activeElement) ? document.activeElement.id : "";
  draw(card, state, pictures, on);
  if (held) document.getElementById(held)?.focus({ preventScroll: true });   // a slider keeps the keyboard
}

function draw(card, state, pictures, on) {
  if (!hasQuery(state) && !state.concepts.length) return fill(card, empty(on));
  const head = el("div", { class: "head" }, el("h2", {}, state.box && isSingle(state) ? "Searching with a part of" : "Searching with"),
    el("button", { type: "button", class: "icon", "aria-label": "Clear the query", title: "Clear the query (Escape)", onclick: on.clear }, icon("close")));
  const along = steering(state, pictures, on);
  if (!hasPictures(state)) return fill(card, head, state.text ? words(state, on) : null, along, state.text ? null : add(on));
  return fill(card, head, isSingle(state) ? single(state, pictures, on) : many(state, pictures, on), along);
}

function empty(on) {
  return el("div", { class: "drop" }, icon("image"),
    el("div", {}, el("strong", {}, "Search with a picture"), el("div", { class: "hint" }, "Drop or paste one anywhere, or click any picture of the gallery.")),
    el("button", { type: "button", class: "primary", onclick: on.choose }, "Choose …"),
    on.lead ? el("a", { class: "hint", href: "/concepts" }, "or search by a concept") : null);
}

const add = (on) => el("div", { class: "row" }, el("button", { type: "button", title: "Like a picture, led along this", onclick: on.choose }, icon("image"), "Add a picture"));

function words(state, on) {
  return [el("div", { class: "name" }, `“${state.text}”`), el("div", { class: "row" },
    el("button", { type: "button", title: "Like a picture, and like these words", onclick: on.choose }, icon("image"), "Add a picture"))];
}

function single(state, pictures, on) {
  const id = state.upload ? "upload" : state.like[0];
  const one = pictures.get(id) || { name: "…", preview: "" };
  const picture = boxed(one.preview, `The query: ${one.name}`, state.box, on.box);
  return el("div", { class: "single" }, picture.root, el("div", {}, el("div", { class: "name" }, one.name),
    el("div", { class: "row" },
      state.box ? el("button", { type: "button", onclick: () => on.box(null) }, icon("close"), "Whole") : el("button", { type: "button", title: "Search with a part of the picture", onclick: picture.begin }, icon("box"), "A part"),
      state.upload ? null : el("a", { class: "button", href: `/image/${id}` }, icon("inside"), "Inside"),
      el("button", { type: "button", onclick: on.choose }, icon("image"), "Another"))));
}

function many(state, pictures, on) {
  const group = (title, ids, kind) => ids.length ? el("div", { class: `group ${kind}` }, el("h3", {}, title),
    el("ul", { class: "thumbs" }, ids.map((id) => {
      const one = pictures.get(id) || { name: "…", thumbnail: "" };
      return el("li", {}, el("img", { src: one.thumbnail, alt: one.name, title: one.name }),
        el("button", { type: "button", "aria-label": `Leave out ${one.name}`, title: "Leave out", onclick: () => on.drop(id) }, icon("close")));
    }))) : null;
  const like = [...(state.upload ? ["upload"] : []), ...state.like];
  return el("div", { class: "many" }, group("More like", like, "more"), group("Less like", state.unlike, "less"));
}
