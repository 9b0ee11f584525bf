//! RTO: how long a restore will take, from evidence.
//!
//! A recovery time can't be watched as exposure can; it rests on samples. The best rung of the
//! ladder that has any wins and is named; what is older than [`STALE_AFTER`] is no evidence. The
//! figure is the 90th percentile; the largest of n samples is an upper bound of the true one with
//! confidence 1 − 0.9ⁿ, and that is stated, not invented. No evidence is *unknown*, which is not met.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words;
use crate::model::{Bytes, Timestamp};

/// How old a sample may be: 90 days.
pub const STALE_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);
/// Beyond how many times the largest size ever restored an estimate is flagged.
pub const FLAG_EXTRAPOLATION_OVER: f64 = 2.0;

/// The ladder of evidence, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtoBasis {
    /// Whole restores and drills of this policy, into the cluster that was backed up.
    SamePolicy,
    /// The same into another cluster, which may be faster or slower.
    SamePolicyElsewhere,
    /// Restores and drills from the same backend and location, of a part or of something else.
    SameLocation,
    /// What verification read, and how fast: a lower bound.
    VerificationRead,
    /// How fast backups were made: weak.
    BackupThroughput,
    /// What the operator assumes.
    Assumption,
}

impl RtoBasis {
    /// Whether restores really ran, so that "met" may be said.
    #[must_use]
    pub const fn is_proof(self) -> bool {
        self.is_of_policy() || matches!(self, Self::SameLocation)
    }

    /// Whether all that the policy protects was restored, so that it says something even where
    /// nobody knows how much that was.
    #[must_use]
    pub const fn is_of_policy(self) -> bool {
        matches!(self, Self::SamePolicy | Self::SamePolicyElsewhere)
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::SamePolicy => "restores and drills of this policy",
            Self::SamePolicyElsewhere => "restores and drills of this policy into another cluster",
            Self::SameLocation => "restores and drills from the same location",
            Self::VerificationRead => "the read speed of verifications, a lower bound",
            Self::BackupThroughput => "the speed of backups, which is weak evidence",
            Self::Assumption => "the operator's assumption",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtoSample {
    /// Its rung.
    pub basis: RtoBasis,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// How much it handled; `None` if nobody knows.
    pub bytes: Option<Bytes>,
    /// Whether it succeeded. A failure has no duration to learn from, but it is no silence either.
    pub succeeded: bool,
}

/// What a restore would bring back now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreSize {
    /// Nothing can be restored, however fast a restore may be.
    Nothing,
    /// Something, and nobody knows how much.
    Unknown,
    /// So much.
    Known(Bytes),
}

impl RestoreSize {
    const fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Known(bytes) => Some(bytes),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// What an estimate is made from.
#[derive(Clone, Copy, Debug)]
pub struct RtoInput<'a> {
    /// Everything measured, in any order.
    pub samples: &'a [RtoSample],
    /// What the speed of backups came to without decision time, where that was worked out before and is
    /// not among the samples.
    pub backups: Option<RtoEstimate>,
    /// What a restore would write now.
    pub size: RestoreSize,
    /// What the operator assumes, for where nothing was measured.
    pub assumption: Option<Duration>,
    /// What people need to notice and decide, added to each figure: 0 unless configured.
    pub decision_time: Duration,
    /// The present.
    pub now: Timestamp,
}

/// How long a restore will take, with its evidence. All figures include the decision time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RtoEstimate {
    /// The rung that it rests on.
    pub basis: RtoBasis,
    /// How many samples.
    pub samples: usize,
    /// The newest of them.
    pub newest_at: Option<Timestamp>,
    /// Half of the samples took no longer.
    pub median: Duration,
    /// Nine in ten of the samples took no longer: the figure to show.
    pub p90: Duration,
    /// None of the samples took longer.
    pub longest: Duration,
    /// The confidence that the true 90th percentile is no longer than `longest`, from 0 to 1;
    /// `None` where no restore ran.
    pub confidence: Option<f64>,
    /// The present size by the largest size that was measured, where both are known.
    pub extrapolation: Option<f64>,
    /// What of each figure people need to notice and decide.
    pub decision_time: Duration,
}

impl RtoEstimate {
    /// With so much more time to notice and decide.
    fn later_by(self, decision_time: Duration) -> Self {
        Self {
            median: self.median + decision_time,
            p90: self.p90 + decision_time,
            longest: self.longest + decision_time,
            decision_time: self.decision_time + decision_time,
            ..self
        }
    }

