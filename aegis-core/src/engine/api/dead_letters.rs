//! What notifiers refused.

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        runtime::{Refusal, key_of, reader_of},
    },
    model::{Position, Timestamp},
    seams::{DerivedKeys, DerivedQuery},
};

/// An event that a notifier refused. The event itself is in the log, at its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Who refused it.
    pub notifier: String,
    /// Which event.
    pub position: Position,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

impl Tenant {
    /// The tenant's events that this engine's notifiers refused, by notifier, in the log's order.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, EngineError> {
        let mut letters = Vec::new();
        for notifier in &self.core.notifiers {
            let query = DerivedQuery {
                reader: reader_of(notifier.name()),
                tenant: self.tenant.clone(),
                keys: DerivedKeys::Range(key_of(Position::START), key_of(Position(u64::MAX))),
            };
            for row in self.core.store.derived(&query).await?.rows {
                let unreadable = |why: &dyn std::fmt::Display| {
                    EngineError::Internal(format!("the dead letter `{}` can't be read: {why}", row.key))
                };
                let position = row.key.parse().map(Position).map_err(|error| unreadable(&error))?;
                let refusal: Refusal =
                    serde_json::from_str(&row.document).map_err(|error| unreadable(&error))?;
                let notifier = notifier.name().to_owned();
                letters.push(DeadLetter { notifier, position, reason: refusal.reason, at: refusal.at });
            }
        }
        Ok(letters)
    }
}
