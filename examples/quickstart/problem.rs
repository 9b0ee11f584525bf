//! What went wrong, with what to do about it.

use std::{fmt, io, path::Path};

use aegis::{
    engine::{BuildError, EngineError},
    model::Failure,
    seams::{DriverError, ObjectStorageError, report},
};

pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// What went wrong, and what a person can do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    mend: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), mend: None }
    }

    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Of a file operation: what was tried on what.
    pub(crate) fn io(tried: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("could not {tried} {}: {error}", path.display()))
    }

    /// Of work that ended badly.
    pub(crate) fn failure(what: &str, failure: &Failure) -> Self {
        let cause = failure.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
        let problem = Self::new(format!("{what}: {}{cause}", failure.message));
        Self { mend: failure.suggestion.clone(), ..problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quickstart: {}", self.message)?;
        match &self.mend {
            Some(mend) => write!(f, "\n  → {mend}"),
            None => Ok(()),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Driver { source, .. } => source.into(),
            other => Self::new(report(&other).to_string()),
        }
    }
}

impl From<DriverError> for Problem {
    fn from(error: DriverError) -> Self {
        let mend = error.detail().suggestion.clone();
        Self { message: report(&error).to_string(), mend }
    }
}

impl From<ObjectStorageError> for Problem {
    fn from(error: ObjectStorageError) -> Self {
        Self::new(report(&error).to_string())
    }
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Self {
        Self::new(report(&error).to_string())
    }
}

/// For values that this program makes itself.
macro_rules! from_invalid {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Problem {
            fn from(error: $type) -> Self {
                Self::new(error.to_string())
            }
        }
    )*};
}

from_invalid!(
    aegis::model::NameError,
    aegis::model::SecondsError,
    aegis::model::SelectionError,
    aegis::model::StorageUriError,
);
