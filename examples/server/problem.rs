//! What went wrong, with what to do about it.

use std::{fmt, io, path::Path};

use aegis::{
    engine::BuildError,
    model::NameError,
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

    /// Said of which thing.
    pub(crate) fn at(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Of a file operation: what was tried on what.
    pub(crate) fn io(tried: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("could not {tried} {}: {error}", path.display()))
    }

    /// Of something that a library refused.
    pub(crate) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(report(error).to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.mend {
            Some(mend) => write!(f, "\n  → {mend}"),
            None => Ok(()),
        }
    }
}

impl From<DriverError> for Problem {
    fn from(error: DriverError) -> Self {
        let mend = error.detail().suggestion.clone();
        Self { mend, ..Self::of(&error) }
    }
}

/// For errors that say themselves what to do.
macro_rules! from_error {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Problem {
            fn from(error: $type) -> Self {
                Self::of(&error)
            }
        }
    )*};
}

from_error!(BuildError, NameError, ObjectStorageError);
