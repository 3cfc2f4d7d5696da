// One unit of the network: the images of the gallery that it answers to most.
import { $, el, fill } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { baseName } from "../lib/format.js";
import { startJob } from "../lib/jobs.js";
import { progressCard } from "../lib/progress-card.js";
import { forPage, startShell } from "../lib/shell.js";
import { extraBox, problemBox, stateBox } from "../lib/state.js";

const query = new URLSearchParams(location.search);
const layer = query.get("layer") || "";
const unit = Number(query.get("unit") || 0);
const named = layer && Number.isInteger(unit) && unit >= 0;
const addressOf = (other) => `/unit?${new URLSearchParams({ layer, unit: other })}`;

async function show() {
  if (!named) return fill($("#state"), stateBox("inside", "The address names no channel", "Choose an image to see the channels of each layer; each is a link to its page.", [["Inside an image", "/image", true]]));
  $("#title").textContent = `Channel ${unit} of ${layer}`;
  document.title = `${$("#title").textContent} · featurelens`;
  $("#before").href = addressOf(Math.max(0, unit - 1));
  $("#after").href = addressOf(unit + 1);
  fill($("#state"));
  try {
    const said = await get(`/layers/${encodeURIComponent(layer)}/units/${unit}`);
    if (!said.images?.length && said.job_kind) return notYet();
    $("#after").hidden = said.units !== undefined && unit + 1 >= said.units;
    $("#before").hidden = unit === 0;
    $("#actions").hidden = false;
    const best = said.images[0]?.answer;
    $("#sub").textContent = best > 0 || said.active > 0 ? `It answers to ${Math.round(100 * said.active)} % of the images; below are those it answers to most.` : "This unit never answers in this gallery.";
    fill($("#answers"), said.images.map((image) => el("li", {}, el("a", { href: `/image/${image.id}`, title: image.name },
      el("img", { src: image.thumbnail, alt: "", loading: "lazy" }), el("b", {}, image.answer.toPrecision(3)), ` · ${baseName(image.name)}`))));
  } catch (error) {
    if (error.body?.extra) fill($("#state"), extraBox("A look at units", error.body.extra));
    else if (error.body?.job_kind) notYet();
    else fill($("#state"), problemBox(error, error.status ? null : show));
  }
}

function notYet() {
  fill($("#state"), stateBox("inside", "The units have not been looked at yet", "All images go through the network once, and the strongest answers of every unit are kept until the service ends.", [["Look at all units", run, true]]));
}

async function run() {
  try {
    const job = await startJob("units");
    fill($("#state"), progressCard(job, { onend: (last) => { if (last.state === "done") show(); } }));
  } catch (error) {
    fill($("#state"), problemBox(error, run));
  }
}

document.addEventListener("keydown", (event) => {
  if (!named || !forPage(event)) return;
  if (event.key === "ArrowRight" && !$("#after").hidden) location.assign(addressOf(unit + 1));
  if (event.key === "ArrowLeft" && unit > 0) location.assign(addressOf(unit - 1));
});
startShell([["← →", "Channel before, next channel"]]);
show();
