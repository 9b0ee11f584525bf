//! The closed set of error classes that callers act on.

use std::{error::Error, fmt};

/// What a caller can do about an error, whichever seam it came from.
///
/// Retry policy and HTTP mapping match this exhaustively, so the set is closed on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The request is wrong; repeating it cannot help.
    InvalidInput,
    /// What it names does not exist.
    NotFound,
    /// What it would create exists.
    AlreadyExists,
    /// What it rests on has changed; read again and decide again.
    VersionConflict,
    /// The state machine has no such step from here.
    InvalidTransition,
    /// Who asks is unknown, or a key or password was refused.
    Unauthenticated,
    /// Who asks may not.
    Forbidden,
    /// This backend can't do it and says so in its capabilities.
    Unsupported,
    /// It has not taken effect; try again later.
    Unavailable,
    /// It may have taken effect: observe, or repeat under the *same* identity.
    Indeterminate,
    /// Too many requests; try again later.
    RateLimited,
    /// A fault of ours or data that should not exist.
    Internal,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 12] = [
        Self::InvalidInput,
        Self::NotFound,
        Self::AlreadyExists,
        Self::VersionConflict,
        Self::InvalidTransition,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Unsupported,
        Self::Unavailable,
        Self::Indeterminate,
        Self::RateLimited,
        Self::Internal,
    ];

    /// Whether the same request may be repeated as it is after a while.
    ///
    /// `Indeterminate` is not: it is first observed, and only ever repeated under its identity.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Unavailable | Self::RateLimited => true,
            Self::InvalidInput
            | Self::NotFound
            | Self::AlreadyExists
            | Self::VersionConflict
            | Self::InvalidTransition
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::Unsupported
            | Self::Indeterminate
            | Self::Internal => false,
        }
    }
}

/// A cause from outside of Aegis, kept for the log.
pub type Source = Box<dyn Error + Send + Sync>;

/// Writes an error and all its causes on one line.
///
/// The `Display` of Aegis' errors never repeats its source; logs use this.
#[must_use]
pub fn report(error: &(dyn Error + 'static)) -> impl fmt::Display {
    Report(error)
}

struct Report<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}
