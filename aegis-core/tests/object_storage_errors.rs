//! The texts and classes of the errors of object storage, as users and logs see them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::error::Error;

use aegis_core::{
    model::{StorageUri, Timestamp},
    seams::{
        ErrorClass,
        ObjectStorageError::{self, *},
        report,
    },
};

fn location() -> StorageUri {
    "s3://oco-backups/prod-us-east-1/".parse().unwrap()
}

fn cause() -> Box<dyn Error + Send + Sync> {
    "status 500".into()
}

/// Each error with its class and text.
fn cases() -> Vec<(ObjectStorageError, ErrorClass, &'static str)> {
    let (location, key, action) = (location, "a/b".to_owned(), "write `a/b`".to_owned());
    let until = Some(Timestamp::from_seconds(1_770_393_600));
    vec![
        (
            NotFound { location: location(), key: key.clone() },
            ErrorClass::NotFound,
            "no object `a/b` in s3://oco-backups/prod-us-east-1/",
        ),
        (
            AlreadyExists { location: location(), key: key.clone() },
            ErrorClass::AlreadyExists,
            "object `a/b` in s3://oco-backups/prod-us-east-1/ already exists",
        ),
        (
            VersionConflict { location: location(), key: key.clone() },
            ErrorClass::VersionConflict,
            "object `a/b` in s3://oco-backups/prod-us-east-1/ has changed since it was read",
        ),
        (
            Locked { location: location(), key, until },
            ErrorClass::Forbidden,
            "object `a/b` in s3://oco-backups/prod-us-east-1/ is locked against deletion",
        ),
        (
            Unauthenticated { location: location(), action: action.clone(), source: cause() },
            ErrorClass::Unauthenticated,
            "s3://oco-backups/prod-us-east-1/ refused our credentials while we tried to write `a/b`",
        ),
        (
            Forbidden { location: location(), action: action.clone(), source: cause() },
            ErrorClass::Forbidden,
            "s3://oco-backups/prod-us-east-1/ does not permit us to write `a/b`",
        ),
        (
            Full { location: location(), action: action.clone(), source: cause() },
            ErrorClass::Unavailable,
            "s3://oco-backups/prod-us-east-1/ is full: could not write `a/b`; free space or raise the quota",
        ),
        (
            Unsupported { location: location(), action: action.clone() },
            ErrorClass::Unsupported,
            "s3://oco-backups/prod-us-east-1/ can't write `a/b`",
        ),
        (
            InvalidInput { location: location(), action: action.clone(), reason: "use a shorter key".into() },
            ErrorClass::InvalidInput,
            "can't write `a/b` in s3://oco-backups/prod-us-east-1/: use a shorter key",
        ),
        (
            Unavailable { location: location(), action: action.clone(), source: cause() },
            ErrorClass::Unavailable,
            "s3://oco-backups/prod-us-east-1/ is unavailable: could not write `a/b`",
        ),
        (
            Indeterminate { location: location(), action: action.clone(), source: cause() },
            ErrorClass::Indeterminate,
            "s3://oco-backups/prod-us-east-1/ did not answer when we tried to write `a/b`: it may have happened",
        ),
        (
            Internal { location: location(), action, source: cause() },
            ErrorClass::Internal,
            "s3://oco-backups/prod-us-east-1/: could not write `a/b`",
        ),
    ]
}

#[test]
fn each_error_has_its_class_and_text() {
    for (error, class, text) in cases() {
        assert_eq!((error.class(), error.to_string().as_str()), (class, text));
    }
}

#[test]
fn the_cause_is_told_once_and_only_in_a_report() {
    for (error, _, text) in cases() {
        let expected = if error.source().is_some() { format!("{text}: status 500") } else { text.to_owned() };
        assert_eq!(report(&error).to_string(), expected);
    }
}
