// A recovery plan: preview it, approve it, execute it, watch it.

import { get, post } from "./api.js";
import { byId, el, facts, render, time } from "./dom.js";
import * as dialog from "./dialog.js";
import { far } from "./jobs.js";
import { attempt } from "./notice.js";
import { away, bytes, count, moment, word } from "./words.js";

const LISTED = 20;
const WATCH = 1_000;
const ENDS = ["completed", "partially_failed", "failed", "cancelled"];

/** Reads the newest plans. */
export async function readPlans() {
  const { plans } = await get(`/recovery/plans?limit=${LISTED}&total=false`);
  render(byId("plans"), plans.length === 0
    ? el("p", { class: "empty" }, "No restore is planned. Choose a recovery point to begin one.")
    : el("ul", { class: "plain" }, plans.map((plan) => el("li", {},
      el("strong", {}, plan.name), ` onto ${plan.target_cluster}: ${word(plan.status)}, by ${plan.created_by} `,
      time(plan.created_at, away(plan.created_at)), " ",
      el("button", {
        type: "button", "data-key": `plan-${plan.id}`, "aria-label": `Open the restore ${plan.name}`,
        onclick: attempt(() => openPlan(plan.id)),
      }, "Open…")))));
}

/** Opens a plan in the dialog, and watches it for as long as it runs and the dialog is there. */
export async function openPlan(id) {
  const view = { id, plan: null, preview: null, execution: null, watching: undefined };
  view.plan = (await get(`/recovery/plans/${id}`)).plan;
  dialog.open(`Restore ${view.plan.name}`, body(view), () => {
    clearTimeout(view.watching);
    view.id = null;
  });
  if (view.plan.status === "executing") await watch(view);
  else view.execution = view.plan.execution_history?.[0] ?? null;
  draw(view);
}

const draw = (view) => { if (view.id != null) dialog.refresh(body(view)); };

async function reread(view) {
  view.plan = (await get(`/recovery/plans/${view.plan.id}`)).plan;
  document.dispatchEvent(new CustomEvent("aegis:changed"));
  draw(view);
}

function body(view) {
  const { plan, preview, execution } = view;
  const open = ["pending", "approved", "failed"].includes(plan.status);
  const mapping = Object.entries(plan.namespace_mapping).map(([from, to]) => `${from} to ${to}`).join(", ");
  return el("div", {},
    facts([
      ["Status", word(plan.status)],
      ["Target", `${plan.target_cluster}: ${plan.target_namespaces.join(", ")}`],
      ["Goes", mapping || "in place"],
      ["What is there and differs", { none: "stays", update: "is overwritten", fail: "stops the restore" }[plan.existing_resource_policy] ?? plan.existing_resource_policy],
      ["Made", `by ${plan.created_by}, ${away(plan.created_at)}`],
      ["Approved", plan.approvals.length === 0 ? "by nobody" : plan.approvals.map((one) => `by ${one.by}, ${moment(one.at)}`).join("; ")],
      ["Approval is for", plan.approval_hash ? el("code", {}, plan.approval_hash) : null],
    ]),
    (plan.warnings ?? []).map((text) => el("p", { class: "issue" }, text)),
    open ? actions(view) : null,
    preview == null ? null : previewed(preview),
    execution == null ? null : executed(execution));
}

/** Whether somebody has approved exactly what would run now. */
const isApproved = ({ approvals, approval_hash: hash }) => approvals.some((one) => one.hash === hash);

function actions(view) {
  const works = view.preview != null && view.preview.obstacles.length === 0;
  const go = el("button", {
    type: "button", class: "danger", disabled: true, "data-key": "execute", onclick: attempt(() => execute(view), dialog.complain),
  }, "Restore now");
  const sure = el("input", {
    type: "checkbox", disabled: !works, "data-key": "sure", onchange: () => { go.disabled = !sure.checked; },
  });
  return el("div", { class: "actions" },
    el("button", { type: "button", class: "primary", "data-key": "preview", onclick: attempt(() => lookAhead(view), dialog.complain) }, "Preview"),
    view.plan.approval_hash && !isApproved(view.plan)
      ? el("button", { type: "button", "data-key": "approve", onclick: attempt(() => approve(view), dialog.complain) }, "Approve exactly this") : null,
    view.plan.status === "failed" ? null
      : el("button", { type: "button", "data-key": "cancel", onclick: attempt(() => cancel(view), dialog.complain) }, "Cancel the plan"),
    el("label", { class: "block" }, sure, works
      ? " I have read the preview. Write this to the target." : " Preview it first: then it can be executed."),
    go);
}

