//! The event log, as its owner reads it.

use std::sync::Arc;

use futures::stream::BoxStream;

use super::Tenant;
use crate::{
    engine::{Aegis, EngineError, runtime::subscribe},
    model::{Position, SealedEvent},
    seams::{Scope, StoreError},
};

impl Aegis {
    /// The position of the event that was sealed last: whoever subscribes from here hears what is
    /// new and nothing else.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn head(&self) -> Result<Position, EngineError> {
        Ok(self.core().store.head().await?)
    }

    /// The position after which the log starts: what came before was let go.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn log_start(&self) -> Result<Position, EngineError> {
        Ok(self.core().store.log_start().await?.position)
    }

    /// Everyone's sealed events after a position, then those that follow: what
    /// [`Tenant::subscribe`] is for one tenant. For whoever listens on behalf of many and shows each
    /// tenant its own.
    #[must_use]
    pub fn subscribe(&self, after: Position) -> BoxStream<'static, Result<SealedEvent, StoreError>> {
        subscribe(Arc::clone(self.core()), Scope::Everyone, after)
    }
}

impl Tenant {
    /// The tenant's sealed events after a position, then those that follow, without an end.
    ///
    /// A listener that remembers the position of the last event that it handled and comes back with
    /// it misses none and sees none twice. What another engine over the same store seals comes, too,
    /// at most a second later. Dropping the stream ends it.
    ///
    /// A store that fails is told as an error, and read again after a pause that grows with each
    /// failure, from where the listener is: nothing is skipped. Only `NotFound` ends the stream: the
    /// log does not reach back so far any more, or ends before `after`, since the store was put back to an
    /// earlier state.
    #[must_use]
    pub fn subscribe(&self, after: Position) -> BoxStream<'static, Result<SealedEvent, StoreError>> {
        subscribe(Arc::clone(&self.core), self.scope(), after)
    }

    /// The tenant's sealed events after a position, at most `limit`.
    ///
    /// # Errors
    /// `NotFound` if the log does not reach back so far, or ends before `after`.
    pub async fn events(&self, after: Position, limit: usize) -> Result<Vec<SealedEvent>, EngineError> {
        Ok(self.core.store.events(&self.scope(), after, limit).await?)
    }
}
