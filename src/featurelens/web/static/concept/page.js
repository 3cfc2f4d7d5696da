// One concept: the images where it fires most, how often it fires, in images of which labels, and where it is silent.
import { $, el, fill } from "../lib/dom.js";
import { gallery, get } from "../lib/api.js";
import { bar, purityText, share, shot, titleOf } from "../lib/concepts.js";
import { count, counted, thing, things } from "../lib/format.js";
import { forPage, startShell } from "../lib/shell.js";
import { notice, problemBox, stateBox } from "../lib/state.js";

const MOST = 8;
const number = Number(location.pathname.split("/")[2]);
let last = Infinity;

async function load() {
  fill($("#state"));
  if (!Number.isInteger(number) || number < 0) return fill($("#state"), stateBox("concepts", "There is no such concept", "The address names no concept: they are numbered from 0.", [["All concepts", "/concepts", true]]));
  try {
    const [one] = await Promise.all([get(`/concepts/${number}`), gallery()]);
    show(one);
  } catch (error) {
    if (error.status === 404 || error.body?.job_kind) fill($("#state"), stateBox("concepts", error.status === 404 ? "There is no such concept" : "No concepts yet", error.message, [["All concepts", "/concepts", true]]));
    else fill($("#state"), problemBox(error, load));
  }
}

function show(one) {
  last = one.count - 1;
  document.title = `${titleOf(one)} · featurelens`;
  $("#title").textContent = titleOf(one);
  $("#sub").textContent = `${one.of === "patches" ? `Of places in the ${things()}: each is bright where the concept fires.` : `Of whole ${things()}.`} Numbers hold for one learning only${one.name ? "; the name is a guess from ordinary words" : ""}.`;
  $("#actions").hidden = false;
  $("#search").hidden = !one.searchable || one.frequency === 0;
  $("#search").href = `/?concept=${number}`;
  for (const [id, other] of [["before", number - 1], ["after", number + 1]]) {
    $(`#${id}`).hidden = other < 0 || other > last;
    $(`#${id}`).href = `/concept/${other}`;
  }
  fill($("#notice"), one.strange ? notice("care", one.strange) : null);
  if (one.frequency === 0) return fill($("#state"), stateBox("concepts", "It never fires", `No ${thing()} of the gallery has anything of this concept.`, [["All concepts", "/concepts", true]]));
  $("#concept").hidden = false;
  fill($("#exemplars"), one.exemplars.map((exemplar) => el("li", {}, shot(exemplar, true))));
  return fill($("#about"), el("h2", {}, "How often"), bar(one.frequency), el("p", {}, `Fires in ${share(one.frequency)} of the ${things()}, is silent in ${share(1 - one.frequency)}.`), facts(one), shares(one.labels), silent(one.labels));
}

function facts(one) {
  const rows = [["On average, where it fires", one.strength.toFixed(2)], ["At most", one.exemplars[0].activation.toFixed(2)]];
  if (one.purity) rows.push(["Its exemplars", purityText(one.purity)]);
  return [el("h3", {}, "How strongly"), el("dl", {}, rows.map(([what, value]) => [el("dt", {}, what), el("dd", {}, value)]))];
}

function shares(labels) {
  const some = labels.filter((one) => one.fires).slice(0, MOST);
  if (!some.length) return null;
  return [el("h3", {}, "By label"), el("ul", { class: "shares" }, some.map(({ label, fires, images }) => el("li", {},
    el("div", { class: "first" }, label, el("span", {}, `${count(fires)} of ${count(images)}`)), bar(fires / images))))];
}

function silent(labels) {
  const none = labels.filter((one) => !one.fires).map((one) => one.label);
  if (!none.length) return null;
  const more = none.length - 3 * MOST;
  return [el("h3", {}, `Silent in ${counted(none.length, "label")}`), el("p", {}, none.slice(0, 3 * MOST).join(", "), more > 0 ? ` and ${count(more)} more` : "", ".")];
}

document.addEventListener("keydown", (event) => {
  if (!forPage(event)) return;
  if (event.key === "ArrowRight" && number < last) location.assign(`/concept/${number + 1}`);
  if (event.key === "ArrowLeft" && number > 0) location.assign(`/concept/${number - 1}`);
});
startShell([["← →", "Concept before, next concept"]]);
load();