    /// Whether the estimate reaches so far beyond what was measured that one should test.
    #[must_use]
    pub fn is_far_fetched(&self) -> bool {
        self.extrapolation.is_some_and(|factor| factor > FLAG_EXTRAPOLATION_OVER)
    }
}

/// The confidence that the largest of `samples` measurements is an upper bound of the true 90th
/// percentile: 1 − 0.9ⁿ.
#[must_use]
pub fn confidence(samples: usize) -> f64 {
    1.0 - 0.9_f64.powi(i32::try_from(samples).unwrap_or(i32::MAX))
}

/// Estimates from the best rung that has fresh samples; `None` is unknown, as it is where nothing
/// can be restored.
#[must_use]
pub fn estimate(input: &RtoInput<'_>) -> Option<RtoEstimate> {
    if input.size == RestoreSize::Nothing {
        return None;
    }
    let fresh = || input.samples.iter().filter(|s| s.succeeded && is_fresh(s, input.now));
    let rungs = [
        RtoBasis::SamePolicy,
        RtoBasis::SamePolicyElsewhere,
        RtoBasis::SameLocation,
        RtoBasis::VerificationRead,
        RtoBasis::BackupThroughput,
    ];
    rungs
        .into_iter()
        .find_map(|basis| from_samples(basis, fresh().filter(|sample| sample.basis == basis), input))
        .or_else(|| input.backups.map(|estimate| estimate.later_by(input.decision_time)))
        .or_else(|| input.assumption.map(|assumed| from_assumption(assumed, input.decision_time)))
}

fn is_fresh(sample: &RtoSample, now: Timestamp) -> bool {
    now.since(sample.at) <= STALE_AFTER
}

fn from_samples<'a>(
    basis: RtoBasis,
    samples: impl Iterator<Item = &'a RtoSample> + Clone,
    input: &RtoInput<'_>,
) -> Option<RtoEstimate> {
    let size = input.size.bytes();
    let mut durations: Vec<_> = samples.clone().filter_map(|sample| at_size(sample, size)).collect();
    durations.sort_unstable();
    let count = durations.len();
    let ranked = |rank: usize| durations.get(rank.checked_sub(1)?).map(|took| *took + input.decision_time);
    let largest = samples.clone().filter_map(|sample| sample.bytes).max().filter(|bytes| bytes.0 > 0);
    Some(RtoEstimate {
        basis,
        samples: count,
        newest_at: samples.map(|sample| sample.at).max(),
        median: ranked(count.div_ceil(2))?,
        p90: ranked((count * 9).div_ceil(10))?,
        longest: ranked(count)?,
        confidence: basis.is_proof().then(|| confidence(count)),
        extrapolation: size.zip(largest).map(|(size, largest)| ratio(size, largest)),
        decision_time: input.decision_time,
    })
}

const fn from_assumption(assumed: Duration, decision_time: Duration) -> RtoEstimate {
    let took = assumed.saturating_add(decision_time);
    RtoEstimate {
        basis: RtoBasis::Assumption,
        samples: 0,
        newest_at: None,
        median: took,
        p90: took,
        longest: took,
        confidence: None,
        extrapolation: None,
        decision_time,
    }
}

/// What `sample` would have taken for `size`.
///
/// A real restore is stretched to a larger size and never shrunk to a smaller one: how much of it
/// was overhead is unknown. A speed is a speed both ways. Where either size is unknown, only a whole
/// restore of this policy says anything: any other may have been of next to nothing.
fn at_size(sample: &RtoSample, size: Option<Bytes>) -> Option<Duration> {
    let (size, bytes) = match (size, sample.bytes.filter(|bytes| bytes.0 > 0)) {
        (Some(size), Some(bytes)) if !sample.basis.is_proof() || size > bytes => (size, bytes),
        (Some(_), Some(_)) => return Some(sample.duration),
        _ if sample.basis.is_of_policy() => return Some(sample.duration),
        _ => return None,
    };
    let micros = sample.duration.as_micros().saturating_mul(u128::from(size.0)).div_ceil(u128::from(bytes.0));
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
}

/// The quotient of two sizes, to the thousandth.
fn ratio(size: Bytes, largest: Bytes) -> f64 {
    let thousandths = u128::from(size.0) * 1000 / u128::from(largest.0);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1000.0
}

/// How a policy stands against its RTO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtoStatus {
    /// Every fresh restore, stretched to the present size, was within the target.
    Met,
    /// Between the two; or within the target only by evidence that is no restore.
    AtRisk,
    /// More than half took longer, or the newest drill failed.
    Missed,
    /// No evidence, or nothing that could be restored.
    Unknown,
}

