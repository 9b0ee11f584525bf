//! How exposure was spread over time, and what an objective leaves to lose.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AttainmentInput, Share, attainment::walk};

/// The exposures that were not exceeded for half and for 95 % of the counted time.
///
/// Each is the least one of which that is true; `None` where nothing counts, or where it was
/// unbounded because too much of the time was unprotected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExposureSpread {
    /// For half of the time.
    pub p50: Option<Duration>,
    /// For 95 % of it.
    pub p95: Option<Duration>,
}

/// How exposure was spread over the counted time of a window: exact to the microsecond, from a sweep
/// over what [`attainment`](super::attainment) sweeps over.
#[must_use]
pub fn exposure_spread(input: &AttainmentInput<'_>) -> ExposureSpread {
    let mut counted = Duration::ZERO;
    // While one point is the newest, exposure grows from one figure to another as fast as time.
    let mut ramps: Vec<(u128, Ramp)> = Vec::new();
    walk(input, |step, suspended| {
        if suspended {
            return;
        }
        counted += step.end.since(step.start);
        if let Some(newest) = step.newest {
            ramps.push((step.start.since(newest).as_micros(), Ramp::Begins));
            ramps.push((step.end.since(newest).as_micros(), Ramp::Ends));
        }
    });
    ramps.sort_unstable();
    let part = |percent: u128| (counted.as_micros() * percent).div_ceil(100);
    ExposureSpread { p50: reached(&ramps, part(50)), p95: reached(&ramps, part(95)) }
}

/// An exposure at which another stretch of time begins or ceases to add to those not beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ramp {
    Ends,
    Begins,
}

/// The least exposure that was not exceeded for `wanted` microseconds.
fn reached(ramps: &[(u128, Ramp)], wanted: u128) -> Option<Duration> {
    let (mut covered, mut rising, mut at) = (0, 0u128, 0);
    for (exposure, ramp) in ramps {
        let gain = (exposure - at) * rising;
        if wanted > 0 && covered + gain >= wanted {
            let micros = at + (wanted - covered).div_ceil(rising);
            return u64::try_from(micros).ok().map(Duration::from_micros);
        }
        (covered, at) = (covered + gain, *exposure);
        match ramp {
            Ramp::Begins => rising += 1,
            Ramp::Ends => rising -= 1,
        }
    }
    None
}

/// The share of the time in which a policy has to keep its RPO, in hundredths of a per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objective(u16);

impl Objective {
    /// 99 %.
    pub const DEFAULT: Self = Self(9_900);

    /// So many hundredths of a per cent; `None` beyond 10,000.
    #[must_use]
    pub const fn new(permyriad: u16) -> Option<Self> {
        if permyriad <= 10_000 { Some(Self(permyriad)) } else { None }
    }

    /// The share in per cent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// What it leaves of a time, and what of that is spent.
    #[must_use]
    pub fn budget(self, share: &Share) -> ErrorBudget {
        let Self(permyriad) = self;
        let allowed = share.counted * u32::from(10_000 - permyriad) / 10_000;
        ErrorBudget { allowed, spent: share.counted.saturating_sub(share.compliant) }
    }
}

/// For how long an RPO may be missed within a time, and for how long it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorBudget {
    /// For how long it may be.
    pub allowed: Duration,
    /// For how long it was.
    pub spent: Duration,
}

impl ErrorBudget {
    /// What is left; nothing if it is overspent.
    #[must_use]
    pub const fn left(&self) -> Duration {
        self.allowed.saturating_sub(self.spent)
    }

    /// By how much it is overspent; nothing if it is not.
    #[must_use]
    pub const fn overspent(&self) -> Duration {
        self.spent.saturating_sub(self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{RecordId, Timestamp},
        rules::exposure::{CountingPoint, TargetFrom, Window},
    };

    fn t(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// The spread over so many seconds, with points at these that count at once.
    fn spread(until: i64, points: &[i64]) -> ExposureSpread {
        let points: Vec<_> = points
            .iter()
            .map(|at| {
                let id = RecordId::from_uuid(Uuid::from_u128(at.unsigned_abs().into()));
                CountingPoint { id, at: t(*at), from: t(*at), until: Timestamp::MAX }
            })
            .collect();
        exposure_spread(&AttainmentInput {
            points: &points,
            window: Window { from: t(0), until: t(until) },
            now: Timestamp::MAX,
            targets: &[TargetFrom { from: t(0), target: Duration::from_secs(50) }],
            suspensions: &[],
        })
    }

    fn seconds(p50: u64, p95: u64) -> ExposureSpread {
        let some = |seconds| Some(Duration::from_secs(seconds));
        ExposureSpread { p50: some(p50), p95: some(p95) }
    }

    #[test]
    fn exposure_that_grows_from_nothing_is_spread_evenly() {
        assert_eq!(spread(100, &[0]), seconds(50, 95));
        assert_eq!(spread(300, &[0, 100, 200]), seconds(50, 95));
        assert_eq!(spread(400, &[0, 100]), seconds(100, 280));
    }

    #[test]
    fn unprotected_time_is_beyond_every_figure() {
        assert_eq!(spread(100, &[40]), ExposureSpread { p50: Some(Duration::from_secs(50)), p95: None });
        assert_eq!(spread(100, &[60]), ExposureSpread::default());
        assert_eq!(spread(0, &[0]), ExposureSpread::default());
    }

    #[test]
    fn a_budget_is_what_the_objective_leaves_of_the_counted_time() {
        let share = |compliant| Share {
            counted: Duration::from_secs(10_000),
            compliant: Duration::from_secs(compliant),
        };
        let kept = Objective::DEFAULT.budget(&share(9_970));
        assert_eq!((kept.allowed.as_secs(), kept.left().as_secs(), kept.overspent().as_secs()), (100, 70, 0));
        let missed = Objective::DEFAULT.budget(&share(9_800));
        assert_eq!((missed.left().as_secs(), missed.overspent().as_secs()), (0, 100));
        assert_eq!(Objective::new(10_000).unwrap().budget(&share(10_000)), ErrorBudget::default());
        assert_eq!(Objective::new(10_001), None);
    }
}
