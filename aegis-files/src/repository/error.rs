//! What rustic and the storage report, as errors a person can act on.

use std::{error::Error, fmt, io, path::Path, sync::Arc};

use aegis_core::seams::{DriverError, ErrorClass, ObjectStorageError, report};
use rustic_core::{ErrorKind, RusticError};

/// A storage error that several places keep; rustic carries it as a source.
#[derive(Clone, Debug)]
pub(crate) struct Shared(pub(crate) Arc<ObjectStorageError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What to do about a repository whose bytes are not what they were.
const DAMAGED: &str = "check the repository (`restic check --read-data`), restore from another copy, and \
                       take a new full backup; records that do not need the damaged part are unaffected";

/// The storage failed while we tried to `action`.
pub(crate) fn storage(action: &str, error: &Arc<ObjectStorageError>) -> DriverError {
    let message = format!("could not {action}: {error}");
    let source = Shared(Arc::clone(error));
    let (error, suggestion): (DriverError, &str) = match &*source.0 {
        ObjectStorageError::Full { .. } => {
            (DriverError::unavailable(message), "free space or raise the quota of the storage location")
        }
        ObjectStorageError::NotFound { .. } => (DriverError::internal(message), DAMAGED),
        other => match other.class() {
            ErrorClass::Forbidden => (
                DriverError::forbidden(message),
                "let this process read and write the storage location, or use another one",
            ),
            ErrorClass::Unauthenticated => {
                (DriverError::unauthenticated(message), "check the storage location's credentials")
            }
            ErrorClass::Unavailable => (
                DriverError::unavailable(message),
                "check that the storage location can be reached, and try again",
            ),
            ErrorClass::RateLimited => (DriverError::rate_limited(message), "try again later"),
            ErrorClass::Indeterminate => {
                (DriverError::indeterminate(message), "look whether it happened before trying again")
            }
            ErrorClass::InvalidInput => (DriverError::invalid_input(message), "correct the storage location"),
            ErrorClass::Unsupported => {
                (DriverError::unsupported(message), "use a storage location that can do it")
            }
            ErrorClass::NotFound
            | ErrorClass::AlreadyExists
            | ErrorClass::VersionConflict
            | ErrorClass::InvalidTransition
            | ErrorClass::Internal => (DriverError::internal(message), DAMAGED),
        },
    };
    error.with_suggestion(suggestion).with_source(source)
}

/// rustic failed while we tried to `action`.
pub(crate) fn rustic(action: &str, error: Box<RusticError>) -> DriverError {
    if let Some(shared) = find_storage(&error) {
        return storage(action, &shared.0);
    }
    if error.is_incorrect_password() {
        return DriverError::unauthenticated(format!(
            "could not {action}: the repository refused the password"
        ))
        .with_suggestion(
            "give the password with which the repository was made; if it is lost, so is the data",
        );
    }
    let message = format!("could not {action}: {}", first_line(&error));
    match kind_of(&error) {
        Some(ErrorKind::Unsupported) => DriverError::unsupported(message),
        Some(ErrorKind::AppendOnly) => DriverError::forbidden(message)
            .with_suggestion("the repository is append-only: lift that first, or keep the data"),
        _ => DriverError::internal(message).with_suggestion(DAMAGED),
    }
    .with_source(error)
}

/// The repository lacks something or holds the wrong bytes.
pub(crate) fn damaged(message: impl Into<String>) -> DriverError {
    DriverError::internal(message).with_suggestion(DAMAGED)
}

/// The file system failed at `path` while we tried to `action`.
pub(crate) fn io(action: &str, path: &Path, error: io::Error) -> DriverError {
    let message = format!("could not {action} {}: {error}", path.display());
    let (class, suggestion) = match error.kind() {
        io::ErrorKind::NotFound => (DriverError::not_found(message), "check that the path exists"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
            DriverError::forbidden(message),
            "let this process write there, or choose another place below a restore root",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (DriverError::unavailable(message), "free space at the target, and run it again")
        }
        _ => (DriverError::internal(message), "look into the system's log for the device"),
    };
    // The message has the error's text: as a source it would be told twice.
    class.with_suggestion(suggestion)
}

fn find_storage(error: &RusticError) -> Option<Shared> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(shared) = source.downcast_ref::<Shared>() {
            return Some(shared.clone());
        }
        next = source.source();
    }
    None
}

/// rustic writes pages; its log form begins with what matters.
fn first_line(error: &RusticError) -> String {
    let text = error.display_log();
    let text = text.strip_prefix("Error: ").unwrap_or(&text);
    text.split(" (kind: related to").next().unwrap_or(text).trim_end_matches('.').to_owned()
}

/// rustic keeps its kind to itself but prints it.
fn kind_of(error: &RusticError) -> Option<ErrorKind> {
    let text = error.display_log();
    [ErrorKind::Unsupported, ErrorKind::AppendOnly]
        .into_iter()
        .find(|kind| text.contains(&format!("(kind: related to {kind}")))
}

/// The error with its causes on one line, for findings.
pub(crate) fn line(error: &DriverError) -> String {
    report(error).to_string()
}
