//! Delivering events to one notifier, in the log's order.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Core,
    backoff::Backoff,
    held::{HeldLease, Hold},
    log::unread,
};
use crate::{
    engine::EngineError,
    model::{Position, SealedEvent, Timestamp},
    seams::{DerivedRow, LeaseName, Monotonic, Notifier, NotifyError, ReaderStep, report},
};

/// How many events one read takes.
const BATCH: usize = 100;
/// How long a receiver that took nothing is left alone, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Delivers to one notifier, under a lease of its own.
#[derive(Debug)]
pub(crate) struct Deliverer {
    lease: HeldLease,
    notifier: Arc<dyn Notifier>,
    backoff: Backoff,
    rests_until: Option<Monotonic>,
}

/// What is kept of an event that a notifier refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}

/// What came of an event.
enum Outcome {
    Done(Vec<DerivedRow>),
    Later,
}

impl Deliverer {
    pub(crate) fn new(notifier: Arc<dyn Notifier>) -> Self {
        let lease = HeldLease::new(LeaseName::notifier(notifier.name()));
        Self { lease, notifier, backoff: Backoff::new(BACKOFF.0, BACKOFF.1), rests_until: None }
    }

    /// Delivers what there is, unless the receiver is left alone for the time being.
    pub(crate) async fn pass(&mut self, core: &Core) -> Result<(), EngineError> {
        let name = reader_of(self.notifier.name());
        while let Hold::Ours(_) = self.lease.ensure(core).await? {
            if self.rests_until.is_some_and(|until| core.clock.monotonic() < until) {
                return Ok(());
            }
            let (mut after, events) = unread(core, &name, BATCH).await?;
            if events.is_empty() {
                return Ok(());
            }
            for sealed in events {
                let Hold::Ours(_) = self.lease.ensure(core).await? else { return Ok(()) };
                let Outcome::Done(derived) = self.deliver(core, &sealed).await? else { return Ok(()) };
                let step = ReaderStep { derived, ..ReaderStep::new(name.as_str(), after, sealed.position) };
                core.store.advance_reader(step).await?;
                after = sealed.position;
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, core: &Core, sealed: &SealedEvent) -> Result<Outcome, EngineError> {
        let name = self.notifier.name();
        match self.notifier.notify(sealed).await {
            Ok(()) => {
                self.backoff.reset();
                self.rests_until = None;
                Ok(Outcome::Done(Vec::new()))
            }
            Err(NotifyError::Refused { reason }) => {
                tracing::warn!(notifier = name, position = %sealed.position, %reason, "an event was refused");
                let refusal = Refusal { reason, at: core.clock.now() };
                Ok(Outcome::Done(dead_letter(sealed, &refusal)?.into_iter().collect()))
            }
            Err(error) => {
                let pause = self.backoff.next();
                self.rests_until = Some(core.clock.monotonic().after(pause));
                tracing::warn!(notifier = name, ?pause, error = %report(&error), "an event is delivered again later");
                Ok(Outcome::Later)
            }
        }
    }

    pub(crate) async fn close(&mut self, core: &Core) {
        self.lease.release(core).await;
    }
}

/// The name of a notifier as a reader of the log.
pub(crate) fn reader_of(notifier: &str) -> String {
    format!("notifier/{notifier}")
}

/// The row that keeps a refusal; none for what belongs to no tenant, which only the log tells of.
fn dead_letter(sealed: &SealedEvent, refusal: &Refusal) -> Result<Option<DerivedRow>, EngineError> {
    let Some(tenant) = sealed.event.tenant.clone() else { return Ok(None) };
    let document =
        serde_json::to_string(refusal).map_err(|error| EngineError::Internal(error.to_string()))?.into();
    Ok(Some(DerivedRow { tenant, key: key_of(sealed.position), document }))
}

/// The key of a dead letter: in the order of the positions.
pub(crate) fn key_of(position: Position) -> String {
    format!("{:020}", position.0)
}
