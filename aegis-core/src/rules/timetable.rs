//! A policy's schedule with everything that bends it, ready for use.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{blackout::Blackout, schedule::CompiledSchedule};
use crate::model::{CatchUp, Overlap, PolicyId, Schedule, ScheduleOptions, Seconds, Timestamp, ZoneName};

/// Among how many slots the longest wait is looked for: months of any schedule by days or weeks.
const LOOK_AHEAD: usize = 128;

/// A policy's schedule and options made ready: build it once for each version of a policy.
#[derive(Clone, Debug)]
pub struct Timetable {
    pub(super) schedule: CompiledSchedule,
    pub(super) delay: Duration,
    pub(super) start_window: Option<Duration>,
    pub(super) catch_up: CatchUp,
    pub(super) overlap: Overlap,
    pub(super) blackout: Blackout,
}

/// A slot that lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// The nominal time, which is the slot's identity.
    pub nominal_at: Timestamp,
    /// When its job is due to start: the nominal time and the policy's share of the jitter.
    pub start_at: Timestamp,
    /// Whether it will be skipped because that start lies in a blackout window.
    pub blacked_out: bool,
}

impl Timetable {
    /// Makes the schedule of policy `policy` ready, created at `anchor`.
    #[must_use]
    pub fn new(schedule: &Schedule, options: &ScheduleOptions, policy: PolicyId, anchor: Timestamp) -> Self {
        let zone = schedule.zone().unwrap_or(ZoneName::UTC);
        Self {
            schedule: CompiledSchedule::new(schedule, anchor),
            delay: options.jitter.map_or(Duration::ZERO, |jitter| share_of(jitter, policy)),
            start_window: options.start_window.map(Seconds::duration),
            catch_up: options.catch_up,
            overlap: options.overlap,
            blackout: Blackout::new(&options.blackout, zone),
        }
    }

    /// The schedule's nominal times.
    #[must_use]
    pub const fn schedule(&self) -> &CompiledSchedule {
        &self.schedule
    }

    /// How long after its nominal time each slot of this policy starts: its share of the jitter.
    #[must_use]
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// The slots after `after`, in order, blacked out ones included.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Upcoming> + '_ {
        self.schedule.iter_after(after).map(|nominal_at| {
            let start_at = self.start(nominal_at);
            Upcoming { nominal_at, start_at, blacked_out: self.blackout.end(start_at).is_some() }
        })
    }

    /// The longest wait between two of the next 128 nominal times after `after`; `None` if there are
    /// no two.
    #[must_use]
    pub fn longest_gap(&self, after: Timestamp) -> Option<Duration> {
        let mut times = self.schedule.iter_after(after).take(LOOK_AHEAD);
        let mut last = times.next()?;
        times.map(|time| time.since(std::mem::replace(&mut last, time))).max()
    }

    /// The instant at which the slot at `nominal` is due to start.
    pub(super) fn start(&self, nominal: Timestamp) -> Timestamp {
        nominal.saturating_add(self.delay)
    }
}

/// A share of `jitter`, from nothing to all of it in whole seconds, that depends on the policy
/// alone.
fn share_of(jitter: Seconds, policy: PolicyId) -> Duration {
    let digest = Sha256::digest(policy.as_uuid().as_bytes());
    let hash = digest.iter().take(8).fold(0u64, |hash, byte| hash << 8 | u64::from(*byte));
    Duration::from_secs(hash % (u64::from(jitter.get()) + 1))
}
