//! Why a store did not do what was asked.

use crate::{
    model::{EntityKey, Position, Version},
    seams::{ErrorClass, Source, store::LeaseName},
};

/// What of a changeset no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// An entity is at another version, or gone. Class `VersionConflict`.
    #[error("{key:?} is not at version {expected} any more")]
    Changed {
        /// The entity.
        key: EntityKey,
        /// The version that was read.
        expected: Version,
        /// The version that is there; `None` if it is gone.
        found: Option<Version>,
    },
    /// An entity exists that should not. Class `AlreadyExists`.
    #[error("{key:?} exists already")]
    Exists {
        /// The entity.
        key: EntityKey,
    },
    /// A lease is not held under this generation any more. Class `VersionConflict`.
    #[error("the lease {name} has gone to another holder or run out")]
    Fenced {
        /// The lease.
        name: LeaseName,
    },
    /// A reader of the log is not where its step begins. Class `VersionConflict`.
    #[error("the reader {reader} is at position {found}, not at {expected}")]
    Moved {
        /// The reader.
        reader: String,
        /// Where the step begins.
        expected: Position,
        /// Where the reader is.
        found: Position,
    },
}

/// Why a store did not do what was asked. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something that the changeset rests on no longer holds; nothing was written.
    #[error("the change was not made, since what it rests on has changed")]
    Conflict(#[source] Conflict),
    /// The change contradicts itself, as by two writes of one entity. Class `InvalidInput`.
    #[error("the change is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The log does not reach back so far: everything up to this position was let go. Class `NotFound`.
    #[error("the event log starts after position {0}: what came before was let go")]
    LogPruned(Position),
    /// The log does not reach so far, but to this position: the store was put back to an earlier state,
    /// and what is sealed from now on has positions that were given before. Class `NotFound`.
    #[error("the event log ends at position {0}: the store was put back to an earlier state since")]
    LogEnds(Position),
    /// The store can't be reached; nothing happened. Class `Unavailable`.
    #[error("the store is unavailable: could not {action}")]
    Unavailable {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: Source,
    },
    /// It may have happened; commit the same changeset again. Class `Indeterminate`.
    #[error("the store did not answer when we tried to {action}: it may have happened")]
    Indeterminate {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: Source,
    },
    /// A fault, or data that should not exist. Class `Internal`.
    #[error("the store failed to {action}")]
    Internal {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: Source,
    },
}

impl StoreError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Conflict(Conflict::Exists { .. }) => ErrorClass::AlreadyExists,
            Self::Conflict(Conflict::Changed { .. } | Conflict::Fenced { .. } | Conflict::Moved { .. }) => {
                ErrorClass::VersionConflict
            }
            Self::Malformed { .. } => ErrorClass::InvalidInput,
            Self::LogPruned(_) | Self::LogEnds(_) => ErrorClass::NotFound,
            Self::Unavailable { .. } => ErrorClass::Unavailable,
            Self::Indeterminate { .. } => ErrorClass::Indeterminate,
            Self::Internal { .. } => ErrorClass::Internal,
        }
    }

    /// What no longer holds, if that is the reason.
    #[must_use]
    pub const fn conflict(&self) -> Option<&Conflict> {
        if let Self::Conflict(conflict) = self { Some(conflict) } else { None }
    }
}
