// Why two pictures match: one address for each pair.
import { $, $$, el, fill } from "../lib/dom.js";
import { address, gallery, get, post } from "../lib/api.js";
import { similarity } from "../lib/format.js";
import { forPage, startShell } from "../lib/shell.js";
import { engineBox, extraBox, problemBox } from "../lib/state.js";
import { Pair } from "./pair.js";
import { matchWords, methodName, textWords, trustWords } from "./words.js";

const pair = new Pair($("#pair"));
let now = readAddress();
let hits = [];
let loading = 0;

function readAddress() {
  const query = new URLSearchParams(location.search);
  const number = (name) => (/^\d+$/.test(query.get(name) || "") ? Number(query.get(name)) : null);
  return { text: query.get("text") || "", upload: query.get("upload"), like: number("like"), id: number("id"), method: query.get("method") || "similarity" };
}

function addressOf({ text, upload, like, id, method }) {
  const query = new URLSearchParams(text ? { text, id } : upload ? { upload, id } : { like, id });
  if (method !== "similarity") query.set("method", method);
  return `/why?${query}`;
}

const queryOf = () => (now.upload ? { upload: now.upload } : { id: now.like });
const searchAddress = () => (now.text ? `/?${new URLSearchParams({ text: now.text })}` : now.upload ? `/?upload=${encodeURIComponent(now.upload)}` : `/?like=${now.like}`);

function go(changes) {
  now = { ...now, ...changes };
  history.pushState({}, "", addressOf(now));
  return show();
}

async function show() {
  const mine = ++loading;
  $("#back").href = searchAddress();
  $("#pair").setAttribute("aria-busy", "true");
  markStrip();
  try {
    if (now.text) return await showWords(mine);
    const info = await gallery();
    drawMethods(info);
    const [query, hit] = await Promise.all([
      now.upload ? { name: "Your picture", picture: `${address(`/uploads/${now.upload}/thumbnail`)}?side=512` } : get(`/images/${now.like}`), get(`/images/${now.id}`)]);
    if (mine !== loading) return;
    names = [{ role: "Query", name: query.name }, { role: "Match", name: hit.name }];
    await (now.method === "similarity" ? showMatch(mine) : showMethod(mine));
  } catch (error) {
    if (mine === loading) fail(error);
  } finally {
    if (mine === loading) $("#pair").setAttribute("aria-busy", "false");
  }
}

let names = [];
let match = null;
let matched = "";

async function showMatch(mine) {
  const key = JSON.stringify([queryOf(), now.id]);
  if (matched !== key) match = await post("/match", { query: queryOf(), id: now.id });
  if (mine !== loading) return;
  matched = key;
  const info = await gallery();
  $("#value").textContent = similarity(match.similarity);
  pair.pictures([{ ...names[0], picture: match.a.picture }, { ...names[1], picture: match.b.picture }]);
  pair.maps(match.a, match.b, match.lines, info.fit ? info.fit.cols / info.fit.rows : 1);
  fill($("#words"), matchWords(match, info.nothing_matches_below));
  $("#lines").disabled = false;
  fill($("#verdict"));
}

// Words have no picture: one map, of where they apply.
async function showWords(mine) {
  const [hit, found] = await Promise.all([get(`/images/${now.id}`), post("/match-text", { text: now.text, id: now.id })]);
  if (mine !== loading) return;
  $("#title").textContent = `Why does it match “${now.text}”?`;
  $("#value").textContent = similarity(found.similarity);
  pair.single({ role: "Match", name: hit.name, picture: found.map.picture }, found.map);
  fill($("#words"), textWords(found));
  $("#lines").closest("label").hidden = true;
  $("#methods").closest("section").hidden = true;
}

