//! Slots of elapsed time.

use crate::model::{Seconds, Timestamp};

/// `anchor` + k × `period`, k from 1. Instants are microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct EverySlots {
    anchor: i64,
    period: i64,
}

impl EverySlots {
    pub(super) const fn new(anchor: Timestamp, period: Seconds) -> Self {
        Self { anchor: anchor.as_micros(), period: period.micros() }
    }

    /// How many slots there are until `at`.
    fn passed(&self, at: i64) -> i64 {
        (at.saturating_sub(self.anchor)).div_euclid(self.period).max(0)
    }

    /// The first slot after `after`.
    pub(super) fn next_after(&self, after: i64) -> i64 {
        self.anchor.saturating_add((self.passed(after) + 1).saturating_mul(self.period))
    }

    /// The last slot at or before `at`.
    pub(super) fn last_until(&self, at: i64) -> Option<i64> {
        let passed = self.passed(at);
        (passed > 0).then(|| self.anchor + passed * self.period)
    }

    /// How many slots there are after `after` and until `through`.
    pub(super) fn count(&self, after: i64, through: i64) -> u64 {
        u64::try_from(self.passed(through) - self.passed(after)).unwrap_or(0)
    }
}
