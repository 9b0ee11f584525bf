//! When a run refuses, or stops and asks: clocks that jumped, and more expiry than anyone meant.

use std::{fmt, time::Duration};

use super::{Acknowledgement, CLOCK_TOLERANCE, LONGEST_PAUSE, RetentionInput, reason::records};
use crate::{
    model::{Breaker, RetentionRulesError, Timestamp},
    rules::words::Span,
};

/// Why no plan was made. Nothing was decided, and nothing may expire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionRefusal {
    /// The rules are not valid, for instance empty. Class `InvalidInput`.
    #[error("the retention rules can't be used")]
    Rules(#[from] RetentionRulesError),
    /// The clock went back. Class `Unavailable`: it passes once the clock is right.
    #[error(
        "the clock shows {now}, before the newest event of {newest_event}: set the clock of this machine, nothing expires until then"
    )]
    ClockBehind {
        /// What the clock shows.
        now: Timestamp,
        /// The newest event in the store.
        newest_event: Timestamp,
    },
    /// The run needs a person's consent. Class `InvalidTransition`.
    #[error("the retention run needs an acknowledgement: {0}; look at the preview, then run it with one")]
    Unacknowledged(Cautions),
}

/// What makes a run ask a person before anything expires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cautions {
    /// It would expire too much at once.
    pub breaker: Option<BreakerTrip>,
    /// It comes this long after the last run, so that the clock may have jumped.
    pub pause: Option<Duration>,
}

/// A run that would expire more than the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTrip {
    /// Records that would newly expire.
    pub expiring: usize,
    /// Records in the group.
    pub of: usize,
    /// The figures that it went beyond.
    pub breaker: Breaker,
}

impl Cautions {
    /// Whether the run may go ahead by itself.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.breaker.is_none() && self.pause.is_none()
    }
}

impl fmt::Display for Cautions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(trip) = &self.breaker {
            write!(
                f,
                "it would expire {} of {}, more than {} per cent and more than {}",
                trip.expiring,
                records(trip.of),
                trip.breaker.share_percent,
                trip.breaker.count
            )?;
        }
        if self.breaker.is_some() && self.pause.is_some() {
            f.write_str("; and ")?;
        }
        if let Some(pause) = self.pause {
            write!(f, "the last run was {} ago, so the clock may have jumped", Span(pause))?;
        }
        Ok(())
    }
}

/// Refuses rules that are not valid and a clock that went back.
pub(super) fn check_input(input: &RetentionInput<'_>) -> Result<(), RetentionRefusal> {
    if let Some(rules) = input.rules {
        rules.validate()?;
    }
    match input.newest_event {
        Some(newest_event) if newest_event.since(input.now) > CLOCK_TOLERANCE => {
            Err(RetentionRefusal::ClockBehind { now: input.now, newest_event })
        }
        _ => Ok(()),
    }
}

/// How many records a run would expire.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Toll {
    /// Records that no run has marked yet.
    pub(super) newly: usize,
    /// All records with the verdict *expire*.
    pub(super) all: usize,
}

/// What a run with this outcome asks a person; an error if nobody answered.
pub(super) fn check_outcome(input: &RetentionInput<'_>, toll: Toll) -> Result<Cautions, RetentionRefusal> {
    let breaker = input.rules.map_or_else(Breaker::default, |rules| rules.breaker);
    let cautions = Cautions {
        breaker: trips(&breaker, toll.newly, input.points.len()).then_some(BreakerTrip {
            expiring: toll.newly,
            of: input.points.len(),
            breaker,
        }),
        pause: input
            .last_run
            .map(|last| input.now.since(last))
            .filter(|pause| *pause > LONGEST_PAUSE && toll.all > 0),
    };
    match input.acknowledgement {
        Acknowledgement::None if !cautions.is_empty() => Err(RetentionRefusal::Unacknowledged(cautions)),
        Acknowledgement::None | Acknowledgement::Given => Ok(cautions),
    }
}

fn trips(breaker: &Breaker, expiring: usize, of: usize) -> bool {
    let share = of.saturating_mul(usize::from(breaker.share_percent));
    expiring.saturating_mul(100) > share
        && u32::try_from(expiring).map_or(true, |count| count > breaker.count)
}
