// Thirty days of a policy: what became of its slots, and the recovery points that there are.

import { el, svg, time, wide } from "./dom.js";
import { counted, duration, moment, now, word } from "./words.js";

const DAY = 86_400_000;
export const DAYS = 30;
const [WIDTH, HEIGHT, LEFT, RIGHT] = [960, 132, 104, 12];
const [SLOTS, POINTS, BASE] = [34, 78, 104];

/** When the timeline begins. */
export const begin = () => now() - DAYS * DAY;

/** Good, bad, or neither: colour and shape both say which. */
function looks(slot) {
  if (slot.status === "completed") return "good";
  if (slot.status === "failed" || slot.outcome === "missed" || slot.outcome === "expired") return "bad";
  if (slot.status === "partially_failed" || slot.status === "cancelled") return "warn";
  return "idle";
}

/** The slots and recovery points as a drawing, and again as a table. */
export function timeline(slots, records, { complete }) {
  const from = begin();
  const recent = slots.filter((slot) => Date.parse(slot.through ?? slot.run_at) >= from);
  const points = records.filter((record) => Date.parse(record.recovery_point_at) >= from);
  const told = `The last ${DAYS} days: ${counted(recent.length, "slot", "slots")}, `
    + `${recent.filter((slot) => looks(slot) === "bad").length} of them failed or missed; `
    + `${counted(points.length, "recovery point", "recovery points")}.`;
  return [
    el("h3", {}, `Last ${DAYS} days`),
    wide("Drawing of the time", drawing(from, recent, points, told)),
    legend(),
    complete ? null : el("p", { class: "note" }, "There is more than is drawn: this is the newest part."),
    el("details", { "data-key": "timeline-table" }, el("summary", { "data-key": "timeline-summary" }, "The same as a table"), table(recent, points)),
  ];
}

function drawing(from, slots, points, told) {
  const to = now();
  const x = (iso) => {
    const share = (Math.max(Date.parse(iso), from) - from) / (to - from);
    return (LEFT + share * (WIDTH - LEFT - RIGHT)).toFixed(1);
  };
  const days = Array.from({ length: DAYS / 5 + 1 }, (_, at) => new Date(from + at * 5 * DAY));
  const lanes = [["Slots", SLOTS], ["Points", POINTS]];
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told },
    lanes.flatMap(([name, y]) => [
      svg("text", { x: 0, y: y + 5, class: "lane" }, name),
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "rail" }),
    ]),
    days.map((day, at) => svg("text", {
      x: x(day.toISOString()), y: BASE + 20, class: "day",
      "text-anchor": at === days.length - 1 ? "end" : at === 0 ? "start" : "middle",
    }, new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" }).format(day))),
    slots.map((slot) => mark(slot, x)),
    points.map((point) => pointMark(point, x(point.recovery_point_at))));
}

/** A bar ran well, a cross did not, a ring is neither; a range is a line as long as it lasted. */
function mark(slot, x) {
  const at = Number(x(slot.run_at));
  const title = svg("title", {}, `${moment(slot.run_at)}: ${describe(slot)}`);
  const look = looks(slot);
  if (slot.through) {
    return svg("line", { x1: at, x2: x(slot.through), y1: SLOTS, y2: SLOTS, class: `range ${look}` }, title);
  }
  if (look === "good") return svg("line", { x1: at, x2: at, y1: SLOTS - 9, y2: SLOTS + 9, class: "bar good" }, title);
  if (look === "idle") return svg("circle", { cx: at, cy: SLOTS, r: 4, class: "ring idle" }, title);
  return svg("path", { d: `M${at - 5} ${SLOTS - 5}l10 10m0-10l-10 10`, class: `cross ${look}` }, title);
}

/** A full diamond can be restored, an empty one can't. */
function pointMark(point, at) {
  const look = point.is_restorable ? (point.verification ? "proven" : "usable") : "unusable";
  return svg("path", { d: `M${at} ${POINTS - 7}l7 7-7 7-7-7z`, class: `point ${look}` },
    svg("title", {}, `${moment(point.recovery_point_at)}: ${pointText(point)}`));
}

const pointText = (point) => {
  if (!point.is_restorable) return point.found_bad ? `bad: ${point.found_bad}` : `${word(point.state)}, not restorable`;
  return point.verification ? `restorable, verified ${point.verification.level}` : "restorable, not verified";
};

function describe(slot) {
  const many = slot.count > 1 ? ` (${slot.count} slots)` : "";
  const reason = slot.reason ? `: ${word(slot.reason)}` : "";
  const took = slot.duration_seconds == null ? "" : `, took ${duration(slot.duration_seconds * 1000)}`;
  return `${word(slot.status)}${reason}${many}${took}`;
}

const legend = () => el("p", { class: "note", "aria-hidden": "true" },
  "Slots: | ran · × failed or missed · ○ skipped, merged or under way. Points: ◆ restorable (ringed: verified) · ◇ not restorable.");

function table(slots, points) {
  const rows = [
    ...slots.map((slot) => [slot.run_at, "slot", describe(slot)]),
    ...points.map((point) => [point.recovery_point_at, "recovery point", pointText(point)]),
  ].sort(([one], [other]) => Date.parse(other) - Date.parse(one));
  if (rows.length === 0) return el("p", { class: "empty" }, "Nothing happened in this time.");
  return wide("Table of the time", el("table", {},
    el("thead", {}, el("tr", {}, ["When", "What", "Outcome"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map(([at, what, outcome]) =>
      el("tr", {}, el("td", {}, time(at, moment(at))), el("td", {}, what), el("td", {}, outcome))))));
}
