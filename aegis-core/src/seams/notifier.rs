//! The seam to whoever wants to hear of events: mail, chat, webhooks.

use std::fmt;

use async_trait::async_trait;

use super::error::{ErrorClass, Source};
use crate::model::SealedEvent;

/// Why a notification was not delivered. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// It will never be accepted; it is dropped and logged. Class `InvalidInput`.
    #[error("the receiver refused the notification: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It was not accepted now; it is repeated later. Class `Unavailable`.
    #[error("the receiver is unavailable")]
    Unavailable {
        /// The cause.
        source: Source,
    },
}

impl NotifyError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. } => ErrorClass::InvalidInput,
            Self::Unavailable { .. } => ErrorClass::Unavailable,
        }
    }
}

/// A receiver of sealed events.
///
/// # Contract for implementors
/// Events arrive in the order of their positions, each at least once: the engine keeps a cursor
/// per notifier and moves it after [`notify`](Self::notify) answered. An event's
/// [`id`](crate::model::Event::id) tells repetitions apart. Cancel safe: a dropped call may have
/// been delivered and is repeated.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// The name under which its cursor is kept; stable over restarts.
    fn name(&self) -> &str;

    /// Delivers one event.
    ///
    /// # Errors
    /// [`NotifyError::Refused`] skips the event; [`NotifyError::Unavailable`] is repeated later.
    async fn notify(&self, event: &SealedEvent) -> Result<(), NotifyError>;
}
