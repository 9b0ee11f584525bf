//! Statistics: pure folds over small facts about runs.
//!
//! A [`Tally`] can be added to and taken from, so that a run that leaves a sliding window is a
//! change like any other, and nothing is ever counted anew.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

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
    pub completed: u64,
    /// Runs that made only a part.
    pub partially_failed: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that somebody stopped.
    pub cancelled: u64,
    /// Microseconds of all runs that made a record.
    micros: u64,
    /// Sizes of those whose size is known, and how many these are.
    size: u64,
    sized: u64,
    /// What runs added to the storage.
    added: u64,
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
        self.change(run, Tally::plus);
    }

    /// Takes back a run that had been counted.
    pub fn discount(&mut self, run: &RunFact) {
        self.change(run, Tally::minus);
        self.by_kind.retain(|_, tally| tally.runs() > 0);
        self.by_policy.retain(|_, tally| tally.runs() > 0);
        self.by_cluster.retain(|_, tally| tally.runs() > 0);
        self.by_day.retain(|_, tally| tally.runs() > 0);
    }

    /// Counts every run that `other` counted.
    pub fn add(&mut self, other: &Self) {
        fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, Tally>, from: &BTreeMap<K, Tally>) {
            for (key, tally) in from {
                let sum = into.entry(key.clone()).or_default();
                *sum = sum.plus(tally);
            }
        }
        self.total = self.total.plus(&other.total);
        merge(&mut self.by_kind, &other.by_kind);
        merge(&mut self.by_policy, &other.by_policy);
        merge(&mut self.by_cluster, &other.by_cluster);
        merge(&mut self.by_day, &other.by_day);
    }

    fn change(&mut self, run: &RunFact, by: impl Fn(&Tally, &Tally) -> Tally) {
        let one = Tally::of(run);
        let apply = |tally: &mut Tally| *tally = by(tally, &one);
        apply(&mut self.total);
        apply(self.by_kind.entry(run.kind).or_default());
        apply(self.by_cluster.entry(run.cluster.clone()).or_default());
        apply(self.by_day.entry(run.at.as_seconds().div_euclid(86_400)).or_default());
        if let Some(policy) = run.policy {
            apply(self.by_policy.entry(policy).or_default());
        }
    }
}

/// The tally of the runs that ended in the last so-and-so long; each run enters once, leaves once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingTally {
    length: Duration,
    total: Tally,
    /// Oldest first.
    inside: VecDeque<(Timestamp, Tally)>,
}

impl SlidingTally {
    /// A window of `length`, with nothing in it.
    #[must_use]
    pub const fn new(length: Duration) -> Self {
        Self {
            length,
            total: Tally {
                completed: 0,
                partially_failed: 0,
                failed: 0,
                cancelled: 0,
                micros: 0,
                size: 0,
                sized: 0,
                added: 0,
            },
            inside: VecDeque::new(),
        }
    }

    /// Counts a run. Runs may come late, and in any order.
    pub fn count(&mut self, run: &RunFact) {
        let one = Tally::of(run);
        let place = self.inside.partition_point(|(at, _)| *at <= run.at);
        self.inside.insert(place, (run.at, one));
        self.total = self.total.plus(&one);
    }

    /// Lets go of the runs that ended `length` or longer before `now`.
    pub fn advance(&mut self, now: Timestamp) {
        let edge = now.saturating_sub(self.length);
        while let Some((_, gone)) = self.inside.pop_front_if(|(at, _)| *at <= edge) {
            self.total = self.total.minus(&gone);
        }
    }

    /// When the next run leaves.
    #[must_use]
    pub fn next_change_at(&self) -> Option<Timestamp> {
        self.inside.front().map(|(at, _)| at.saturating_add(self.length))
    }

    /// The sums as of the last [`advance`](Self::advance).
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.total
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
    fn runs_are_counted_by_day_kind_policy_and_cluster_and_can_be_taken_back() {
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
        all.discount(&first);
        all.discount(&second);
        assert_eq!(all, Statistics::default());
    }

    #[test]
    fn leaving_a_sliding_window_is_a_change_like_another() {
        let mut day = SlidingTally::new(Duration::from_secs(86_400));
        day.count(&run(100, Outcome::Failed));
        day.count(&run(0, Outcome::Completed));
        assert_eq!((day.tally().runs(), day.next_change_at()), (2, Some(Timestamp::from_seconds(86_400))));
        day.advance(Timestamp::from_seconds(86_399));
        assert_eq!(day.tally().runs(), 2);
        day.advance(Timestamp::from_seconds(86_400));
        assert_eq!((day.tally().completed, day.tally().failed), (0, 1));
        day.advance(Timestamp::MAX);
        assert_eq!((day.tally(), day.next_change_at()), (&Tally::default(), None));
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
