//! Quiet hours as instants.

use super::schedule::Zone;
use crate::model::{BlackoutWindow, Timestamp, ZoneName};

const MINUTES_PER_DAY: i64 = 1_440;

/// A blackout that has not ended after so many windows in a row is taken to have no end.
const WINDOWS_WITHOUT_PAUSE: usize = 1_000;

/// The blackout windows of one policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Blackout {
    windows: Vec<Window>,
}

#[derive(Clone, Debug)]
enum Window {
    Weekly {
        zone: Zone,
        /// Sunday is bit 0.
        days: u8,
        /// Minutes after the day's midnight at which it begins and is over.
        from: i64,
        until: i64,
    },
    Once {
        from: Timestamp,
        until: Timestamp,
    },
}

impl Blackout {
    /// Makes `windows` ready; those that name no zone follow `zone`.
    pub(super) fn new(windows: &[BlackoutWindow], zone: ZoneName) -> Self {
        Self { windows: windows.iter().map(|window| Window::new(window, zone)).collect() }
    }

    /// When the blackout that `at` lies in is over, whatever windows it is made of; `None` if `at`
    /// lies in none.
    pub(super) fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let mut end = self.window_end(at)?;
        for _ in 0..WINDOWS_WITHOUT_PAUSE {
            match self.window_end(end) {
                Some(later) => end = later,
                None => return Some(end),
            }
        }
        Some(Timestamp::MAX)
    }

    /// When the blackout that `at` lies in began, whatever windows it is made of; `None` if `at` lies
    /// in none.
    pub(super) fn begin(&self, at: Timestamp) -> Option<Timestamp> {
        let mut begin = self.window_begin(at)?;
        for _ in 0..WINDOWS_WITHOUT_PAUSE {
            match self.window_begin(Timestamp::from_micros(begin.as_micros() - 1)) {
                Some(earlier) => begin = earlier,
                None => return Some(begin),
            }
        }
        Some(Timestamp::MIN)
    }

    /// The earliest begin of the windows that `at` lies in.
    fn window_begin(&self, at: Timestamp) -> Option<Timestamp> {
        let spans = self.windows.iter().flat_map(|window| window.spans(at));
        spans.filter(|(from, until)| *from <= at && at < *until).map(|(from, _)| from).min()
    }

    /// The latest end of the windows that `at` lies in.
    fn window_end(&self, at: Timestamp) -> Option<Timestamp> {
        let spans = self.windows.iter().flat_map(|window| window.spans(at));
        spans.filter(|(from, until)| *from <= at && at < *until).map(|(_, until)| until).max()
    }

    /// When the next window after `after` begins.
    pub(super) fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        let spans = self.windows.iter().flat_map(|window| window.spans(after));
        spans.filter(|(from, until)| *from > after && from < until).map(|(from, _)| from).min()
    }
}

impl Window {
    fn new(window: &BlackoutWindow, zone: ZoneName) -> Self {
        match window {
            BlackoutWindow::Once { from, until } => Self::Once { from: *from, until: *until },
            BlackoutWindow::Weekly { days, from, until, zone: own } => {
                let (from, mut until) = (i64::from(from.minute_of_day()), i64::from(until.minute_of_day()));
                if until <= from {
                    until += MINUTES_PER_DAY;
                }
                let named = days.iter().fold(0u8, |days, day| days | 1 << day.number());
                let days = if days.is_empty() { 0x7f } else { named };
                Self::Weekly { zone: Zone::new(own.unwrap_or(zone)), days, from, until }
            }
        }
    }

    /// Its spans that may hold `at` and the first that begins after it. Two days back, since a
    /// window may last one and a clock change may leave out another.
    fn spans(&self, at: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        match self {
            Self::Once { from, until } => vec![(*from, *until)],
            Self::Weekly { zone, days, from, until } => {
                let today = zone.wall(at.as_seconds()).div_euclid(MINUTES_PER_DAY);
                // 1970-01-01 was a Thursday.
                let named = |day: &i64| days >> (day + 4).rem_euclid(7) & 1 == 1;
                let instant = |minute| zone.reaches(minute).map(Timestamp::from_seconds);
                (today - 2..=today + 9)
                    .filter(named)
                    .filter_map(|day| {
                        let midnight = day * MINUTES_PER_DAY;
                        Some((instant(midnight + from)?, instant(midnight + until)?))
                    })
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TimeOfDay, Weekday};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn new_york(days: &[Weekday], from: &str, until: &str) -> Blackout {
        let (from, until) = (from.parse::<TimeOfDay>().unwrap(), until.parse::<TimeOfDay>().unwrap());
        let window = BlackoutWindow::Weekly { days: days.to_vec(), from, until, zone: None };
        Blackout::new(&[window], ZoneName::new("America/New_York").unwrap())
    }

    #[test]
    fn a_window_begins_at_its_first_instant_and_ends_before_its_end() {
        let blackout = new_york(&[], "22:00", "06:00");
        assert_eq!(blackout.end(at("2026-07-02T01:59:59.999999Z")), None);
        assert_eq!(blackout.end(at("2026-07-02T02:00:00Z")), Some(at("2026-07-02T10:00:00Z")));
        assert_eq!(blackout.end(at("2026-07-02T10:00:00Z")), None);
        assert_eq!(blackout.next_start(at("2026-07-02T02:00:00Z")), Some(at("2026-07-03T02:00:00Z")));
    }

    #[test]
    fn a_window_whose_start_the_clock_leaves_out_begins_after_the_gap() {
        let blackout = new_york(&[Weekday::Sunday], "02:30", "04:00");
        assert_eq!(blackout.end(at("2026-03-08T01:59:00-05:00")), None);
        assert_eq!(blackout.end(at("2026-03-08T03:00:00-04:00")), Some(at("2026-03-08T04:00:00-04:00")));
    }

    #[test]
    fn a_window_in_a_repeated_hour_begins_and_ends_the_first_time() {
        let blackout = new_york(&[Weekday::Saturday], "23:00", "01:30");
        let end = Some(at("2026-11-01T01:30:00-04:00"));
        assert_eq!(blackout.end(at("2026-11-01T01:15:00-04:00")), end);
        assert_eq!(blackout.end(at("2026-11-01T01:15:00-05:00")), None, "the second pass");
    }

    #[test]
    fn windows_that_touch_are_one_blackout() {
        let zone = ZoneName::UTC;
        let once = |from, until| BlackoutWindow::Once { from: at(from), until: at(until) };
        let blackout = Blackout::new(
            &[
                once("2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z"),
                once("2026-07-01T12:00:00Z", "2026-07-01T13:00:00Z"),
                once("2026-07-01T09:00:00Z", "2026-07-01T09:00:00Z"),
            ],
            zone,
        );
        assert_eq!(blackout.end(at("2026-07-01T11:00:00Z")), Some(at("2026-07-01T13:00:00Z")));
        assert_eq!(blackout.begin(at("2026-07-01T12:30:00Z")), Some(at("2026-07-01T10:00:00Z")));
        assert_eq!(blackout.begin(at("2026-07-01T13:00:00Z")), None);
        assert_eq!(
            blackout.next_start(at("2026-07-01T08:00:00Z")),
            Some(at("2026-07-01T10:00:00Z")),
            "not the empty one"
        );
        assert_eq!(blackout.next_start(at("2026-07-01T12:00:00Z")), None);
    }
}
