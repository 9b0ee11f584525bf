//! Slots of a wall clock: calendar slots and interval slots, over clock changes.

use super::{
    pattern,
    zone::{Stretch, Zone},
};
use crate::model::{CronFields, SlotKind, ZoneName};

const DAY: i64 = 86_400;

/// A cron pattern on the clock of a zone. Instants are whole seconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(super) struct WallSlots {
    fields: CronFields,
    zone: Zone,
    /// How long after a clock change slots may still be bent by it.
    unrest: i64,
}

impl WallSlots {
    pub(super) fn new(fields: CronFields, zone: ZoneName) -> Self {
        // The widest gap that interval slots keep: an hour for those of every hour of every day, and
        // less than a day for others. The widest second pass of a calendar slot is a day.
        let hourly = fields.interval && fields.hours.count_ones() == 24 && fields.every_day();
        Self { fields, zone: Zone::new(zone), unrest: if hourly { 3_600 } else { 2 * DAY } }
    }

    /// The first slot after `after`.
    pub(super) fn next_after(&self, after: i64) -> Option<i64> {
        match self.fields.kind() {
            SlotKind::Calendar => self.next_calendar(after),
            SlotKind::Interval => self.next_interval(after),
        }
    }

    /// The last slot at or before `at`.
    pub(super) fn last_until(&self, at: i64) -> Option<i64> {
        match self.fields.kind() {
            SlotKind::Calendar => {
                self.zone.reaches(pattern::last_until(&self.fields, self.zone.latest_wall(at))?)
            }
            SlotKind::Interval => {
                let mut slot = self.last_shown(at)?;
                while let Some(next) = self.following(slot).filter(|next| *next <= at) {
                    slot = next;
                }
                Some(slot)
            }
        }
    }

    /// How many slots there are after `after` and until `through`. Walks what a clock
    /// change may bend and reckons the rest by months.
    pub(super) fn count(&self, after: i64, through: i64) -> u64 {
        let (mut at, mut found) = (after, 0);
        while at < through {
            let stretch = self.zone.stretch(at);
            let calm = stretch.start.saturating_add(self.unrest);
            if at >= calm && at < stretch.end - 1 {
                let until = through.min(stretch.end - 1);
                found += pattern::count(&self.fields, stretch.wall(at) + 1, stretch.wall(until) + 1);
                at = until;
                continue;
            }
            let until = through.min(if at < calm { calm } else { stretch.end.saturating_add(self.unrest) });
            while let Some(slot) = self.next_after(at).filter(|slot| *slot <= until) {
                (at, found) = (slot, found + 1);
            }
            at = until;
        }
        found
    }

    /// A wall time runs once, at the first instant at which the clock has reached it.
    fn next_calendar(&self, after: i64) -> Option<i64> {
        let mut minute = pattern::next_from(&self.fields, self.zone.wall(after) + 1)?;
        let slot = self.zone.reaches(minute)?;
        if slot > after {
            return Some(slot);
        }
        // The second pass of a repeated hour: what it shows has run.
        minute = pattern::next_from(&self.fields, self.zone.latest_wall(after) + 1)?;
        self.zone.reaches(minute)
    }

    fn next_interval(&self, after: i64) -> Option<i64> {
        let stretch = self.zone.stretch(after);
        if after >= stretch.start.saturating_add(self.unrest) {
            let next = stretch.instant(pattern::next_from(&self.fields, stretch.wall(after) + 1)?);
            if next < stretch.end {
                return Some(next);
            }
        }
        let Some(mut slot) = self.last_shown(after) else { return self.next_shown(after) };
        while slot <= after {
            slot = self.following(slot)?;
        }
        Some(slot)
    }

    /// The interval slot that follows the one at `slot`: where the clock next shows a match, but
    /// no later than the pattern's own gap allows. After a gap of a day or more, a match that the
    /// clock leaves out runs at the end of what it leaves out.
    fn following(&self, slot: i64) -> Option<i64> {
        let wall = self.zone.wall(slot);
        let next = pattern::next_from(&self.fields, wall + 1)?;
        let gap = pattern::last_until(&self.fields, wall).map_or(i64::MAX, |last| (next - last) * 60);
        let limit = if gap < DAY { Some(slot + gap) } else { self.zone.reaches(next) };
        let limit = limit.filter(|limit| *limit > slot);
        let shown = self.next_shown(slot);
        shown.into_iter().chain(limit).min()
    }

    /// The first instant after `after` at which the clock shows a match.
    fn next_shown(&self, after: i64) -> Option<i64> {
        let mut stretch = self.zone.stretch(after);
        let mut from = stretch.wall(after) + 1;
        loop {
            let shown = stretch.instant(pattern::next_from(&self.fields, from)?);
            if shown < stretch.end {
                return Some(shown);
            }
            stretch = self.zone.stretch(stretch.end);
            from = stretch.first_wall();
        }
    }

    /// The last instant at or before `at` at which the clock shows a match.
    fn last_shown(&self, at: i64) -> Option<i64> {
        let mut stretch: Stretch = self.zone.stretch(at);
        let mut until = stretch.wall(at);
        loop {
            let shown = stretch.instant(pattern::last_until(&self.fields, until)?);
            if shown >= stretch.start {
                return Some(shown);
            }
            stretch = self.zone.stretch(stretch.start - 1);
            until = stretch.last_wall();
        }
    }
}
