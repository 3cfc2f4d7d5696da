// One image through the network: its layers from edges to parts, and what made the network answer.
import { $, $$, el, fill } from "../lib/dom.js";
import { address, gallery, get } from "../lib/api.js";
import { baseName, count, shortName } from "../lib/format.js";
import { PagesOfImages } from "../lib/pages-of-images.js";
import { startShell } from "../lib/shell.js";
import { engineBox, extraBox, problemBox } from "../lib/state.js";
import { tileMaker } from "../lib/tile.js";
import { VirtualGrid } from "../lib/virtual-grid.js";
import { Attributions } from "./attributions.js";

const SHOWN = 15;
const id = Number(location.pathname.split("/")[2] || NaN);
let layers = [];
let attributions = null;
let units = false;   // whether a channel has a page of its own
let over = "0";

async function choose() {
  $("#choose").hidden = false;
  const pages = new PagesOfImages({ onpage: (first, last) => grid.filled(first, last) });
  const grid = new VirtualGrid($("#grid"), { tile: tileMaker({ href: (item) => `/image/${item.id}` }), need: pages.need });
  try {
    await pages.start();
    grid.set({ count: pages.total, itemAt: pages.itemAt });
  } catch (error) {
    fill($("#state"), problemBox(error, () => location.reload()));
  }
}

async function show() {
  $("#inside").hidden = false;
  try {
    const [info, image] = await Promise.all([gallery(), get(`/images/${id}`)]);
    document.title = `${baseName(image.name)} · Inside · featurelens`;
    $("#picture").src = `${address(`/images/${id}/thumbnail`)}?side=512`;
    $("#picture").alt = image.name;
    $("#original").href = address(`/images/${id}/file`);
    $("#original").title = "Open the original";
    $("#name").textContent = image.name;
    $("#similar").href = `/?like=${id}`;
    const facts = [["Label", image.label], ["Size", image.width ? `${count(image.width)} × ${count(image.height)} pixels` : null], ["Network", shortName(info.backbone)], ["Id", String(id)]];
    fill($("#facts"), facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    if (!info.extras?.lab) {
      fill($("#layers"), extraBox("A look at the layers"));
      fill($("#maps"), extraBox("Attribution"));
      $("#over").hidden = true;
      return;
    }
    if (info.methods?.length) attributions = new Attributions($("#methods"), $("#maps"), id, info.methods);
    else fill($("#maps"), engineBox("Attribution", info.backbone));
    if (!(info.layers ?? info.methods?.length)) {
      fill($("#layers"), engineBox("A look at the layers", info.backbone));
      $("#over").hidden = true;
      return;
    }
    units = Boolean(info.methods?.length);
    await loadLayers();
    attributions?.watch();
  } catch (error) {
    if (error.status === 404) $("#inside").hidden = true;
    fill(error.status === 404 ? $("#state") : $("#layers"), error.body?.extra ? extraBox("A look at the layers", error.body.extra) : problemBox(error));
  } finally {
    $("#layers").setAttribute("aria-busy", "false");
  }
}

async function loadLayers() {
  fill($("#layers"), el("div", { class: "tiles" }, Array.from({ length: 8 }, () => el("div", { class: "skeleton", style: { "aspect-ratio": "1" } }))));
  ({ layers } = await get(`/images/${id}/layers`));
  if (layers.length === 1) $("#layers-title").textContent = "What the network sees";
  fill($("#layers"), layers.map((layer, depth) => section(layer, depth)));
}

function section(layer, depth) {
  const where = layers.length === 1 ? "the map it compares with" : depth === 0 ? "edges and colours" : depth === layers.length - 1 ? "parts and wholes" : depth < layers.length / 2 ? "textures" : "patterns";
  const tiles = el("ul", { class: "tiles" });
  fillTiles(tiles, layer);
  return el("div", { class: "layer" }, el("div", { class: "first" }, el("span", { class: "depth" }, where), el("b", {}, layer.name),
    el("span", { class: "soft" }, `${count(layer.channels)} channels at ${layer.rows} × ${layer.cols}${layer.silent ? `, ${count(layer.silent)} silent` : ""}`)), tiles);
}

function fillTiles(tiles, layer) {
  const base = `${address(`/images/${id}/layers/`)}${encodeURIComponent(layer.name)}`;
  tiles.classList.toggle("by-itself", over === "0");
  const colours = el("li", {}, el("span", {}, el("img", { src: `${base}/colours.png`, alt: `Main directions of ${layer.name}`, loading: "lazy" }), "main directions"));
  const shown = layer.strongest.slice(0, SHOWN);
  fill(tiles, colours, shown.map(({ channel, peak }) => el("li", {}, el(units ? "a" : "span", units ? { href: `/unit?${new URLSearchParams({ layer: layer.name, unit: channel })}`, title: `Its largest answer here is ${peak.toPrecision(3)}. Which images drive it most?` } : {},
    el("img", { src: `${base}/channels/${channel}.png?over=${over}`, alt: `Channel ${channel} of ${layer.name}`, loading: "lazy" }), `channel ${channel}`))));
}

for (const button of $$("#over button")) button.addEventListener("click", () => {
  over = button.dataset.over;
  for (const other of $$("#over button")) other.setAttribute("aria-pressed", String(other === button));
  $$("#layers .tiles").forEach((tiles, i) => fillTiles(tiles, layers[i]));
});
startShell([["← ↑ ↓ →", "Move in the grid"], ["Enter", "Look inside"]]);
if (Number.isInteger(id)) show();
else choose();
