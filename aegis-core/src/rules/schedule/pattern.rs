//! Where a cron pattern matches on a wall clock, clock changes aside.
//!
//! Wall minutes count from 1970-01-01 00:00 on the clock's face; days likewise.

use crate::model::CronFields;

const MINUTES_PER_DAY: i64 = 1_440;

/// No pattern that fires at all waits longer: 29 February across a century's end is 8 years.
const MONTHS_TO_SEARCH: u32 = 12 * 9;

/// The first match at or after wall minute `from`.
pub(super) fn next_from(fields: &CronFields, from: i64) -> Option<i64> {
    let (day, minute) = split(from);
    if let Some(minute) = minute_from(fields, minute)
        && matches(fields, day)
    {
        return Some(day * MINUTES_PER_DAY + minute);
    }
    Some(next_day(fields, day + 1)? * MINUTES_PER_DAY + minute_from(fields, 0)?)
}

/// The last match at or before wall minute `until`.
pub(super) fn last_until(fields: &CronFields, until: i64) -> Option<i64> {
    let (day, minute) = split(until);
    if let Some(minute) = minute_until(fields, minute)
        && matches(fields, day)
    {
        return Some(day * MINUTES_PER_DAY + minute);
    }
    Some(last_day(fields, day - 1)? * MINUTES_PER_DAY + minute_until(fields, MINUTES_PER_DAY - 1)?)
}

/// How many matches there are from `from` on and before `to`.
pub(super) fn count(fields: &CronFields, from: i64, to: i64) -> u64 {
    if to <= from {
        return 0;
    }
    let ((first, morning), (last, evening)) = (split(from), split(to));
    let below = |day, minute| if matches(fields, day) { times_below(fields, minute) } else { 0 };
    let whole = days_between(fields, first, last) * u64::from(fields.times_per_day());
    whole + below(last, evening) - below(first, morning)
}

fn split(minute: i64) -> (i64, i64) {
    (minute.div_euclid(MINUTES_PER_DAY), minute.rem_euclid(MINUTES_PER_DAY))
}

/// The first time of day at or after `minute`, in minutes since midnight.
fn minute_from(fields: &CronFields, minute: i64) -> Option<i64> {
    let (hour, minute) = (minute / 60, minute % 60);
    let rest = fields.minutes >> minute;
    if fields.hours >> hour & 1 == 1 && rest != 0 {
        return Some(hour * 60 + minute + i64::from(rest.trailing_zeros()));
    }
    let later = fields.hours >> (hour + 1);
    let hour = hour + 1 + i64::from(later.trailing_zeros());
    (later != 0).then(|| hour * 60 + i64::from(fields.minutes.trailing_zeros()))
}

/// The last time of day at or before `minute`, in minutes since midnight.
fn minute_until(fields: &CronFields, minute: i64) -> Option<i64> {
    let (hour, minute) = (minute / 60, minute % 60);
    let rest = fields.minutes & ((2 << minute) - 1);
    if fields.hours >> hour & 1 == 1 && rest != 0 {
        return Some(hour * 60 + i64::from(rest.ilog2()));
    }
    let earlier = fields.hours & ((1 << hour) - 1);
    (earlier != 0).then(|| i64::from(earlier.ilog2()) * 60 + i64::from(fields.minutes.ilog2()))
}

/// How many times of day lie before `minute`.
fn times_below(fields: &CronFields, minute: i64) -> u64 {
    let (hour, minute) = (minute / 60, minute % 60);
    let whole = (fields.hours & ((1 << hour) - 1)).count_ones() * fields.minutes.count_ones();
    let part =
        if fields.hours >> hour & 1 == 1 { (fields.minutes & ((1 << minute) - 1)).count_ones() } else { 0 };
    u64::from(whole + part)
}

fn matches(fields: &CronFields, day: i64) -> bool {
    let month = Month::of(day);
    month.days(fields) >> (day - month.first + 1) & 1 == 1
}

fn next_day(fields: &CronFields, day: i64) -> Option<i64> {
    let mut month = Month::of(day);
    let mut days = month.days(fields) & (u32::MAX << (day - month.first + 1));
    for _ in 0..MONTHS_TO_SEARCH {
        if days != 0 {
            return Some(month.first + i64::from(days.trailing_zeros()) - 1);
        }
        month = month.next();
        days = month.days(fields);
    }
    None
}

fn last_day(fields: &CronFields, day: i64) -> Option<i64> {
    let mut month = Month::of(day);
    let mut days = month.days(fields) & (u32::MAX >> (31 - (day - month.first + 1)));
    for _ in 0..MONTHS_TO_SEARCH {
        if days != 0 {
            return Some(month.first + i64::from(days.ilog2()) - 1);
        }
        month = Month::of(month.first - 1);
        days = month.days(fields);
    }
    None
}

