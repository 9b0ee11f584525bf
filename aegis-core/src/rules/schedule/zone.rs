//! A zone's clock: instants to wall minutes and back. All instants here are whole seconds since
//! the Unix epoch.

use jiff::{
    Timestamp,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::model::ZoneName;

/// The clock of one zone.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Zone {
    rules: TimeZone,
}

/// A stretch of time in which the clock does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The first second of it; `i64::MIN` if no change came before.
    pub(super) start: i64,
    /// The first second after it; `i64::MAX` if no change follows.
    pub(super) end: i64,
    /// What the clock is ahead of UTC, in seconds.
    pub(super) offset: i64,
}

impl Stretch {
    /// The wall minute that the clock shows at `at`.
    pub(super) const fn wall(&self, at: i64) -> i64 {
        (at + self.offset).div_euclid(60)
    }

    /// The instant at which it shows the beginning of wall minute `minute`.
    pub(super) const fn instant(&self, minute: i64) -> i64 {
        minute * 60 - self.offset
    }

    /// The first wall minute that begins at `self.start` or later.
    pub(super) const fn first_wall(&self) -> i64 {
        (self.start + self.offset + 59).div_euclid(60)
    }

    /// The last wall minute that begins before `self.end`.
    pub(super) const fn last_wall(&self) -> i64 {
        self.wall(self.end - 1)
    }
}

impl Zone {
    pub(in crate::rules) fn new(name: ZoneName) -> Self {
        Self { rules: name.time_zone() }
    }

    /// The wall minute that the clock shows at `at`.
    pub(in crate::rules) fn wall(&self, at: i64) -> i64 {
        (at + i64::from(self.rules.to_offset(instant(at)).seconds())).div_euclid(60)
    }

    /// The stretch that `at` lies in.
    pub(super) fn stretch(&self, at: i64) -> Stretch {
        let start = self.rules.preceding(instant(at.saturating_add(1))).next();
        let end = self.rules.following(instant(at)).next();
        Stretch {
            start: start.map_or(i64::MIN, |change| change.timestamp().as_second()),
            end: end.map_or(i64::MAX, |change| change.timestamp().as_second()),
            offset: i64::from(self.rules.to_offset(instant(at)).seconds()),
        }
    }

    /// The first instant at which the clock has reached wall minute `minute`: of two passes the
    /// first, and the end of the gap for a minute that it leaves out.
    pub(in crate::rules) fn reaches(&self, minute: i64) -> Option<i64> {
        let seconds = minute.checked_mul(60)?;
        let wall = Offset::UTC.to_datetime(Timestamp::from_second(seconds).ok()?);
        match self.rules.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset: before } | AmbiguousOffset::Fold { before, .. } => {
                Some(seconds - i64::from(before.seconds()))
            }
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = instant(seconds - i64::from(after.seconds()));
                Some(self.rules.following(before_gap).next()?.timestamp().as_second())
            }
        }
    }

    /// The latest wall minute that the clock has shown by `at`: more than it shows in the second
    /// pass of a repeated hour.
    pub(super) fn latest_wall(&self, at: i64) -> i64 {
        let now = self.stretch(at);
        if now.start == i64::MIN {
            return now.wall(at);
        }
        let before = now.start - 1;
        now.wall(at).max(self.wall(before))
    }
}

/// `at` for jiff, saturating at the ends of its calendar.
fn instant(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap_or(if at < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
