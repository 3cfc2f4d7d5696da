// A job as a card: how far it is, how long it will take, a button that stops it.
import { el, fill, icon } from "./dom.js";
import { remove } from "./api.js";
import { when } from "./format.js";
import { follow, isOver, jobName, progressText } from "./jobs.js";

const CHIPS = { queued: ["", "waiting"], running: ["good", "running"], done: ["good", "done"], failed: ["bad", "failed"], cancelled: ["care", "stopped"] };

/** The card of a job, which follows it until it ends or the card is taken away; `onend(job)` once. */
export function progressCard(job, { onend = () => {}, tag = "div" } = {}) {
  const card = el(tag, { class: "card job" });
  draw(card, job);
  if (isOver(job)) return card;
  const stop = follow(job, (now) => (card.isConnected ? draw(card, now) : stop()), (last) => { if (card.isConnected) onend(last); });
  return card;
}

function draw(card, job) {
  const [kind, word] = CHIPS[job.state] || ["", job.state];
  const over = isOver(job);
  card.classList.toggle("quiet", over);
  if (!over && card.bar) {
    // Only what changes is touched, so that the button keeps the focus.
    setBar(card.bar, job);
    card.said.textContent = progressText(job);
    return;
  }
  card.bar = card.said = null;
  const first = el("div", { class: "first" }, el("h3", {}, jobName(job.kind)), el("span", { class: `chip ${kind}` }, word), job.started ? el("span", { class: "when small soft" }, when(job.started)) : null);
  if (over) return void fill(card, first, job.message ? el("div", { class: "last" }, job.message) : null);
  card.bar = el("progress", { "aria-label": jobName(job.kind) });
  card.said = el("span", { class: "number" }, progressText(job));
  setBar(card.bar, job);
  const stop = el("button", { type: "button", onclick: () => { stop.disabled = true; remove(`/jobs/${job.id}`).catch(() => { stop.disabled = false; }); } }, icon("stop"), "Stop");
  fill(card, first, card.bar, el("div", { class: "last" }, card.said, stop));
}

function setBar(bar, job) {
  if (!job.total) return bar.removeAttribute("value");
  bar.max = job.total;
  bar.value = job.done;
  return undefined;
}
