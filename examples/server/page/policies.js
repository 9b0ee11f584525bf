// The list of policies. However many there are, only the rows in sight exist.

import { byId, el } from "./dom.js";
import { LABEL, rpoText, rtoText, standing, timeLeft, worstFirst } from "./standing.js";
import { count, counted } from "./words.js";

const ROW = 68;
const BEYOND = 6;

const list = byId("list");
const track = el("div", { class: "track", role: "presentation" });
list.append(track);

let all = [];
let shown = [];
let selected = null;
let onSelect = () => {};
let frame;

/** Whom to tell which policy is selected. */
export function whenSelected(act) {
  onSelect = act;
}

/** The selected policy, as it stands. */
export const selectedPolicy = () => all.find((policy) => policy.policy_id === selected) ?? null;

/** Shows these policies; the selection stays where it is. */
export function show(policies) {
  all = policies.map((policy) => ({ ...policy, standing: standing(policy) })).sort(worstFirst);
  filter();
  sum();
  if (selectedPolicy() == null) select(shown[0]?.policy_id ?? null);
}

/** Draws what is in sight again: time has passed. */
export function tick() {
  draw();
}

function sum() {
  const of = (state) => all.filter((policy) => policy.standing === state).length;
  const parts = Object.keys(LABEL).map((state) => [state, of(state)]).filter(([, number]) => number > 0);
  byId("summary").replaceChildren(
    `${counted(all.length, "policy", "policies")}${parts.length > 0 ? ": " : ""}`,
    ...parts.flatMap(([state, number], at) => [
      at === 0 ? "" : " · ", el("span", { class: `count ${state}` }, `${count(number)} ${LABEL[state]}`),
    ]),
  );
  const bad = of("missed");
  document.title = bad > 0 ? `(${bad}) Aegis` : "Aegis";
}

function filter() {
  const text = byId("find").value.trim().toLowerCase();
  const attention = byId("show").value === "attention";
  shown = all.filter((policy) =>
    (!attention || ["missed", "unknown", "at_risk"].includes(policy.standing))
    && (text === "" || policy.policy_name.toLowerCase().includes(text) || policy.cluster.toLowerCase().includes(text)));
  const told = shown.length === all.length ? "" : `${count(shown.length)} shown`;
  if (byId("found").textContent !== told) byId("found").textContent = told;
  track.style.height = `${shown.length * ROW}px`;
  draw();
}

/** The rows in sight, and the selected one: a screen reader must find it wherever the list is scrolled to. */
function draw() {
  const none = shown.length > 0 ? "" : all.length > 0
    ? "None matches." : "There is no policy yet: POST /api/v1/dr/policies makes one.";
  if (byId("none").textContent !== none) byId("none").textContent = none;
  list.hidden = shown.length === 0;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - BEYOND);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + BEYOND);
  const rows = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
  const chosen = indexOfSelected();
  if (chosen >= 0 && !rows.includes(chosen)) rows.push(chosen);
  track.replaceChildren(...rows.map(row));
  if (chosen >= 0) list.setAttribute("aria-activedescendant", `row-${chosen}`);
  else list.removeAttribute("aria-activedescendant");
}

/** Draws before the next frame, once however often it is asked for. */
function soon() {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(draw);
}

const indexOfSelected = () => shown.findIndex((policy) => policy.policy_id === selected);

function row(at) {
  const policy = shown[at];
  const node = el("div", {
    id: `row-${at}`, class: `row ${policy.standing}`, role: "option",
    "aria-selected": policy.policy_id === selected ? "true" : "false",
    "aria-posinset": at + 1, "aria-setsize": shown.length,
    onclick: () => select(policy.policy_id),
  },
  el("span", { class: `badge ${policy.standing}` }, LABEL[policy.standing]),
  el("span", { class: "name" }, policy.policy_name),
  el("span", { class: "small" }, policy.cluster),
  el("span", { class: "left" }, timeLeft(policy)),
  el("span", { class: "small figures" }, `${rpoText(policy)} · ${rtoText(policy)}`));
  node.style.transform = `translateY(${at * ROW}px)`;
  return node;
}

function select(id) {
  const changed = id !== selected;
  selected = id;
  draw();
  if (changed) onSelect(selectedPolicy());
}

function reveal(at) {
  if (at * ROW < list.scrollTop) list.scrollTop = at * ROW;
  else if ((at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * ROW - list.clientHeight;
}

function move(event) {
  const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
  const at = indexOfSelected();
  const to = {
    ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1,
  }[event.key];
  if (to === undefined || shown.length === 0) return;
  event.preventDefault();
  const target = Math.min(Math.max(to, 0), shown.length - 1);
  reveal(target);
  select(shown[target].policy_id);
}

list.addEventListener("keydown", move);
list.addEventListener("scroll", soon, { passive: true });
new ResizeObserver(soon).observe(list);
byId("find").addEventListener("input", () => { list.scrollTop = 0; filter(); });
byId("show").addEventListener("change", () => { list.scrollTop = 0; filter(); });
