// What runs, what ran, what can be started; and the files that were skipped, with their reasons.
import { $, el, fill } from "../lib/dom.js";
import { gallery, get } from "../lib/api.js";
import { count, counted } from "../lib/format.js";
import { startJob } from "../lib/jobs.js";
import { progressCard } from "../lib/progress-card.js";
import { sayWhere, startShell, toast } from "../lib/shell.js";
import { problemBox } from "../lib/state.js";

const KINDS = [
  ["index", "Index the folder", "Finds new, changed and removed files. Only what changed costs work."],
  ["duplicates", "Look for duplicates", "Exact copies and near ones; the list can be exported."],
  ["layout", "Lay out the map", "A finer map of the gallery, kept for the next time."],
  ["concepts", "Learn the concepts", "What the features are made of, each with what has most of it; to search and steer with."],
  ["assess", "Measure the quality", "Every score with its interval and what chance would give."],
];
const STEP = 200;

async function load() {
  fill($("#state"));
  try {
    const { jobs } = await get("/jobs");
    $("#jobs").setAttribute("aria-busy", "false");
    fill($("#jobs"), jobs.length ? jobs.map((job) => progressCard(job, { tag: "li", onend: ended })) : el("li", { class: "soft small" }, "Nothing has run since the service started."));
  } catch (error) {
    fill($("#state"), problemBox(error, load));
  }
}

async function start(kind, button) {
  button.disabled = true;
  try {
    await startJob(kind);
    await load();
  } catch (error) {
    toast(error.message, { stay: 9000 });
  }
  button.disabled = false;
}

function ended(job) {
  if (job.kind === "index") {
    gallery(true).then(sayWhere, () => {});
    loadSkipped();
  }
}

async function loadSkipped() {
  const { skipped } = await get("/skipped");
  $("#skipped-sub").textContent = skipped.length ? `${counted(skipped.length, "file")} could not be indexed: it stops nothing, and each is tried again when it changes.` : "Every file could be indexed.";
  const list = el("ul", { class: "skipped" });
  let drawn = 0;
  const more = el("button", { type: "button", onclick: draw });
  function draw() {
    for (const one of skipped.slice(drawn, drawn + STEP)) list.append(el("li", {}, el("b", {}, one.name), el("span", { class: "soft" }, one.reason)));
    drawn = Math.min(skipped.length, drawn + STEP);
    more.hidden = drawn >= skipped.length;
    more.textContent = `Show more (${count(skipped.length - drawn)} left)`;
  }
  draw();
  fill($("#skipped"), skipped.length ? [list, more] : null);
}

fill($("#starts"), KINDS.map(([kind, title, text]) => {
  const button = el("button", { type: "button", "aria-label": `Start: ${title}`, onclick: () => start(kind, button) }, "Start");
  return el("div", { class: "card start" }, el("h2", {}, title), el("p", {}, text), button);
}));
startShell();
load();
loadSkipped().catch(() => {});
