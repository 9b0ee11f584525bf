//! Figures that are folded from the event log: each event is read once, from where the last answer
//! left off.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::Core;
use crate::{
    engine::EngineError,
    model::{Event, EventKind, Position, TenantId, Timestamp},
    rules::health::{Outcome, RunFact, SlidingTally, Statistics},
    seams::Scope,
};

/// How many events one read brings.
const BATCH: usize = 1000;
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the log tells of the runs of one tenant, up to a position.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) position: Position,
    /// By days since the Unix epoch, in UTC.
    pub(crate) days: BTreeMap<i64, Statistics>,
    pub(crate) last_day: SlidingTally,
    pub(crate) last_week: SlidingTally,
}

/// The figures of every tenant that asked for them.
pub(crate) type AllFigures = HashMap<TenantId, Figures>;

impl Figures {
    const fn new() -> Self {
        Self {
            position: Position::START,
            days: BTreeMap::new(),
            last_day: SlidingTally::new(DAY),
            last_week: SlidingTally::new(WEEK),
        }
    }

    fn count(&mut self, run: &RunFact, now: Timestamp) {
        self.days.entry(run.at.as_seconds().div_euclid(86_400)).or_default().count(run);
        for (window, length) in [(&mut self.last_day, DAY), (&mut self.last_week, WEEK)] {
            if now.since(run.at) < length {
                window.count(run);
            }
        }
    }
}

impl Core {
    /// A tenant's figures as of the newest sealed event, as `read` picks from them.
    pub(crate) async fn figures<T>(
        &self,
        tenant: &TenantId,
        read: impl FnOnce(&Figures) -> T,
    ) -> Result<T, EngineError> {
        let scope = Scope::Tenant(tenant.clone());
        let mut all = self.figures.lock().await;
        let figures = all.entry(tenant.clone()).or_insert_with(Figures::new);
        let now = self.clock.now();
        loop {
            let events = self.store.events(&scope, figures.position, BATCH).await?;
            let Some(last) = events.last() else { break };
            for run in events.iter().filter_map(|sealed| run_of(&sealed.event)) {
                figures.count(&run, now);
            }
            figures.position = last.position;
        }
        figures.last_day.advance(now);
        figures.last_week.advance(now);
        Ok(read(figures))
    }
}

/// The run that an event tells the end of.
fn run_of(event: &Event) -> Option<RunFact> {
    let outcome = match event.kind {
        EventKind::JobCompleted => Outcome::Completed,
        EventKind::JobPartiallyFailed => Outcome::PartiallyFailed,
        EventKind::JobFailed => Outcome::Failed,
        EventKind::JobCancelled => Outcome::Cancelled,
        _ => return None,
    };
    let facts = &event.facts;
    Some(RunFact {
        at: event.at,
        outcome,
        kind: facts.backup?,
        policy: facts.policy,
        cluster: facts.cluster.clone()?,
        took: facts.duration.unwrap_or_default(),
        size: facts.sizes.and_then(|sizes| sizes.logical),
        added: facts.sizes.and_then(|sizes| sizes.added),
    })
}
