//! Typed bucket keys: which hour, day, week, … of a zone an instant falls into.

use jiff::tz::TimeZone;

use crate::model::{KeepRules, Timestamp};

/// A rule that keeps the newest record of each of its N newest non-empty buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Each record is a bucket of its own.
    Last,
    /// Hours of the wall clock; a repeated hour is two.
    Hourly,
    /// Calendar days.
    Daily,
    /// ISO weeks, Monday to Sunday.
    Weekly,
    /// Calendar months.
    Monthly,
    /// Calendar quarters.
    Quarterly,
    /// Calendar years.
    Yearly,
}

impl Tier {
    /// Every tier, finest first: the order in which reasons are given.
    pub const ALL: [Self; 7] =
        [Self::Last, Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly, Self::Quarterly, Self::Yearly];

    /// The name of the rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Last => "keep_last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
        }
    }

    /// How many buckets `keep` asks for.
    #[must_use]
    pub const fn count(self, keep: &KeepRules) -> u32 {
        match self {
            Self::Last => keep.keep_last,
            Self::Hourly => keep.hourly,
            Self::Daily => keep.daily,
            Self::Weekly => keep.weekly,
            Self::Monthly => keep.monthly,
            Self::Quarterly => keep.quarterly,
            Self::Yearly => keep.yearly,
        }
    }
}

/// An instant on the wall clock of a zone, in the units that bucket keys are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    hour: i64,
    offset: i64,
    day: i64,
    month: i64,
}

/// The bias that makes each offset positive, and the room it takes: offsets lie within ±26 h.
const OFFSET_BIAS: i64 = 1 << 17;
const OFFSET_BITS: u32 = 18;

impl Local {
    /// The bucket of `tier` that this instant falls into, unique among that tier's buckets.
    ///
    /// Later instants have greater keys but where a clock goes back.
    pub(super) const fn key(&self, tier: Tier) -> i64 {
        match tier {
            Tier::Last => 0,
            Tier::Hourly => (self.hour << OFFSET_BITS) | (OFFSET_BIAS - self.offset),
            Tier::Daily => self.day,
            // Day 0 was a Thursday; weeks begin on Mondays, so a week's number names its ISO year too.
            Tier::Weekly => (self.day + 3).div_euclid(7),
            Tier::Monthly => self.month,
            Tier::Quarterly => self.month.div_euclid(3),
            Tier::Yearly => self.month.div_euclid(12),
        }
    }
}

/// Reads a zone's wall clock, remembering the stretch of equal offset and the month that it was
/// last asked about: neighbouring instants cost no look-up.
#[derive(Debug)]
pub(super) struct Calendar<'a> {
    zone: &'a TimeZone,
    /// Seconds since the epoch between which `offset` holds, end excluded.
    from: i64,
    until: i64,
    offset: i64,
    /// Local days between which `month` lasts, end excluded.
    month_from: i64,
    month_until: i64,
    month: i64,
}

impl<'a> Calendar<'a> {
    pub(super) const fn new(zone: &'a TimeZone) -> Self {
        Self { zone, from: 0, until: 0, offset: 0, month_from: 0, month_until: 0, month: 0 }
    }

    /// What the wall clock shows at `at`.
    pub(super) fn local(&mut self, at: Timestamp) -> Local {
        let seconds = at.as_seconds();
        if !(self.from..self.until).contains(&seconds) {
            self.look_up(at);
        }
        let hour = (seconds + self.offset).div_euclid(3600);
        let day = hour.div_euclid(24);
        if !(self.month_from..self.month_until).contains(&day) {
            self.look_up_month(day);
        }
        Local { hour, offset: self.offset, day, month: self.month }
    }

    fn look_up(&mut self, at: Timestamp) {
        let instant = jiff::Timestamp::from(at);
        // Transitions lie on whole seconds; the one at this very second belongs to the stretch.
        let next_second = jiff::Timestamp::from_second(at.as_seconds() + 1).unwrap_or(instant);
        self.offset = i64::from(self.zone.to_offset(instant).seconds());
        self.from =
            self.zone.preceding(next_second).next().map_or(i64::MIN, |change| change.timestamp().as_second());
        self.until =
            self.zone.following(instant).next().map_or(i64::MAX, |change| change.timestamp().as_second());
    }

    fn look_up_month(&mut self, day: i64) {
        let epoch = jiff::civil::date(1970, 1, 1);
        let days_of = |date: jiff::civil::Date| date.duration_since(epoch).as_hours() / 24;
        // A `Timestamp` on any wall clock lies within jiff's years, but for the outermost days.
        let date = epoch.saturating_add(jiff::SignedDuration::from_hours(day * 24));
        let first = date.first_of_month();
        self.month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
        self.month_from = days_of(first);
        self.month_until = self.month_from + i64::from(date.days_in_month());
    }
}

/// The bucket of `tier` around `at` in words: `ISO week 2026-W07`.
pub(super) fn bucket_name(tier: Tier, at: Timestamp, zone: &TimeZone) -> String {
    let zoned = jiff::Timestamp::from(at).to_zoned(zone.clone());
    match tier {
        Tier::Last => format!("{at}"),
        Tier::Hourly => format!("hour {}", zoned.strftime("%Y-%m-%d %H:00%:z")),
        Tier::Daily => format!("day {}", zoned.strftime("%Y-%m-%d")),
        Tier::Weekly => {
            let week = zoned.date().iso_week_date();
            format!("ISO week {:04}-W{:02}", week.year(), week.week())
        }
        Tier::Monthly => format!("month {}", zoned.strftime("%Y-%m")),
        Tier::Quarterly => format!("quarter {:04}-Q{}", zoned.year(), (zoned.month() - 1) / 3 + 1),
        Tier::Yearly => format!("year {:04}", zoned.year()),
    }
}
