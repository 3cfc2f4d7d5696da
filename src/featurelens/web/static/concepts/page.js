// The concepts that were learned: each with the images that fire it most; or how to learn them.
import { $, $$, el, fill, icon } from "../lib/dom.js";
import { gallery, get } from "../lib/api.js";
import { bar, purityText, share, shot, titleOf } from "../lib/concepts.js";
import { count, counted, items, shortName, thing, things, when } from "../lib/format.js";
import { startJob } from "../lib/jobs.js";
import { openMenu } from "../lib/menu.js";
import { progressCard } from "../lib/progress-card.js";
import { startShell, toast } from "../lib/shell.js";
import { extraBox, notice, problemBox, stateBox } from "../lib/state.js";

let said = null;
let lab = true;

async function load() {
  fill($("#state"));
  try {
    const [info, found] = await Promise.all([gallery(), get("/concepts")]);
    said = found;
    lab = info.extras?.lab !== false;
    if (!said.made) return nothingYet();
    return show();
  } catch (error) {
    return fill($("#state"), error.status === 409 ? stateBox("care", "These concepts cannot be read", error.message, ways()) : problemBox(error, load));
  }
}

const ways = () => (lab ? [[`From whole ${things()}`, () => run("pooled"), true], said?.patches ? ["From places in them", () => run("patches")] : null].filter(Boolean) : []);

function nothingYet() {
  if (!lab) return fill($("#state"), extraBox("Learning concepts"), el("p", { class: "small soft" }, "What ", el("code", {}, "featurelens concepts"), " learned elsewhere can be shown and searched with here without it."));
  return fill($("#state"), stateBox("concepts", "No concepts yet", [`A few dozen directions of which every vector is made are learned, without labels: stripes, a pair of shoes, a white background. Each comes with the ${things()} that have most of it. It takes seconds for whole ${things()}, and a look at every ${thing()} for the places in them. `, el("code", {}, "featurelens concepts"), " does the same with more to choose."], ways()));
}

async function run(of) {
  fill($("#state"));
  fill($("#notice"));
  try {
    const job = await startJob("concepts", { of });
    fill($("#progress"), progressCard(job, { onend: (last) => { if (last.state === "done") fill($("#progress")); load(); } }));
  } catch (error) {
    if (error.body?.extra) return void fill($("#state"), extraBox("Learning concepts", error.body.extra));
    toast(error.message, { stay: 9000 });
    load();
  }
}

function show() {
  const dead = said.concepts.filter((one) => one.frequency === 0).length;
  $("#title").textContent = counted(said.concepts.length, "concept");
  $("#sub").textContent = `Learned without labels from ${count(said.vectors)} ${said.of === "patches" ? "places" : "vectors"} of ${items(said.images)} (${shortName(said.backbone)}), ${when(said.made)}. `
    + `At most ${said.active} speak for each; together they make ${Math.max(0, Math.round(100 * said.explained))} % of the variance again.${dead ? ` ${dead} never ${dead === 1 ? "fires" : "fire"}.` : ""}`;
  $("#actions").hidden = false;
  $("#again").hidden = !lab;
  $("#order").hidden = !said.concepts.some((one) => one.purity);
  fill($("#notice"), said.strange ? notice("care", said.strange)
    : said.searchable ? null : notice("", `One can look at these concepts but not search with them: the mean of this network's map is not its vector. Learned from whole ${things()} they can be searched with.`));
  draw(said.concepts);
}

function draw(some) {
  fill($("#concepts"), some.map(card));
}

function card(concept) {
  const text = concept.frequency === 0 ? "Never fires." : [`Fires at ${concept.strength.toFixed(2)} on average`, purityText(concept.purity)].filter(Boolean).join(" · ");
  return el("li", { class: "card", id: `concept-${concept.number}` },
    el("div", { class: "first" }, el("h2", {}, el("a", { href: `/concept/${concept.number}` }, titleOf(concept))), el("b", { title: `Share of the ${things()} in which it fires` }, share(concept.frequency))),
    bar(concept.frequency), el("p", { class: "text" }, text),
    el("div", { class: "three" }, concept.exemplars.map((one) => shot(one))),
    concept.frequency > 0 ? el("div", { class: "row" }, said.searchable ? el("a", { class: "button", href: `/?concept=${concept.number}`, "aria-label": `Search by it: concept ${concept.number}` }, icon("search"), "Search by it") : null,
      el("a", { class: "button", href: `/concept/${concept.number}`, "aria-label": `Look closer: concept ${concept.number}` }, icon("inside"), "Look closer")) : null);
}

for (const button of $$("#order button")) button.addEventListener("click", () => {
  for (const other of $$("#order button")) other.setAttribute("aria-pressed", String(other === button));
  const above = ({ purity }) => (purity ? purity.count / purity.of - purity.chance : -1);
  draw(button.dataset.order === "purity" ? [...said.concepts].sort((a, b) => above(b) - above(a)) : said.concepts);
});
$("#again").addEventListener("click", (event) => {
  if (!said?.patches) return void run("pooled");
  return openMenu(event.currentTarget, [
    { icon: "image", text: `From whole ${things()}`, run: () => run("pooled") },
    { icon: "box", text: "From places in them", run: () => run("patches") },
  ]);
});
startShell();
load();
