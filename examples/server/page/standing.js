// How a policy stands, from what the server says of it. Nothing here decides: it orders and words.

import { away, duration, hours, now, word } from "./words.js";

/** From the worst to the best. A policy that is off, or promises nothing, is neither. */
const ORDER = ["missed", "unknown", "at_risk", "met", "none", "off"];

/** The worse of both objectives; one without a target does not count. */
export function standing(policy) {
  if (!policy.enabled) return "off";
  const counting = [[policy.rpo_target_hours, policy.rpo_status], [policy.rto_target_hours, policy.rto_status]]
    .filter(([target]) => target != null)
    .map(([, status]) => status);
  return ORDER.find((status) => counting.includes(status)) ?? "none";
}

export const LABEL = {
  missed: "missed", unknown: "unknown", at_risk: "at risk", met: "met", none: "no target", off: "off",
};

const rank = (policy) => ORDER.indexOf(policy.standing);
const deadline = (policy) => (policy.next_violation_at == null ? Infinity : Date.parse(policy.next_violation_at));

/** The worst first; of equals, the one whose time is up first. */
export function worstFirst(one, other) {
  const [left, right] = [deadline(one), deadline(other)];
  return rank(one) - rank(other)
    || (left === right ? 0 : left < right ? -1 : 1)
    || (one.policy_name < other.policy_name ? -1 : 1);
}

/** How long until the RPO is not kept any more. */
export function timeLeft(policy) {
  if (!policy.enabled) return "off: no promise";
  if (policy.rpo_target_hours == null) return "no RPO target";
  if (policy.recovery_point_at == null) return "no recovery point";
  if (policy.next_violation_at == null) return "unknown";
  const left = Date.parse(policy.next_violation_at) - now();
  return left < 0 ? `violated for ${duration(-left)}` : `${duration(left)} left`;
}

/** What of the RPO is used up: the age of the newest usable recovery point, of what is allowed. */
export function rpoText(policy) {
  if (policy.rpo_target_hours == null) return "RPO: no target";
  const actual = policy.recovery_point_at == null
    ? "unknown" : duration(now() - Date.parse(policy.recovery_point_at));
  return `RPO ${actual} of ${hours(policy.rpo_target_hours)}`;
}

export function rtoText(policy) {
  if (policy.rto_target_hours == null) return "RTO: no target";
  const estimate = policy.rto_estimated_hours == null ? "unknown" : `≤ ${hours(policy.rto_estimated_hours)}`;
  return `RTO ${estimate} of ${hours(policy.rto_target_hours)}`;
}

/** What the RTO estimate rests on, in words. */
export function basisText(basis) {
  if (basis == null) return "no evidence";
  const confidence = basis.confidence == null ? "" : `, confidence ${Math.round(basis.confidence * 100)} %`;
  const newest = basis.newest_at == null ? "" : `, the newest ${away(basis.newest_at)}`;
  return `${word(basis.basis)}, ${basis.samples} measured${newest}${confidence}`;
}
