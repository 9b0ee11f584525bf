//! One policy, from event to event.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

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
        exposure::recovery_point,
        retention::{Acknowledgement, Planner, Point, RetentionInput, RetentionRefusal, Verdict},
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
    /// When a bad backup is found out, and the number of its point.
    findings: BinaryHeap<Reverse<(Timestamp, usize)>>,
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
            findings: BinaryHeap::new(),
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
                rules: policy.retention.clone(),
                kind: policy.kind,
                zone,
            },
        }
    }

    pub(super) fn run(mut self) -> PolicyHistory {
        while let Some(now) = self.next_look() {
            let before = (self.shelf.points().len(), self.shelf.stored());
            self.end_run(now);
            self.find_bad(now);
            self.settle_slots(now);
            let verdicts = self.sweep(now);
            self.remove_data(now, verdicts);
            let (points, stored) = (self.shelf.points().len(), self.shelf.stored());
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
        self.history
    }

    /// When something is due next and the engine is there to see it.
    fn next_look(&self) -> Option<Timestamp> {
        let ended = self.active.map(|run| run.ended_at);
        let found = self.findings.peek().map(|Reverse((at, _))| *at);
        let due = [ended, found, self.next_slot, self.next_sweep, self.next_removal];
        let due = due.into_iter().flatten().min()?;
        Some(self.engine.up_from(due)).filter(|look| *look < self.history.window.until)
    }

    fn end_run(&mut self, now: Timestamp) {
        let Some(run) = self.active.take_if(|run| run.ended_at <= now) else { return };
        self.history.runs.push(run);
        self.next_sweep = self.next_sweep.or(Some(now));
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
        let number = self.history.points.len();
        let low = u64::try_from(number).unwrap_or(u64::MAX);
        let id = RecordId::from_uuid(Uuid::from_u64_pair(self.luck.below(u64::MAX), low));
        self.shelf.push(number, Point { kind: self.policy.kind, ..Point::new(id, at) });
        self.history.points.push(SimulatedPoint {
            id,
            at,
            available_at: now,
            found_bad_at: None,
            expired_at: None,
            removed_at: None,
        });
        let (bad, luck) = (&self.policy.runs.bad, self.luck_of(run.nominal_at));
        if bad.share.happens(luck.of(3)) {
            let found_at = now.saturating_add(bad.found_after.draw(luck.of(4)));
            self.findings.push(Reverse((found_at, number)));
        }
    }

    /// Finds out about bad backups whose data is still there.
    fn find_bad(&mut self, now: Timestamp) {
        while let Some(Reverse((_, number))) =
            self.findings.peek().copied().filter(|Reverse((at, _))| *at <= now)
        {
            self.findings.pop();
            if self.shelf.find_bad(number, now)
                && let Some(point) = self.history.points.get_mut(number)
            {
                point.found_bad_at = Some(now);
            }
        }
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

    fn luck_of(&self, nominal: Timestamp) -> Luck {
        self.luck.of(u64::from_ne_bytes(nominal.as_micros().to_ne_bytes()))
    }

    /// How the job for the slot at `nominal` goes if it starts at `now`.
    fn start(&self, nominal: Timestamp, now: Timestamp) -> Run {
        let runs = &self.policy.runs;
        let luck = self.luck_of(nominal);
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

    /// The rules' verdict on each record that is there, in the order of the shelf.
    fn judge(
        &mut self,
        now: Timestamp,
        last_run: Option<Timestamp>,
        acknowledgement: Acknowledgement,
    ) -> Result<Vec<Verdict>, RetentionRefusal> {
        let mut input = RetentionInput::new(&self.policy.retention, &self.zone, self.shelf.points(), now);
        input.last_run = last_run;
        input.acknowledgement = acknowledgement;
        self.planner.decide(&input).map(<[Verdict]>::to_vec)
    }

    /// Sweeps if it is time to; answers with the verdicts if there are any.
    fn sweep(&mut self, now: Timestamp) -> Option<Vec<Verdict>> {
        if self.next_sweep.is_none_or(|at| at > now) {
            return None;
        }
        let judged = self.shelf.points().len();
        let mut sweep = Sweep { at: now, judged, expired: 0, reinstated: 0, refusal: None };
        let verdicts = self.judge(now, self.last_sweep, self.scenario.acknowledgement);
        match &verdicts {
            Ok(verdicts) => {
                self.carry_out(verdicts, &mut sweep);
                // One that was refused is not the last run: the next one has to ask as well.
                self.last_sweep = Some(now);
            }
            Err(refusal) => sweep.refusal = Some(refusal.clone()),
        }
        self.history.sweeps.push(sweep);
        self.next_sweep = Some(now.saturating_add(self.scenario.sweep_interval));
        self.next_removal = self.shelf.next_removal();
        verdicts.ok()
    }

    fn carry_out(&mut self, verdicts: &[Verdict], sweep: &mut Sweep) {
        let remove_at = sweep.at.saturating_add(self.policy.retention.grace);
        for (place, verdict) in verdicts.iter().enumerate() {
            match (self.shelf.is_expired(place), verdict) {
                (false, Verdict::Expire) => {
                    sweep.expired += 1;
                    self.mark(place, Some((sweep.at, remove_at)));
                }
                (true, Verdict::Keep) => {
                    sweep.reinstated += 1;
                    self.mark(place, None);
                }
                (false, Verdict::Keep) | (true, Verdict::Expire) => {}
            }
        }
    }

    /// Marks a record as expired, since when and until when it waits; or as one that stays after all.
    fn mark(&mut self, place: usize, grace: Option<(Timestamp, Timestamp)>) {
        let number = self.shelf.mark(place, grace.map(|(_, remove_at)| remove_at));
        if let Some(point) = number.and_then(|number| self.history.points.get_mut(number)) {
            point.expired_at = grace.map(|(expired_at, _)| expired_at);
        }
    }

    /// Judges what is due to go once more, unless a sweep did just now, and removes it. What gave
    /// pause was accepted when it was marked; now only the rules count.
    fn remove_data(&mut self, now: Timestamp, swept: Option<Vec<Verdict>>) {
        if self.next_removal.is_none_or(|at| at > now) {
            return;
        }
        self.next_removal = None;
        let judged = swept.or_else(|| self.judge(now, None, Acknowledgement::Given).ok());
        let Some(verdicts) = judged else { return };
        let goes = |place: usize| verdicts.get(place) == Some(&Verdict::Expire);
        for number in self.shelf.remove_due(now, goes) {
            if let Some(point) = self.history.points.get_mut(number) {
                point.removed_at = Some(now);
            }
        }
        // What is due and stays is the next sweep's to bring back.
        self.next_removal = self.shelf.next_removal().filter(|at| *at > now);
    }
}
