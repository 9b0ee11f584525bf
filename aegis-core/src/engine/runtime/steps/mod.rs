//! The steps of a pass, one file per kind of work.

mod deletions;
mod discovery;
mod dr_tests;
mod executions;
mod jobs;
mod records;
mod retention;
mod schedule;
mod verifications;

pub(crate) use records::target_namespaces;

use crate::seams::{DriverError, ErrorClass};

/// What an error of a driver's `start` means for the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartError {
    /// It did not start and never will: the request is at fault.
    Final,
    /// It did not start, or nobody knows: observation tells.
    Observe,
}

/// What an error of a driver's `start` means.
pub(crate) fn start_error(error: &DriverError) -> StartError {
    match error.class() {
        ErrorClass::InvalidInput
        | ErrorClass::NotFound
        | ErrorClass::AlreadyExists
        | ErrorClass::Unsupported
        | ErrorClass::Unauthenticated
        | ErrorClass::Forbidden
        | ErrorClass::InvalidTransition => StartError::Final,
        ErrorClass::VersionConflict
        | ErrorClass::Unavailable
        | ErrorClass::Indeterminate
        | ErrorClass::RateLimited
        | ErrorClass::Internal => StartError::Observe,
    }
}

/// A driver's error as the failure of what it was asked for.
pub(crate) fn failure_of(error: &DriverError) -> crate::model::Failure {
    let detail = error.detail();
    crate::model::Failure {
        message: detail.message.clone(),
        cause: std::error::Error::source(error).map(|source| crate::seams::report(source).to_string()),
        suggestion: detail.suggestion.clone(),
    }
}
