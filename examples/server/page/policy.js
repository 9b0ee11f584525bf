// The selected policy: its verdict, its thirty days, its recovery points.

import { get, post } from "./api.js";
import { byId, el, facts, render, time } from "./dom.js";
import { expect } from "./jobs.js";
import { attempt, tell } from "./notice.js";
import { records as recordsTable } from "./records.js";
import { basisText, LABEL, rpoText, rtoText, timeLeft } from "./standing.js";
import { begin, timeline } from "./timeline.js";
import { away, count, moment, word } from "./words.js";

const SLOTS = 1000;
const RECORDS = 200;

let policy = null;
/** What is known of it beside its standing; `null` until it was read. */
let known = null;

/** Shows another policy. What belongs to the one before goes at once. */
export function open(next) {
  policy = next;
  known = null;
  byId("timeline").replaceChildren();
  byId("records").replaceChildren();
  verdict();
}

/** Shows the same policy as it stands now. */
export function restate(next) {
  policy = next;
  verdict();
}

/** Reads what there is to the policy, and shows it if it is still the one. */
export async function read() {
  if (policy == null) return;
  const id = policy.policy_id;
  const from = encodeURIComponent(new Date(begin()).toISOString());
  const [details, slots, records, kept] = await Promise.all([
    get(`/dr/policies/${id}`),
    get(`/dr/policies/${id}/slots?limit=${SLOTS}`),
    get(`/backups/records?policy_id=${id}&limit=${RECORDS}`),
    // Why a record is kept is worth less than that it is there.
    post("/retention/preview", { policy_id: id }).catch(() => null),
  ]);
  if (policy?.policy_id !== id) return;
  known = details.policy;
  verdict();
  const complete = slots.slots.length < SLOTS && records.records.length < RECORDS;
  render(byId("timeline"), timeline(slots.slots, records.records, { complete }));
  render(byId("records"), recordsTable(records, kept?.preview ?? null));
}

function verdict() {
  byId("policy-title").textContent = policy == null ? "No policy selected" : policy.policy_name;
  if (policy == null) {
    render(byId("verdict"), el("p", { class: "empty" }, "Select a policy to see how it stands."));
    return;
  }
  render(byId("verdict"),
    el("p", { class: "standing" },
      el("span", { class: `badge ${policy.standing}` }, LABEL[policy.standing]), ` ${timeLeft(policy)}`),
    policy.issue ? el("p", { class: "issue" }, policy.issue) : null,
    facts([
      ["Objectives", `${rpoText(policy)} (${LABEL[policy.rpo_status]}) · ${rtoText(policy)} (${LABEL[policy.rto_status]})`],
      ["Newest recovery point", instant(policy.recovery_point_at, "none that is usable")],
      ["RPO kept until", instant(policy.next_violation_at, "unknown")],
      ["RTO rests on", basisText(policy.rto_basis)],
      ["Last good backup", instant(policy.last_successful_backup, "none")],
      ["Backups in 30 days", `${count(policy.backup_count_30d)} good, ${count(policy.failed_backups_30d)} failed`],
      ["Protects", `${known?.namespaces.join(", ") ?? "…"} on ${policy.cluster}`],
      ["Runs", known == null ? "…" : `${known.schedule_human}; next ${next(known)}`],
      ["Last run", known == null ? "…" : lastRun(known)],
    ]),
    el("p", {}, el("button", { type: "button", class: "primary", "data-key": "back-up", onclick: attempt(backUp) }, "Back up now")));
}

const next = (details) => (details.next_run_at == null ? "not planned" : `${moment(details.next_run_at)}, ${away(details.next_run_at)}`);

function lastRun({ last_run_at: at, last_run_status: status }) {
  if (at == null) return "never by its schedule";
  return status == null ? away(at) : `${word(status)}, ${away(at)}`;
}

const instant = (iso, none) => (iso == null ? none : time(iso, `${moment(iso)}, ${away(iso)}`));

async function backUp() {
  const { job } = await post(`/dr/policies/${policy.policy_id}/run`);
  expect(job);
  tell(`Backup ${job.name} is ${job.status === "pending" ? "waiting its turn" : word(job.status)}.`);
  document.dispatchEvent(new CustomEvent("aegis:changed"));
}
