// One tile of a grid of images: the picture, its similarity, its name, and what can be done with it.
import { el, icon } from "./dom.js";
import { baseName, folderOf, similarity } from "./format.js";

/** Make tiles whose link is `href(item)`; `actions` are [{icon, text, run(item, button), always}], `decorate(root, item)` is free. */
export function tileMaker({ href, actions = [], decorate = null, onpick = null }) {
  return () => {
    const img = el("img", { alt: "", decoding: "async", draggable: "false", fetchpriority: "low" });
    const region = el("span", { class: "region", hidden: true });
    const picture = el("span", { class: "picture" }, img, region);
    const value = el("span", { class: "value" });
    const filled = el("span");
    const bar = el("span", { class: "bar" }, filled);
    const plain = el("span", { class: "plain" });
    const first = el("span", { class: "first" }, value, bar, plain);
    const name = el("span", { class: "name" });
    const link = el("a", { href: "#" }, picture, el("span", { class: "text" }, first, name));
    const buttons = actions.map((action) => el("button", { type: "button", class: action.always ? "always" : "", "aria-label": action.text, title: action.text, onclick: (event) => action.run(current, event.currentTarget) }, icon(action.icon)));
    const root = el("div", { class: "tile" }, link, buttons.length ? el("div", { class: "quick" }, buttons) : null);
    let current;
    img.addEventListener("load", () => img.classList.add("here"));
    img.addEventListener("error", () => { if (img.getAttribute("src")) picture.classList.add("broken"); });
    if (onpick) link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button || !current) return;
      event.preventDefault();
      onpick(current);
    });

    function show(item, index, hasty) {
      const same = current && item && current.id === item.id;
      current = item;
      root.classList.toggle("empty", !item);
      if (!item) return clear();
      const known = typeof item.similarity === "number" && item.similarity !== null && !item.plain;
      value.hidden = bar.hidden = !known;
      plain.hidden = known;
      plain.textContent = known ? "" : baseName(item.name);
      if (known) {
        value.textContent = similarity(item.similarity);
        filled.style.transform = `scaleX(${Math.max(0, Math.min(1, item.similarity))})`;
      }
      root.classList.toggle("beyond", Boolean(item.beyond));
      name.textContent = known ? baseName(item.name) : (item.label ?? folderOf(item.name));
      link.href = href(item);
      const title = item.label ? `${item.name} · ${item.label}` : item.name;
      if (link.title !== title) link.title = title;
      showRegion(region, item);
      decorate?.(root, item, index);
      if (!same || !img.getAttribute("src")) {
        picture.classList.remove("broken");
        img.classList.remove("here");
        // While it flies by, a picture would be asked for only to be thrown away.
        if (hasty) img.removeAttribute("src");
        else img.src = item.thumbnail;
      }
      return undefined;
    }

    function clear() {
      current = undefined;
      img.removeAttribute("src");
      img.classList.remove("here");
      picture.classList.remove("broken");
      region.hidden = true;
      value.textContent = plain.textContent = "";
      name.textContent = "…";
      bar.hidden = true;
    }
    return { root, show, clear, focusable: [link, ...buttons] };
  };
}

// The box of a hit is in fractions of the picture; the tile shows the middle of it (object-fit: cover).
function showRegion(region, { box, width, height }) {
  region.hidden = !box;
  if (!box) return;
  const shape = 1 / 0.86;
  const own = (width || 1) / (height || 1);
  const [across, down] = own > shape ? [own / shape, 1] : [1, shape / own];
  const place = (value, scale) => 100 * Math.max(0, Math.min(1, 0.5 + (value - 0.5) * scale));
  const [left, top, right, bottom] = [place(box[0], across), place(box[1], down), place(box[2], across), place(box[3], down)];
  region.style.inset = `${top}% ${100 - right}% ${100 - bottom}% ${left}%`;
}
