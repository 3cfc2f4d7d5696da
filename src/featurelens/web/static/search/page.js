// The search page: its state is its address; everything else follows from it.
import { $, $$, el, fill } from "../lib/dom.js";
import { gallery, upload } from "../lib/api.js";
import { count, things } from "../lib/format.js";
import { openMenu } from "../lib/menu.js";
import { forPage, sayWhere, startShell, toast } from "../lib/shell.js";
import { problemBox } from "../lib/state.js";
import { tileMaker } from "../lib/tile.js";
import { VirtualGrid } from "../lib/virtual-grid.js";
import { listenForPictures } from "./bring.js";
import { picturesOf, remember, rememberUpload } from "./pictures.js";
import { drawQuery } from "./query-card.js";
import { Results } from "./results.js";
import { addressOf, hasPictures, hasQuery, readState } from "./state.js";
import { Threshold } from "./threshold.js";

const nothing = { text: "", like: [], unlike: [], upload: null, box: null, concepts: [], min: null };
const wide = matchMedia("(min-width: 901px)");
let state = readState();
let info = null;
let shows = 0;
let sending = new AbortController();
let settled = false;   // whether what the address says is on the page, so that the place in it means something

// Concepts alone have no picture and no words to compare with.
const hasWhy = () => Boolean(state.text) || hasPictures(state);
const whyOf = (item) => `/why?${new URLSearchParams(!hasPictures(state) && state.text ? { text: state.text, id: item.id } : state.upload ? { upload: state.upload, id: item.id } : { like: state.like[0] ?? item.id, id: item.id })}`;
const actions = {
  more: (item) => change({ like: [...new Set([...state.like, item.id])], unlike: state.unlike.filter((id) => id !== item.id), box: null, min: null }),
  less: (item) => change({ unlike: [...new Set([...state.unlike, item.id])], like: state.like.filter((id) => id !== item.id), box: null, min: null }),
  why: (item) => location.assign(whyOf(item)),
  inside: (item) => location.assign(`/image/${item.id}`),
  open: (item) => window.open(`/api/v1/images/${item.id}/file`, "_blank", "noopener"),
  only: (item) => change({ ...nothing, like: [item.id] }),
};

function menu(item, button) {
  openMenu(button, [
    { icon: "search", text: "Search with this", run: () => actions.only(item) },
    hasWhy() ? { icon: "why", text: "Why does it match?", key: "w", run: () => actions.why(item) } : null,
    { icon: "plus", text: "More like this", key: "+", run: () => actions.more(item) },
    { icon: "minus", text: "Less like this", key: "−", run: () => actions.less(item) },
    { icon: "inside", text: "Through the network", key: "i", run: () => actions.inside(item) },
    { icon: "open", text: "Open the original", key: "o", run: () => actions.open(item) },
  ].filter(Boolean));
}

const tile = tileMaker({
  href: (item) => addressOf({ ...state, ...nothing, like: [item.id] }),
  onpick: (item) => actions.only(item),
  actions: [
    { icon: "plus", text: "More like this", run: (item) => actions.more(item) },
    { icon: "minus", text: "Less like this", run: (item) => actions.less(item) },
    { icon: "more", text: "More actions", run: menu, always: true },
  ],
  decorate: (root, item) => remember(item),
});
const grid = new VirtualGrid($("#grid"), { tile, width: storedSize(), onkey: onTileKey });
const results = new Results(grid, {
  onhits: (hits, line) => { threshold.set(hits, line, state.min); },
  onshow: (changes) => change(changes),
});
const threshold = new Threshold($("#threshold"), (min, done) => {
  state = { ...state, min };
  results.threshold(min);
  if (done) history.replaceState(history.state, "", addressOf(state));
  showLimited();
});
const bring = listenForPictures({ onfile: takeFile, onrefuse: toast });

function onTileKey(event, item) {
  if (!item) return;
  const run = { "+": "more", "=": "more", "-": "less", w: hasWhy() ? "why" : null, i: "inside", o: "open" }[event.key];
  if (!run) return;
  event.preventDefault();
  actions[run](item);
}

async function takeFile(file) {
  sending.abort();   // the picture that was brought last counts, not the one that arrives last
  const mine = sending = new AbortController();
  $("#sub").textContent = "Sending the picture …";
  try {
    const said = await upload(file, { signal: mine.signal });
    if (mine.signal.aborted) return;
    rememberUpload(said.upload, file.name || "Pasted picture", said.thumbnail);
    change({ upload: said.upload, like: [], unlike: [], box: null, min: null });   // words stay: like this, but …
  } catch (error) {
    if (mine.signal.aborted) return;
    toast(error.message, { stay: 9000 });
    $("#sub").textContent = "";
    show();
  }
}

/** Go to another state: a new entry of the history. */
function change(changes) {
  keepPlace();
  const before = state.concepts;
  state = { ...state, ...changes };
  const sameQuery = Object.keys(changes).every((key) => key === "min");
  const moved = Object.keys(changes).every((key) => key === "min" || key === "concepts") && sameNumbers(changes.concepts, before);
  history[sameQuery || moved ? "replaceState" : "pushState"]({}, "", addressOf(state));
  if (!sameQuery) scrollTo({ top: 0 });
  return show();
}