/// The verdict on a policy's RTO, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RtoVerdict {
    /// How it stands.
    pub status: RtoStatus,
    /// The target.
    pub target: Duration,
    /// How long a restore will take.
    pub estimate: Option<RtoEstimate>,
    /// When the newest restore or drill of this policy failed, if it did.
    pub failed_at: Option<Timestamp>,
    /// What a restore would bring back now.
    pub size: RestoreSize,
}

impl RtoVerdict {
    /// Whether the figure that is shown is within the target by restores that ran, and nothing
    /// speaks against it. What was never restored is not compliant, however fast backups are made.
    #[must_use]
    pub fn is_compliant(&self) -> bool {
        let shown = |estimate: RtoEstimate| estimate.basis.is_proof() && estimate.p90 <= self.target;
        match self.status {
            RtoStatus::Met => true,
            RtoStatus::AtRisk => self.estimate.is_some_and(shown),
            RtoStatus::Missed | RtoStatus::Unknown => false,
        }
    }

    /// What is wrong and what to do, in sentences; `None` if nothing is.
    #[must_use]
    pub fn issue(&self) -> Option<String> {
        let target = words::hours(self.target);
        if let Some(at) = self.failed_at {
            return Some(format!(
                "The restore or DR test of {at} failed, so the RTO target of {target} is not being met. Find out why and test again."
            ));
        }
        if self.size == RestoreSize::Nothing {
            return Some(format!(
                "Nothing usable can be restored, so whether the RTO target of {target} is met is unknown. Run a backup."
            ));
        }
        let Some(estimate) = self.estimate else {
            return Some(format!(
                "No restore was measured in the last 90 days, so whether the RTO target of {target} is met is unknown. Run a DR test."
            ));
        };
        let (figure, target) = words::held_against(estimate.p90, self.target);
        let basis = estimate.basis.in_words();
        match self.status {
            RtoStatus::Met | RtoStatus::Unknown => None,
            RtoStatus::Missed => Some(format!(
                "RTO target of {target} is not being met (estimated: {figure}, from {basis}). Restore less at once, or from faster storage."
            )),
            RtoStatus::AtRisk => Some(format!(
                "RTO target of {target} is at risk (estimated: {figure}, from {basis}). Run a DR test to know."
            )),
        }
    }
}

/// Judges a policy's RTO.
#[must_use]
pub fn judge(target: Duration, input: &RtoInput<'_>) -> RtoVerdict {
    let newest = input
        .samples
        .iter()
        .filter(|sample| sample.basis.is_of_policy() && is_fresh(sample, input.now))
        .max_by_key(|sample| (sample.at, !sample.succeeded));
    let failed_at = newest.filter(|sample| !sample.succeeded).map(|sample| sample.at);
    let estimate = estimate(input);
    let status = match estimate {
        _ if failed_at.is_some() => RtoStatus::Missed,
        None => RtoStatus::Unknown,
        Some(estimate) if estimate.median > target => RtoStatus::Missed,
        Some(estimate) if estimate.longest <= target && estimate.basis.is_proof() => RtoStatus::Met,
        Some(_) => RtoStatus::AtRisk,
    };
    RtoVerdict { status, target, estimate, failed_at, size: input.size }
}

