//! What SQLite says, by class and with what to do about it.

use std::path::{Path, PathBuf};

use aegis_core::seams::{ErrorClass, StoreError};

/// Why something could not be done, as the driver or we found it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said no.
    Driver(sqlx::Error),
    /// It answered with something that should not exist.
    Unsound(String),
    /// The answer to the caller.
    Told(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}

/// What went wrong with the file, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(
        "{} is damaged: stop Aegis and restore the latest backup of this file with SqliteStore::restore, or rebuild \
         the catalogue from what lies in storage", .0.display()
    )]
    Damaged(PathBuf, #[source] sqlx::Error),
    #[error("there is no more room for {}: free some on its disk; what was asked can be repeated then", .0.display())]
    Full(PathBuf, #[source] sqlx::Error),
    #[error("{} can't be written: give this process the right to write the file and its folder", .0.display())]
    ReadOnly(PathBuf, #[source] sqlx::Error),
    #[error("{} did not answer", .0.display())]
    Away(PathBuf, #[source] sqlx::Error),
    #[error("{file} has something in it that Aegis does not write: {what}", file = .0.display(), what = .1)]
    Unsound(PathBuf, String),
    #[error("the store over {} was closed", .0.display())]
    Closed(PathBuf),
}

/// SQLite's primary result codes that are told apart.
mod code {
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const NOMEM: i64 = 7;
    pub(super) const READONLY: i64 = 8;
    pub(super) const IOERR: i64 = 10;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const CANTOPEN: i64 = 14;
    pub(super) const NOTADB: i64 = 26;
    /// Extended: a write that did not reach the file.
    pub(super) const IOERR_WRITE: i64 = IOERR | (3 << 8);
}

/// SQLite's extended result code, if it was SQLite who said no.
fn extended(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}

fn trouble(error: sqlx::Error, file: &Path) -> (ErrorClass, Trouble) {
    let file = file.to_owned();
    let found = extended(&error);
    match found.map(|found| found & 0xff) {
        Some(code::CORRUPT | code::NOTADB) => (ErrorClass::Internal, Trouble::Damaged(file, error)),
        Some(code::FULL) => (ErrorClass::Unavailable, Trouble::Full(file, error)),
        Some(code::IOERR) if found == Some(code::IOERR_WRITE) => {
            (ErrorClass::Unavailable, Trouble::Full(file, error))
        }
        Some(code::READONLY) => (ErrorClass::Unavailable, Trouble::ReadOnly(file, error)),
        Some(code::BUSY | code::LOCKED | code::NOMEM | code::IOERR | code::CANTOPEN) => {
            (ErrorClass::Unavailable, Trouble::Away(file, error))
        }
        Some(_) => (ErrorClass::Internal, Trouble::Away(file, error)),
        None => match error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Io(_) => (ErrorClass::Unavailable, Trouble::Away(file, error)),
            error => (ErrorClass::Internal, Trouble::Away(file, error)),
        },
    }
}

impl Fault {
    /// The answer, where nothing was changed.
    pub(crate) fn answer(self, action: &'static str, file: &Path) -> StoreError {
        match self {
            Self::Told(error) => error,
            Self::Unsound(what) => {
                StoreError::Internal { action, source: Trouble::Unsound(file.to_owned(), what).into() }
            }
            Self::Driver(error) => match trouble(error, file) {
                (ErrorClass::Unavailable, trouble) => {
                    StoreError::Unavailable { action, source: trouble.into() }
                }
                (_, trouble) => StoreError::Internal { action, source: trouble.into() },
            },
        }
    }
}

/// The answer, where `commit` itself failed.
///
/// Where there was no room, the last page of the transaction was not written, so it never was.
/// Whatever else fails leaves open whether it counts: what was written may not have reached the disk.
pub(crate) fn uncommitted(error: sqlx::Error, action: &'static str, file: &Path) -> StoreError {
    match trouble(error, file) {
        (_, full @ Trouble::Full(..)) => StoreError::Unavailable { action, source: full.into() },
        (_, trouble) => StoreError::Indeterminate { action, source: trouble.into() },
    }
}

/// The answer of a store that was closed.
pub(crate) fn closed(action: &'static str, file: &Path) -> StoreError {
    StoreError::Unavailable { action, source: Trouble::Closed(file.to_owned()).into() }
}
