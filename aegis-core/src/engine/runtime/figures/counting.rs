//! Counting runs once, whoever else counts them, and keeping the counts.

use std::collections::BTreeMap;

use super::{Counter, run_of};
use crate::{
    engine::{
        EngineError,
        runtime::{Core, unread},
    },
    model::{SealedEvent, TenantId, Timestamp},
    rules::health::Tally,
    seams::{Conflict, DerivedKeys, DerivedQuery, DerivedRow, ReaderStep, StoreError},
};

/// How many events one read brings.
const BATCH: usize = 1000;

/// One counter at work.
#[derive(Debug)]
pub(crate) struct Counting {
    counter: Counter,
    /// When it comes to the next event, if there is one and it is not due yet.
    next_at: Option<Timestamp>,
}

impl Counting {
    pub(crate) const fn new(counter: Counter) -> Self {
        Self { counter, next_at: None }
    }

    /// Counts what it has come to, a batch at a time. What another engine counted meanwhile is
    /// not counted again: the step is refused.
    pub(crate) async fn catch_up(&mut self, core: &Core) -> Result<(), EngineError> {
        let now = core.clock.now();
        while self.next_at.is_none_or(|at| at <= now) {
            let (from, events) = unread(core, self.counter.name(), BATCH).await?;
            let comes_at = |sealed: &SealedEvent| self.counter.comes_at(&sealed.event, now);
            let due = events.iter().take_while(|sealed| comes_at(sealed) <= now).count();
            self.next_at = events.get(due).map(comes_at);
            let (due, _) = events.split_at(due);
            let Some(last) = due.last() else { return Ok(()) };
            let derived = self.add_up(core, due).await?;
            let step = ReaderStep { derived, ..ReaderStep::new(self.counter.name(), from, last.position) };
            match core.store.advance_reader(step).await {
                Ok(()) => {}
                Err(StoreError::Conflict(Conflict::Moved { .. })) => self.next_at = None,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The counts that `events` change, as they are with them.
    async fn add_up(&self, core: &Core, events: &[SealedEvent]) -> Result<Vec<DerivedRow>, EngineError> {
        let mut added: BTreeMap<TenantId, BTreeMap<String, Tally>> = BTreeMap::new();
        for sealed in events {
            let (Some(tenant), Some(run)) = (&sealed.event.tenant, run_of(&sealed.event)) else { continue };
            let own = added.entry(tenant.clone()).or_default();
            for (key, tally) in self.counter.counts(&run) {
                let sum = own.entry(key).or_default();
                *sum = sum.plus(&tally);
            }
        }
        let mut rows = Vec::new();
        for (tenant, mut sums) in added {
            let query = DerivedQuery {
                reader: self.counter.name().to_owned(),
                tenant: tenant.clone(),
                keys: DerivedKeys::Named(sums.keys().cloned().collect()),
            };
            for row in core.store.derived(&query).await?.rows {
                let before = tally_of(&row)?;
                sums.entry(row.key).and_modify(|sum| *sum = sum.plus(&before));
            }
            for (key, sum) in sums {
                let document = serde_json::to_string(&sum).map_err(unreadable)?.into();
                rows.push(DerivedRow { tenant: tenant.clone(), key, document });
            }
        }
        Ok(rows)
    }
}

/// What a row counts.
pub(super) fn tally_of(row: &DerivedRow) -> Result<Tally, EngineError> {
    serde_json::from_str(&row.document).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> EngineError {
    EngineError::Internal(format!("a count of runs is no tally: {error}"))
}
