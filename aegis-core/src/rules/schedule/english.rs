//! Schedules in English: short where there is a short way to say it, else longer, never wrong.

use crate::model::{CronFields, Schedule, Seconds, SlotKind, Weekday, ZoneName};

/// Times of day are listed one by one up to this many.
const LISTED_TIMES: u32 = 6;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What `schedule` means, in English: "Daily at 02:00 UTC".
#[must_use]
pub fn schedule_human(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Every { period } => every(*period),
        Schedule::Cron { expression, zone } => Sentence::new(expression.fields(), *zone).write(),
        Schedule::Frequency { frequency, zone } => Sentence::new(frequency.cron().fields(), *zone).write(),
    }
}

fn every(period: Seconds) -> String {
    let seconds = period.get();
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds")];
    // A day of the calendar may have 23 hours or 25, so one day is said in hours.
    let fits =
        |(size, name): &(u32, &str)| seconds.is_multiple_of(*size) && !(seconds == 86_400 && *name == "days");
    let (size, name) = units.into_iter().find(fits).unwrap_or((1, "seconds"));
    match seconds / size {
        1 => format!("Every {}", name.trim_end_matches('s')),
        count => format!("Every {count} {name}"),
    }
}

/// What an expression names, as numbers in order.
struct Sentence {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Vec<u32>,
    months: Vec<u32>,
    weekdays: Vec<u32>,
    /// Whether days of the month, and weekdays, are to be said; neither where every day is meant.
    by_day: bool,
    by_weekday: bool,
    fields: CronFields,
    zone: ZoneName,
}

impl Sentence {
    fn new(fields: &CronFields, zone: ZoneName) -> Self {
        let named = |bits: u64| (0..60).filter(|n| bits >> n & 1 == 1).collect();
        let (by_day, by_weekday) = (fields.days_restricted, fields.weekdays_restricted);
        let (all_days, all_weekdays) = (fields.days.count_ones() == 31, fields.weekdays.count_ones() == 7);
        // With both restricted a day need match only one.
        let every_day = if by_day && by_weekday {
            all_days || all_weekdays
        } else {
            (all_days || !by_day) && (all_weekdays || !by_weekday)
        };
        Self {
            by_day: by_day && !every_day,
            by_weekday: by_weekday && !every_day,
            minutes: named(fields.minutes),
            hours: named(fields.hours.into()),
            days: named(fields.days.into()),
            months: named(fields.months.into()),
            weekdays: named(fields.weekdays.into()),
            fields: *fields,
            zone,
        }
    }

    fn write(&self) -> String {
        if let Some(rhythm) = self.rhythm() {
            return match self.days_after_a_rhythm() {
                None => rhythm,
                Some(days) => format!("{rhythm} {days} ({})", self.zone),
            };
        }
        let (times, days, months) = (self.times(), self.days_before_a_time(), self.months_after_a_time());
        let exists = if self.by_weekday { "" } else { self.where_it_exists() };
        format!("{days} {times} {}{months}{exists}", self.zone)
    }

    /// "Every 15 minutes", "Every 6 hours at :30": what runs around the clock evenly.
    fn rhythm(&self) -> Option<String> {
        if self.fields.kind() == SlotKind::Calendar {
            return None;
        }
        let at = match self.minutes.as_slice() {
            [0] => String::new(),
            _ if self.listed_minutes() => format!(" {}", self.pace()),
            _ => format!(", {}", self.pace()),
        };
        if self.hours.len() < 24 {
            let hours = even_step(&self.hours, 24)?;
            return (self.minutes.len() == 1).then(|| format!("Every {hours} hours{at}"));
        }
        Some(match even_step(&self.minutes, 60) {
            Some(1) => "Every minute".to_owned(),
            Some(step) => format!("Every {step} minutes"),
            None => format!("Every hour{at}"),
        })
    }

    /// "at 02:00 and 14:00", "every 2 hours from 08:00 to 18:00", "at :05 and :35 in hours 8 to 18".
    fn times(&self) -> String {
        if self.fields.times_per_day() <= LISTED_TIMES {
            let times = self
                .hours
                .iter()
                .flat_map(|hour| self.minutes.iter().map(move |minute| format!("{hour:02}:{minute:02}")));
            return format!("at {}", list(times));
        }
        if let ([minute], Some(step), [first, .., last]) =
            (self.minutes.as_slice(), steady_step(&self.hours), self.hours.as_slice())
        {
            let pace = if step == 1 { "hour".to_owned() } else { format!("{step} hours") };
            return format!("every {pace} from {first:02}:{minute:02} to {last:02}:{minute:02}");
        }
        let pace = self.pace();
        let hours = if self.hours.len() == 1 { "hour" } else { "hours" };
        format!("{pace} in {hours} {}", ranges(&self.hours, |hour| format!("{hour:02}")))
    }

