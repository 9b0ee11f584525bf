//! Short ways to say which records there are and what became of them.

use std::time::Duration;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::super::{Decision, Point, Reason, RetentionInput, RetentionPlan, Verdict, plan};
use crate::model::{KeepRules, RecordId, RetentionRules, Timestamp};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn id(n: usize) -> RecordId {
    RecordId::from_uuid(Uuid::from_u128(u128::try_from(n).unwrap()))
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A usable record with the id `n`.
pub(super) fn point(n: usize, time: &str) -> Point {
    Point::new(id(n), at(time))
}

/// Usable records 1, 2, … at these times.
pub(super) fn points(times: &[&str]) -> Vec<Point> {
    times.iter().enumerate().map(|(n, time)| point(n + 1, time)).collect()
}

/// `count` records, one a day at 02:00 UTC, the newest (number 1) on `newest`.
pub(super) fn daily(count: usize, newest: &str) -> Vec<Point> {
    let newest = at(newest);
    (0..count)
        .map(|n| Point::new(id(n + 1), newest.saturating_sub(DAY * u32::try_from(n).unwrap())))
        .collect()
}

pub(super) fn tiers(keep: KeepRules) -> RetentionRules {
    RetentionRules { keep, ..RetentionRules::default() }
}

pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The plan under `rules` in UTC, with every caution acknowledged.
pub(super) fn planned(rules: &RetentionRules, points: &[Point], now: &str) -> RetentionPlan {
    planned_in("UTC", rules, points, now)
}

pub(super) fn planned_in(
    zone_name: &str,
    rules: &RetentionRules,
    points: &[Point],
    now: &str,
) -> RetentionPlan {
    let zone = zone(zone_name);
    acknowledged(RetentionInput::new(rules, &zone, points, at(now)))
}

pub(super) fn acknowledged(input: RetentionInput<'_>) -> RetentionPlan {
    plan(&RetentionInput { acknowledgement: super::super::Acknowledgement::Given, ..input }).unwrap()
}

/// The numbers of the records that stay, newest record first.
#[track_caller]
pub(super) fn kept(plan: &RetentionPlan) -> Vec<usize> {
    plan.decisions().filter(|d| d.verdict == Verdict::Keep).map(|d| number(&d)).collect()
}

fn number(decision: &Decision<'_>) -> usize {
    usize::try_from(decision.id.as_uuid().as_u128()).unwrap()
}

pub(super) fn reasons(plan: &RetentionPlan, n: usize) -> Vec<Reason> {
    plan.decision(id(n)).unwrap().reasons.to_vec()
}

pub(super) fn explanation(plan: &RetentionPlan, n: usize) -> String {
    plan.decision(id(n)).unwrap().explanation()
}

/// The names of the rules that spoke, in their order.
pub(super) fn codes(plan: &RetentionPlan, n: usize) -> Vec<&'static str> {
    plan.decision(id(n)).unwrap().reasons.iter().map(Reason::code).collect()
}
