//! Why a driver did not do what was asked.

use std::{error::Error, fmt};

use crate::seams::{ErrorClass, Source};

/// Why a driver did not do what was asked. Never contains a secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum DriverError {
    /// The request is wrong.
    InvalidInput(Box<DriverErrorDetail>),
    /// A namespace, record or path that it names is not there.
    NotFound(Box<DriverErrorDetail>),
    /// The driver does not do this.
    Unsupported(Box<DriverErrorDetail>),
    /// A password, key or token was refused.
    Unauthenticated(Box<DriverErrorDetail>),
    /// We are known, and may not.
    Forbidden(Box<DriverErrorDetail>),
    /// It did not happen; try again later.
    Unavailable(Box<DriverErrorDetail>),
    /// It may have happened: observe.
    Indeterminate(Box<DriverErrorDetail>),
    /// Too many requests; try again later.
    RateLimited(Box<DriverErrorDetail>),
    /// A fault, or damaged data.
    Internal(Box<DriverErrorDetail>),
}

/// What there is to say about a driver's error.
#[derive(Debug)]
pub struct DriverErrorDetail {
    /// What was tried on what, and what came of it.
    pub message: String,
    /// What a person can do about it.
    pub suggestion: Option<String>,
    /// The cause, for the log.
    pub source: Option<Source>,
}

/// Defines a constructor per variant.
macro_rules! constructors {
    ($($name:ident => $variant:ident),* $(,)?) => {$(
        #[doc = concat!("An error of class `", stringify!($variant), "`.")]
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self {
            Self::$variant(Box::new(DriverErrorDetail { message: message.into(), suggestion: None, source: None }))
        }
    )*};
}

impl DriverError {
    constructors! {
        invalid_input => InvalidInput,
        not_found => NotFound,
        unsupported => Unsupported,
        unauthenticated => Unauthenticated,
        forbidden => Forbidden,
        unavailable => Unavailable,
        indeterminate => Indeterminate,
        rate_limited => RateLimited,
        internal => Internal,
    }

    /// With what a person can do about it.
    #[must_use]
    pub fn with_suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.detail_mut().suggestion = Some(suggestion.into());
        self
    }

    /// With the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.detail_mut().source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::InvalidInput(_) => ErrorClass::InvalidInput,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Unsupported(_) => ErrorClass::Unsupported,
            Self::Unauthenticated(_) => ErrorClass::Unauthenticated,
            Self::Forbidden(_) => ErrorClass::Forbidden,
            Self::Unavailable(_) => ErrorClass::Unavailable,
            Self::Indeterminate(_) => ErrorClass::Indeterminate,
            Self::RateLimited(_) => ErrorClass::RateLimited,
            Self::Internal(_) => ErrorClass::Internal,
        }
    }

    /// Message, suggestion and cause.
    #[must_use]
    pub const fn detail(&self) -> &DriverErrorDetail {
        match self {
            Self::InvalidInput(detail)
            | Self::NotFound(detail)
            | Self::Unsupported(detail)
            | Self::Unauthenticated(detail)
            | Self::Forbidden(detail)
            | Self::Unavailable(detail)
            | Self::Indeterminate(detail)
            | Self::RateLimited(detail)
            | Self::Internal(detail) => detail,
        }
    }

    const fn detail_mut(&mut self) -> &mut DriverErrorDetail {
        match self {
            Self::InvalidInput(detail)
            | Self::NotFound(detail)
            | Self::Unsupported(detail)
            | Self::Unauthenticated(detail)
            | Self::Forbidden(detail)
            | Self::Unavailable(detail)
            | Self::Indeterminate(detail)
            | Self::RateLimited(detail)
            | Self::Internal(detail) => detail,
        }
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail().message)
    }
}

impl Error for DriverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.detail().source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}
