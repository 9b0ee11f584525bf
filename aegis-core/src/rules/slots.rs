//! Settling slots: what becomes of every nominal time that has come.

use std::time::Duration;

use super::timetable::Timetable;
use crate::model::{
    CatchUp, JobId, MissReason, Overlap, PolicyId, SkipReason, Slot, SlotOutcome, TenantId, Timestamp,
};

/// How late a start still counts as punctual where a policy sets no start window: an engine looks
/// at what is due within seconds, so what is later than this was not looked at.
pub const PUNCTUAL: Duration = Duration::from_secs(60);

/// The most entries that one call settles. More can only come of a gap with hundreds of blackout
/// windows in it; the rest is for the next call.
pub const MAX_RANGES: usize = 512;

/// How a policy stands when its slots are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Every slot at or before this is settled. When a policy is created it is that instant.
    pub watermark: Timestamp,
    /// The present instant.
    pub now: Timestamp,
    /// What the policy's jobs are doing.
    pub activity: Activity,
}

/// What a policy's jobs are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// No job of the policy is pending or running.
    Idle,
    /// A job runs, and none waits.
    Active,
    /// A job waits to start, whether or not another runs.
    Queued {
        /// The nominal time that it stands for; none if a person started it.
        nominal: Option<Timestamp>,
    },
}

/// What becomes of the slots that have come, to be committed as one changeset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The slot that a job is to be created for, if one is.
    pub run: Option<Timestamp>,
    /// What becomes of the others, in time order. With `run` they are every slot between the old
    /// watermark and the new one.
    pub ranges: Vec<SlotRange>,
    /// Every slot at or before this is settled now. It never goes back.
    pub watermark: Timestamp,
    /// When to settle next; none if no slot will ever come.
    pub next_at: Option<Timestamp>,
    /// How far the clock lies behind the watermark. Slots in between were settled when the clock
    /// was ahead, and do not come again: more than a little is worth an alarm.
    pub clock_behind: Option<Duration>,
}

/// Slots in a row that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRange {
    /// The first nominal time.
    pub first: Timestamp,
    /// The last nominal time.
    pub last: Timestamp,
    /// How many there are.
    pub count: u64,
    /// What became of them; never [`SlotOutcome::Ran`].
    pub outcome: SlotOutcome,
}

impl SlotRange {
    /// The ledger entry of these slots.
    #[must_use]
    pub fn slot(&self, policy_id: PolicyId, tenant: TenantId, settled_at: Timestamp) -> Slot {
        Slot {
            policy_id,
            tenant,
            nominal_at: self.first,
            through: (self.last > self.first).then_some(self.last),
            count: self.count,
            outcome: self.outcome,
            settled_at,
        }
    }
}

impl Settlement {
    /// Whether nothing is to be committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.is_none() && self.ranges.is_empty()
    }

    /// The ledger entries of this settlement, in time order; `mint` gives the id of the job that
    /// is to be created, if one is.
    pub fn ledger(
        &self,
        policy_id: PolicyId,
        tenant: &TenantId,
        settled_at: Timestamp,
        mint: impl FnOnce() -> JobId,
    ) -> Vec<Slot> {
        let ranges = self.ranges.iter().map(|range| range.slot(policy_id, tenant.clone(), settled_at));
        let ran = self.run.map(|nominal_at| Slot {
            policy_id,
            tenant: tenant.clone(),
            nominal_at,
            through: None,
            count: 1,
            outcome: SlotOutcome::Ran { job: mint() },
            settled_at,
        });
        let mut slots: Vec<Slot> = ranges.chain(ran).collect();
        slots.sort_by_key(|slot| slot.nominal_at);
        slots
    }
}

/// Decides what becomes of every slot that is due by `standing.now` and not settled yet.
///
/// At most one job comes of it, for the latest slot that is not blacked out. Costs the same after
/// a minute and after a year of downtime, but for the blackout windows and clock changes between.
#[must_use]
pub fn settle(table: &Timetable, standing: Standing) -> Settlement {
    let mut ledger = Ledger::new(table, standing.watermark);
    let due_by = standing.now.saturating_sub(table.delay);
    let spans = spans(table, standing.watermark, due_by);
    let cut_short = spans.len() > MAX_RANGES;
    let spans = spans.get(..MAX_RANGES).unwrap_or(&spans);
    let fate = match table.latest_open(standing.watermark, due_by) {
        Some(latest) => match fate_of(table, standing, latest) {
            Some(fate) => fate,
            None => return ledger.wait(standing),
        },
        None => Fate::Late,
    };
    let punctual_from = due_by.saturating_sub(table.punctuality());
    for span in spans {
        if span.dark {
            ledger.push(span.after, span.through, SlotOutcome::Skipped { reason: SkipReason::Blackout });
        } else {
            ledger.push_open(span, fate, punctual_from);
        }
    }
    let mut settlement = ledger.finish(standing);
    if cut_short {
        // Also past windows that hold no slot, so that the next call goes on after them.
        let through = spans.last().map_or(standing.watermark, |span| span.through);
        settlement.watermark = settlement.watermark.max(through);
        settlement.next_at = Some(standing.now);
    }
    settlement
}