// A slider that was moved is the same query with another weight: the way back leads to before the first move.
function sameNumbers(after, before) {
  return after !== undefined && after.length === before.length && after.every(([number], i) => number === before[i][0]);
}

async function show() {
  const mine = ++shows;
  const y = history.state?.y;
  settled = false;
  $("#path").value = state.path;
  $("#label").value = state.label;
  $("#text").value = state.text;
  showLimited();
  drawCard(new Map());
  const found = results.load(state);
  picturesOf(state).then(drawCard, () => drawQuery($("#query"), readState(""), new Map(), { choose: bring.choose }));
  await found;
  if (mine !== shows) return;
  if (y) scrollTo({ top: y });
  settled = true;
}

function drawCard(pictures) {
  if (!pictures.size && (hasPictures(state) || state.concepts.length)) return;
  drawQuery($("#query"), state, pictures, {
    choose: bring.choose,
    clear: () => change(nothing),
    box: (box) => change({ box, min: null }),
    lead: info?.concepts ? (concepts) => change({ concepts, box: null, min: null }) : null,
    drop: (id) => change(id === "upload" ? { upload: null } : { like: state.like.filter((one) => one !== id), unlike: state.unlike.filter((one) => one !== id) }),
  });
}

function showLimited() {
  const many = [state.path, state.label, state.min !== null].filter(Boolean).length;
  $("#limited").hidden = !many;
  $("#limited").textContent = `${count(many)} set`;
}

// The place in the grid belongs to the entry of the history.
function keepPlace() {
  if (settled) history.replaceState({ ...history.state, y: scrollY }, "");
}

function storedSize() {
  let size = 0;
  try {
    size = Number(localStorage.getItem("featurelens.size"));
  } catch {
    // Storage may be forbidden: the usual size.
  }
  return innerWidth < 480 ? 150 : size || 190;
}

function setUpControls() {
  const sizes = $$("#sizes button");
  const mark = (size) => sizes.forEach((button) => button.setAttribute("aria-pressed", Number(button.dataset.size) === size));
  mark(storedSize());
  for (const button of sizes) button.addEventListener("click", () => {
    try {
      localStorage.setItem("featurelens.size", button.dataset.size);
    } catch {
      // Storage may be forbidden: the choice then lasts for this page.
    }
    mark(Number(button.dataset.size));
    grid.resize(Number(button.dataset.size));
  });
  for (const name of ["path", "label"]) $(`#${name}`).addEventListener("change", (event) => change({ [name]: event.target.value, min: null }));
  const unfold = () => { $("#limits").open = wide.matches || state.path !== "" || state.label !== ""; };
  unfold();
  wide.addEventListener("change", unfold);
  $("#words").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ text: $("#text").value.trim(), box: null, min: null });
  });
  addEventListener("popstate", () => { state = readState(); show(); });
  addEventListener("scrollend", keepPlace);
  addEventListener("pagehide", keepPlace);
  document.addEventListener("keydown", (event) => {
    if (!forPage(event)) return;
    if (event.key === "Escape" && hasQuery(state)) change(nothing);
    else if (event.key === "/") info?.text ? $("#text").focus() : bring.choose();
    else if (event.key === "ArrowDown" && document.activeElement === document.body) grid.focus(grid.first);
    else return;
    event.preventDefault();
  });
  document.addEventListener("job-went-on", () => gallery(true).then(news, () => {}));
  document.addEventListener("job-ended", () => gallery(true).then((now) => { news(now); toast(`${count(now.images)} ${things()} are indexed.`); }, () => {}));
}

// The folder is being indexed: more images, perhaps more folders and labels.
function news(now) {
  info = now;
  sayWhere(now);
  fillFilters();
  results.refresh();
}

function fillFilters() {
  options($("#path"), info.folders, "All folders");
  options($("#label"), info.labels, "All labels");
  $("#path").value = state.path;
  $("#label").value = state.label;
  $("#path").parentElement.hidden = !info.folders.length;
  $("#label").parentElement.hidden = !info.labels.length;
}

function options(select, values, all) {
  fill(select, el("option", { value: "" }, all), values.map((value) => el("option", { value }, value)));
}

history.scrollRestoration = "manual";
setUpControls();
show();
startShell([["← ↑ ↓ →", "Move in the grid"], ["Enter", "Search with the picture"], ["+", "More like this"], ["−", "Less like this"], ["w", "Why does it match?"], ["i", "Through the network"], ["o", "Open the original"], ["/", "Words, or a picture"], ["Esc", "Clear the query"]]);
gallery().then((said) => {
  info = said;
  $("#words").hidden = !said.text;
  fillFilters();
  results.tell();
  if (info.concepts) picturesOf(state).then(drawCard, () => {});
}, (error) => results.nothing(problemBox(error, () => location.reload())));
