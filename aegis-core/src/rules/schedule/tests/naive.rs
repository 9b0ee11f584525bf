//! The same decisions once more, as slowly and plainly as they can be put: a walk through all
//! minutes, with nothing of the search but the words of the rules.

use jiff::{SignedDuration, Timestamp as Instant, civil::DateTime, tz::TimeZone};

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
            interval: hour == "*"
                || (hour.starts_with("*/") && !hour.contains(','))
                || hours.iter().all(|h| *h),
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
    minute: usize,
    hour: usize,
    day: usize,
    month: usize,
    weekday: usize,
}

impl Wall {
    pub(super) fn new(wall: DateTime) -> Self {
        let place = |number: i8| usize::try_from(number).unwrap();
        Self {
            minute: place(wall.minute()),
            hour: place(wall.hour()),
            day: place(wall.day()),
            month: place(wall.month()),
            weekday: place(wall.weekday().to_sunday_zero_offset()),
        }
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
    /// Every wall minute that matters, those that the clock leaves out included.
    face: Vec<Wall>,
    /// Each instant with what the clock shows then, as a place on the face.
    shown: Vec<(Instant, usize)>,
}

impl Minutes {
    pub(super) fn new(zone: &TimeZone, from: Instant, minutes: i64) -> Self {
        let first = from.as_second().div_euclid(60);
        let instant = |minute: i64| Instant::from_second((first + minute) * 60).unwrap();
        let start = zone.to_datetime(instant(0)) - SignedDuration::from_mins(DAY);
        let place = |wall: DateTime| usize::try_from(wall.duration_since(start).as_mins()).unwrap();
        Self {
            face: (0..minutes + 3 * DAY).map(|n| Wall::new(start + SignedDuration::from_mins(n))).collect(),
            shown: (0..minutes).map(|n| (instant(n), place(zone.to_datetime(instant(n))))).collect(),
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.shown.last().unwrap().0
    }
}

/// Which of `clock`'s minutes are slots.
pub(super) fn slots(pattern: &Naive, clock: &Minutes) -> Vec<Instant> {
    let face: Vec<bool> = clock.face.iter().map(|wall| pattern.matches(wall)).collect();
    if pattern.interval { interval(&face, clock) } else { calendar(&face, clock) }
}

/// A wall time runs at the first instant at which the clock has reached it.
fn calendar(face: &[bool], clock: &Minutes) -> Vec<Instant> {
    let mut reached = clock.shown[0].1;
    let mut slots = Vec::new();
    for (instant, wall) in &clock.shown {
        if (reached + 1..=*wall).any(|wall| face[wall]) {
            slots.push(*instant);
        }
        reached = reached.max(*wall);
    }
    slots
}

/// A match runs whenever the clock shows it; and no slot waits longer than the pattern's gap.
fn interval(face: &[bool], clock: &Minutes) -> Vec<Instant> {
    let mut slots = Vec::new();
    let (mut waited, mut gap, mut before) = (0, DAY, clock.shown[0].1);
    for (instant, wall) in &clock.shown {
        let left_out = || (before + 1..*wall).any(|wall| face[wall]);
        waited += 1;
        if face[*wall] || if gap < DAY { waited >= gap } else { left_out() } {
            slots.push(*instant);
            (waited, gap) = (0, wall_gap(|minutes| face[wall.saturating_add_signed(minutes)]));
        }
        before = *wall;
    }
    slots
}

const DAY: i64 = 1_440;

/// The minutes from the last match to the next around a wall time, to which `matches` tells the
/// neighbours; a day if they are more than that.
pub(super) fn wall_gap(matches: impl Fn(isize) -> bool) -> i64 {
    let back = (0..1_440).find(|n| matches(-n)).unwrap_or(1_440);
    let ahead = (1..=1_440).find(|n| matches(*n)).unwrap_or(1_440);
    i64::try_from(back + ahead).unwrap().min(DAY)
}
