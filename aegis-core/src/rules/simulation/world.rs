//! What the simulated world does to backups: how long they take, how often they fail, how the data
//! changes, and when nobody is there.

use std::time::Duration;

use super::luck::Luck;
use crate::{
    model::{Bytes, Consistency, Policy, Timestamp},
    rules::exposure::Window,
};

const MILLION: u32 = 1_000_000;

/// A part of a whole, or a probability, in parts per million: whole numbers, so that every machine
/// reckons alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Nothing, or never.
    pub const NONE: Self = Self(0);
    /// All, or always.
    pub const ALL: Self = Self(MILLION);

    /// `parts` of a million; more than a million is all.
    #[must_use]
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts > MILLION { MILLION } else { parts })
    }

    /// `parts` of a hundred; more than a hundred is all.
    #[must_use]
    pub const fn percent(parts: u32) -> Self {
        Self::per_million(parts.saturating_mul(10_000))
    }

    pub(super) fn happens(self, luck: Luck) -> bool {
        luck.below(MILLION.into()) < u64::from(self.0)
    }
}

/// How long something takes: half of the times up to `median`, 99 of a hundred up to `p99`, spread
/// evenly between these figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    marks: [(u64, Duration); 4],
}

impl Spread {
    /// Always the same.
    #[must_use]
    pub const fn fixed(length: Duration) -> Self {
        Self::new(length, length, length, length)
    }

    /// From four figures; one that is less than the one before it is read as that one.
    #[must_use]
    pub const fn new(least: Duration, median: Duration, p99: Duration, most: Duration) -> Self {
        Self { marks: [(0, least), (500_000, median), (990_000, p99), (1_000_000, most)] }
    }

    /// What 99 of a hundred take at most.
    #[must_use]
    pub fn p99(&self) -> Duration {
        let [(_, least), (_, median), (_, p99), _] = self.marks;
        least.max(median).max(p99)
    }

    pub(super) fn draw(&self, luck: Luck) -> Duration {
        let rank = luck.below(MILLION.into());
        let [mut before, marks @ ..] = self.marks;
        for (mark, length) in marks {
            let length = length.max(before.1);
            if rank < mark {
                let part =
                    Duration::from_micros(scale(micros(length - before.1), rank - before.0, mark - before.0));
                return before.1.saturating_add(part);
            }
            before = (mark, length);
        }
        before.1
    }
}

/// How the runs of a policy go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunModel {
    /// How likely a job is to fail after all its attempts.
    pub failure: Share,
    /// How long a run takes, whether it fails or not.
    pub duration: Spread,
    /// After how long a run is given up.
    pub timeout: Duration,
    /// What instant the data reflects.
    pub consistency: Consistency,
    /// How backups that completed turn out to be bad.
    pub bad: BadBackups,
}

impl RunModel {
    /// Runs that take `duration`, never fail and are what they seem; what changes while they read
    /// may be missing.
    #[must_use]
    pub const fn steady(duration: Duration) -> Self {
        Self {
            failure: Share::NONE,
            duration: Spread::fixed(duration),
            timeout: Policy::DEFAULT_TIMEOUT,
            consistency: Consistency::FuzzyCopy,
            bad: BadBackups::NONE,
        }
    }
}

/// Backups that completed, and can't be restored all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBackups {
    /// How likely a backup is one.
    pub share: Share,
    /// How long after it became usable that is found; never, if its data is removed before.
    pub found_after: Spread,
}

impl BadBackups {
    /// All backups are what they seem.
    pub const NONE: Self = Self { share: Share::NONE, found_after: Spread::fixed(Duration::ZERO) };
}

/// How the protected data grows and changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataModel {
    /// How much there is at the beginning.
    pub size: Bytes,
    /// The part that changes in 24 hours. No byte changes twice before all have, so that what the
    /// storage takes is rather over- than underrated.
    pub daily_change: Share,
}

impl DataModel {
    /// How much differs between two instants that lie this far apart.
    pub(super) fn changed_in(&self, elapsed: Duration) -> Bytes {
        const WHOLE: u64 = 86_400_000_000 * 1_000_000;
        let changed = micros(elapsed).saturating_mul(self.daily_change.0.into()).min(WHOLE);
        Bytes(scale(self.size.0, changed, WHOLE))
    }
}

/// What is out of reach during an [`Outage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutageKind {
    /// The engine: nobody looks at slots, and what ended meanwhile is only seen afterwards.
    Engine,
    /// The cluster or its storage: a run that it touches fails when it begins.
    Target,
}

/// A span in which something is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// What.
    pub kind: OutageKind,
    /// When.
    pub window: Window,
}

/// Outages that come by chance, at most one a day, each beginning evenly within its day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomOutages {
    /// What is out of reach.
    pub kind: OutageKind,
    /// How likely one begins on a day.
    pub daily: Share,
    /// How long it lasts.
    pub length: Spread,
}

impl RandomOutages {
    pub(super) fn draw(&self, span: Window, luck: Luck) -> Vec<Outage> {
        const DAY: Duration = Duration::from_secs(86_400);
        let luck = luck.of(match self.kind {
            OutageKind::Engine => 1,
            OutageKind::Target => 2,
        });
        let days = std::iter::successors(Some(span.from), |day| Some(day.saturating_add(DAY)))
            .take_while(|day| *day < span.until);
        days.zip(0u64..)
            .map(|(day, number)| (day, luck.of(number)))
            .filter(|(_, luck)| self.daily.happens(luck.of(0)))
            .map(|(day, luck)| {
                let from = day.saturating_add(Duration::from_micros(luck.of(1).below(micros(DAY))));
                let until = from.saturating_add(self.length.draw(luck.of(2)));
                Outage { kind: self.kind, window: Window { from, until } }
            })
            .collect()
    }
}

/// Outages of one kind, merged and in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Downtime(Vec<Window>);

impl Downtime {
    pub(super) fn new(outages: &[Outage], kind: OutageKind) -> Self {
        let mut windows: Vec<_> =
            outages.iter().filter(|outage| outage.kind == kind).map(|outage| outage.window).collect();
        windows.sort_unstable();
        let mut merged: Vec<Window> = Vec::with_capacity(windows.len());
        for window in windows.into_iter().filter(|window| window.from < window.until) {
            match merged.last_mut() {
                Some(last) if window.from <= last.until => last.until = last.until.max(window.until),
                _ => merged.push(window),
            }
        }
        Self(merged)
    }

    /// The first instant from `at` on that lies in none.
    pub(super) fn up_from(&self, at: Timestamp) -> Timestamp {
        self.next(at).filter(|window| window.from <= at).map_or(at, |window| window.until)
    }

    /// The first instant between the two that lies in one.
    pub(super) fn within(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.next(from).filter(|window| window.from < until).map(|window| window.from.max(from))
    }

    /// The window that `at` lies in, or the next.
    fn next(&self, at: Timestamp) -> Option<&Window> {
        self.0.get(self.0.partition_point(|window| window.until <= at))
    }
}

/// `whole` × `part` / `of`; `part` is no more than `of`, so the answer no more than `whole`.
fn scale(whole: u64, part: u64, of: u64) -> u64 {
    let product = u128::from(whole) * u128::from(part);
    product.checked_div(of.into()).and_then(|quotient| u64::try_from(quotient).ok()).unwrap_or(whole)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