/// Settles every slot up to `now` as skipped for `reason`, without a look at what is due: for the
/// slots that came while a policy was disabled. The watermark is `now` then, so that no past slot ever fires.
#[must_use]
pub fn close(table: &Timetable, watermark: Timestamp, now: Timestamp, reason: SkipReason) -> Settlement {
    let mut ledger = Ledger::new(table, watermark);
    ledger.push(watermark, now, SlotOutcome::Skipped { reason });
    let mut settlement = ledger.finish(Standing { watermark, now, activity: Activity::Idle });
    settlement.watermark = watermark.max(now);
    settlement
}

/// What an edit commits: [`settle`] by the policy as it was, so that what was due still runs, and
/// then [`close`] for `reason`. The watermark is `standing.now`, from which the new schedule counts.
#[must_use]
pub fn settle_and_close(table: &Timetable, standing: Standing, reason: SkipReason) -> Settlement {
    let settled = settle_all(table, standing);
    let closed = close(table, settled.watermark, standing.now, reason);
    let ranges = [settled.ranges, closed.ranges].concat();
    Settlement { run: settled.run, ranges, ..closed }
}

/// [`settle`], again and again if it stops short.
fn settle_all(table: &Timetable, standing: Standing) -> Settlement {
    let mut settled = settle(table, standing);
    loop {
        let more = settle(table, Standing { watermark: settled.watermark, ..standing });
        if more.watermark == settled.watermark {
            return settled;
        }
        let ranges = [settled.ranges, more.ranges].concat();
        settled = Settlement { run: settled.run.or(more.run), ranges, ..more };
    }
}

/// What is left of a ledger entry when the slots after `now` are taken back, which were settled while
/// the clock was ahead; `None` if nothing is.
#[must_use]
pub fn until_now(table: &Timetable, slot: &Slot, now: Timestamp) -> Option<Slot> {
    if slot.nominal_at > now {
        return None;
    }
    let Some(last) = slot.through.filter(|last| *last > now) else { return Some(slot.clone()) };
    let last = table.schedule.last_until(now).map_or(slot.nominal_at, |until| until.min(last));
    let through = (last > slot.nominal_at).then_some(last);
    let count = through.map_or(1, |last| table.schedule.count(just_before(slot.nominal_at), last));
    Some(Slot { through, count, ..slot.clone() })
}

/// What becomes of the latest slot, and so of those before it.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It runs.
    Run(Timestamp),
    /// A job that waits already stands for it.
    Join(Timestamp),
    /// A rule says no to this slot and to what else is punctual.
    Blocked(Timestamp, SkipReason),
    /// It is too late for it.
    Late,
}

/// Decides about the latest slot; `None` means that it waits for the end of a blackout.
fn fate_of(table: &Timetable, standing: Standing, latest: Timestamp) -> Option<Fate> {
    let limit = table.start_limit(latest);
    if limit.is_some_and(|limit| standing.now > limit) {
        return Some(Fate::Late);
    }
    match (standing.activity, table.overlap) {
        (Activity::Queued { nominal: Some(nominal) }, Overlap::QueueOne) => return Some(Fate::Join(nominal)),
        (Activity::Queued { .. }, _) | (Activity::Active, Overlap::Skip) => {
            return Some(Fate::Blocked(latest, SkipReason::Overlap));
        }
        (Activity::Active, Overlap::QueueOne) | (Activity::Idle, _) => {}
    }
    match table.blackout.end(standing.now) {
        None => Some(Fate::Run(latest)),
        Some(end) if limit.is_none_or(|limit| end <= limit) && end < Timestamp::MAX => None,
        Some(_) => Some(Fate::Blocked(latest, SkipReason::Blackout)),
    }
}

impl Timetable {
    /// How late a start may be and still count as punctual.
    fn punctuality(&self) -> Duration {
        self.start_window.unwrap_or(PUNCTUAL)
    }

    /// The latest slot after `after` and until `through` whose start lies in no blackout.
    fn latest_open(&self, after: Timestamp, through: Timestamp) -> Option<Timestamp> {
        let mut through = through;
        loop {
            let latest = self.schedule.last_until(through).filter(|latest| *latest > after)?;
            match self.blackout.begin(self.start(latest)) {
                None => return Some(latest),
                Some(begin) => through = just_before(begin.saturating_sub(self.delay)),
            }
        }
    }

