//! The runs of the last 30 days by policy, kept in mind and kept current by the log.

use std::collections::HashMap;

use super::{Counter, run_of};
use crate::{
    model::{PolicyId, Position, SealedEvent, Timestamp},
    rules::health::Tally,
};

/// How the runs of a tenant's policies ended in the last 30 days.
#[derive(Clone, Debug)]
pub(crate) struct RecentRuns {
    by_policy: HashMap<PolicyId, Tally>,
    /// The last event whose run has left.
    left: Position,
    /// When the next one will; `None` if that is to be looked up.
    next_leaves_at: Option<Timestamp>,
}

impl RecentRuns {
    pub(crate) const fn new(by_policy: HashMap<PolicyId, Tally>, left: Position) -> Self {
        Self { by_policy, left, next_leaves_at: None }
    }

    /// Those of one policy.
    pub(crate) fn of(&self, policy: PolicyId) -> Tally {
        self.by_policy.get(&policy).copied().unwrap_or_default()
    }

    pub(crate) const fn left(&self) -> Position {
        self.left
    }

    pub(crate) const fn next_leaves_at(&self) -> Option<Timestamp> {
        self.next_leaves_at
    }

    /// Whether the runs of events up to `head` may leave by `now`.
    pub(crate) fn leave_by(&self, now: Timestamp, head: Position) -> bool {
        self.left < head && self.next_leaves_at.is_none_or(|at| at <= now)
    }

    /// When the run of an event leaves.
    pub(crate) fn leaves_at(sealed: &SealedEvent, now: Timestamp) -> Timestamp {
        Counter::LeftMonth.comes_at(&sealed.event, now)
    }

    /// The policies whose runs these events tell of.
    pub(crate) fn policies(events: &[SealedEvent]) -> impl Iterator<Item = PolicyId> {
        runs(events).map(|(policy, _)| policy)
    }

    /// Counts the runs that these events tell of.
    pub(crate) fn add(&mut self, events: &[SealedEvent]) {
        for (policy, run) in runs(events) {
            let sum = self.by_policy.entry(policy).or_default();
            *sum = sum.plus(&run);
        }
    }

    /// Takes the runs away that these events tell of, which were counted.
    pub(crate) fn leave(&mut self, events: &[SealedEvent], next_leaves_at: Option<Timestamp>) {
        for (policy, run) in runs(events) {
            self.by_policy.entry(policy).and_modify(|sum| *sum = sum.minus(&run));
        }
        self.left = events.last().map_or(self.left, |last| last.position);
        self.next_leaves_at = next_leaves_at;
    }
}

fn runs(events: &[SealedEvent]) -> impl Iterator<Item = (PolicyId, Tally)> {
    events.iter().filter_map(|sealed| {
        let run = run_of(&sealed.event)?;
        Some((run.policy?, Tally::of(&run).outcomes()))
    })
}
