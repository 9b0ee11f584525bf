//! Why a call to the engine did not do what was asked.

use std::fmt;

use crate::{
    model::{ArtifactName, TransitionError},
    seams::{DriverError, ErrorClass, ObjectStorageError, StoreError},
};

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field, as the request names it.
    pub field: &'static str,
    /// What is wrong, and the mend.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Why a call to the engine did not do what was asked. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The request is wrong, field by field. Class `InvalidInput`.
    #[error("the request is invalid: {}", join(.0))]
    Invalid(Vec<FieldError>),
    /// There is no such thing for this tenant. Class `NotFound`.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// There is one already. Class `AlreadyExists`.
    #[error("there is a {what} `{name}` already")]
    AlreadyExists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It was changed since it was read. Class `VersionConflict`.
    #[error("the {what} has changed since it was read: read it again and decide again")]
    VersionConflict {
        /// The kind of thing.
        what: &'static str,
    },
    /// The thing is in a state that does not permit it. Class `InvalidTransition`.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// Something stands in the way. Class `InvalidTransition`.
    #[error("{0}")]
    Blocked(String),
    /// It can't be told now, and can be later. Class `Unavailable`.
    #[error("{0}")]
    Unavailable(String),
    /// The principal may not. Class `Forbidden`.
    #[error("{0}")]
    Forbidden(String),
    /// Nothing here can do it. Class `Unsupported`.
    #[error("{0}")]
    Unsupported(String),
    /// The store did not do its part. Its class.
    #[error("the store did not answer as it should")]
    Store(#[from] StoreError),
    /// The driver did not do its part. Its class.
    #[error("the driver of the cluster could not do it")]
    Driver {
        /// The cause.
        #[source]
        source: DriverError,
        /// The backup that it was asked about, as the driver knows it.
        artifact: Option<ArtifactName>,
    },
    /// The storage location did not do its part. Its class.
    #[error("the storage location could not do it")]
    Storage(#[from] ObjectStorageError),
    /// The engine is shutting down. Class `Unavailable`.
    #[error("the engine is shutting down")]
    ShuttingDown,
    /// A fault of ours. Class `Internal`.
    #[error("internal fault: {0}")]
    Internal(String),
}

fn join(fields: &[FieldError]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl EngineError {
    /// One field that is wrong.
    #[must_use]
    pub fn field(field: &'static str, message: impl fmt::Display) -> Self {
        Self::Invalid(vec![FieldError { field, message: message.to_string() }])
    }

    pub(crate) fn not_found(what: &'static str, id: impl fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// The same, of what was read once the change was made: `Unavailable` would say that nothing was
    /// changed.
    #[must_use]
    pub(crate) fn after_change(self) -> Self {
        match self {
            Self::Store(StoreError::Unavailable { source, .. }) => {
                Self::Store(StoreError::Indeterminate { action: "read what was changed", source })
            }
            other => other,
        }
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Invalid(_) => ErrorClass::InvalidInput,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::AlreadyExists { .. } => ErrorClass::AlreadyExists,
            Self::VersionConflict { .. } => ErrorClass::VersionConflict,
            Self::Transition(_) | Self::Blocked(_) => ErrorClass::InvalidTransition,
            Self::Forbidden(_) => ErrorClass::Forbidden,
            Self::Unsupported(_) => ErrorClass::Unsupported,
            Self::Store(error) => error.class(),
            Self::Driver { source, .. } => source.class(),
            Self::Storage(error) => error.class(),
            Self::ShuttingDown | Self::Unavailable(_) => ErrorClass::Unavailable,
            Self::Internal(_) => ErrorClass::Internal,
        }
    }
}

impl From<DriverError> for EngineError {
    fn from(source: DriverError) -> Self {
        Self::Driver { source, artifact: None }
    }
}

impl EngineError {
    /// What the driver answered when it was asked about a backup.
    pub(crate) fn of_driver(source: DriverError, artifact: ArtifactName) -> Self {
        Self::Driver { source, artifact: Some(artifact) }
    }
}
