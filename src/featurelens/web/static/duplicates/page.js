// Groups of images that are the same picture. Nothing is deleted: the list can be taken along.
import { $, $$, el, fill, icon } from "../lib/dom.js";
import { gallery, get } from "../lib/api.js";
import { baseName, count, folderOf, counted, similarity, thing, things, when } from "../lib/format.js";
import { startJob } from "../lib/jobs.js";
import { progressCard } from "../lib/progress-card.js";
import { startShell, toast } from "../lib/shell.js";
import { problemBox, stateBox } from "../lib/state.js";

const STEP = 30;
let groups = [];
let shown = [];
let drawn = 0;

async function load() {
  fill($("#state"));
  try {
    const [said] = await Promise.all([get("/duplicates"), gallery()]);
    if (!said.made) return nothingYet();
    groups = said.groups;
    $("#actions").hidden = false;
    $("#csv").hidden = !groups.length;
    const files = groups.reduce((sum, group) => sum + group.members.length, 0);
    $("#sub").textContent = `${counted(groups.length, "group")} of ${counted(files, "file")}, looked for ${when(said.made)}. Nothing is ever deleted here: export the list and decide.`;
    const kinds = new Set(groups.map((group) => group.kind));
    $("#kinds").hidden = kinds.size < 2;
    show("");
    return groups.length ? undefined : fill($("#state"), stateBox("check", "No duplicates", `No two ${things()} of this gallery are the same.`));
  } catch (error) {
    if (error.status === 404) return nothingYet();
    return fill($("#state"), problemBox(error, load));
  }
}

function nothingYet() {
  fill($("#state"), stateBox("duplicates", "Not looked for yet", `Every ${thing()} is compared with its nearest neighbours: exact copies by their bytes, near ones by their features.`, [["Look for duplicates", run, true]]));
}

async function run() {
  fill($("#state"));
  try {
    const job = await startJob("duplicates");
    fill($("#progress"), progressCard(job, { onend: (last) => { if (last.state === "done") fill($("#progress")); load(); } }));
  } catch (error) {
    toast(error.message);
    load();
  }
}

function show(kind) {
  for (const button of $$("#kinds button")) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  shown = kind ? groups.filter((group) => group.kind === kind) : groups;
  drawn = 0;
  fill($("#groups"));
  more();
}

// Groups are drawn as the page is scrolled: there may be thousands.
function more() {
  for (const group of shown.slice(drawn, drawn + STEP)) $("#groups").append(card(group));
  drawn = Math.min(shown.length, drawn + STEP);
}

function card({ kind, members, similarity: alike }) {
  const [first, second] = members;
  return el("li", { class: "card group" },
    el("div", { class: "first" }, el("span", { class: `chip ${kind === "exact" ? "good" : ""}` }, kind === "exact" ? "exact copies" : "near duplicates"),
      el("span", { class: "number" }, counted(members.length, "file"), typeof alike === "number" && kind !== "exact" ? ` · similarity ${similarity(alike)}` : ""),
      el("a", { href: `/why?like=${first.id}&id=${second.id}` }, "Compare")),
    el("ul", {}, members.map((one, i) => el("li", {}, el("a", { href: `/?like=${one.id}`, title: one.name },
      el("img", { src: one.thumbnail, alt: "", loading: "lazy", decoding: "async" }), el("b", {}, baseName(one.name)), el("span", {}, folderOf(one.name) ? `${folderOf(one.name)} · ` : "", one.width ? `${count(one.width)} × ${count(one.height)}` : "")),
      i === 0 ? el("span", { class: "chip good" }, icon("check"), "best copy") : el("span", { class: "chip" }, one.how)))));
}

for (const button of $$("#kinds button")) button.addEventListener("click", () => show(button.dataset.kind));
$("#again").addEventListener("click", run);
new IntersectionObserver((seen) => { if (seen[0].isIntersecting && drawn < shown.length) more(); }, { rootMargin: "800px" }).observe($("#end"));
startShell();
load();
