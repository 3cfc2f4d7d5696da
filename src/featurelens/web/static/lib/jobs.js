// Long work on the server: start it, follow it, say how far it is.
import { address, get, post } from "./api.js";
import { count, duration } from "./format.js";

const NAMES = { index: "Indexing", assess: "Assessing", layout: "Laying out the map", duplicates: "Looking for duplicates", units: "Looking at units", concepts: "Learning concepts" };
const FINAL = new Set(["done", "failed", "cancelled"]);

export const jobName = (kind) => NAMES[kind] || kind;
export const isOver = (job) => FINAL.has(job.state);

/** Start a job of a kind, or join the one that runs already; `options` are the kind's own. */
export async function startJob(kind, options = {}) {
  try {
    const said = await post("/jobs", { kind, ...options });
    return said.job && typeof said.job === "object" ? said.job : said;
  } catch (error) {
    if (error.status === 409 && error.body.job) return typeof error.body.job === "object" ? error.body.job : get(`/jobs/${error.body.job}`);
    throw error;
  }
}

/** Call `onchange` with the job as it goes on and `onend` with its last state; returns a function that stops. */
export function follow(id, onchange, onend = () => {}) {
  const source = new EventSource(address(`/jobs/${id}/events`));
  let timer = 0;
  const stop = () => { source.close(); clearTimeout(timer); };
  const see = (job) => {
    if (!isOver(job)) return onchange(job);
    stop();
    onchange(job);
    return onend(job);
  };
  source.onmessage = (event) => see(JSON.parse(event.data));
  // A proxy may cut the stream: then the state is asked for now and again until it is over.
  source.onerror = () => {
    source.close();
    clearTimeout(timer);
    timer = setTimeout(() => get(`/jobs/${id}`).then((job) => { see(job); if (!isOver(job)) source.onerror(); }, () => source.onerror()), 1500);
  };
  addEventListener("pagehide", stop, { once: true });
  return stop;
}

/** "Indexing 1,200 of 5,000 · 240/s · 16 s left". */
export function progressText(job, short = false) {
  const name = jobName(job.kind);
  if (job.state === "queued") return `${name}: waiting`;
  if (job.state === "failed") return `${name} failed`;
  if (job.state === "cancelled") return `${name} stopped`;
  if (job.state === "done") return `${name}: done`;
  if (!job.total) return short || !job.message ? `${name} …` : `${name}: ${job.message}`;
  if (short) return `${name} ${Math.floor((100 * job.done) / job.total)} %`;
  const parts = [`${count(job.done)} of ${count(job.total)}`];
  if (job.rate >= 1) parts.push(`${count(Math.round(job.rate))} a second`);
  if (job.left_s) parts.push(`${duration(job.left_s)} left`);
  return parts.join(" · ");
}
