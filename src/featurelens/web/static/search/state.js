// What the search page shows, as its address: back, forward, a bookmark and a sent link all work.

export const MOST = 5000;   // hits that the service gives for one question

/** `text`: words; `like`, `unlike`: ids; `upload`: a token; `box`: [left, top, right, bottom] in fractions of the query; `concepts`: [[number, weight], ...]; `min`: threshold. */
export function readState(search = location.search) {
  const query = new URLSearchParams(search);
  const box = (query.get("box") || "").split(",").map(Number);
  const min = query.has("min") ? Number(query.get("min")) : null;
  return {
    text: (query.get("text") || "").trim().slice(0, 2000),
    like: ids(query.get("like")),
    unlike: ids(query.get("unlike")),
    upload: query.get("upload") || null,
    concepts: along(query.get("concept")),
    box: isBox(box) ? box : null,
    min: Number.isFinite(min) ? min : null,
    path: query.get("path") || "",
    label: query.get("label") || "",
  };
}

/** The address of a state. */
export function addressOf(state) {
  const query = new URLSearchParams();
  if (state.text) query.set("text", state.text);
  if (state.upload) query.set("upload", state.upload);
  if (state.like?.length) query.set("like", state.like.join(","));
  if (state.unlike?.length) query.set("unlike", state.unlike.join(","));
  if (state.concepts?.length) query.set("concept", state.concepts.map(([number, weight]) => (weight === 1 ? number : `${number}:${+weight.toFixed(2)}`)).join(","));
  if (state.box) query.set("box", state.box.map((value) => +value.toFixed(4)).join(","));
  if (state.min !== null && state.min !== undefined) query.set("min", +state.min.toFixed(3));
  if (state.path) query.set("path", state.path);
  if (state.label) query.set("label", state.label);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3A", ":");
  return text ? `/?${text}` : "/";
}

export const hasPictures = (state) => Boolean(state.upload || state.like.length || state.unlike.length);
/** Concepts that count: one of which there is neither more nor less has no say. */
export const led = (state) => state.concepts.filter(([, weight]) => weight);
export const hasQuery = (state) => Boolean(state.text) || hasPictures(state) || led(state).length > 0;
/** One picture and nothing to compare with it: only then a region can be drawn. */
export const isSingle = (state) => !state.text && !state.concepts.length && !state.unlike.length && state.like.length + (state.upload ? 1 : 0) === 1;

/** What `POST /search` is sent: only what is set. */
export function requestOf(state, k) {
  const asked = { k: Math.min(k, MOST) };
  if (state.text) asked.text = state.text;
  if (state.like.length) asked.ids = state.like;
  if (state.unlike.length) asked.less = state.unlike;
  if (state.upload) asked.upload = state.upload;
  if (led(state).length) asked.concepts = led(state).map(([number, weight]) => ({ number, weight }));
  if (state.box && isSingle(state)) asked.box = state.box;
  if (state.path) asked.path = state.path;
  if (state.label) asked.label = state.label;
  return asked;
}

function ids(text) {
  return [...new Set((text || "").split(",").filter((one) => /^\d+$/.test(one)).map(Number))];
}

// "12,7:-0.5": each concept once, the later weight counts.
function along(text) {
  const parts = (text || "").split(",").map((one) => /^(\d{1,6})(?::(-?\d+(?:\.\d+)?))?$/.exec(one)).filter(Boolean);
  return [...new Map(parts.map(([, number, weight]) => [Number(number), Math.max(-100, Math.min(100, Number(weight ?? 1)))]))];
}

function isBox(box) {
  return box.length === 4 && box.every((value) => value >= 0 && value <= 1) && box[2] > box[0] && box[3] > box[1];
}
