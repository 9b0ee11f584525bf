//! Statistics: pure folds over small facts about runs.
//!
//! A [`Tally`] can be added to and taken from, so that a run that leaves a sliding window is a
//! change like any other, and nothing is ever counted anew.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{BackupKind, Bytes, ClusterName, PolicyId, Timestamp};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it is there.
    Completed,
    /// Some of it is.
    PartiallyFailed,
    /// Nothing of it is.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// One run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFact {
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What kind of backup it made.
    pub kind: BackupKind,
    /// The policy that asked for it, if one did.
    pub policy: Option<PolicyId>,
    /// What it backed up.
    pub cluster: ClusterName,
    /// How long it took.
    pub took: Duration,
    /// What a restore would write; `None` if nobody knows.
    pub size: Option<Bytes>,
    /// What it added to the storage; `None` if nobody knows.
    pub added: Option<Bytes>,
}

/// Sums over runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Runs that completed.
    #[serde(skip_serializing_if = "is_zero")]
    pub completed: u64,
    /// Runs that made only a part.
    #[serde(skip_serializing_if = "is_zero")]
    pub partially_failed: u64,
    /// Runs that failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Runs that somebody stopped.
    #[serde(skip_serializing_if = "is_zero")]
    pub cancelled: u64,
    /// Microseconds of all runs that made a record.
    #[serde(skip_serializing_if = "is_zero")]
    micros: u64,
    /// Sizes of those whose size is known, and how many these are.
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    sized: u64,
    /// What runs added to the storage.
    #[serde(skip_serializing_if = "is_zero")]
    added: u64,
}

/// Whether there is nothing to write down.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl RunFact {
    /// What it has in common with others.
    #[must_use]
    pub fn facet(&self) -> Facet {
        Facet { cluster: self.cluster.clone(), kind: self.kind, policy: self.policy }
    }
}

/// What runs have in common that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facet {
    /// What they backed up.
    pub cluster: ClusterName,
    /// What kind of backup they made.
    pub kind: BackupKind,
    /// The policy that asked for them, if one did.
    pub policy: Option<PolicyId>,
}

impl Tally {
    /// The tally of one run.
    #[must_use]
    pub fn of(run: &RunFact) -> Self {
        let mut tally = Self::default();
        match run.outcome {
            Outcome::Completed => tally.completed = 1,
            Outcome::PartiallyFailed => tally.partially_failed = 1,
            Outcome::Failed => tally.failed = 1,
            Outcome::Cancelled => tally.cancelled = 1,
        }
        tally.added = run.added.unwrap_or_default().0;
        if matches!(run.outcome, Outcome::Completed | Outcome::PartiallyFailed) {
            tally.micros = u64::try_from(run.took.as_micros()).unwrap_or(u64::MAX);
            tally.size = run.size.unwrap_or_default().0;
            tally.sized = u64::from(run.size.is_some());
        }
        tally
    }

    /// How the runs ended, and nothing else of them.
    #[must_use]
    pub const fn outcomes(&self) -> Self {
        Self { micros: 0, size: 0, sized: 0, added: 0, ..*self }
    }

    /// With `other` added.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            completed: self.completed.saturating_add(other.completed),
            partially_failed: self.partially_failed.saturating_add(other.partially_failed),
            failed: self.failed.saturating_add(other.failed),
            cancelled: self.cancelled.saturating_add(other.cancelled),
            micros: self.micros.saturating_add(other.micros),
            size: self.size.saturating_add(other.size),
            sized: self.sized.saturating_add(other.sized),
            added: self.added.saturating_add(other.added),
        }
    }

    /// With `other`, which had been added, taken away.
    #[must_use]
    pub const fn minus(&self, other: &Self) -> Self {
        Self {
            completed: self.completed.saturating_sub(other.completed),
            partially_failed: self.partially_failed.saturating_sub(other.partially_failed),
            failed: self.failed.saturating_sub(other.failed),
            cancelled: self.cancelled.saturating_sub(other.cancelled),
            micros: self.micros.saturating_sub(other.micros),
            size: self.size.saturating_sub(other.size),
            sized: self.sized.saturating_sub(other.sized),
            added: self.added.saturating_sub(other.added),
        }
    }

    /// All runs that ended.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.completed + self.partially_failed + self.failed + self.cancelled
    }

    /// Runs that made a record, whole or in part.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.completed + self.partially_failed
    }

    /// Completed runs by those that were not cancelled, from 0 to 1; `None` without any.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.completed, self.runs() - self.cancelled)
    }

    /// The mean time of the runs that made a record.
    #[must_use]
    pub fn mean_duration(&self) -> Option<Duration> {
        self.micros.checked_div(self.records()).map(Duration::from_micros)
    }

    /// The mean of the sizes that are known.
    #[must_use]
    pub fn mean_size(&self) -> Option<Bytes> {
        self.size.checked_div(self.sized).map(Bytes)
    }

    /// What the runs added to the storage.
    #[must_use]
    pub const fn added(&self) -> Bytes {
        Bytes(self.added)
    }
}

/// `part` by `whole`, to the millionth; `None` of nothing.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    let millionths = (u128::from(part) * 1_000_000).checked_div(u128::from(whole))?;
    Some(f64::from(u32::try_from(millionths).unwrap_or(u32::MAX)) / 1e6)
}

