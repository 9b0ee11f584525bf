//! What an error of the object_store crate means.

use std::error::Error as StdError;

use aegis_core::seams::ObjectStorageError;
use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

use crate::attempt::{Attempt, Verb};

/// Turns a client's error into the seam's, by what the caller can do about it.
pub(super) fn map(attempt: &Attempt<'_>, error: Error) -> ObjectStorageError {
    let cause = Cause::of(&error);
    if cause.says(&["object lock", "BlobImmutableDueTo", "retention policy", "legal hold"]) {
        return ObjectStorageError::Locked {
            location: attempt.location.clone(),
            key: attempt.key.map_or_else(String::new, ToString::to_string),
            until: None,
        };
    }
    match error {
        Error::NotFound { .. } => match attempt.verb {
            Verb::Write | Verb::List | Verb::Measure => attempt.invalid(NO_BUCKET),
            _ if cause.says(&["NoSuchBucket", "ContainerNotFound"]) => attempt.invalid(NO_BUCKET),
            Verb::Open | Verb::Read | Verb::Delete | Verb::Inspect | Verb::Probe => attempt.not_found(),
        },
        // Two conditional writes met; the storage let neither through and asks to try again.
        Error::AlreadyExists { .. } if cause.says(&["ConditionalRequestConflict", "OperationAborted"]) => {
            attempt.unavailable(error.into())
        }
        Error::AlreadyExists { .. } => attempt.already_exists(),
        Error::Precondition { .. } => attempt.conflict(),
        Error::PermissionDenied { .. } if cause.says(BAD_CREDENTIALS) => {
            attempt.unauthenticated(error.into())
        }
        Error::PermissionDenied { .. } => attempt.forbidden(error.into()),
        Error::Unauthenticated { .. } => attempt.unauthenticated(error.into()),
        Error::NotSupported { .. } | Error::NotImplemented { .. } => attempt.unsupported(attempt.action()),
        Error::InvalidPath { .. } => attempt.invalid("the key is none for this storage"),
        Error::Generic { .. } => generic(attempt, &cause, error),
        _ => attempt.internal(error.into()),
    }
}

const NO_BUCKET: &str = "the bucket or container does not exist; create it, or correct the location";

/// How the clouds tell an unknown or unproven identity from one that may not.
const BAD_CREDENTIALS: &[&str] = &[
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthenticationFailed",
    "AuthorizationHeaderMalformed",
    "RequestTimeTooSkewed",
];

fn generic(attempt: &Attempt<'_>, cause: &Cause, error: Error) -> ObjectStorageError {
    match cause.kind {
        CauseKind::Status(400) if cause.says(BAD_CREDENTIALS) => attempt.unauthenticated(error.into()),
        CauseKind::Status(status @ (400 | 405 | 411 | 413 | 414)) => {
            attempt.invalid(format!("the storage refused the request with status {status}"))
        }
        CauseKind::Status(416) => attempt.invalid("the bytes asked for are no range of the object"),
        CauseKind::Status(429 | 503) => attempt.unavailable(error.into()),
        CauseKind::Status(501) => attempt.unsupported(attempt.action()),
        CauseKind::Status(507) => attempt.full(error.into()),
        CauseKind::Status(408 | 500..=599) => attempt.in_doubt(error.into()),
        CauseKind::WrongRegion => {
            attempt.invalid("the storage sent us elsewhere; set the region of the bucket")
        }
        CauseKind::NotConnected => attempt.unavailable(error.into()),
        CauseKind::Broken => attempt.in_doubt(error.into()),
        CauseKind::Status(_) | CauseKind::Other => attempt.internal(error.into()),
    }
}

/// What lies at the bottom of an error.
struct Cause {
    kind: CauseKind,
    /// The storage's own words.
    body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CauseKind {
    /// The storage answered.
    Status(u16),
    /// It redirected without saying where to.
    WrongRegion,
    /// No connection came about: the request was not sent.
    NotConnected,
    /// The connection broke or timed out after the request may have been sent.
    Broken,
    /// Neither.
    Other,
}

impl Cause {
    fn of(error: &Error) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(current) = next {
            if let Some(http) = current.downcast_ref::<HttpError>() {
                return Self { kind: http_kind(http), body: String::new() };
            }
            if let Some(answered) = Self::answered(&current.to_string()) {
                return answered;
            }
            next = current.source();
        }
        Self { kind: CauseKind::Other, body: String::new() }
    }

    /// The crate keeps the type that knows the status to itself, so its words are all there is.
    /// Tests over real answers hold them fast.
    fn answered(text: &str) -> Option<Self> {
        if text.starts_with("Received redirect without LOCATION") {
            return Some(Self { kind: CauseKind::WrongRegion, body: String::new() });
        }
        if let Some(body) = text.strip_prefix("Server returned error response: ") {
            return Some(Self { kind: CauseKind::Broken, body: body.to_owned() });
        }
        let rest = text.strip_prefix("Server returned non-2xx status code: ")?;
        let (status, body) = rest.split_at_checked(3)?;
        Some(Self { kind: CauseKind::Status(status.parse().ok()?), body: body.to_owned() })
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.body.contains(word))
    }
}

fn http_kind(error: &HttpError) -> CauseKind {
    match error.kind() {
        HttpErrorKind::Connect => CauseKind::NotConnected,
        _ => CauseKind::Broken,
    }
}
