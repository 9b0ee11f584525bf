//! Attainment: the exact share of time in which the exposure was within the target.

use std::time::Duration;

use serde::Serialize;

use super::{
    CountingPoint,
    staircase::{Staircase, Step},
};
use crate::model::Timestamp;

/// A span of time: `from` included, `until` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Its first instant.
    pub from: Timestamp,
    /// The instant after its last.
    pub until: Timestamp,
}

/// A target and since when it holds; until the next one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetFrom {
    /// Since when.
    pub from: Timestamp,
    /// The greatest exposure that is compliant.
    pub target: Duration,
}

/// What attainment is judged from.
#[derive(Clone, Copy, Debug)]
pub struct AttainmentInput<'a> {
    /// What counted when; see [`resolve_chains`](super::resolve_chains), also for the two books.
    pub points: &'a [CountingPoint],
    /// The time asked about; what lies after `now` is left out.
    pub window: Window,
    /// The present.
    pub now: Timestamp,
    /// The policy's targets in the order of time. It took effect with the first one.
    pub targets: &'a [TargetFrom],
    /// Approved suspensions, in any order; they may overlap.
    pub suspensions: &'a [Window],
}

/// A part of a whole, in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The whole.
    pub counted: Duration,
    /// The part of it that was compliant.
    pub compliant: Duration,
}

impl Share {
    /// The part as a number from 0 to 1; `None` where nothing counts.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (!self.counted.is_zero()).then(|| self.compliant.div_duration_f64(self.counted))
    }

    /// Per cent with two decimals, rounded; but 100 only if every instant was compliant.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let rounded = (self.ratio()? * 10_000.0).round() / 100.0;
        Some(if self.compliant < self.counted { rounded.min(99.99) } else { 100.0 })
    }
}

/// The spans of counted time in which the exposure was beyond the target, or nothing protected.
///
/// A violation that outlasts a suspension is one violation; suspended time adds no length to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// How many.
    pub count: u64,
    /// The longest one.
    pub longest: Duration,
    /// All of them together.
    pub total: Duration,
}

/// How a policy kept its target over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attainment {
    /// Attainment: the time since the policy took effect, less suspensions.
    pub share: Share,
    /// The same with suspensions counted.
    pub raw: Share,
    /// The greatest exposure of any counted instant (a supremum); `None` where nothing counts, or
    /// where it was unbounded because some counted time was unprotected.
    pub worst_exposure: Option<Duration>,
    /// Counted time in which nothing protected.
    pub unprotected: Duration,
    /// When it was not kept.
    pub violations: Violations,
}

/// Sweeps over the window.
#[must_use]
pub fn attainment(input: &AttainmentInput<'_>) -> Attainment {
    let mut tally = Tally::default();
    walk_terms(input, |step, term| tally.add(step, term));
    tally.close();
    tally.total
}

/// The oldest recovery point time that was ever the newest to count: points that are older change
/// nothing. `None` if nothing counted at some time, so that any older one might.
#[must_use]
pub fn oldest_needed(input: &AttainmentInput<'_>) -> Option<Timestamp> {
    let mut oldest = Some(Timestamp::MAX);
    walk(input, |step, _| oldest = oldest.zip(step.newest).map(|(oldest, newest)| oldest.min(newest)));
    oldest
}

/// Walks through the time that counts at all, with whether it is suspended.
pub(super) fn walk(input: &AttainmentInput<'_>, mut visit: impl FnMut(Step, bool)) {
    walk_terms(input, |step, term| visit(step, term.suspended));
}

fn walk_terms(input: &AttainmentInput<'_>, mut visit: impl FnMut(Step, Term)) {
    let until = input.window.until.min(input.now);
    let mut terms = Terms::new(input, until);
    let Some(start) = terms.start() else { return };
    for step in Staircase::new(input.points, start, until) {
        let mut at = step.start;
        while at < step.end {
            let (end, term) = terms.at(at);
            let end = end.min(step.end);
            visit(Step { start: at, end, ..step }, term);
            at = end;
        }
    }
}

/// What holds for a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Term {
    target: Duration,
    suspended: bool,
}

/// The targets and suspensions, walked through in the order of time.
struct Terms<'a> {
    from: Timestamp,
    until: Timestamp,
    targets: &'a [TargetFrom],
    /// Merged, in the order of time.
    suspensions: Vec<Window>,
    next_suspension: usize,
}

impl<'a> Terms<'a> {
    fn new(input: &AttainmentInput<'a>, until: Timestamp) -> Self {
        let mut given: Vec<_> =
            input.suspensions.iter().copied().filter(|gap| gap.from < gap.until).collect();
        given.sort_unstable();
        let mut suspensions: Vec<Window> = Vec::with_capacity(given.len());
        for gap in given {
            match suspensions.last_mut() {
                Some(last) if gap.from <= last.until => last.until = last.until.max(gap.until),
                _ => suspensions.push(gap),
            }
        }
        Self { from: input.window.from, until, targets: input.targets, suspensions, next_suspension: 0 }
    }

    /// The first instant that counts at all.
    fn start(&self) -> Option<Timestamp> {
        let effective = self.targets.first()?.from;
        Some(self.from.max(effective)).filter(|start| *start < self.until)
    }

    /// What holds at `at`, and until when; `at` never goes back.
    fn at(&mut self, at: Timestamp) -> (Timestamp, Term) {
        while let [_, next, ..] = self.targets
            && next.from <= at
        {
            self.targets = &self.targets[1..];
        }
        while self.suspensions.get(self.next_suspension).is_some_and(|gap| gap.until <= at) {
            self.next_suspension += 1;
        }
        let gap = self.suspensions.get(self.next_suspension);
        let suspended = gap.is_some_and(|gap| gap.from <= at);
        let gap_change = gap.map_or(self.until, |gap| if suspended { gap.until } else { gap.from });
        let target_change = self.targets.get(1).map_or(self.until, |next| next.from);
        let target = self.targets.first().map_or(Duration::ZERO, |target| target.target);
        (gap_change.min(target_change).min(self.until), Term { target, suspended })
    }
}

/// The sums so far.
#[derive(Default)]
struct Tally {
    total: Attainment,
    /// Counted time of the violation that is under way.
    violation: Duration,
}

impl Tally {
    fn add(&mut self, step: Step, term: Term) {
        let length = step.end.since(step.start);
        // `end` is excluded and equality is compliant, so the last compliant instant closes the part.
        let compliant = step.newest.map_or(Duration::ZERO, |newest| {
            newest.saturating_add(term.target).min(step.end).since(step.start)
        });
        self.total.raw.counted += length;
        self.total.raw.compliant += compliant;
        if !compliant.is_zero() {
            self.close();
        }
        if term.suspended {
            return;
        }
        self.total.share.counted += length;
        self.total.share.compliant += compliant;
        self.violation += length - compliant;
        match step.newest {
            None => self.total.unprotected += length,
            Some(newest) => {
                self.total.worst_exposure = self.total.worst_exposure.max(Some(step.end.since(newest)));
            }
        }
        if !self.total.unprotected.is_zero() {
            self.total.worst_exposure = None;
        }
    }

    /// Ends the violation that is under way, if any counted time belongs to one.
    fn close(&mut self) {
        if self.violation.is_zero() {
            return;
        }
        let violations = &mut self.total.violations;
        violations.count += 1;
        violations.longest = violations.longest.max(self.violation);
        violations.total += self.violation;
        self.violation = Duration::ZERO;
    }
}
