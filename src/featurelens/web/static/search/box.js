// A rectangle on the query: drawn with the pointer, or moved (arrows) and sized (Shift and arrows) from the keyboard.
import { el } from "../lib/dom.js";

const SMALLEST = 0.05;
const STEP = 0.02;

/** The picture of a query with its rectangle; `onbox(box or null)` tells of a change that is finished. */
export function boxed(source, alt, box, onbox) {
  const img = el("img", { src: source, alt, draggable: "false" });
  const rectangle = el("button", { type: "button", class: "box", "aria-label": "Region of the query. Arrow keys move it, Shift and arrow keys size it, Delete removes it.", hidden: true });
  const shade = el("div", { class: "shade", hidden: true });
  const held = el("div", { class: "held" }, img, shade, rectangle);
  const root = el("div", { class: "canvas", title: "Draw a rectangle to search with a part of the picture" }, held);
  let now = box;
  let from = null;

  function draw() {
    rectangle.hidden = shade.hidden = !now;
    if (!now) return;
    const [left, top, right, bottom] = now.map((value) => 100 * value);
    rectangle.style.inset = `${top}% ${100 - right}% ${100 - bottom}% ${left}%`;
    shade.style.clipPath = `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${left}% ${top}%, ${right}% ${top}%, ${right}% ${bottom}%, ${left}% ${bottom}%, ${left}% ${top}%)`;
  }

  function at(event) {
    const area = held.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height].map((value) => Math.max(0, Math.min(1, value)));
  }

  root.addEventListener("pointerdown", (event) => {
    if (event.button || (event.pointerType === "touch" && !root.classList.contains("drawing"))) return;
    const point = at(event);
    from = event.target === rectangle ? { moving: point, box: now } : { point, box: now };
    root.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  root.addEventListener("pointermove", (event) => {
    if (!from) return;
    const point = at(event);
    now = from.moving ? moved(from.box, point[0] - from.moving[0], point[1] - from.moving[1]) : between(from.point, point);
    draw();
  });
  const finish = () => {
    if (!from) return;
    const before = from.box;
    const small = !now || now[2] - now[0] < SMALLEST || now[3] - now[1] < SMALLEST;
    if (small) now = from.moving ? before : null;
    from = null;
    draw();
    root.classList.remove("drawing");
    if (String(now) !== String(before)) onbox(now);
  };
  root.addEventListener("pointerup", finish);
  root.addEventListener("pointercancel", finish);

  let settle = 0;
  rectangle.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === "Delete" || event.key === "Backspace") { now = null; draw(); onbox(null); event.preventDefault(); return; }
    if (!way) return;
    event.preventDefault();
    now = event.shiftKey ? sized(now, ...way) : moved(now, ...way);
    draw();
    clearTimeout(settle);
    settle = setTimeout(() => onbox(now), 400);
  });
  draw();
  return {
    root,
    /** From a button: the next touch draws; a box in the middle is there at once for the keyboard. */
    begin() {
      now = now || [0.25, 0.25, 0.75, 0.75];
      root.classList.add("drawing");
      draw();
      rectangle.focus();
      onbox(now);
    },
  };
}

function between([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function moved([left, top, right, bottom], x, y) {
  const dx = Math.max(-left, Math.min(1 - right, x));
  const dy = Math.max(-top, Math.min(1 - bottom, y));
  return [left + dx, top + dy, right + dx, bottom + dy];
}

function sized([left, top, right, bottom], x, y) {
  return [left, top, Math.max(left + SMALLEST, Math.min(1, right + x)), Math.max(top + SMALLEST, Math.min(1, bottom + y))];
}
