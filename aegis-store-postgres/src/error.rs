//! What an error of the driver means, by what the caller can do about it.

use std::{fmt, io};

use aegis_core::seams::StoreError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// What the database or the driver said, in words that hold neither a row nor an address.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// What became of a statement that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was refused, for what it rests on or for another transaction in its way; nothing happened.
    Refused,
    /// Nobody knows: the connection went with the answer.
    Lost,
    /// Nothing happened, and it may go well later.
    Unavailable,
    /// Nothing happened, and it never will.
    Fault,
}

/// What a failed changeset of this crate raises.
const REFUSED: &str = "AE001";
/// What a database that is read-only raises.
const READ_ONLY: &str = "25006";
/// What a database says that has all the connections that it takes.
const NO_CONNECTIONS: &str = "53300";
/// What one says that is starting up or shutting down.
const STARTING: &str = "57P03";

/// What became of the statement, and a hint of what to do.
fn judge(error: &sqlx::Error) -> (Fate, Option<&'static str>) {
    match error {
        sqlx::Error::Database(error) => error.code().map_or((Fate::Fault, None), |code| judge_state(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => {
            (Fate::Lost, Some("the connection to the database was lost or can't be made"))
        }
        sqlx::Error::PoolTimedOut => (
            Fate::Unavailable,
            Some("no connection was free in time: the database is away, or the pool is too small"),
        ),
        sqlx::Error::PoolClosed => (Fate::Unavailable, Some("the store was closed")),
        _ => (Fate::Fault, None),
    }
}

fn judge_state(code: &str) -> (Fate, Option<&'static str>) {
    use Fate::{Fault, Lost, Refused, Unavailable};
    match code {
        REFUSED | "23505" | "40001" | "40P01" => (Refused, None),
        READ_ONLY => (Unavailable, Some("the database is read-only")),
        "28000" | "28P01" => (Unavailable, Some("the database refused the login: check user and password")),
        "3D000" => (Unavailable, Some("there is no such database: create it")),
        "53100" => (Unavailable, Some("the database's disk is full")),
        NO_CONNECTIONS => (Unavailable, Some("the database has no connections left: lower the pool sizes")),
        "55P03" => (Unavailable, Some("a lock was not to be had")),
        "57014" => {
            (Unavailable, Some("the statement was cancelled: it took longer than the statement timeout"))
        }
        "57P01" | "57P02" | "57P05" => (Lost, Some("the database ended the connection")),
        STARTING => (Unavailable, Some("the database is starting up or shutting down")),
        "40003" => (Lost, None),
        _ if code.starts_with("08") => (Lost, Some("the connection to the database was lost")),
        _ if code.starts_with("53") => (Unavailable, Some("the database lacks a resource")),
        "42501" => (Fault, Some("the database's user lacks a privilege")),
        _ => (Fault, None),
    }
}

/// Whether the database said that it can't be written to.
fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == READ_ONLY)
}

/// Whether the connection that said so is as good as before: a statement was refused, and no more.
pub(crate) fn leaves_connection(error: &sqlx::Error) -> bool {
    let said = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    said.is_some_and(|said| said.severity() == PgSeverity::Error) && !is_read_only(error)
}

/// Whether a database that can't be connected to may be there in a moment: it starts, or has no room.
pub(crate) fn may_be_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        error => error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| [NO_CONNECTIONS, STARTING].contains(&code.as_ref())),
    }
}

/// What became of a statement that failed with `error`.
pub(crate) fn fate(error: &sqlx::Error) -> Fate {
    judge(error).0
}

/// The error of what changes nothing, or of a connection that was never made.
pub(crate) fn read(action: &'static str, error: sqlx::Error) -> StoreError {
    let source = cause(&error).into();
    match fate(&error) {
        Fate::Fault => StoreError::Internal { action, source },
        Fate::Refused | Fate::Lost | Fate::Unavailable => StoreError::Unavailable { action, source },
    }
}

/// The error of a statement that changes something and was sent.
pub(crate) fn write(action: &'static str, error: sqlx::Error) -> StoreError {
    match fate(&error) {
        Fate::Lost => StoreError::Indeterminate { action, source: cause(&error).into() },
        Fate::Refused | Fate::Unavailable | Fate::Fault => read(action, error),
    }
}

/// The error of a change that others were in the way of, again and again.
pub(crate) fn contended(action: &'static str) -> StoreError {
    let said = "others changed the same things each time it was tried; try again";
    StoreError::Unavailable { action, source: Cause(said.to_owned()).into() }
}

/// The error of a database that is not what it should be.
pub(crate) fn unusable(action: &'static str, why: String) -> StoreError {
    StoreError::Internal { action, source: Cause(why).into() }
}

/// The error of data that can't be read or written down.
pub(crate) fn fault(action: &'static str, error: impl fmt::Display) -> StoreError {
    unusable(action, error.to_string())
}

fn cause(error: &sqlx::Error) -> Cause {
    // A database's error says more in its detail, the row among it; its message says what is wrong.
    let said = match error {
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => format!("{} (SQLSTATE {code})", error.message()),
            None => error.message().to_owned(),
        },
        error => error.to_string(),
    };
    Cause(match judge(error).1 {
        Some(hint) => format!("{hint}: {said}"),
        None => said,
    })
}