    /// The last instant at which the slot at `nominal` may start; none if there is no such limit.
    fn start_limit(&self, nominal: Timestamp) -> Option<Timestamp> {
        let window = match self.catch_up {
            CatchUp::Latest => self.start_window?,
            CatchUp::Skip => self.punctuality(),
        };
        Some(self.start(nominal).saturating_add(window))
    }

    /// What becomes of a slot that nobody looked at in time.
    const fn too_late(&self) -> SlotOutcome {
        match self.start_window {
            Some(_) => SlotOutcome::Expired,
            None => SlotOutcome::Missed { reason: MissReason::Down },
        }
    }
}

/// Nominal times after `after` and until `through`, all of whose starts lie in a blackout or none.
#[derive(Clone, Copy, Debug)]
struct Span {
    after: Timestamp,
    through: Timestamp,
    dark: bool,
}

/// Divides the nominal times after `watermark` and until `due_by` by blackout; stops with one more
/// than [`MAX_RANGES`].
fn spans(table: &Timetable, watermark: Timestamp, due_by: Timestamp) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut after = watermark;
    while after < due_by && spans.len() <= MAX_RANGES {
        let first_start = table.start(just_after(after));
        let (dark, until) = match table.blackout.end(first_start) {
            Some(end) => (true, Some(end)),
            None => (false, table.blackout.next_start(first_start)),
        };
        let through =
            until.map_or(due_by, |until| just_before(until.saturating_sub(table.delay)).min(due_by));
        spans.push(Span { after, through, dark });
        after = through;
    }
    spans
}

const fn just_after(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros() + 1)
}

const fn just_before(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros() - 1)
}

/// A settlement in the making.
struct Ledger<'a> {
    table: &'a Timetable,
    run: Option<Timestamp>,
    ranges: Vec<SlotRange>,
    watermark: Timestamp,
}

impl<'a> Ledger<'a> {
    const fn new(table: &'a Timetable, watermark: Timestamp) -> Self {
        Self { table, run: None, ranges: Vec::new(), watermark }
    }

    /// Enters the slots after `after` and until `through`.
    fn push(&mut self, after: Timestamp, through: Timestamp, outcome: SlotOutcome) {
        let schedule = &self.table.schedule;
        let (Some(first), Some(last)) = (schedule.next_after(after), schedule.last_until(through)) else {
            return;
        };
        if first > last {
            return;
        }
        let count = if first == last { 1 } else { schedule.count(after, last) };
        self.watermark = self.watermark.max(last);
        let run = self.run;
        match self.ranges.last_mut() {
            Some(range) if range.outcome == outcome && run.is_none_or(|run| run < range.first) => {
                (range.last, range.count) = (last, range.count + count);
            }
            _ => self.ranges.push(SlotRange { first, last, count, outcome }),
        }
    }

    /// Enters slots that lie in no blackout, those before `punctual_from` as late.
    fn push_open(&mut self, span: &Span, fate: Fate, punctual_from: Timestamp) {
        let late = self.table.too_late();
        let catches_up = self.table.catch_up == CatchUp::Latest;
        let (early, punctual) = match fate {
            Fate::Run(latest) | Fate::Join(latest) => {
                let into = SlotOutcome::Coalesced { into: latest };
                (if catches_up { into } else { late }, into)
            }
            Fate::Blocked(_, reason) => (late, SlotOutcome::Skipped { reason }),
            Fate::Late => (late, late),
        };
        let (through, punctual_from) = match fate {
            Fate::Run(latest) => (span.through.min(just_before(latest)), punctual_from),
            Fate::Blocked(latest, _) => (span.through, punctual_from.min(latest)),
            Fate::Join(_) | Fate::Late => (span.through, punctual_from),
        };
        let parting = just_before(punctual_from).clamp(span.after, through.max(span.after));
        self.push(span.after, parting, early);
        self.push(parting, through, punctual);
        if let Fate::Run(latest) = fate
            && (just_after(span.after)..=span.through).contains(&latest)
        {
            self.run = Some(latest);
            self.watermark = self.watermark.max(latest);
        }
    }

    /// Settles nothing before the blackout is over.
    fn wait(self, standing: Standing) -> Settlement {
        let end = self.table.blackout.end(standing.now);
        Settlement { next_at: end, ..self.finish(standing) }
    }

    fn finish(self, standing: Standing) -> Settlement {
        let next = self.table.schedule.next_after(self.watermark);
        let behind = self.watermark.since(standing.now);
        Settlement {
            run: self.run,
            ranges: self.ranges,
            watermark: self.watermark,
            next_at: next.map(|nominal| self.table.start(nominal)),
            clock_behind: (!behind.is_zero()).then_some(behind),
        }
    }
}

#[cfg(test)]
mod tests;
