//! A verdict in English: what is wrong, and what a person can do about it.

use std::time::Duration;

use super::{RpoStatus, RpoVerdict};
use crate::{model::Timestamp, rules::words};

/// `duration` in hours with one decimal, rounded up: never shown as less than it is.
#[must_use]
pub fn hours_rounded_up(duration: Duration) -> f64 {
    let tenth = 360_000_000;
    let tenths = duration.as_micros().div_ceil(tenth);
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

/// What is known of a policy's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunFacts<'a> {
    /// How many of the newest scheduled runs failed in a row.
    pub failed_in_a_row: u32,
    /// Why the newest of them failed.
    pub last_failure: Option<&'a str>,
    /// Since when a backup runs.
    pub running_since: Option<Timestamp>,
    /// When the next one is due.
    pub next_slot: Option<Timestamp>,
}

/// What is wrong with the RPO and what to do, in sentences; `None` if nothing is.
#[must_use]
pub fn rpo_issue(verdict: &RpoVerdict, runs: &RunFacts<'_>) -> Option<String> {
    let finding = match verdict.status {
        RpoStatus::Met => return None,
        RpoStatus::AtRisk => at_risk(verdict, runs)?,
        RpoStatus::Missed => missed(verdict)?,
        RpoStatus::Unknown => format!(
            "Nothing usable can be restored, so the RPO target of {} is not being met.",
            words::hours(verdict.target)
        ),
    };
    let failures = match runs.failed_in_a_row {
        0 => None,
        1 => Some("The last scheduled backup failed.".to_owned()),
        n => Some(format!("The last {n} scheduled backups failed.")),
    };
    Some(failures.into_iter().chain([finding]).chain([remedy(verdict, runs)]).collect::<Vec<_>>().join(" "))
}

fn missed(verdict: &RpoVerdict) -> Option<String> {
    let newest = verdict.newest?;
    let (actual, target) = words::held_against(verdict.actual()?, verdict.target);
    Some(format!(
        "RPO target of {target} is not being met (actual: {actual} since the recovery point of {}).",
        newest.at
    ))
}

fn at_risk(verdict: &RpoVerdict, runs: &RunFacts<'_>) -> Option<String> {
    let why = if runs.next_slot.is_none() && runs.running_since.is_none() {
        "no further backup is scheduled"
    } else {
        "the next backup is not expected to be usable by then"
    };
    Some(format!(
        "RPO target of {} will be missed after {}: {why}.",
        words::hours(verdict.target),
        verdict.next_violation_at?
    ))
}

fn remedy(verdict: &RpoVerdict, runs: &RunFacts<'_>) -> String {
    if let Some(cause) = runs.last_failure.filter(|_| runs.failed_in_a_row > 0) {
        let cause = cause.trim_end_matches('.');
        return format!("Last failure: {cause}. Mend that and start a backup.");
    }
    if let Some(since) = runs.running_since {
        return format!("A backup has been running since {since}.");
    }
    match (runs.next_slot, verdict.status) {
        (None, _) => "Start a backup and check that the policy's schedule is enabled.".to_owned(),
        (Some(slot), RpoStatus::AtRisk) => {
            format!("The next run is due {slot}; start a backup now, or schedule them closer together.")
        }
        (Some(slot), RpoStatus::Met | RpoStatus::Missed | RpoStatus::Unknown) => {
            format!("The next run is due {slot}; start a backup now to be protected sooner.")
        }
    }
}
