// Long work on the server: start it, follow it, say how far it is.
import { get, post } from "./api.js";
import { count, duration } from "./format.js";

const NAMES = { index: "Indexing", assess: "Assessing", layout: "Laying out the map", duplicates: "Looking for duplicates", units: "Looking at units", concepts: "Learning concepts" };
const EVERY = 1000; // milliseconds from an answer to the next look
const SOON = 200; // the first look: much is done at once
const LOST = "The service was started anew meanwhile. What was finished is kept; start it again to go on.";
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

/**
 * Call `onchange` with the job as it goes on and `onend` with its last state; returns a function that stops.
 *
 * The job is asked for again and again, while the page is seen: a stream of events would hold one of the six
 * connections that a browser has for all pages of the service together.
 */
export function follow(job, onchange, onend = () => {}) {
  let last = job;
  let timer = 0;
  let going = true;
  const stop = () => { going = false; clearTimeout(timer); document.removeEventListener("visibilitychange", seen); };
  const next = (wait) => { clearTimeout(timer); if (going && !document.hidden) timer = setTimeout(look, wait); };
  const seen = () => next(0);
  async function look() {
    // A service that was started anew knows nothing of the job; where none answers now, perhaps one does the next time.
    last = await get(`/jobs/${job.id}`).catch((error) => (error.status === 404 ? { ...last, state: "failed", message: LOST } : last));
    if (!going) return;
    if (isOver(last)) stop();
    onchange(last);
    if (isOver(last)) onend(last);
    else next(EVERY);
  }
  document.addEventListener("visibilitychange", seen);
  next(SOON);
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