/// The minutes that restoring everything takes, one part after the other, rounded up; `None` if any
/// part is unknown, or there is none.
#[must_use]
pub fn full_restore_minutes(parts: impl IntoIterator<Item = Option<RtoEstimate>>) -> Option<u64> {
    let mut parts = parts.into_iter().peekable();
    parts.peek()?;
    let total = parts.try_fold(Duration::ZERO, |sum, part| Some(sum.saturating_add(part?.p90)))?;
    Some(total.as_secs().saturating_add(u64::from(total.subsec_nanos() > 0)).div_ceil(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        "2026-02-06T18:30:00Z".parse().unwrap()
    }

    fn sample(basis: RtoBasis, minutes: u32, days_ago: u32) -> RtoSample {
        let at = now().saturating_sub(DAY * days_ago);
        RtoSample { basis, at, duration: MINUTE * minutes, bytes: None, succeeded: true }
    }

    fn input(samples: &[RtoSample]) -> RtoInput<'_> {
        let size = RestoreSize::Unknown;
        RtoInput { samples, backups: None, size, assumption: None, decision_time: Duration::ZERO, now: now() }
    }

    fn sized(samples: &[RtoSample], bytes: u64) -> RtoInput<'_> {
        RtoInput { size: RestoreSize::Known(Bytes(bytes)), ..input(samples) }
    }

    fn restores(minutes: impl IntoIterator<Item = u32>) -> Vec<RtoSample> {
        minutes.into_iter().map(|minutes| sample(RtoBasis::SamePolicy, minutes, 1)).collect()
    }

    #[test]
    fn no_evidence_is_unknown_and_unknown_is_not_met() {
        let verdict = judge(MINUTE * 60, &input(&[]));
        assert_eq!((verdict.status, verdict.is_compliant()), (RtoStatus::Unknown, false));
        assert!(verdict.issue().unwrap().contains("Run a DR test"));
    }

    #[test]
    fn the_best_rung_of_the_ladder_wins_and_is_named() {
        let mut samples = vec![
            RtoSample { bytes: Some(Bytes(1)), ..sample(RtoBasis::BackupThroughput, 1, 0) },
            RtoSample { bytes: Some(Bytes(1)), ..sample(RtoBasis::VerificationRead, 2, 0) },
            RtoSample { bytes: Some(Bytes(1)), ..sample(RtoBasis::SameLocation, 3, 0) },
            sample(RtoBasis::SamePolicyElsewhere, 4, 0),
            sample(RtoBasis::SamePolicy, 5, 80),
        ];
        for (basis, minutes) in [
            (RtoBasis::SamePolicy, 5),
            (RtoBasis::SamePolicyElsewhere, 4),
            (RtoBasis::SameLocation, 3),
            (RtoBasis::VerificationRead, 2),
            (RtoBasis::BackupThroughput, 1),
        ] {
            let estimate = estimate(&sized(&samples, 1)).unwrap();
            assert_eq!((estimate.basis, estimate.p90), (basis, MINUTE * minutes));
            samples.pop();
        }
        let assumed = RtoInput { assumption: Some(MINUTE * 9), ..input(&[]) };
        assert_eq!(estimate(&assumed).unwrap().basis, RtoBasis::Assumption);
    }

    #[test]
    fn samples_older_than_90_days_are_no_evidence() {
        assert!(estimate(&input(&[sample(RtoBasis::SamePolicy, 4, 90)])).is_some());
        assert!(estimate(&input(&[sample(RtoBasis::SamePolicy, 4, 91)])).is_none());
    }

    #[test]
    fn the_figure_is_the_90th_percentile() {
        let samples = restores(1..=20);
        let estimate = estimate(&input(&samples)).unwrap();
        assert_eq!([estimate.median, estimate.p90, estimate.longest], [10, 18, 20].map(|m| MINUTE * m));
    }

    #[test]
    fn confidence_is_computed_from_the_number_of_samples() {
        let per_cent = |n| (confidence(n) * 100.0).round();
        assert_eq!([1, 5, 10, 28, 29].map(per_cent), [10.0, 41.0, 65.0, 95.0, 95.0]);
        assert!(confidence(28) < 0.95 && confidence(29) >= 0.95);
    }

    #[test]
    fn a_larger_size_stretches_and_a_smaller_one_does_not_shrink_a_restore() {
        let samples = [RtoSample { bytes: Some(Bytes(100)), ..sample(RtoBasis::SamePolicy, 10, 1) }];
        let at = |size| estimate(&sized(&samples, size)).unwrap();
        assert_eq!((at(200).p90, at(200).is_far_fetched()), (MINUTE * 20, false));
        assert_eq!((at(201).extrapolation, at(201).is_far_fetched()), (Some(2.01), true));
        assert_eq!(at(10).p90, MINUTE * 10);
    }

    #[test]
    fn a_speed_without_a_size_says_nothing() {
        assert!(estimate(&sized(&[sample(RtoBasis::BackupThroughput, 10, 1)], 5)).is_none());
    }

    #[test]
    fn without_both_sizes_only_a_whole_restore_of_the_policy_says_anything() {
        for (basis, says) in [
            (RtoBasis::SamePolicy, true),
            (RtoBasis::SamePolicyElsewhere, true),
            (RtoBasis::SameLocation, false),
            (RtoBasis::VerificationRead, false),
        ] {
            let unmeasured = [sample(basis, 1, 1)];
            let measured = [RtoSample { bytes: Some(Bytes(5)), ..unmeasured[0] }];
            assert_eq!(estimate(&input(&measured)).is_some(), says, "{basis:?} for an unknown size");
            assert_eq!(estimate(&sized(&unmeasured, 5)).is_some(), says, "{basis:?} of an unknown size");
            assert!(estimate(&sized(&measured, 5)).is_some(), "{basis:?}");
        }
    }

    #[test]
    fn with_nothing_to_restore_the_recovery_time_is_unknown_however_fast_restores_were() {
        let samples = restores([1, 1, 1]);
        let verdict = judge(MINUTE * 60, &RtoInput { size: RestoreSize::Nothing, ..input(&samples) });
        assert_eq!((verdict.status, verdict.is_compliant()), (RtoStatus::Unknown, false));
        assert!(verdict.issue().unwrap().starts_with("Nothing usable can be restored"));
    }

    #[test]
    fn met_at_risk_and_missed_depend_on_where_the_target_lies_among_the_samples() {
        let samples = restores([10, 20, 30]);
        let status = |minutes| judge(MINUTE * minutes, &input(&samples)).status;
        assert_eq!(
            [30, 29, 20, 19].map(status),
            [RtoStatus::Met, RtoStatus::AtRisk, RtoStatus::AtRisk, RtoStatus::Missed]
        );
    }

    #[test]
    fn what_is_no_restore_never_proves_that_the_target_is_met() {
        let samples = [RtoSample { bytes: Some(Bytes(5)), ..sample(RtoBasis::BackupThroughput, 10, 1) }];
        let verdict = judge(MINUTE * 60, &sized(&samples, 5));
        assert_eq!((verdict.status, verdict.is_compliant()), (RtoStatus::AtRisk, false));
        assert!(verdict.issue().unwrap().contains("the speed of backups, which is weak evidence"));
        let assumed = judge(MINUTE * 60, &RtoInput { assumption: Some(MINUTE), ..input(&[]) });
        assert_eq!((assumed.status, assumed.is_compliant()), (RtoStatus::AtRisk, false));
    }

    #[test]
    fn restores_of_which_nine_in_ten_were_within_the_target_are_at_risk_and_compliant() {
        let samples = restores((1..=9).map(|_| 10).chain([90]));
        let verdict = judge(MINUTE * 60, &input(&samples));
        assert_eq!((verdict.status, verdict.is_compliant()), (RtoStatus::AtRisk, true));
    }

    #[test]
    fn a_failed_drill_is_missed_until_a_later_one_succeeds() {
        let failed = RtoSample { succeeded: false, ..sample(RtoBasis::SamePolicy, 1, 2) };
        let older = [sample(RtoBasis::SamePolicy, 1, 3), failed];
        assert_eq!(judge(MINUTE * 60, &input(&older)).status, RtoStatus::Missed);
        let later = [failed, sample(RtoBasis::SamePolicy, 1, 1)];
        assert_eq!(judge(MINUTE * 60, &input(&later)).status, RtoStatus::Met);
        assert_eq!(judge(MINUTE * 60, &input(&[failed])).status, RtoStatus::Missed, "not no data");
        let elsewhere = [failed, sample(RtoBasis::SamePolicyElsewhere, 1, 1)];
        assert_eq!(judge(MINUTE * 60, &input(&elsewhere)).status, RtoStatus::Met);
        let of_another = [failed, sample(RtoBasis::SameLocation, 1, 1)];
        assert_eq!(judge(MINUTE * 60, &input(&of_another)).status, RtoStatus::Missed);
    }

    #[test]
    fn decision_time_is_part_of_every_figure() {
        let samples = restores([10]);
        let decided = RtoInput { decision_time: MINUTE * 5, ..input(&samples) };
        let estimate = estimate(&decided).unwrap();
        assert_eq!((estimate.p90, estimate.decision_time), (MINUTE * 15, MINUTE * 5));
    }

    #[test]
    fn what_backups_came_to_before_counts_as_they_do_and_after_any_other_evidence() {
        let backups = [RtoSample { bytes: Some(Bytes(5)), ..sample(RtoBasis::BackupThroughput, 10, 1) }];
        let before = RtoInput { backups: estimate(&sized(&backups, 5)), ..sized(&[], 5) };
        let decided = |input: RtoInput<'static>| RtoInput { decision_time: MINUTE, ..input };
        assert_eq!(
            estimate(&decided(before)),
            estimate(&RtoInput { decision_time: MINUTE, ..sized(&backups, 5) })
        );
        let restored = restores([7]);
        assert_eq!(estimate(&RtoInput { samples: &restored, ..before }).unwrap().basis, RtoBasis::SamePolicy);
        assert_eq!(estimate(&RtoInput { size: RestoreSize::Nothing, ..before }), None);
    }

    #[test]
    fn a_full_restore_is_the_sum_of_its_parts_in_whole_minutes_and_unknown_if_any_is() {
        let samples = restores([8]);
        let part = estimate(&input(&samples));
        assert_eq!(full_restore_minutes([part, part]), Some(16));
        assert_eq!(full_restore_minutes([part, None]), None);
        assert_eq!(full_restore_minutes([]), None);
    }
}
