// The map of the gallery: images that look alike lie close together.
import { $, $$, el, fill } from "../lib/dom.js";
import { address, gallery, get, post } from "../lib/api.js";
import { baseName, count, items } from "../lib/format.js";
import { follow, startJob, progressText } from "../lib/jobs.js";
import { forPage, startShell } from "../lib/shell.js";
import { problemBox, stateBox } from "../lib/state.js";
import { css, colourOf, coloursOf } from "./colours.js";
import { listen } from "./gestures.js";
import { Pictures } from "./pictures.js";
import { flatPainter } from "./points-2d.js";
import { glPainter } from "./points-gl.js";
import { View } from "./view.js";

const SHOWN = 400;           // chosen images drawn in the panel
const LIKE = 12;             // of which this many can be the query
const plane = $("#plane");
const view = new View();
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
let dots = el("canvas", { "aria-hidden": "true" });
const above = el("canvas", { "aria-hidden": "true" });
const peek = el("div", { class: "peek", hidden: true });
plane.append(dots, above, peek);
const painter = choosePainter();
const pictures = new Pictures(above, soon);
const pen = above.getContext("2d");

let points = null;
let by = "label";
let only = null;
let lasso = null;
let taking = false;
let hovered = -1;
let turn = 0;
let waiting = 0;
let calm = 0;
let moving = false;

const dark = () => getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
const codes = () => points[by].codes;
const passes = (i) => only === null || codes()[i] === only;
const size = () => Math.max(3.2, Math.min(13, (points.x.length > 20000 ? 3 : points.x.length > 3000 ? 4.5 : 7) * view.zoom ** 0.3));

// `?paint=webgl` and `?paint=canvas` are for tests and for those who want to compare.
function choosePainter() {
  const wish = new URLSearchParams(location.search).get("paint");
  const found = wish === "canvas" ? null : glPainter(dots, wish === "webgl");
  if (found) return found;
  // A canvas that was asked for WebGL gives nothing else any more.
  const fresh = dots.cloneNode();
  dots.replaceWith(fresh);
  dots = fresh;
  return flatPainter(dots);
}

function soon() {
  waiting ||= requestAnimationFrame(draw);
}

function moved() {
  moving = true;
  clearTimeout(calm);
  calm = setTimeout(() => { moving = false; soon(); }, 140);
  peek.hidden = true;
  soon();
}

function draw() {
  waiting = 0;
  if (!points) return;
  const ratio = Math.min(2, devicePixelRatio || 1);
  painter.draw(view, size(), ratio);
  const isDark = dark();
  pictures.draw({ view, points, passes, colour: (i) => css(colourOf(codes()[i], isDark)), ratio, moving });
  if (lasso) drawLasso();
  else if (hovered >= 0) ring(hovered);
}

function drawLasso() {
  pen.beginPath();
  for (let i = 0; i < lasso.length; i += 2) pen.lineTo(lasso[i], lasso[i + 1]);
  pen.closePath();
  const colour = getComputedStyle(plane).getPropertyValue("--accent");
  pen.fillStyle = pen.strokeStyle = getComputedStyle($(".brand svg")).color || colour;
  pen.globalAlpha = 0.14;
  pen.fill();
  pen.globalAlpha = 1;
  pen.lineWidth = 2;
  pen.setLineDash([6, 4]);
  pen.stroke();
  pen.setLineDash([]);
}

function ring(i) {
  const [x, y] = view.toScreen(points.x[i], points.y[i]);
  pen.beginPath();
  pen.arc(x, y, size() / 2 + 4, 0, 7);
  pen.lineWidth = 2.5;
  pen.strokeStyle = getComputedStyle(document.body).color;
  pen.stroke();
}

function resized() {
  const { width, height } = plane.getBoundingClientRect();
  const ratio = Math.min(2, devicePixelRatio || 1);
  for (const canvas of [dots, above]) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  view.size(width, height);
  draw();
}

function recolour() {
  if (!points) return;
  painter.colours(coloursOf(codes(), dark(), only, points.x.length > 20000 ? 175 : 225));
  drawLegend();
  soon();
}

function drawLegend() {
  const isDark = dark();
  const { names, counts } = points[by];
  fill($("#legend"), names.slice(0, 60).map((name, code) => el("li", {}, el("button", { type: "button", title: by === "label" ? name : "", "aria-pressed": String(only === code), onclick: () => { only = only === code ? null : code; recolour(); } },
    el("i", { style: { background: css(colourOf(code, isDark)) } }), el("span", { class: "name" }, by === "cluster" ? `Cluster ${Number(name) + 1}` : name), el("span", { class: "many" }, count(counts[code]))))));
  for (const button of $$("#by button")) {
    button.disabled = !points[button.dataset.by].names.length;
    button.setAttribute("aria-pressed", String(button.dataset.by === by));
  }
}

worker.onmessage = ({ data }) => {
  if (data.told === "problem") return fill($("#state"), problemBox(data, load));
  if (data.told === "taken") return showTaken(data.ids);
  if (data.told === "near") { if (data.turn === turn) point(data.at); return undefined; }
  points = data;
  plane.setAttribute("aria-busy", "false");
  if (!points.ids.length) return fill($("#state"), stateBox("map", "Nothing to map yet", "The gallery holds no image so far. Index its folder first.", [["Go to the jobs", "/jobs", true]]));
  fill($("#state"));
  if (!points[by].names.length) by = by === "label" ? "cluster" : "label";
  only = null;
  painter.points(points.x, points.y);
  recolour();
  $("#how").textContent = points.method === "pca" ? "Principal components." : `Laid out by ${points.method === "opentsne" ? "t-SNE" : points.method}.`;
  if (points.missing) $("#how").textContent += ` ${items(points.missing)} came later.`;
  if (!points.ready) gallery().then((info) => { if (info.extras?.maps !== false && !info.indexing) better(); }, () => {});
  return undefined;
};