    /// "at :05 and :35", "every 15 minutes", "every 2 minutes from :01 to :59".
    fn pace(&self) -> String {
        let every = |step: u32| if step == 1 { "minute".to_owned() } else { format!("{step} minutes") };
        if let Some(step) = even_step(&self.minutes, 60) {
            return format!("every {}", every(step));
        }
        match (steady_step(&self.minutes), self.minutes.as_slice()) {
            (Some(step), [first, .., last]) if !self.listed_minutes() => {
                format!("every {} from :{first:02} to :{last:02}", every(step))
            }
            (_, minutes) => format!("at {}", list(minutes.iter().map(|minute| format!(":{minute:02}")))),
        }
    }

    /// Whether the minutes are listed one by one.
    fn listed_minutes(&self) -> bool {
        self.fields.minutes.count_ones() <= LISTED_TIMES || steady_step(&self.minutes).is_none()
    }

    fn days_before_a_time(&self) -> String {
        match (self.by_day, self.by_weekday) {
            (false, false) => "Daily".to_owned(),
            (false, true) => self.weekdays(),
            (true, true) => self.either_day("On"),
            (true, false) => match (self.days.as_slice(), self.months.as_slice()) {
                ([day], [month]) => format!("Yearly on {day} {}", month_name(*month)),
                (_, months) if months.len() == 12 => format!("Monthly on {}", self.days()),
                _ => format!("On {} of {}", self.days(), self.months()),
            },
        }
    }

    /// "on weekdays in July"; none if every day is meant.
    fn days_after_a_rhythm(&self) -> Option<String> {
        let months = self.months_after_a_time();
        match (self.by_day, self.by_weekday) {
            (false, false) if months.is_empty() => None,
            (false, false) => Some(months.trim_start().to_owned()),
            (false, true) => Some(format!("on {}{months}", in_text(&self.weekdays()))),
            (true, false) => {
                Some(format!("on {} of {}{}", self.days(), self.months(), self.where_it_exists()))
            }
            (true, true) => Some(format!("{}{months}", self.either_day("on"))),
        }
    }

    /// "On day 1 of each month and on Mondays".
    fn either_day(&self, on: &str) -> String {
        let exists = self.where_it_exists();
        let comma = if exists.is_empty() { "" } else { "," };
        let (days, months, weekdays) = (self.days(), self.months(), in_text(&self.weekdays()));
        format!("{on} {days} of {months}{exists}{comma} and on {weekdays}")
    }

    /// " in January and July", where the days have not said so already.
    fn months_after_a_time(&self) -> String {
        match (self.months.len(), self.by_day, self.by_weekday) {
            (12, _, _) | (_, true, false) => String::new(),
            (_, true, true) | (_, false, _) => format!(" in {}", self.months()),
        }
    }

    /// "day 1", "days 1 to 7 and 15".
    fn days(&self) -> String {
        let days = ranges(&self.days, |day| day.to_string());
        if self.days.len() == 1 { format!("day {days}") } else { format!("days {days}") }
    }

    /// "each month", "January and July".
    fn months(&self) -> String {
        if self.months.len() == 12 {
            return "each month".to_owned();
        }
        ranges(&self.months, |month| month_name(month).to_owned())
    }

    /// "Weekdays", "Mondays and Thursdays", "Mondays to Saturdays": the week begins on Monday.
    fn weekdays(&self) -> String {
        if self.weekdays == [1, 2, 3, 4, 5] {
            return "Weekdays".to_owned();
        }
        let week: Vec<u32> = (1..=7).filter(|day| self.weekdays.contains(&(day % 7))).collect();
        let name = |day: u32| Weekday::ALL.into_iter().cycle().nth(day as usize);
        ranges(&week, |day| name(day).map_or_else(String::new, |day| format!("{day}s")))
    }

