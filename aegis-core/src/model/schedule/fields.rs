//! The five fields of a cron expression, and the numbers that they name.

use std::fmt;

/// One of the five fields of a cron expression, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "cron's own names")]
pub enum CronField {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl CronField {
    /// All five, in their order.
    pub const ALL: [Self; 5] = [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// The least and the greatest number that it takes. Sunday is 0 and 7.
    #[must_use]
    pub const fn bounds(self) -> (u8, u8) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// How many different values it has.
    pub(super) const fn size(self) -> u8 {
        let (min, max) = self.bounds();
        match self {
            Self::DayOfWeek => 7,
            Self::Minute | Self::Hour | Self::DayOfMonth | Self::Month => max - min + 1,
        }
    }

    /// The names that it takes in place of numbers, the first of them for its least number.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => {
                &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
            }
            Self::DayOfWeek => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// How the slots of an expression meet a clock change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Fixed times of day: each runs once, at the first instant at which the clock has reached it.
    Calendar,
    /// Every so often around the clock: they run with the wall clock, also where it shows a time
    /// twice, and never wait longer than the pattern's own gap.
    Interval,
}

/// What the five fields name, as sets of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CronFields {
    pub(crate) minutes: u64,
    pub(crate) hours: u32,
    pub(crate) days: u32,
    pub(crate) months: u16,
    /// Sunday is bit 0.
    pub(crate) weekdays: u8,
    pub(crate) days_restricted: bool,
    pub(crate) weekdays_restricted: bool,
    pub(crate) interval: bool,
}

impl CronFields {
    /// Whether slots follow the calendar or the clock's run.
    #[must_use]
    pub const fn kind(&self) -> SlotKind {
        if self.interval { SlotKind::Interval } else { SlotKind::Calendar }
    }

    /// Whether day of month and day of week are both restricted, so that a day need match only one.
    #[must_use]
    pub const fn either_day(&self) -> bool {
        self.days_restricted && self.weekdays_restricted
    }

    /// Whether every day matches.
    pub(crate) const fn every_day(&self) -> bool {
        !self.days_restricted && !self.weekdays_restricted && self.months.count_ones() == 12
    }

    /// How many times of day there are on a day that matches.
    pub(crate) const fn times_per_day(&self) -> u32 {
        self.minutes.count_ones() * self.hours.count_ones()
    }

    /// Whether some month that is named has a day that is named.
    pub(super) fn can_fire(&self) -> bool {
        const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        self.weekdays_restricted || self.lengths(LONGEST).any(|days| self.days.trailing_zeros() <= days)
    }

    /// Whether some month that is named lacks day `day`, at least in some years.
    pub(crate) fn some_month_lacks(&self, day: u32) -> bool {
        const SHORTEST: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        self.lengths(SHORTEST).any(|days| days < day)
    }

    /// The lengths of the months that are named, out of all twelve's.
    fn lengths(&self, of_each: [u32; 12]) -> impl Iterator<Item = u32> {
        let months = self.months;
        (1..=12u32).zip(of_each).filter(move |(month, _)| months >> month & 1 == 1).map(|(_, days)| days)
    }
}
