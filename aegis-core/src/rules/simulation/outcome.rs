//! What came of a scenario.

use std::time::Duration;

use super::Outage;
use crate::{
    model::{BackupKind, Bytes, PolicyId, RecordId, RetentionRules, Rpo, Timestamp, ZoneName},
    rules::{
        SlotRange,
        exposure::{
            Attainment, AttainmentInput, Book, CountingPoint, ExposurePoint, TargetFrom, Window, attainment,
            resolve_chains,
        },
        retention::{Acknowledgement, Point, RetentionInput, RetentionRefusal, plan},
    },
};

/// A scenario that was played to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// The time that was simulated.
    pub window: Window,
    /// The outages, given and drawn, by when they began.
    pub outages: Vec<Outage>,
    /// What happened to each policy, as the scenario lists them.
    pub policies: Vec<PolicyHistory>,
}

/// What happened to one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyHistory {
    /// The policy.
    pub policy: PolicyId,
    /// Its target.
    pub rpo: Option<Rpo>,
    /// The time that was simulated.
    pub window: Window,
    /// The slots that became a job, in the order of time.
    pub runs: Vec<Run>,
    /// What became of all other slots, in the order of time.
    pub not_run: Vec<SlotRange>,
    /// The recovery points, oldest first.
    pub points: Vec<SimulatedPoint>,
    /// When retention looked at them.
    pub sweeps: Vec<Sweep>,
    /// How much there was, after each change.
    pub curve: Vec<Level>,
    pub(super) rules: RetentionRules,
    pub(super) kind: BackupKind,
    pub(super) zone: ZoneName,
}

/// A slot that became a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The slot.
    pub nominal_at: Timestamp,
    /// When the job started.
    pub started_at: Timestamp,
    /// When it ended; this may lie after the simulated time.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: RunEnd,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// With a recovery point.
    Completed,
    /// By chance, without one.
    Failed,
    /// Its timeout passed.
    TimedOut,
    /// The cluster or its storage was out of reach.
    TargetDown,
}

/// A recovery point of the simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedPoint {
    /// Its record.
    pub id: RecordId,
    /// The instant that it reflects.
    pub at: Timestamp,
    /// Since when it could be used.
    pub available_at: Timestamp,
    /// When it was found bad.
    pub found_bad_at: Option<Timestamp>,
    /// When retention marked it as expired; `None` if it stayed.
    pub expired_at: Option<Timestamp>,
    /// When its data was removed.
    pub removed_at: Option<Timestamp>,
}

/// A run of the retention planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// When.
    pub at: Timestamp,
    /// How many records it looked at.
    pub judged: usize,
    /// How many it newly marked as expired.
    pub expired: usize,
    /// How many it brought back.
    pub reinstated: usize,
    /// Why nothing was decided, where it was so.
    pub refusal: Option<RetentionRefusal>,
}

/// How much there was from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Since when.
    pub at: Timestamp,
    /// Recovery points whose data was there, expired ones in their grace time included.
    pub points: usize,
    /// What they took in storage.
    pub stored: Bytes,
}

impl PolicyHistory {
    /// The time since the first recovery point could be used; none if there never was one.
    #[must_use]
    pub fn protected(&self) -> Option<Window> {
        self.points.first().map(|first| Window { from: first.available_at, ..self.window })
    }

    /// How the target was kept over `window`, by one of the two books; none where the policy has
    /// no target. The time before the first recovery point counts as not compliant: see
    /// [`protected`](Self::protected).
    #[must_use]
    pub fn attainment(&self, window: Window, book: Book) -> Option<Attainment> {
        Some(self.sweep(&self.counting(book), window, self.rpo?.0))
    }

    /// The greatest exposure over each of `windows`; none where some of it was unprotected, or where
    /// it does not lie in the simulated time.
    pub fn worst_exposures(
        &self,
        windows: impl IntoIterator<Item = Window>,
        book: Book,
    ) -> impl Iterator<Item = Option<Duration>> {
        let points = self.counting(book);
        windows.into_iter().map(move |window| self.sweep(&points, window, Duration::MAX).worst_exposure)
    }

    fn sweep(&self, points: &[CountingPoint], window: Window, target: Duration) -> Attainment {
        attainment(&AttainmentInput {
            points,
            window,
            now: self.window.until,
            targets: &[TargetFrom { from: self.window.from, target }],
            suspensions: &[],
        })
    }

    fn counting(&self, book: Book) -> Vec<CountingPoint> {
        let points = self.points.iter().map(|point| ExposurePoint {
            unavailable_at: point.removed_at,
            found_bad_at: point.found_bad_at,
            ..ExposurePoint::new(point.id, point.at, point.available_at)
        });
        resolve_chains(&points.collect::<Vec<_>>(), book)
    }

    /// Why retention marked `point` as expired, in English; nothing if it stayed.
    ///
    /// The planner judges once more what was there then: reasons are made when somebody asks.
    #[must_use]
    pub fn explain(&self, point: &SimulatedPoint) -> Vec<String> {
        let Some(at) = point.expired_at else { return Vec::new() };
        let there = |other: &&SimulatedPoint| {
            other.available_at <= at && other.removed_at.is_none_or(|removed| removed >= at)
        };
        let judged = self.points.iter().filter(there).map(|other| Point {
            kind: self.kind,
            found_bad_at: other.found_bad_at.filter(|found| *found <= at),
            ..Point::new(other.id, other.at)
        });
        let (judged, zone): (Vec<_>, _) = (judged.collect(), self.zone.time_zone());
        let mut input = RetentionInput::new(&self.rules, &zone, &judged, at);
        input.acknowledgement = Acknowledgement::Given;
        let plan = plan(&input);
        let decision = plan.iter().find_map(|plan| plan.decision(point.id));
        decision.map(|decision| decision.explain().collect()).unwrap_or_default()
    }
}
