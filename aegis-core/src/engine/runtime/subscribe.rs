//! Subscribers: whoever listens to events as they are sealed.

use std::{sync::Arc, time::Duration};

use futures::{
    future,
    stream::{self, BoxStream, StreamExt},
};

use super::{Core, backoff::Backoff};
use crate::{
    model::{Position, SealedEvent},
    seams::{Scope, StoreError},
};

/// How many events one read takes.
const BATCH: usize = 1000;
/// How often the log is looked at, since other engines over the same store seal, too, and can't tell us.
const LOOK: Duration = Duration::from_secs(1);
/// How long a store that failed is left alone, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Sealed events in scope after a position, then those that follow, without an end.
///
/// A read that fails is told once and tried again after a pause, from the same position. Only a log
/// that does not reach back so far any more, or not so far at all, ends the stream, after it was told.
pub(crate) fn subscribe(
    core: Arc<Core>,
    scope: Scope,
    after: Position,
) -> BoxStream<'static, Result<SealedEvent, StoreError>> {
    let subscriber =
        Subscriber { core, scope, after, backoff: Backoff::new(BACKOFF.0, BACKOFF.1), heard: Heard::Events };
    stream::unfold(subscriber, |mut subscriber| async move {
        let batch = subscriber.next().await?;
        Some((stream::iter(batch), subscriber))
    })
    .flatten()
    .boxed()
}

/// What the last read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Events,
    Failure,
    Pruned,
}

#[derive(Debug)]
struct Subscriber {
    core: Arc<Core>,
    scope: Scope,
    after: Position,
    backoff: Backoff,
    heard: Heard,
}

impl Subscriber {
    /// The next events, or why there are none for now; `None` at the end.
    async fn next(&mut self) -> Option<Vec<Result<SealedEvent, StoreError>>> {
        match self.heard {
            Heard::Events => {}
            Heard::Failure => self.backoff.wait(&*self.core.clock).await,
            Heard::Pruned => return None,
        }
        match self.read().await {
            Ok(events) => {
                self.backoff.reset();
                self.heard = Heard::Events;
                self.after = events.last().map_or(self.after, |event| event.position);
                Some(events.into_iter().map(Ok).collect())
            }
            Err(error) => {
                let pruned = matches!(error, StoreError::LogPruned(_) | StoreError::LogEnds(_));
                self.heard = if pruned { Heard::Pruned } else { Heard::Failure };
                Some(vec![Err(error)])
            }
        }
    }

    /// The events after the position, waiting for the first.
    async fn read(&self) -> Result<Vec<SealedEvent>, StoreError> {
        loop {
            // Asked for before reading, so that what is sealed in between is not slept over.
            let grown = self.core.sealed.notified();
            let events = self.core.store.events(&self.scope, self.after, BATCH).await?;
            if !events.is_empty() {
                return Ok(events);
            }
            drop(future::select(Box::pin(grown), self.core.clock.sleep(LOOK)).await);
        }
    }
}
