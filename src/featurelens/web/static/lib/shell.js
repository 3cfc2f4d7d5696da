// What every page has: theme, shortcuts, notices, which gallery, what is running.
import { $, el, icon } from "./dom.js";
import { gallery } from "./api.js";
import { items } from "./format.js";
import { follow, progressText } from "./jobs.js";

const THEMES = ["auto", "light", "dark"];
const EVERYWHERE = [["g s", "Search"], ["g m", "Map"], ["g c", "Concepts"], ["g d", "Duplicates"], ["g q", "Quality"], ["g j", "Jobs"], ["t", "Theme"], ["?", "These shortcuts"]];
const GO = { s: "/", m: "/map", c: "/concepts", d: "/duplicates", q: "/quality", j: "/jobs" };
let own = [];
let going = 0;

/** Start the shell; `shortcuts` are the page's own, [[key, what], ...], to be listed. */
export function startShell(shortcuts = []) {
  own = shortcuts;
  const theme = $("#theme");
  showTheme(theme);
  theme.addEventListener("click", () => nextTheme(theme));
  $("#keys").addEventListener("click", showShortcuts);
  document.addEventListener("keydown", onKey);
  return gallery().then(showGallery, () => {});
}

/** A short notice at the bottom of the page. */
export function toast(text, { action = null, onaction = null, stay = 4500 } = {}) {
  const box = el("div", { class: "toast" }, el("span", {}, text));
  if (action) box.append(el("button", { type: "button", class: "plain", onclick: () => { box.remove(); onaction(); } }, action));
  $("#toasts").append(box);
  setTimeout(() => box.remove(), stay);
}

/** Whether a key is meant for the page and not for a field. */
export function forPage(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return false;
  const at = event.target;
  return !(at instanceof HTMLElement && (at.closest("dialog, [popover]") || at.matches("input, select, textarea")));
}

function onKey(event) {
  if (!forPage(event)) return;
  if (event.key === "?") showShortcuts();
  else if (event.key === "t" && performance.now() - going > 900) nextTheme($("#theme"));
  else if (event.key === "g") going = performance.now();
  else if (GO[event.key] && performance.now() - going < 900) location.assign(GO[event.key]);
  else return;
  event.preventDefault();
}

function chosen() {
  return document.documentElement.dataset.theme || "auto";
}

function nextTheme(button) {
  const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("featurelens.theme", next);
  } catch {
    // Storage may be forbidden: the choice then lasts for this page.
  }
  showTheme(button);
  document.dispatchEvent(new CustomEvent("theme"));
}

function showTheme(button) {
  const words = { auto: "as the system", light: "light", dark: "dark" };
  button.replaceChildren(icon(chosen()));
  button.setAttribute("aria-label", `Theme: ${words[chosen()]}`);
  button.title = `Theme: ${words[chosen()]} (t)`;
}

function showShortcuts() {
  const rows = [...own, ...EVERYWHERE].flatMap(([keys, what]) => [
    el("dt", {}, keys.split(" ").flatMap((key, i) => [i ? " " : null, el("kbd", {}, key)])),
    el("dd", {}, what),
  ]);
  const dialog = el("dialog", { "aria-labelledby": "shortcuts-title" },
    el("div", { class: "head" }, el("h2", { id: "shortcuts-title" }, "Keyboard"),
      el("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    el("dl", { class: "shortcuts" }, rows));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

function showGallery(info) {
  sayWhere(info);
  const job = info.indexing;
  if (job && (job.state === "running" || job.state === "queued")) showRunning(job);
}

/** Which gallery this is, and how large. */
export function sayWhere(info) {
  $("#where").textContent = `${info.name} · ${items(info.images)}`;
}

/** The pill in the bar while something runs; click it for the jobs. */
export function showRunning(job) {
  const pill = $("#running");
  let told = performance.now();
  const draw = (now) => {
    if (performance.now() - told > 2500) {
      told = performance.now();
      document.dispatchEvent(new CustomEvent("job-went-on", { detail: now }));
    }
    const share = now.total ? now.done / now.total : 0;
    pill.hidden = false;
    $(".ring", pill).style.setProperty("--done", `${Math.max(4, 100 * share)}%`);
    $(".text", pill).textContent = progressText(now, true);
  };
  draw(job);
  follow(job, draw, (last) => {
    pill.hidden = true;
    document.dispatchEvent(new CustomEvent("job-ended", { detail: last }));
  });
}