async function lookAhead(view) {
  dialog.say("Looking at what would happen…");
  const { execution } = await post(`/recovery/execute/${view.plan.id}`, { dry_run: true });
  view.preview = execution.preview;
  draw(view);
  const { create, overwrite, skip, obstacles } = view.preview;
  dialog.say(obstacles.length > 0 ? "It would not work: see the preview."
    : `It would make ${count(create)}, overwrite ${count(overwrite)} and leave ${count(skip)} entries. Nothing was changed.`);
}

async function approve(view) {
  await post(`/recovery/plans/${view.plan.id}/approve`, { hash: view.plan.approval_hash });
  await reread(view);
  dialog.say("Approved: it stands for exactly what is shown.");
}

async function cancel(view) {
  await post(`/recovery/plans/${view.plan.id}/cancel`);
  await reread(view);
  dialog.say("The plan is cancelled.");
}

async function execute(view) {
  await post(`/recovery/execute/${view.plan.id}`, { confirmed: true, dry_run: false });
  dialog.say("The restore has begun.");
  view.preview = null;
  await reread(view);
  await watch(view);
}

/** Looks again and again until the execution has ended, and says how. */
async function watch(view) {
  if (view.id == null) return;
  view.execution = (await get(`/recovery/execute/${view.plan.id}/status`)).execution;
  if (ENDS.includes(view.execution.status)) {
    await reread(view);
    dialog.say(`The restore ended: ${word(view.execution.status)}.`);
    return;
  }
  draw(view);
  view.watching = setTimeout(() => watch(view).catch(dialog.complain), WATCH);
}

function previewed(preview) {
  return el("section", { "aria-label": "Preview" },
    el("h3", {}, "Preview: nothing was changed"),
    preview.obstacles.length === 0 ? null
      : el("ul", { class: "bad" }, preview.obstacles.map((text) => el("li", {}, text))),
    facts([
      ["Would be made", count(preview.create)],
      ["Would be overwritten", count(preview.overwrite)],
      ["Would stay", `${count(preview.skip)}, of which ${count(preview.differing)} differ`],
      ["Would be written", `${bytes(preview.size_bytes)}; free: ${preview.free_bytes == null ? "unknown" : bytes(preview.free_bytes)}`],
    ]),
    preview.examples.length === 0 ? null : el("details", { "data-key": "examples" },
      el("summary", { "data-key": "examples-summary" }, "Some of the entries"),
      el("ul", {}, preview.examples.map((entry) => el("li", {}, `${entry.action}: ${entry.path}`)))));
}

function executed(execution) {
  const troubles = [...new Set([execution.error_message, ...execution.errors, ...execution.warnings, execution.suggestion])]
    .filter((text) => text);
  return el("section", { "aria-label": "Execution" },
    el("h3", {}, `Last execution: ${word(execution.status)}`),
    el("progress", { max: 100, value: execution.progress_pct, "aria-label": "Progress of the restore" }),
    el("span", { class: "small block" }, execution.progress ? far(execution.progress) : `${execution.progress_pct} %`),
    facts([
      ["Began", time(execution.started_at, moment(execution.started_at))],
      ["Written", execution.bytes_restored === undefined ? null : bytes(execution.bytes_restored)],
      ["Restored", execution.resources_restored == null ? null
        : Object.entries(execution.resources_restored).map(([kind, number]) => `${count(number)} ${kind}`).join(", ")],
    ]),
    troubles.length === 0 ? null : el("ul", { class: "bad" }, troubles.map((text) => el("li", {}, text))));
}