// A gradient method answers for one picture at a time: what in it makes it like the other?
async function showMethod(mine) {
  if (matched !== JSON.stringify([queryOf(), now.id])) await showMatch(mine);
  fill($("#verdict"), el("p", { class: "soft" }, `${methodName(now.method)} runs, with its checks …`));
  const [b, a] = await Promise.all([
    post("/explain", { query: queryOf(), id: now.id, method: now.method, check: true }),
    now.upload ? null : post("/explain", { query: { id: now.id }, id: now.like, method: now.method, check: false }),
  ]);
  if (mine !== loading) return;
  pair.maps(a?.map ?? null, b.map, []);
  $("#lines").disabled = true;
  fill($("#verdict"), trustWords(b.trust));
}

function drawMethods(info) {
  const lab = info.extras?.lab && info.methods?.length;
  const all = ["similarity", ...(lab ? info.methods : [])];
  fill($("#methods"), all.map((method) => el("button", { type: "button", "aria-pressed": String(method === now.method), onclick: () => go({ method }) }, methodName(method))));
  const what = "Every other method (Grad-CAM, integrated gradients, …)";
  if (!lab) $("#methods").after($("#extra") || el("div", { id: "extra" }, info.extras?.lab ? engineBox(what, info.backbone) : extraBox(what)));
}

function fail(error) {
  if (error.body?.extra) return fill($("#verdict"), extraBox(methodName(now.method), error.body.extra));
  if (now.method !== "similarity") return fill($("#verdict"), el("p", {}, error.message));
  fill($("#words"), problemBox(error, error.status ? null : show));
  return pair.maps(null, null);
}

async function loadStrip() {
  const said = await post("/search", { ...(now.text ? { text: now.text } : now.upload ? { upload: now.upload } : { ids: [now.like] }), k: 25 });
  hits = said.hits.filter((hit) => hit.id !== now.like);
  fill($("#strip"), hits.map((hit) => el("li", {}, el("a", {
    href: addressOf({ ...now, id: hit.id }), data: { id: hit.id }, title: hit.name, "aria-label": `${hit.name}, similarity ${similarity(hit.similarity)}`,
    onclick: (event) => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); go({ id: hit.id }); },
  }, el("img", { src: hit.thumbnail, alt: "", loading: "lazy" }), similarity(hit.similarity)))));
  markStrip();
}

function markStrip() {
  for (const link of $$("#strip a")) {
    const here = Number(link.dataset.id) === now.id;
    if (here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (here) intoStrip(link);
  }
}

/** Bring a match into sight sideways; the page stays where it is. */
function intoStrip(link) {
  const strip = $("#strip"), there = strip.getBoundingClientRect(), at = link.getBoundingClientRect();
  if (at.left < there.left) strip.scrollLeft -= there.left - at.left;
  else if (at.right > there.right) strip.scrollLeft += at.right - there.right;
}

function step(by) {
  const at = hits.findIndex((hit) => hit.id === now.id);
  const next = hits[at + by];
  if (next) go({ id: next.id });
}

for (const button of $$("#looks button")) button.addEventListener("click", () => {
  pair.look = button.dataset.look;
  for (const other of $$("#looks button")) other.setAttribute("aria-pressed", String(other === button));
  pair.draw();
});
const lines = $("#lines");
const drawLines = () => { pair.count = Number(lines.value); $("#many").textContent = lines.value; pair.wire(); };
lines.addEventListener("input", drawLines);
drawLines();
addEventListener("popstate", () => { now = readAddress(); show(); });
document.addEventListener("keydown", (event) => {
  if (!forPage(event)) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); step(event.key === "ArrowRight" ? 1 : -1); }
  else if (event.key === "Escape") location.assign(searchAddress());
});
startShell([["← →", "Other matches"], ["Esc", "Back to all matches"]]);
if (now.id === null || (!now.text && !now.upload && now.like === null)) fail(Object.assign(new Error("The address names no two pictures: search, then choose “Why does it match?” on a result."), { status: 404 }));
else { show(); loadStrip().catch(() => {}); }
