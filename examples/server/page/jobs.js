// What runs now, and what went wrong lately.

import { get, sentence } from "./api.js";
import { byId, el, render, time } from "./dom.js";
import { tell } from "./notice.js";
import { away, bytes, counted, duration, moment, now, word } from "./words.js";

const RUNNING = 50;
const WATCHED = 10;
const FAILURES = 10;

/** Names of the jobs that ran when they were last looked at, by id. */
let before = new Map();

/** Expects a job that was just begun, so that its end is told however quick it is. */
export const expect = (job) => before.set(job.id, job.name);

/** Reads what runs and waits; says so when one of them ended. Whether anything runs. */
export async function readRunning() {
  const [running, waiting] = await Promise.all(
    ["in_progress", "pending"].map((status) => get(`/backups/jobs?status=${status}&limit=${RUNNING}`)));
  const progress = await Promise.all(running.jobs.slice(0, WATCHED).map((job) =>
    get(`/backups/jobs/${job.id}/progress`).then((answer) => answer.progress, () => null)));
  const jobs = [...running.jobs, ...waiting.jobs];
  const all = running.total + waiting.total;
  render(byId("running"), jobs.length === 0
    ? el("p", { class: "empty" }, "Nothing runs.")
    : [el("ul", { class: "plain" }, jobs.map((job, at) => item(job, progress[at] ?? null))),
      all > jobs.length ? el("p", { class: "note" }, `${counted(all, "job", "jobs")} in all.`) : null]);
  await tellOfEnds(jobs);
  return before.size > 0;
}

/** One end is told by its outcome; several at once by their number, so that nobody is talked over. */
async function tellOfEnds(jobs) {
  const ids = new Set(jobs.map((job) => job.id));
  const ended = [...before.keys()].filter((id) => !ids.has(id));
  before = new Map(jobs.map((job) => [job.id, job.name]));
  if (ended.length === 0) return;
  document.dispatchEvent(new CustomEvent("aegis:changed"));
  if (ended.length === 1) {
    const { job } = await get(`/backups/jobs/${ended[0]}`);
    // It may have begun while the lists were read.
    if (["pending", "in_progress"].includes(job.status)) expect(job);
    else tell(`Backup ${job.name} ended: ${word(job.status)}.`);
  } else {
    tell(`${ended.length} backups ended.`);
  }
}

function item(job, progress) {
  const percent = progress?.percent ?? null;
  const since = job.started_at ?? job.created_at;
  return el("li", {},
    el("strong", {}, job.name), ` on ${job.cluster}: ${word(job.status)} `,
    time(since, `for ${duration(now() - Date.parse(since))}`),
    job.status === "pending" ? null : el("progress", {
      "aria-label": `Progress of ${job.name}`, max: 100, value: percent ?? undefined,
    }),
    el("span", { class: "small block" }, job.status === "pending" ? "waits for its turn" : far(progress)));
}

/** How far something is, as far as that is known. */
export function far(progress) {
  if (progress == null) return "progress unknown yet";
  const { percent, bytes_done: done, bytes_total: total, eta_seconds_low: low, eta_seconds_high: high } = progress;
  const share = percent == null ? "total unknown" : `${percent} %`;
  const amount = total == null ? bytes(done) : `${bytes(done)} of ${bytes(total)}`;
  const eta = low == null || high == null ? "" : `, ${duration(low * 1000)} to ${duration(high * 1000)} left`;
  return `${share}, ${amount}${eta}`;
}

/** Reads the newest failures, whole and partial. */
export async function readFailures() {
  const lists = await Promise.all(["failed", "partially_failed"].map((status) =>
    get(`/backups/jobs?status=${status}&limit=${FAILURES}&total=false`)));
  const jobs = lists.flatMap((list) => list.jobs)
    .sort((one, other) => Date.parse(ended(other)) - Date.parse(ended(one)))
    .slice(0, FAILURES);
  render(byId("failures"), jobs.length === 0
    ? el("p", { class: "empty" }, "No backup failed that is still listed.")
    : el("ul", { class: "plain" }, jobs.map(failure)));
}

const ended = (job) => job.completed_at ?? job.created_at;

function failure(job) {
  const cause = job.error_message ?? job.errors[0] ?? "no cause was given";
  const more = job.errors.length > 1 ? ` And ${counted(job.errors.length - 1, "more error", "more errors")}.` : "";
  return el("li", {},
    el("strong", {}, job.name), ` on ${job.cluster}: `,
    el("span", { class: "bad" }, word(job.status)), " ", time(ended(job), `${moment(ended(job))}, ${away(ended(job))}`),
    el("span", { class: "block" }, `${sentence(cause)}${more}`),
    el("span", { class: "block todo" }, job.suggestion === undefined
      ? "Mend the cause, then back up again." : sentence(job.suggestion)));
}
