// The page: what is read when, and what is told to whom.

import { get, hasToken, keepToken, whenUnauthorized } from "./api.js";
import { byId, el } from "./dom.js";
import * as dialog from "./dialog.js";
import { readFailures, readRunning } from "./jobs.js";
import { listen, paced } from "./live.js";
import { calm, complain } from "./notice.js";
import { readPlans } from "./plan.js";
import * as policies from "./policies.js";
import * as policy from "./policy.js";
import { learnClock } from "./words.js";

/** How often what time alone changes is looked at anew. */
const TICK = 10_000;
const REREAD = 30_000;
/** How often running jobs are looked at: progress is no event. */
const WATCH = 3_000;
/** How long a selection must rest before it is read. */
const REST = 150;

let isKnown = false;
/** Whether a token was asked for in vain: then only the button asks again. */
let asked = false;
let resting;
let hearing = "polling";

/** Reads, and shows why where that fails, until it does not any more. */
function reading(act) {
  let failed = false;
  return async () => {
    try {
      await act();
      if (failed) calm();
      failed = false;
      show(hearing);
    } catch (error) {
      if (error.status === 401) show("refused");
      else if (error.status === undefined) show("away");
      else complain(error);
      failed ||= error.status > 401;
      throw error;
    }
  };
}

const readPolicies = paced(reading(async () => {
  const { compliance } = await get("/dr/compliance");
  learnClock(compliance.assessed_at);
  policies.show(compliance.policies);
  policy.restate(policies.selectedPolicy());
  isKnown = true;
}), 1_000);
const readPolicy = paced(reading(policy.read), 1_000);
const readJobs = paced(reading(async () => {
  if (await readRunning()) setTimeout(readJobs, WATCH);
}));
const readTroubles = paced(reading(readFailures), 1_000);
const readRestores = paced(reading(readPlans), 1_000);

function readAll() {
  readPolicies();
  readPolicy();
  readJobs();
  readTroubles();
  readRestores();
}

/** What is read again after events of these kinds; after unknown changes what is likely to move. */
function changed(kinds) {
  if (kinds == null) {
    readJobs();
    return;
  }
  const any = (...prefixes) => kinds.some((kind) => prefixes.some((prefix) => kind.startsWith(prefix)));
  if (any("job.")) readJobs();
  if (any("job.failed", "job.partially_failed", "job.hidden")) readTroubles();
  if (any("policy.", "policy_state.", "record.", "verification.ended", "dr_test.ended")) readPolicies();
  if (any("policy", "record.", "slot.", "job.completed", "job.failed", "verification.ended")) readPolicy();
  if (any("plan.", "execution.")) readRestores();
}

/** Says how the page hears of changes, or why it does not. */
function show(state) {
  const link = byId("link");
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  link.textContent = {
    live: "live", polling: "asks every 5 s", away: "the server does not answer", refused: "a token is needed",
  }[state];
}

function askForToken(why) {
  const token = el("input", { type: "password", autocomplete: "off", spellcheck: "false" });
  const keep = () => {
    keepToken(token.value.trim());
    asked = false;
    dialog.close();
    readAll();
  };
  const form = el("form", { onsubmit: (event) => { event.preventDefault(); keep(); } },
    el("p", {}, why ?? "It is kept in this tab until the tab is closed. Left empty, it is forgotten."),
    el("label", { class: "field" }, "Token", token),
    el("p", {}, el("button", { type: "submit", class: "primary" }, "Use it")));
  dialog.open("Who are you?", form);
}

whenUnauthorized(() => {
  if (asked) return;
  asked = true;
  askForToken(hasToken()
    ? "The server does not know this token. Enter another: `server token new NAME` makes one."
    : "The server asks for a token: `server token new NAME` makes one.");
});
byId("sign-in").addEventListener("click", () => askForToken(null));
policies.whenSelected((selected) => {
  policy.open(selected);
  clearTimeout(resting);
  resting = setTimeout(readPolicy, REST);
});
document.addEventListener("aegis:changed", readAll);
document.addEventListener("visibilitychange", () => { if (!document.hidden) readAll(); });
setInterval(() => { if (isKnown && !document.hidden) policies.tick(); }, TICK);
setInterval(() => { if (!document.hidden) readAll(); }, REREAD);

readAll();
listen({
  changed,
  begun: readAll,
  state(word) {
    hearing = word;
    show(word);
  },
});
