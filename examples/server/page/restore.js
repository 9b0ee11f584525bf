// From a recovery point to a plan: what goes where. Nothing is written before the plan is executed.

import { get, post } from "./api.js";
import { el } from "./dom.js";
import * as dialog from "./dialog.js";
import { attempt } from "./notice.js";
import { openPlan } from "./plan.js";
import { moment } from "./words.js";

const field = (label, control, hint) => el("label", { class: "field" }, label, control,
  hint ? el("span", { class: "small block" }, hint) : null);

/** Asks what of the record is to go where, and makes a plan of it. */
export async function restoreFrom(record) {
  const name = el("input", { value: `restore-${new Date().toISOString().slice(0, 19).replaceAll(":", "-").toLowerCase()}`, required: true });
  const description = el("input", { placeholder: "why", autocomplete: "off" });
  const namespaces = record.namespaces.map((namespace) => ({
    namespace,
    taken: el("input", { type: "checkbox", checked: true }),
    to: el("input", { autocomplete: "off", placeholder: "in place", "aria-label": `Where ${namespace} goes` }),
  }));
  const existing = el("select", {},
    el("option", { value: "none" }, "leave it, and report it"),
    el("option", { value: "update" }, "overwrite it"),
    el("option", { value: "fail" }, "touch nothing at all"));
  const cluster = el("select", {}, (await clusters()).map((known) =>
    el("option", { value: known, selected: known === record.cluster }, known)));
  const make = async () => {
    const taken = namespaces.filter((row) => row.taken.checked);
    const mapped = taken.filter((row) => row.to.value.trim() !== "");
    const { plan } = await post("/recovery/plans", {
      name: name.value.trim(),
      description: description.value.trim(),
      backup_record_id: record.id,
      target_cluster: cluster.value,
      target_namespaces: taken.map((row) => row.namespace),
      namespace_mapping: Object.fromEntries(mapped.map((row) => [row.namespace, row.to.value.trim()])),
      existing_resource_policy: existing.value,
    });
    document.dispatchEvent(new CustomEvent("aegis:changed"));
    await openPlan(plan.id);
  };
  dialog.open("Restore: what goes where", el("div", {},
    el("p", {}, `From the recovery point of ${moment(record.recovery_point_at)} of ${record.cluster}. `
      + "This makes a plan, and writes nothing yet."),
    field("Name of the plan", name),
    field("Why", description),
    field("Onto cluster", cluster),
    el("fieldset", {}, el("legend", {}, "What, and where it goes"),
      namespaces.map((row) => el("div", { class: "mapping" },
        el("label", {}, row.taken, ` ${row.namespace}`), " to ", row.to)),
      el("span", { class: "small block" }, "Another namespace, or an absolute path below a restore root. Empty: in place.")),
    field("What is there already and differs", existing),
    el("p", {}, el("button", { type: "button", class: "primary", onclick: attempt(make, dialog.complain) }, "Make the plan"))));
}

const clusters = async () => (await get("/clusters")).clusters.map((cluster) => cluster.name);