// The first layout is there at once; the finer one takes its place when it is ready.
let improving = false;
async function better() {
  if (improving) return;
  improving = true;
  try {
    const job = await startJob("layout");
    follow(job, (now) => { $("#how").textContent = `Principal components. ${progressText(now)}`; }, (last) => { if (last.state === "done") load(); else $("#how").textContent = "Principal components."; });
  } catch (error) {
    $("#how").textContent = `Principal components. ${error.message}`;
  }
}

function load() {
  worker.postMessage({ ask: "load", address: address("/layout") });
}

async function point(i) {
  hovered = i;
  plane.classList.toggle("pointing", i >= 0 && !taking);
  soon();
  if (i < 0) { peek.hidden = true; return; }
  const id = points.ids[i];
  const [x, y] = view.toScreen(points.x[i], points.y[i]);
  const label = points.label.names[points.label.codes[i]] || "";
  fill(peek, el("img", { src: `${address(`/images/${id}/thumbnail`)}?side=256`, alt: "" }), el("b", {}, "…"), el("span", {}, label));
  peek.hidden = false;
  peek.style.left = `${x + 214 > view.width ? x - 208 : x + 18}px`;
  peek.style.top = `${Math.max(8, Math.min(view.height - 216, y - 90))}px`;
  const image = await get(`/images/${id}`).catch(() => null);
  if (hovered === i && image) $("b", peek).textContent = baseName(image.name);
}

function near(px, py) {
  const [x, y] = view.toPlane(px, py);
  turn += 1;
  worker.postMessage({ ask: "near", turn, x, y, reach: 14 / view.scale, only: only === null ? null : { by, code: only } });
}

listen(plane, {
  move: (dx, dy) => { view.move(dx, dy); moved(); },
  zoom: (factor, x, y) => { view.zoomAt(factor, x, y); moved(); },
  hover: (x, y) => { if (!points) return; if (x === null) { turn += 1; point(-1); } else near(x, y); },
  click: () => { if (hovered >= 0) location.assign(`/?like=${points.ids[hovered]}`); },
  lasso: (path, done) => {
    lasso = done ? null : path;
    soon();
    if (done && path && points) take(path);
    if (done) setLasso(false);
  },
}, () => taking);

function take(path) {
  const polygon = [];
  for (let i = 0; i < path.length; i += 2) polygon.push(...view.toPlane(path[i], path[i + 1]));
  worker.postMessage({ ask: "lasso", polygon, only: only === null ? null : { by, code: only } });
}

async function showTaken(ids) {
  const panel = $("#taken");
  panel.hidden = false;
  $("#many").textContent = ids.length > SHOWN ? `${items(ids.length)}, the first ${SHOWN} shown` : items(ids.length);
  const query = Array.from({ length: Math.min(LIKE, ids.length) }, (_, i) => ids[Math.floor((i * ids.length) / Math.min(LIKE, ids.length))]);
  $("#like").href = `/?like=${query.join(",")}`;
  $("#like").hidden = !ids.length;
  fill($("#chosen"));
  if (!ids.length) return;
  const { images } = await post("/images", { ids: Array.from(ids.slice(0, SHOWN)) });
  fill($("#chosen"), images.map((image) => el("li", {}, el("a", { href: `/?like=${image.id}`, title: image.name, "aria-label": `Search with ${image.name}` }, el("img", { src: image.thumbnail, alt: "", loading: "lazy", decoding: "async" })))));
}

function setLasso(on) {
  taking = on;
  $("#lasso").setAttribute("aria-pressed", String(on));
  plane.classList.toggle("lasso", on);
}

const commands = {
  l: () => setLasso(!taking),
  "+": () => { view.zoomAt(1.4); moved(); }, "=": () => { view.zoomAt(1.4); moved(); }, "-": () => { view.zoomAt(1 / 1.4); moved(); },
  0: () => { view.reset(); moved(); },
  p: () => { pictures.on = !pictures.on; $("#pictures").setAttribute("aria-pressed", String(pictures.on)); soon(); },
  s: () => take([0, 0, view.width, 0, view.width, view.height, 0, view.height]),
  ArrowLeft: () => { view.move(60, 0); moved(); }, ArrowRight: () => { view.move(-60, 0); moved(); },
  ArrowUp: () => { view.move(0, 60); moved(); }, ArrowDown: () => { view.move(0, -60); moved(); },
  Escape: () => { if (taking) setLasso(false); else $("#taken").hidden = true; },
};
document.addEventListener("keydown", (event) => {
  const run = forPage(event) && commands[event.key];
  if (!run || (event.key.startsWith("Arrow") && document.activeElement !== plane && document.activeElement !== document.body)) return;
  event.preventDefault();
  run();
});
for (const [id, key] of [["lasso", "l"], ["plus", "+"], ["minus", "-"], ["fit", "0"], ["pictures", "p"], ["drop", "Escape"]]) $(`#${id}`).addEventListener("click", () => commands[key]());
for (const button of $$("#by button")) button.addEventListener("click", () => { by = button.dataset.by; only = null; recolour(); });
document.addEventListener("theme", recolour);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
new ResizeObserver(resized).observe(plane);
startShell([["l", "Lasso"], ["s", "Take what is in view"], ["+ −", "Zoom"], ["0", "Show everything"], ["p", "Pictures on or off"], ["← ↑ ↓ →", "Move"]]);
load();
