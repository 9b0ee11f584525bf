// The recovery points of a policy: can they be restored, how well is that proven, why are they kept.

import { el, time, wide } from "./dom.js";
import { attempt } from "./notice.js";
import { restoreFrom } from "./restore.js";
import { away, bytes, counted, moment, word } from "./words.js";

/** The recovery points, with what retention would decide of each if that is known. */
export function records({ records: list, total }, preview) {
  const decisions = new Map((preview?.decisions ?? []).map((decision) => [decision.record_id, decision]));
  const heading = el("h3", {}, "Recovery points");
  if (list.length === 0) return [heading, el("p", { class: "empty" }, "There is none: nothing can be restored.")];
  return [
    heading,
    list.length < (total ?? list.length)
      ? el("p", { class: "note" }, `The newest ${list.length} of ${counted(total, "point", "points")}.`) : null,
    wide("Table of recovery points", el("table", {},
      el("thead", {}, el("tr", {}, ["Reflects", "Kind", "Size", "Restorable", "Verified", "Kept because", "Restore"]
        .map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, list.map((record) => row(record, decisions.get(record.id), preview != null))))),
  ];
}

function row(record, decision, decided) {
  return el("tr", {},
    el("th", { scope: "row" }, time(record.recovery_point_at, moment(record.recovery_point_at)),
      el("span", { class: "small block" }, away(record.recovery_point_at))),
    el("td", {}, record.partial ? `${record.kind}, partial` : record.kind),
    el("td", {}, bytes(record.size_bytes)),
    el("td", { class: record.is_restorable ? "" : "bad" }, restorable(record)),
    el("td", {}, record.verification
      ? [`${record.verification.level}, `, time(record.verification.at, away(record.verification.at))] : "not verified"),
    el("td", {}, reasons(record, decision, decided)),
    el("td", {}, record.is_restorable ? el("button", {
      type: "button", "data-key": `restore-${record.id}`,
      "aria-label": `Restore the recovery point of ${moment(record.recovery_point_at)}`,
      onclick: attempt(() => restoreFrom(record)),
    }, "Restore…") : "–"));
}

function restorable(record) {
  if (record.found_bad) return `no: ${record.found_bad}`;
  return record.is_restorable ? "yes" : `no: ${word(record.state)}`;
}

/** The reasons as retention gives them, and what a person or a lock adds. */
function reasons(record, decision, decided) {
  if (!decided) return "unknown";
  if (decision === undefined) return word(record.state);
  const expires = record.expires_at == null ? [] : [`by its rules until ${moment(record.expires_at)}`];
  const words = [...decision.reasons.map((reason) => reason.replace(/^kept: /, "")), ...expires];
  if (decision.kept && words.length === 1) return words[0];
  return el("details", { "data-key": `why-${record.id}` },
    el("summary", { "data-key": `why-summary-${record.id}` }, decision.kept ? words[0] ?? "kept" : "may go"),
    el("ul", {}, words.map((text) => el("li", {}, text))));
}