/// All runs, and the same by kind, policy, cluster and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Everything.
    pub total: Tally,
    /// By kind of backup.
    pub by_kind: BTreeMap<BackupKind, Tally>,
    /// By policy; runs of no policy are in none.
    pub by_policy: BTreeMap<PolicyId, Tally>,
    /// By cluster.
    pub by_cluster: BTreeMap<ClusterName, Tally>,
    /// By days since the Unix epoch, in UTC, of the runs' ends.
    pub by_day: BTreeMap<i64, Tally>,
}

impl Statistics {
    /// Counts one run. The order of runs does not matter; the caller counts each once.
    pub fn count(&mut self, run: &RunFact) {
        self.add(run.at.as_seconds().div_euclid(86_400), &run.facet(), &Tally::of(run));
    }

    /// Counts the runs of a tally, which ended on `day` and have a facet in common.
    pub fn add(&mut self, day: i64, facet: &Facet, tally: &Tally) {
        let add = |sum: &mut Tally| *sum = sum.plus(tally);
        add(&mut self.total);
        add(self.by_kind.entry(facet.kind).or_default());
        add(self.by_cluster.entry(facet.cluster.clone()).or_default());
        add(self.by_day.entry(day).or_default());
        if let Some(policy) = facet.policy {
            add(self.by_policy.entry(policy).or_default());
        }
    }
}

/// How one span of time differs from the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// By how much the success rate rose, from −1 to 1.
    pub success_rate: Option<f64>,
    /// The mean size by the former one.
    pub size: Option<f64>,
    /// The mean duration by the former one.
    pub duration: Option<f64>,
}

impl Trend {
    /// From `before` to `after`; what either of them does not know is `None`.
    #[must_use]
    pub fn between(before: &Tally, after: &Tally) -> Self {
        let size = after.mean_size().zip(before.mean_size()).and_then(|(a, b)| ratio(a.0, b.0));
        let duration = after
            .mean_duration()
            .zip(before.mean_duration().filter(|duration| !duration.is_zero()))
            .map(|(after, before)| after.div_duration_f64(before));
        Self {
            success_rate: after.success_rate().zip(before.success_rate()).map(|(a, b)| a - b),
            size,
            duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: i64, outcome: Outcome) -> RunFact {
        RunFact {
            at: Timestamp::from_seconds(at),
            outcome,
            kind: BackupKind::Full,
            policy: None,
            cluster: ClusterName::new("prod").unwrap(),
            took: Duration::from_secs(60),
            size: Some(Bytes(1000)),
            added: Some(Bytes(10)),
        }
    }

    #[test]
    fn the_success_rate_leaves_cancelled_runs_out() {
        let mut all = Statistics::default();
        for outcome in [Outcome::Completed, Outcome::Failed, Outcome::PartiallyFailed, Outcome::Cancelled] {
            all.count(&run(0, outcome));
        }
        assert_eq!((all.total.runs(), all.total.success_rate()), (4, Some(0.333_333)));
        assert_eq!(Tally::default().success_rate(), None);
    }

    #[test]
    fn sizes_and_durations_are_those_of_runs_that_made_a_record() {
        let failed = RunFact { took: Duration::from_secs(9999), ..run(0, Outcome::Failed) };
        let unknown = RunFact { size: None, took: Duration::from_secs(120), ..run(0, Outcome::Completed) };
        let tally = [failed, unknown, run(0, Outcome::Completed)]
            .iter()
            .fold(Tally::default(), |sum, run| sum.plus(&Tally::of(run)));
        assert_eq!(tally.mean_duration(), Some(Duration::from_secs(90)));
        assert_eq!((tally.mean_size(), tally.added()), (Some(Bytes(1000)), Bytes(30)));
    }

    #[test]
    fn runs_are_counted_by_day_kind_policy_and_cluster() {
        let mut all = Statistics::default();
        let policy = PolicyId::from_uuid(uuid::Uuid::from_u128(1));
        let (first, second) = (
            RunFact { policy: Some(policy), ..run(86_399, Outcome::Completed) },
            run(86_400, Outcome::Failed),
        );
        all.count(&first);
        all.count(&second);
        assert_eq!(all.by_day.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert_eq!((all.by_policy[&policy].runs(), all.by_kind[&BackupKind::Full].runs()), (1, 2));
    }

    #[test]
    fn what_is_taken_away_leaves_what_was_there_before() {
        let (one, other) = (Tally::of(&run(0, Outcome::Completed)), Tally::of(&run(9, Outcome::Failed)));
        assert_eq!(one.plus(&other).minus(&one), other);
        assert_eq!(one.outcomes(), Tally { completed: 1, ..Tally::default() });
    }

    #[test]
    fn a_tally_reads_back_as_it_was_written_and_nothing_is_not_written() {
        let tally = Tally::of(&run(0, Outcome::Completed));
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        assert_eq!(serde_json::to_string(&Tally::default()).unwrap(), "{}");
    }

    #[test]
    fn a_trend_compares_two_spans_and_does_not_guess() {
        let before = Tally::of(&run(0, Outcome::Completed));
        let after = Tally::of(&RunFact { size: Some(Bytes(1500)), ..run(0, Outcome::PartiallyFailed) });
        let trend = Trend::between(&before, &after);
        assert_eq!((trend.size, trend.duration, trend.success_rate), (Some(1.5), Some(1.0), Some(-1.0)));
        assert_eq!(Trend::between(&Tally::default(), &after).size, None);
    }
}