    /// ", in months that have it": said where a month that is meant lacks a day that is meant.
    fn where_it_exists(&self) -> &'static str {
        let last = self.days.last().copied().unwrap_or(1);
        if !self.by_day || !self.fields.some_month_lacks(last) {
            return "";
        }
        match (self.days.len(), self.months.as_slice()) {
            (1, [_]) => ", in years that have it",
            (1, _) => ", in months that have it",
            _ => ", where the month has the day",
        }
    }
}

fn month_name(month: u32) -> &'static str {
    MONTHS.into_iter().cycle().nth(month as usize + 11).unwrap_or("")
}

/// Weekdays within a sentence: only names keep their capital.
fn in_text(weekdays: &str) -> String {
    weekdays.replace("Weekdays", "weekdays")
}

/// n, if the numbers are 0, n, 2n and so on, evenly around a cycle of `size`.
fn even_step(numbers: &[u32], size: u32) -> Option<u32> {
    let count = u32::try_from(numbers.len()).ok()?;
    let step = size.checked_div(count).filter(|step| step * count == size)?;
    (count > 1 && numbers.iter().zip(0..).all(|(number, k)| *number == k * step)).then_some(step)
}

/// n, if each number is n more than the one before it.
fn steady_step(numbers: &[u32]) -> Option<u32> {
    let [first, second, ..] = numbers else { return None };
    let step = second - first;
    numbers.windows(2).all(|pair| matches!(pair, [a, b] if b - a == step)).then_some(step)
}

/// "1 to 7 and 15".
fn ranges(numbers: &[u32], name: impl Fn(u32) -> String) -> String {
    let runs = numbers.chunk_by(|a, b| b - a == 1).flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{} to {}", name(*first), name(*last))],
        short => short.iter().map(|number| name(*number)).collect(),
    });
    list(runs)
}

