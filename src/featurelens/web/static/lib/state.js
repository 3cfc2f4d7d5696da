// The states a page can be in when it has nothing (yet) to show, in one look.
import { el, icon } from "./dom.js";
import { shortName } from "./format.js";

/** A picture, a headline, a sentence, and what can be done: [[text, onclick or href, primary], ...]. */
export function stateBox(picture, title, text, actions = []) {
  return el("div", { class: "state" }, icon(picture), el("h2", {}, title), el("p", {}, ...[text].flat()),
    actions.length ? el("div", { class: "actions" }, actions.map(button)) : null);
}

/** What a Problem says, with a way to try again. */
export function problemBox(problem, again) {
  const away = problem.status === 0;
  return stateBox("care", away ? "The service is away" : "That did not work", problem.message, again ? [["Try again", again, true]] : []);
}

/** A line in a box: kind is "", "care" or "bad". */
export function notice(kind, ...content) {
  return el("div", { class: `notice ${kind}` }, icon(kind ? "care" : "check"), el("div", {}, content));
}

/** The page says which extra brings what is missing. */
export function extraBox(what, extra = "lab") {
  return el("div", { class: "notice" }, icon("inside"), el("div", {}, `${what} needs torch, which this installation does not have. `,
    "The extra ", el("code", {}, extra), " brings it: ", el("code", {}, `pip install "featurelens[${extra}]"`), ", then start ", el("code", {}, "featurelens serve"), " again."));
}

/** Torch is there, but this gallery's network runs on an engine that shows no layers. */
export function engineBox(what, backbone) {
  return el("div", { class: "notice" }, icon("inside"), el("div", {}, `${what} needs a network with layers and gradients; this gallery's (`, el("code", {}, shortName(backbone)), ") runs on an engine without them. ",
    "A gallery with any timm or torchvision network shows it: ", el("code", {}, "featurelens index DIR --at OTHER --backbone resnet18"), "."));
}

function button([text, action, primary]) {
  const attributes = { class: primary ? "button primary" : "button" };
  if (typeof action === "string") return el("a", { ...attributes, href: action }, text);
  return el("button", { type: "button", class: primary ? "primary" : "", onclick: action }, text);
}
