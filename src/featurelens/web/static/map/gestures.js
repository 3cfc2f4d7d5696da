// What pointers do on the map: move it, zoom it (wheel, two fingers), point at an image, draw a lasso.

/** `on`: {move(dx, dy), zoom(factor, x, y), hover(x, y) or hover(null), click(x, y), lasso(path, done)}; `lassoing()`: draw or move? */
export function listen(plane, on, lassoing) {
  const fingers = new Map();
  let path = null;
  let start = null;
  let wide = 0;
  const at = (event) => { const area = plane.getBoundingClientRect(); return [event.clientX - area.left, event.clientY - area.top]; };

  plane.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    plane.setPointerCapture(event.pointerId);
    const point = at(event);
    fingers.set(event.pointerId, point);
    start = { point, moved: false };
    if (fingers.size === 1 && (lassoing() || event.shiftKey)) path = [...point];
    else path = null;
    if (fingers.size === 2) wide = distance(fingers);
    on.hover(null);
  });
  plane.addEventListener("pointermove", (event) => {
    const point = at(event);
    const before = fingers.get(event.pointerId);
    if (!before) { if (event.pointerType !== "touch") on.hover(...point); return; }
    fingers.set(event.pointerId, point);
    if (start && Math.hypot(point[0] - start.point[0], point[1] - start.point[1]) > 4) start.moved = true;
    if (path) { path.push(...point); on.lasso(path, false); return; }
    if (fingers.size === 2) {
      const now = distance(fingers);
      const [a, b] = [...fingers.values()];
      on.zoom(now / (wide || now), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      wide = now;
    }
    plane.classList.add("moving");
    on.move((point[0] - before[0]) / fingers.size, (point[1] - before[1]) / fingers.size);
  });
  const up = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    plane.classList.remove("moving");
    if (path) {
      const done = path;
      path = null;
      on.lasso(start.moved ? done : null, true);
    } else if (start && !start.moved && event.type === "pointerup") on.click(...at(event));
    if (!fingers.size) start = null;
  };
  plane.addEventListener("pointerup", up);
  plane.addEventListener("pointercancel", up);
  plane.addEventListener("pointerleave", () => on.hover(null));
  plane.addEventListener("wheel", (event) => {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    on.zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.0018)), ...at(event));
  }, { passive: false });
}

function distance(fingers) {
  const [a, b] = [...fingers.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