/// "a", "a and b", "a, b and c".
fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => String::new(),
        (Some(last), true) => last,
        (Some(last), false) => format!("{} and {last}", items.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CronExpression, Frequency, Minute, MonthDay, TimeOfDay};

    fn english(text: &str, zone: &str) -> String {
        let expression = CronExpression::new(text).unwrap();
        schedule_human(&Schedule::cron(expression, ZoneName::new(zone).unwrap()))
    }

    #[test]
    fn english_is_short_for_what_people_write() {
        for (text, said) in [
            ("0 * * * *", "Every hour"),
            ("30 * * * *", "Every hour at :30"),
            ("*/15 * * * *", "Every 15 minutes"),
            ("* * * * *", "Every minute"),
            ("0 */6 * * *", "Every 6 hours"),
            ("30 */6 * * *", "Every 6 hours at :30"),
            ("0 2 * * *", "Daily at 02:00 UTC"),
            ("0 2,14 * * *", "Daily at 02:00 and 14:00 UTC"),
            ("0 2 * * 1-5", "Weekdays at 02:00 UTC"),
            ("0 2 * * MON", "Mondays at 02:00 UTC"),
            ("0 2 * * MON,THU", "Mondays and Thursdays at 02:00 UTC"),
            ("0 2 * * 0,6", "Saturdays and Sundays at 02:00 UTC"),
            ("0 2 1 * *", "Monthly on day 1 at 02:00 UTC"),
            ("@hourly", "Every hour"),
            ("@daily", "Daily at 00:00 UTC"),
            ("@weekly", "Sundays at 00:00 UTC"),
            ("@monthly", "Monthly on day 1 at 00:00 UTC"),
            ("@yearly", "Yearly on 1 January at 00:00 UTC"),
        ] {
            assert_eq!(english(text, "UTC"), said, "{text}");
        }
    }

    #[test]
    fn english_says_the_zones_name_in_place_of_utc() {
        assert_eq!(english("0 2 * * *", "Europe/Berlin"), "Daily at 02:00 Europe/Berlin");
        assert_eq!(english("0 * * * 1-5", "Europe/Berlin"), "Every hour on weekdays (Europe/Berlin)");
    }

    #[test]
    fn english_is_longer_where_short_would_be_wrong() {
        for (text, said) in [
            ("*/25 * * * *", "Every hour at :00, :25 and :50"),
            ("5,20,35,50 * * * *", "Every hour at :05, :20, :35 and :50"),
            ("0 */5 * * *", "Daily at 00:00, 05:00, 10:00, 15:00 and 20:00 UTC"),
            ("0 0,6,12,18 * * *", "Daily at 00:00, 06:00, 12:00 and 18:00 UTC"),
            ("0 8-20/2 * * *", "Daily every 2 hours from 08:00 to 20:00 UTC"),
            ("30 8-18 * * 1-5", "Weekdays every hour from 08:30 to 18:30 UTC"),
            ("*/15 8-18 * * *", "Daily every 15 minutes in hours 08 to 18 UTC"),
            ("* 1 * * *", "Daily every minute in hour 01 UTC"),
            ("5,35 1,5,9,22,23 * * *", "Daily at :05 and :35 in hours 01, 05, 09, 22 and 23 UTC"),
            (
                "0,30 */2 * * *",
                "Daily every 30 minutes in hours 00, 02, 04, 06, 08, 10, 12, 14, 16, 18, 20 and 22 UTC",
            ),
            ("0 2 31 * *", "Monthly on day 31 at 02:00 UTC, in months that have it"),
            ("0 2 1-7,15 * *", "Monthly on days 1 to 7 and 15 at 02:00 UTC"),
            ("0 2 29 2 *", "Yearly on 29 February at 02:00 UTC, in years that have it"),
            ("0 2 1 1,7 *", "On day 1 of January and July at 02:00 UTC"),
            ("0 2 31 1,7 *", "On day 31 of January and July at 02:00 UTC"),
            ("0 2 * 6-8 *", "Daily at 02:00 UTC in June to August"),
            ("0 2 * 1 MON", "Mondays at 02:00 UTC in January"),
            ("0 2 1 * MON", "On day 1 of each month and on Mondays at 02:00 UTC"),
            ("0 * 1 * *", "Every hour on day 1 of each month (UTC)"),
            ("0 */2 * * SUN", "Every 2 hours on Sundays (UTC)"),
            ("*/10 * * 12 *", "Every 10 minutes in December (UTC)"),
            ("1-59/2 * * * *", "Every hour, every 2 minutes from :01 to :59"),
            ("10-20 8,9 * * *", "Daily every minute from :10 to :20 in hours 08 and 09 UTC"),
            ("0 2 * * MON-SAT", "Mondays to Saturdays at 02:00 UTC"),
            ("0 2 * * SUN-TUE,FRI", "Mondays, Tuesdays, Fridays and Sundays at 02:00 UTC"),
            ("0 2 * * 0-6", "Daily at 02:00 UTC"),
            ("0 2 1-31 * *", "Daily at 02:00 UTC"),
            ("0 2 */1 7 MON", "Daily at 02:00 UTC in July"),
            ("0 2 1 * 0-7", "Daily at 02:00 UTC"),
            ("0 * 31 * *", "Every hour on day 31 of each month, in months that have it (UTC)"),
            ("0 2 31 * MON", "On day 31 of each month, in months that have it, and on Mondays at 02:00 UTC"),
            ("0 * 1 7 MON", "Every hour on day 1 of July and on Mondays in July (UTC)"),
        ] {
            assert_eq!(english(text, "UTC"), said, "{text}");
        }
    }

    #[test]
    fn english_of_every_names_the_largest_unit_that_divides_it() {
        for (seconds, said) in [
            (1, "Every second"),
            (45, "Every 45 seconds"),
            (60, "Every minute"),
            (900, "Every 15 minutes"),
            (3_600, "Every hour"),
            (5_400, "Every 90 minutes"),
            (21_600, "Every 6 hours"),
            (86_400, "Every 24 hours"),
            (604_800, "Every 7 days"),
        ] {
            assert_eq!(schedule_human(&Schedule::Every { period: Seconds::new(seconds).unwrap() }), said);
        }
    }

    #[test]
    fn english_of_a_frequency_is_that_of_its_expression() {
        let (time, zone) = (TimeOfDay::new(2, 30).unwrap(), ZoneName::new("Asia/Tokyo").unwrap());
        for (frequency, said) in [
            (Frequency::Hourly { minute: Minute::new(5).unwrap() }, "Every hour at :05"),
            (Frequency::Daily { time }, "Daily at 02:30 Asia/Tokyo"),
            (Frequency::Weekly { day: Weekday::Friday, time }, "Fridays at 02:30 Asia/Tokyo"),
            (
                Frequency::Monthly { day: MonthDay::new(15).unwrap(), time },
                "Monthly on day 15 at 02:30 Asia/Tokyo",
            ),
        ] {
            assert_eq!(schedule_human(&Schedule::Frequency { frequency, zone }), said);
        }
    }
}
