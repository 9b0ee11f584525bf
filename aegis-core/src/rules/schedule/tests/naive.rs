//! The same decisions once more, as slowly and plainly as they can be put: a walk through all
//! minutes, with nothing of the search but the words of the rules.

use jiff::{Timestamp as Instant, civil::DateTime, tz::TimeZone};

/// A cron expression as five tables.
pub(super) struct Naive {
    minutes: Vec<bool>,
    hours: Vec<bool>,
    days: Vec<bool>,
    months: Vec<bool>,
    weekdays: Vec<bool>,
    either: bool,
    pub(super) interval: bool,
}

impl Naive {
    pub(super) fn new(text: &str) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        let [minute, hour, day, month, weekday] = parts[..] else { panic!("{text}") };
        let mut weekdays = table(weekday, 0, 7);
        weekdays[0] |= weekdays[7];
        let hours = table(hour, 0, 23);
        Self {
            minutes: table(minute, 0, 59),
            interval: hour == "*" || (hour.starts_with("*/") && !hour.contains(',')) || hours.iter().all(|h| *h),
            hours,
            days: table(day, 1, 31),
            months: table(month, 1, 12),
            weekdays,
            either: day != "*" && weekday != "*",
        }
    }

    pub(super) fn matches(&self, wall: &Wall) -> bool {
        let (day, weekday) = (self.days[wall.day], self.weekdays[wall.weekday]);
        self.minutes[wall.minute]
            && self.hours[wall.hour]
            && self.months[wall.month]
            && if self.either { day || weekday } else { day && weekday }
    }
}

/// What a clock shows, as places in those tables.
pub(super) struct Wall {
    time: DateTime,
    minute: usize,
    hour: usize,
    day: usize,
    month: usize,
    weekday: usize,
}

impl Wall {
    pub(super) fn new(time: DateTime) -> Self {
        let place = |number: i8| usize::try_from(number).unwrap();
        Self {
            time,
            minute: place(time.minute()),
            hour: place(time.hour()),
            day: place(time.day()),
            month: place(time.month()),
            weekday: place(time.weekday().to_sunday_zero_offset()),
        }
    }

    fn later(&self, minutes: i64) -> Self {
        Self::new(self.time.saturating_add(jiff::SignedDuration::from_mins(minutes)))
    }
}

fn table(field: &str, min: usize, max: usize) -> Vec<bool> {
    let mut table = vec![false; max + 1];
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => (from.parse().unwrap(), to.parse().unwrap()),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        (from..=to).step_by(step.parse().unwrap()).for_each(|number| table[number] = true);
    }
    table
}

/// The clock of a zone, minute by minute.
pub(super) struct Minutes {
    minutes: Vec<Minute>,
}

struct Minute {
    instant: Instant,
    wall: Wall,
    /// What the clock left out just before.
    left_out: Vec<Wall>,
}

impl Minutes {
    pub(super) fn new(zone: &TimeZone, from: Instant, minutes: i64) -> Self {
        let first = from.as_second().div_euclid(60) * 60;
        let mut before = Wall::new(zone.to_datetime(Instant::from_second(first - 60).unwrap()));
        let minute = |minute: i64| {
            let instant = Instant::from_second(first + minute * 60).unwrap();
            let wall = Wall::new(zone.to_datetime(instant));
            let left_out = (1..).map(|n| before.later(n)).take_while(|left_out| left_out.time < wall.time).collect();
            before = wall.later(0);
            Minute { instant, wall, left_out }
        };
        Self { minutes: (0..minutes).map(minute).collect() }
    }

    pub(super) fn last(&self) -> Instant {
        self.minutes.last().unwrap().instant
    }
}

/// Which of `clock`'s minutes are slots.
pub(super) fn slots(pattern: &Naive, clock: &Minutes) -> Vec<Instant> {
    if pattern.interval { interval(pattern, clock) } else { calendar(pattern, clock) }
}

/// A wall time runs at the first instant at which the clock has reached it.
fn calendar(pattern: &Naive, clock: &Minutes) -> Vec<Instant> {
    let mut reached = DateTime::MIN;
    let mut slots = Vec::new();
    for Minute { instant, wall, left_out } in &clock.minutes {
        let new = wall.time > reached;
        reached = reached.max(wall.time);
        if new && pattern.matches(wall) || left_out.iter().any(|wall| pattern.matches(wall)) {
            slots.push(*instant);
        }
    }
    slots
}

/// A match runs whenever the clock shows it; and no slot waits longer than the pattern's gap.
fn interval(pattern: &Naive, clock: &Minutes) -> Vec<Instant> {
    let mut slots = Vec::new();
    let (mut waited, mut gap) = (0, DAY);
    for Minute { instant, wall, left_out } in &clock.minutes {
        waited += 1;
        let bent = if gap < DAY { waited >= gap } else { left_out.iter().any(|wall| pattern.matches(wall)) };
        if pattern.matches(wall) || bent {
            slots.push(*instant);
            (waited, gap) = (0, wall_gap(pattern, wall));
        }
    }
    slots
}

const DAY: i64 = 1_440;

/// The minutes from the last match at or before `wall` to the next after it; a day if they are
/// more than that.
pub(super) fn wall_gap(pattern: &Naive, wall: &Wall) -> i64 {
    let back = (0..DAY).find(|n| pattern.matches(&wall.later(-n))).unwrap_or(DAY);
    let ahead = (1..=DAY).find(|n| pattern.matches(&wall.later(*n))).unwrap_or(DAY);
    (back + ahead).min(DAY)
}
