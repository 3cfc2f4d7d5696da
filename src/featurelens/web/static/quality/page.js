// The quality of the gallery's features: measured as a job, each score with its interval and what chance gives.
import { $, el, fill } from "../lib/dom.js";
import { gallery, get } from "../lib/api.js";
import { count, things, when } from "../lib/format.js";
import { startJob } from "../lib/jobs.js";
import { progressCard } from "../lib/progress-card.js";
import { startShell, toast } from "../lib/shell.js";
import { extraBox, problemBox, stateBox } from "../lib/state.js";

const HEADS = { two_labels: "One picture under two labels", leaks: "Near-copies on both sides of the test", copies: "Near-copies", suspect: "Labels that look wrong" };

async function load() {
  fill($("#state"));
  try {
    const said = await get("/quality");
    if (!said.made) return nothingYet();
    return show(said);
  } catch (error) {
    if (error.body?.extra) return fill($("#state"), extraBox("The assessment", error.body.extra));
    if (error.status === 404) return nothingYet();
    return fill($("#state"), problemBox(error, load));
  }
}

async function nothingYet() {
  const info = await gallery().catch(() => ({}));
  if (info.extras && !info.extras.lab) return fill($("#state"), extraBox("The assessment"));
  const text = `Are ${things()} of one label closer together than chance? Do the features use their ${info.dim ? count(info.dim) : ""} dimensions? How stable are they? It takes a minute or two.`;
  return fill($("#state"), stateBox("quality", "Not measured yet", text, [["Measure the quality", run, true]]));
}

async function run() {
  fill($("#state"));
  try {
    const job = await startJob("assess");
    fill($("#progress"), progressCard(job, { onend: (last) => { if (last.state === "done") fill($("#progress")); load(); } }));
  } catch (error) {
    if (error.body?.extra) return void fill($("#state"), extraBox("The assessment", error.body.extra));
    toast(error.message, { stay: 9000 });
    load();
  }
}

function show(said) {
  $("#actions").hidden = false;
  $("#report").hidden = !said.report;
  if (said.report) $("#report").href = said.report;
  $("#sub").textContent = `Measured ${when(said.made)}. Every score with its 95 % interval, and what chance would give.`;
  fill($("#result"),
    said.answer ? el("p", { class: "answer" }, said.answer) : null,
    el("section", { "aria-label": "Scores" }, el("h2", {}, "Scores"), el("div", { class: "scores" }, said.scores.filter((one) => typeof one.value === "number").map(score)), undefinedOnes(said.scores)),
    findings(said.findings));
}

function undefinedOnes(scores) {
  const left = scores.filter((one) => typeof one.value !== "number");
  if (!left.length) return null;
  return el("details", { class: "small soft" }, el("summary", {}, `${left.length} not defined for this gallery`),
    el("ul", {}, left.map((one) => el("li", {}, `${sentence(one.name)}: ${one.undefined || "no value"}`))));
}

// Images that a person should look at: one picture under two labels, copies, labels that look wrong.
function findings(all) {
  if (!all.length) return el("section", { "aria-label": "Findings" }, el("h2", {}, "To look at"), el("p", { class: "soft small" }, "Nothing stands out: no copies under different labels, no labels that look wrong."));
  const kinds = Map.groupBy(all, (one) => one.kind);
  return el("section", { "aria-label": "Findings" }, el("h2", {}, "To look at"), [...kinds].map(([kind, ones]) => el("div", { class: "findings" },
    el("h3", {}, HEADS[kind] || kind, el("span", { class: "chip" }, count(ones.length))), el("ul", {}, ones.map(finding)))));
}

function finding({ kind, words, images }) {
  return el("li", { class: "card finding" }, el("div", { class: "pictures" }, images.map((image) => (image.id === null
    ? el("span", { class: "small soft" }, image.name)
    : el("a", { href: images.length === 2 ? `/why?like=${images[0].id}&id=${images[1].id}` : `/?like=${image.id}`, title: image.name },
      el("img", { src: image.thumbnail, alt: image.name, loading: "lazy", decoding: "async" }))))),
  el("p", {}, kind === "suspect" ? words : images.map((image) => image.name).join(" and ")));
}

function score(one) {
  const [low, high] = ends(one);
  const at = (value) => `${Math.max(0, Math.min(100, (100 * (value - low)) / (high - low)))}%`;
  const known = typeof one.low === "number" && typeof one.high === "number";
  const chance = typeof one.chance === "number";
  const better = { higher: "higher is better", lower: "lower is better" }[one.better];
  const words = [known ? `95 % interval ${number(one.low)} to ${number(one.high)}` : null, chance ? `chance gives ${number(one.chance)}` : null, better].filter(Boolean).join("; ");
  return el("article", { class: "card score" }, el("h3", {}, sentence(one.name), el("b", {}, number(one.value), one.unit ? ` ${one.unit}` : "")),
    el("div", { class: "range", "aria-hidden": "true" },
      chance ? el("span", { class: "chance", style: { left: at(one.chance) } }) : null,
      known ? el("span", { class: "span", style: { left: at(one.low), width: `calc(${at(one.high)} - ${at(one.low)})` } }) : null,
      el("span", { class: "dot", style: { left: at(one.value) } })),
    el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, number(low)), el("span", {}, number(high))),
    words ? el("p", {}, `${sentence(words)}.`) : null,
    one.words ? el("details", {}, el("summary", {}, "How it is measured"), el("p", {}, `${sentence(one.words)}.`)) : null);
}

// The scale of a score: 0 to 1 where that is its nature, else from what is known.
function ends(one) {
  const all = [one.value, one.low, one.high, one.chance].filter((value) => typeof value === "number");
  const [low, high] = [Math.min(...all), Math.max(...all)];
  if (low >= 0 && high <= 1) return [0, 1];
  if (low >= -1 && high <= 1) return [-1, 1];
  return [-nice(-low), nice(high)];
}

// The next of 1, 2, 5, 10, 20, ... at or above a value; 0 for what lies below.
function nice(value) {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5].map((one) => one * power).find((one) => one >= value) ?? 10 * power;
}

const number = (value) => (Math.abs(value) >= 100 || Number.isInteger(value) ? count(Math.round(value)) : value.toPrecision(3)).replace("-", "−");
// "mAP" and "kNN" keep their letters.
const sentence = (text) => (/^[a-z]+\b/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);

$("#again").addEventListener("click", run);
startShell();
load();
