// Off the page's thread: fetching and reading the layout, its index for the pointer, and the lasso.
import { indexOf, inside, nearest } from "./geometry.js";

let points = null;

onmessage = async ({ data }) => {
  if (data.ask === "load") await load(data);
  else if (data.ask === "lasso") postMessage({ told: "taken", ids: inside(points, data.polygon, data.only) });
  else if (data.ask === "near") postMessage({ told: "near", turn: data.turn, at: points ? nearest(points, data.x, data.y, data.reach, data.only) : -1 });
};

async function load({ address }) {
  let said;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    said = await response.json();
    if (!response.ok) return postMessage({ told: "problem", status: response.status, detail: said.detail || said.title });
  } catch {
    return postMessage({ told: "problem", status: 0, detail: "The service does not answer." });
  }
  const { ids, method, ready, missing } = said;
  const [x, y] = spread(Float32Array.from(said.x), Float32Array.from(said.y));
  const label = coded(said.label || []);
  const cluster = coded((said.cluster || []).map((one) => (one === null || one < 0 ? null : one)));
  points = { x, y, ids: Int32Array.from(ids), ...indexOf(x, y), groups: { label: label.codes, cluster: cluster.codes } };
  return postMessage({ told: "points", method, ready, missing, x, y, ids: points.ids, label, cluster });
}

// To [-1, 1] in both directions, keeping the shape; a few far points must not shrink the rest to a dot.
function spread(x, y) {
  const ends = (values) => {
    const sorted = Float32Array.from(values).sort();
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] || 0;
    return [at(0.002), at(0.998)];
  };
  const [[left, right], [low, high]] = [ends(x), ends(y)];
  const half = Math.max(right - left, high - low, 1e-9) / 2;
  const [cx, cy] = [(left + right) / 2, (low + high) / 2];
  return [x.map((value) => (value - cx) / half), y.map((value) => (value - cy) / half)];
}

// Names as small numbers, the most frequent first; 255 stands for none, and for all beyond the 254th.
function coded(names) {
  const many = new Map();
  for (const name of names) if (name !== null && name !== undefined && name !== "") many.set(name, (many.get(name) || 0) + 1);
  const order = [...many].sort((a, b) => b[1] - a[1]);
  const code = new Map(order.slice(0, 254).map(([name], i) => [name, i]));
  return { names: order.slice(0, 254).map(([name]) => String(name)), counts: order.slice(0, 254).map(([, n]) => n), codes: Uint8Array.from(names, (name) => code.get(name) ?? 255) };
}
