// A small menu beside a button, for a pointer, a finger or the keyboard.
import { el, icon } from "./dom.js";

/** Open it: entries are {icon, text, key, href or run}. Closes on Escape, on a click elsewhere and after a choice. */
export function openMenu(button, entries) {
  const menu = el("div", { class: "menu", popover: "auto", role: "menu" }, entries.map((entry) => {
    const inside = [icon(entry.icon), entry.text, entry.key ? el("kbd", {}, entry.key) : null];
    if (entry.href) return el("a", { role: "menuitem", href: entry.href, target: entry.target }, inside);
    return el("button", { type: "button", role: "menuitem", onclick: () => { menu.hidePopover(); entry.run(); } }, inside);
  }));
  document.body.append(menu);
  menu.addEventListener("toggle", (event) => { if (event.newState === "closed") { menu.remove(); if (!menu.dataset.chosen) button.focus(); } });
  menu.addEventListener("keydown", (event) => {
    const all = [...menu.children];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  });
  menu.showPopover();
  const at = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(innerWidth - width - 8, at.right - width))}px`;
  menu.style.top = `${at.bottom + height + 8 > innerHeight ? Math.max(8, at.top - height - 6) : at.bottom + 6}px`;
  menu.firstElementChild.focus({ focusVisible: false });
}
