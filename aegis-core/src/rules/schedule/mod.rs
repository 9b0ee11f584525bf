//! When a schedule's slots are.
//!
//! A slot is an instant; two nominal times on one instant are one slot. How calendar and interval
//! slots meet a clock change is told in the [guide](crate::guide::schedules).

mod english;
mod every;
mod pattern;
mod wall;
mod zone;

use crate::model::{Schedule, Timestamp};

use every::EverySlots;
use wall::WallSlots;

pub use english::schedule_human;
pub(super) use zone::Zone;

/// A schedule made ready for searching: what is worth keeping while a policy stands.
#[derive(Clone, Debug)]
pub struct CompiledSchedule {
    slots: Slots,
}

#[derive(Clone, Debug)]
enum Slots {
    Every(EverySlots),
    Wall(WallSlots),
}

impl CompiledSchedule {
    /// Makes `schedule` ready. `anchor` is when its policy was created: what
    /// [`Schedule::Every`] counts from; the others do not need it.
    #[must_use]
    pub fn new(schedule: &Schedule, anchor: Timestamp) -> Self {
        let slots = match schedule {
            Schedule::Every { period } => Slots::Every(EverySlots::new(anchor, *period)),
            Schedule::Cron { expression, zone } => Slots::Wall(WallSlots::new(*expression.fields(), *zone)),
            Schedule::Frequency { frequency, zone } => {
                Slots::Wall(WallSlots::new(*frequency.cron().fields(), *zone))
            }
        };
        Self { slots }
    }

    /// The first slot strictly after `after`; none at the end of the calendar.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let slot = match &self.slots {
            Slots::Every(every) => {
                let micros = every.next_after(after.as_micros());
                (micros <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(micros))
            }
            Slots::Wall(wall) => {
                wall.next_after(after.as_seconds()).filter(within_calendar).map(Timestamp::from_seconds)
            }
        };
        slot.filter(|slot| *slot > after)
    }

    /// The last slot at or before `at`; none before the first.
    #[must_use]
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.slots {
            Slots::Every(every) => every.last_until(at.as_micros()).map(Timestamp::from_micros),
            Slots::Wall(wall) => {
                wall.last_until(at.as_seconds()).filter(within_calendar).map(Timestamp::from_seconds)
            }
        }
    }

    /// The last slot strictly before `before`; none before the first.
    #[must_use]
    pub fn last_before(&self, before: Timestamp) -> Option<Timestamp> {
        self.last_until(Timestamp::from_micros(before.as_micros() - 1))
    }

    /// How many slots lie after `after` and until `through`, both ends as said. Costs little over
    /// years: it reckons, and walks only the days after a clock change.
    #[must_use]
    pub fn count(&self, after: Timestamp, through: Timestamp) -> u64 {
        match &self.slots {
            Slots::Every(every) => every.count(after.as_micros(), through.as_micros()),
            Slots::Wall(wall) => wall.count(after.as_seconds(), through.as_seconds()),
        }
    }

    /// The slots after `after`, in order.
    pub fn iter_after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(after), |slot| self.next_after(*slot))
    }
}

fn within_calendar(slot: &i64) -> bool {
    (Timestamp::MIN.as_seconds()..=Timestamp::MAX.as_seconds()).contains(slot)
}

/// The first slot of `schedule` strictly after `after`: [`CompiledSchedule::next_after`] for one
/// question.
#[must_use]
pub fn next_after(schedule: &Schedule, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
    CompiledSchedule::new(schedule, anchor).next_after(after)
}

/// The last slot of `schedule` at or before `at`: [`CompiledSchedule::last_until`] for one
/// question.
#[must_use]
pub fn last_until(schedule: &Schedule, anchor: Timestamp, at: Timestamp) -> Option<Timestamp> {
    CompiledSchedule::new(schedule, anchor).last_until(at)
}

#[cfg(test)]
mod tests;
