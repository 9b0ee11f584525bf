//! The simulated time day by day.

use std::time::Duration;

use aegis::{
    model::Timestamp,
    rules::{
        exposure::{Book, Window},
        simulation::{Level, PolicyHistory, Run, RunEnd},
    },
};

const DAY: Duration = Duration::from_secs(86_400);

/// The days of `window`, each 24 hours from its beginning on; the last may be shorter.
pub(crate) fn days(window: Window) -> Vec<Window> {
    let begins = std::iter::successors(Some(window.from), |day| Some(day.saturating_add(DAY)));
    let day = |from: Timestamp| Window { from, until: from.saturating_add(DAY).min(window.until) };
    begins.take_while(|from| *from < window.until).map(day).collect()
}

/// The greatest exposure of each day since the first recovery point; none where nothing protected.
pub(crate) fn worst_exposures(history: &PolicyHistory, days: &[Window], book: Book) -> Vec<Option<Duration>> {
    let first = history.protected().map_or(history.window.until, |protected| protected.from);
    let counted = days.iter().map(|day| Window { from: day.from.max(first).min(day.until), ..*day });
    history.worst_exposures(counted, book).collect()
}

/// How long nothing protected, as known then: before the first point, and where all were gone or bad.
pub(crate) fn unprotected(history: &PolicyHistory, days: &[Window]) -> Vec<Window> {
    let first = history.protected().map_or(history.window.until, |protected| protected.from);
    let known = worst_exposures(history, days, Book::AsKnown);
    let later = days.iter().zip(known).filter(|(day, worst)| day.from >= first && worst.is_none());
    let before = Window { until: first, ..history.window };
    std::iter::once(before).chain(later.map(|(day, _)| *day)).collect()
}

/// The most that there was on each day.
pub(crate) fn most(history: &PolicyHistory, days: &[Window], value: impl Fn(&Level) -> u64) -> Vec<u64> {
    let (mut levels, mut now) = (history.curve.iter().peekable(), 0);
    let most_of = |day: &Window| {
        let mut most = now;
        while let Some(level) = levels.next_if(|level| level.at < day.until) {
            now = value(level);
            most = most.max(now);
        }
        most
    };
    days.iter().map(most_of).collect()
}

/// The level at which `value` was greatest, the first of several.
pub(crate) fn peak(history: &PolicyHistory, value: impl Fn(&Level) -> u64) -> Option<&Level> {
    history.curve.iter().rev().max_by_key(|level| value(level))
}

/// What became of a job, by the end of the simulated time.
pub(crate) fn ended(history: &PolicyHistory, run: &Run) -> Option<RunEnd> {
    (run.ended_at <= history.window.until).then_some(run.end)
}

pub(crate) fn length(window: Window) -> Duration {
    window.until.since(window.from)
}
