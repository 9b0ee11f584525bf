//! One policy, from event to event.

use std::time::Duration;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    Downtime, Level, Luck, PolicyHistory, Run, RunEnd, Scenario, SimulatedPoint, SimulatedPolicy, Sweep,
    shelf::Shelf,
};
use crate::{
    model::{RecordId, Timestamp, ZoneName},
    rules::{
        Activity, Standing, Timetable,
        exposure::{Book, ExposurePoint, recovery_point, resolve_chains},
        retention::{Planner, Point, RetentionInput, RetentionPlan, RetentionRefusal, Verdict},
        settle,
    },
};

/// A policy in the middle of its history.
pub(super) struct Play<'a> {
    scenario: &'a Scenario,
    policy: &'a SimulatedPolicy,
    engine: &'a Downtime,
    target: &'a Downtime,
    luck: Luck,
    table: Timetable,
    zone: TimeZone,
    planner: Planner,
    shelf: Shelf,
    watermark: Timestamp,
    next_slot: Option<Timestamp>,
    active: Option<Run>,
    queued: Option<Timestamp>,
    next_sweep: Option<Timestamp>,
    last_sweep: Option<Timestamp>,
    next_removal: Option<Timestamp>,
    history: PolicyHistory,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        policy: &'a SimulatedPolicy,
        engine: &'a Downtime,
        target: &'a Downtime,
    ) -> Self {
        let zone = policy.schedule.zone().unwrap_or(ZoneName::UTC);
        let (high, low) = policy.id.as_uuid().as_u64_pair();
        Self {
            scenario,
            policy,
            engine,
            target,
            luck: Luck::new(scenario.seed).of(high).of(low),
            table: Timetable::new(&policy.schedule, &policy.options, policy.id, scenario.start),
            zone: zone.time_zone(),
            planner: Planner::default(),
            shelf: Shelf::new(policy.data),
            watermark: scenario.start,
            next_slot: Some(scenario.start),
            active: None,
            queued: None,
            next_sweep: None,
            last_sweep: None,
            next_removal: None,
            history: PolicyHistory {
                policy: policy.id,
                rpo: policy.rpo,
                window: scenario.window(),
                runs: Vec::new(),
                not_run: Vec::new(),
                points: Vec::new(),
                sweeps: Vec::new(),
                curve: Vec::new(),
                zone,
                counting: Vec::new(),
            },
        }
    }

    pub(super) fn run(mut self) -> PolicyHistory {
        while let Some(now) = self.next_look() {
            let before = (self.shelf.points.len(), self.shelf.stored());
            self.end_run(now);
            self.settle_slots(now);
            self.sweep(now);
            self.remove_data(now);
            let (points, stored) = (self.shelf.points.len(), self.shelf.stored());
            if (points, stored) != before {
                self.history.curve.push(Level { at: now, points, stored });
            }
        }
        // A job that still runs, or waits, when the time is over.
        self.history.runs.extend(self.active.take());
        if let Some(nominal) = self.queued.take() {
            let run = self.start(nominal, self.history.window.until);
            self.history.runs.push(run);
        }
        self.history.counting = counting(&self.history.points);
        self.history
    }

    /// When something is due next and the engine is there to see it.
    fn next_look(&self) -> Option<Timestamp> {
        let ended = self.active.map(|run| run.ended_at);
        let due = [ended, self.next_slot, self.next_sweep, self.next_removal].into_iter().flatten().min()?;
        Some(self.engine.up_from(due)).filter(|look| *look < self.history.window.until)
    }

    fn end_run(&mut self, now: Timestamp) {
        let Some(run) = self.active.take_if(|run| run.ended_at <= now) else { return };
        self.history.runs.push(run);
        if run.end == RunEnd::Completed {
            self.keep_point(run, now);
        }
        if let Some(nominal) = self.queued.take() {
            self.active = Some(self.start(nominal, now));
        }
    }

    fn keep_point(&mut self, run: Run, now: Timestamp) {
        let consistency = self.policy.runs.consistency;
        let at = recovery_point(consistency, None, run.started_at, run.ended_at, now).at;
        let number = u64::try_from(self.history.points.len()).unwrap_or(u64::MAX);
        let id = RecordId::from_uuid(Uuid::from_u64_pair(self.luck.below(u64::MAX), number));
        self.shelf.push(Point { kind: self.policy.kind, ..Point::new(id, at) });
        self.history.points.push(SimulatedPoint {
            id,
            at,
            available_at: now,
            expired_at: None,
            reasons: Vec::new(),
            removed_at: None,
        });
        self.next_sweep = self.next_sweep.or(Some(now));
    }

    fn settle_slots(&mut self, now: Timestamp) {
        if self.next_slot.is_none_or(|at| at > now) {
            return;
        }
        let activity = match (self.active, self.queued) {
            (_, Some(nominal)) => Activity::Queued { nominal: Some(nominal) },
            (Some(_), None) => Activity::Active,
            (None, None) => Activity::Idle,
        };
        let settled = settle(&self.table, Standing { watermark: self.watermark, now, activity });
        self.history.not_run.extend(settled.ranges);
        (self.watermark, self.next_slot) = (settled.watermark, settled.next_at);
        match settled.run {
            Some(nominal) if self.active.is_some() => self.queued = Some(nominal),
            Some(nominal) => self.active = Some(self.start(nominal, now)),
            None => {}
        }
    }

    /// How the job for the slot at `nominal` goes if it starts at `now`.
    fn start(&self, nominal: Timestamp, now: Timestamp) -> Run {
        let runs = &self.policy.runs;
        let luck = self.luck.of(u64::from_ne_bytes(nominal.as_micros().to_ne_bytes()));
        let takes = runs.duration.draw(luck.of(1));
        let failed = runs.failure.happens(luck.of(2));
        let (takes, end) = match (takes > runs.timeout, failed) {
            (true, _) => (runs.timeout, RunEnd::TimedOut),
            (false, true) => (takes, RunEnd::Failed),
            (false, false) => (takes, RunEnd::Completed),
        };
        let ended_at = now.saturating_add(takes);
        match self.target.within(now, ended_at.max(now.saturating_add(Duration::from_micros(1)))) {
            Some(down) => {
                Run { nominal_at: nominal, started_at: now, ended_at: down, end: RunEnd::TargetDown }
            }
            None => Run { nominal_at: nominal, started_at: now, ended_at, end },
        }
    }

    fn plan(&mut self, now: Timestamp) -> Result<RetentionPlan, RetentionRefusal> {
        let mut input = RetentionInput::new(&self.policy.retention, &self.zone, &self.shelf.points, now);
        input.last_run = self.last_sweep;
        input.acknowledgement = self.scenario.acknowledgement;
        self.planner.plan(&input)
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.next_sweep.is_none_or(|at| at > now) {
            return;
        }
        let mut sweep =
            Sweep { at: now, judged: self.shelf.points.len(), expired: 0, reinstated: 0, refusal: None };
        match self.plan(now) {
            Ok(plan) => self.carry_out(&plan, &mut sweep),
            Err(refusal) => sweep.refusal = Some(refusal),
        }
        self.history.sweeps.push(sweep);
        self.last_sweep = Some(now);
        self.next_sweep = Some(now.saturating_add(self.scenario.sweep_interval));
        self.next_removal = self.shelf.next_removal();
    }

    fn carry_out(&mut self, plan: &RetentionPlan, sweep: &mut Sweep) {
        let remove_at = sweep.at.saturating_add(self.policy.retention.grace);
        // The plan is newest first, the shelf oldest first; their ids are in the order of time.
        for (place, decision) in (0..self.shelf.points.len()).rev().zip(plan.decisions()) {
            let Some(point) = self.shelf.points.get(place) else { continue };
            debug_assert_eq!(point.id, decision.id, "plan and shelf are in one order");
            let (id, expired) = (point.id, point.expired);
            match (expired, decision.verdict) {
                (false, Verdict::Expire) => {
                    self.shelf.mark(place, Some(remove_at));
                    sweep.expired += 1;
                    if let Some(point) = self.point_mut(id) {
                        (point.expired_at, point.reasons) = (Some(sweep.at), decision.reasons.to_vec());
                    }
                }
                (true, Verdict::Keep) => {
                    self.shelf.mark(place, None);
                    sweep.reinstated += 1;
                    if let Some(point) = self.point_mut(id) {
                        (point.expired_at, point.reasons) = (None, Vec::new());
                    }
                }
                (false, Verdict::Keep) | (true, Verdict::Expire) => {}
            }
        }
    }

    /// Judges what is due to go once more, and removes it; where the planner refuses, it is asked
    /// again at the next sweep.
    fn remove_data(&mut self, now: Timestamp) {
        if self.next_removal.is_none_or(|at| at > now) {
            return;
        }
        self.next_removal = None;
        let Ok(plan) = self.plan(now) else { return };
        let newest_first: Vec<Verdict> = plan.decisions().map(|decision| decision.verdict).collect();
        let places: Vec<usize> = newest_first
            .iter()
            .rev()
            .enumerate()
            .filter(|(place, verdict)| **verdict == Verdict::Expire && self.shelf.is_due(*place, now))
            .map(|(place, _)| place)
            .collect();
        let gone: Vec<RecordId> =
            places.iter().filter_map(|place| self.shelf.points.get(*place)).map(|point| point.id).collect();
        for id in gone {
            if let Some(point) = self.point_mut(id) {
                point.removed_at = Some(now);
            }
        }
        self.shelf.remove(&places);
        // What is due and stays is the next sweep's to bring back.
        self.next_removal = self.shelf.next_removal().filter(|at| *at > now);
    }

    /// The low half of an id is the point's number.
    fn point_mut(&mut self, id: RecordId) -> Option<&mut SimulatedPoint> {
        let (_, number) = id.as_uuid().as_u64_pair();
        self.history.points.get_mut(usize::try_from(number).ok()?)
    }
}

fn counting(points: &[SimulatedPoint]) -> Vec<crate::rules::exposure::CountingPoint> {
    let points: Vec<_> = points
        .iter()
        .map(|point| ExposurePoint {
            unavailable_at: point.removed_at,
            ..ExposurePoint::new(point.id, point.at, point.available_at)
        })
        .collect();
    resolve_chains(&points, Book::AsKnown)
}