/// How many days match from `from` on and before `to`.
fn days_between(fields: &CronFields, from: i64, to: i64) -> u64 {
    let mut month = Month::of(from);
    let mut days = month.days(fields) & (u32::MAX << (from - month.first + 1));
    let mut found = 0;
    while month.first + month.length <= to {
        found += u64::from(days.count_ones());
        month = month.next();
        days = month.days(fields);
    }
    let before = if to > month.first { (1u32 << (to - month.first + 1)) - 1 } else { 1 };
    found + u64::from((days & before).count_ones())
}

/// A month of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug)]
struct Month {
    year: i64,
    /// 1 to 12.
    number: i64,
    /// Its first day.
    first: i64,
    /// Its days.
    length: i64,
}

impl Month {
    fn new(year: i64, number: i64, first: i64) -> Self {
        let length = match number {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        Self { year, number, first, length }
    }

    /// The month that `day` lies in. Counted in years that begin in March, so that the leap day
    /// comes last.
    fn of(day: i64) -> Self {
        let since = day + 719_468; // 0000-03-01
        let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
        let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leaps) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * from_march + 2) / 5;
        let (number, carry) = if from_march < 10 { (from_march + 3, 0) } else { (from_march - 9, 1) };
        Self::new(era * 400 + year_of_era + carry, number, day - day_of_month)
    }

    fn next(self) -> Self {
        let first = self.first + self.length;
        if self.number == 12 {
            return Self::new(self.year + 1, 1, first);
        }
        Self::new(self.year, self.number + 1, first)
    }

    /// Its days that match: bit 1 is the first.
    fn days(self, fields: &CronFields) -> u32 {
        const EVERY_WEEK: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;
        if fields.months >> self.number & 1 == 0 {
            return 0;
        }
        let all = (2u32 << self.length).wrapping_sub(2);
        if !fields.weekdays_restricted {
            return fields.days & all;
        }
        // 1970-01-01 was a Thursday.
        let weekday_of_first = (self.first + 4).rem_euclid(7);
        let weekdays = u64::from(fields.weekdays);
        let from_first = (weekdays >> weekday_of_first | weekdays << (7 - weekday_of_first)) & 0x7f;
        let by_weekday = u32::try_from((from_first * EVERY_WEEK) << 1 & u64::from(all)).unwrap_or(all);
        if fields.days_restricted { (fields.days & all) | by_weekday } else { by_weekday }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::CronExpression;

    #[test]
    fn months_agree_with_the_calendar_over_800_years() {
        let mut date = jiff::civil::date(1600, 1, 1);
        let mut day = -135_140;
        while date.year() < 2400 {
            let month = Month::of(day);
            let found = (month.year, month.number, day - month.first + 1, month.length);
            let expected = (
                i64::from(date.year()),
                i64::from(date.month()),
                i64::from(date.day()),
                i64::from(date.days_in_month()),
            );
            assert_eq!(found, expected, "{date}");
            (date, day) = (date.tomorrow().unwrap(), day + 1);
        }
    }

    fn expressions() -> impl Strategy<Value = CronFields> {
        let minute = prop::sample::select(vec!["*", "0", "59", "*/15", "7,8,50-55", "30"]);
        let hour = prop::sample::select(vec!["*", "*/2", "0", "23", "8-18/5", "1,2"]);
        let day = prop::sample::select(vec!["*", "1", "31", "29", "*/10", "15-20"]);
        let month = prop::sample::select(vec!["*", "2", "1,12", "*/3", "11"]);
        let weekday = prop::sample::select(vec!["*", "0", "1-5", "SAT,SUN"]);
        (minute, hour, day, month, weekday).prop_filter_map("never fires", |(m, h, d, mo, w)| {
            CronExpression::new(&format!("{m} {h} {d} {mo} {w}")).ok().map(|e| *e.fields())
        })
    }

    proptest! {
        #[test]
        fn next_and_last_are_each_other_backwards(fields in expressions(), from in -90_000_000i64..90_000_000) {
            let next = next_from(&fields, from).unwrap();
            prop_assert!(next >= from);
            prop_assert_eq!(last_until(&fields, next), Some(next));
            if let Some(before) = last_until(&fields, next - 1) {
                prop_assert!(before < from);
            }
        }

        #[test]
        fn counting_agrees_with_walking(fields in expressions(), from in -90_000_000i64..90_000_000, span in 0i64..90_000) {
            let mut walked = 0;
            let mut at = from;
            while let Some(next) = next_from(&fields, at).filter(|next| *next < from + span) {
                (walked, at) = (walked + 1, next + 1);
            }
            prop_assert_eq!(count(&fields, from, from + span), walked);
        }
    }
}
