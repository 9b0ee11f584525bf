//! Opening: the file is ours alone, sound, and of a version that we know.

use std::{
    fs::{File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::seams::{Clock, ErrorClass, StoreError};
use sqlx::{
    ConnectOptions, Row, SqliteConnection,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{
    SqliteOptions,
    clock::StoreClock,
    error::Fault,
    migrate::{VERSIONS, migrate, recognize},
    sql::Sql,
    store::SqliteStore,
    writer::{Desk, Writer},
};

/// Why a file was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another store of this one, has it open. Class `Unavailable`.
    #[error(
        "{} is open in another process: stop that one first, or give this one a file of its own", .file.display()
    )]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// It may not be written. Class `Forbidden`.
    #[error("{} may only be read: give this process the right to write the file and its folder", .file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// It is the database of something else. Class `InvalidInput`.
    #[error("{} is a database, but not of Aegis: name another file", .file.display())]
    NotOurs {
        /// The file.
        file: PathBuf,
    },
    /// A newer Aegis wrote it. Class `Unsupported`.
    #[error(
        "{} has schema version {found}, and this Aegis knows versions up to {known}: run the newer Aegis again, or \
         restore the backup from before the upgrade with SqliteStore::restore", .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version that we know.
        known: i64,
    },
    /// Some of it is not as it was written. Class `Internal`.
    #[error(
        "{} is damaged: restore the latest backup of this file with SqliteStore::restore, or rebuild the catalogue \
         from what lies in storage; the check says: {finding}", .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What was found first.
        finding: String,
    },
    /// Its schema is not one that Aegis made. Class `Internal`.
    #[error("the schema of {} is not one that Aegis made", .file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// What is different.
        source: MigrateError,
    },
    /// The file or its folder can't be reached. Class `Unavailable`.
    #[error("{} can't be opened", .file.display())]
    Unreachable {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// SQLite said no, by its class.
    #[error(transparent)]
    Store(StoreError),
}

impl OpenError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::InUse { .. } | Self::Unreachable { .. } => ErrorClass::Unavailable,
            Self::ReadOnly { .. } => ErrorClass::Forbidden,
            Self::NotOurs { .. } => ErrorClass::InvalidInput,
            Self::Newer { .. } => ErrorClass::Unsupported,
            Self::Damaged { .. } | Self::Schema { .. } => ErrorClass::Internal,
            Self::Store(error) => error.class(),
        }
    }
}

/// Opens the store; see [`SqliteStore::open`].
pub(crate) async fn open(options: SqliteOptions, clock: Arc<dyn Clock>) -> Result<SqliteStore, OpenError> {
    let file: Arc<Path> = options.file.clone().into();
    let said = |fault: Fault| OpenError::Store(fault.answer("open its file", &file));
    let lock = lock(&file)?;
    refuse_unknown(&file).await?;
    let connect = connect_options(&options);
    let mut connection = connect.connect().await.map_err(|error| said(error.into()))?;
    let size = std::fs::metadata(&file).map_or(0, |found| found.len());
    if size <= options.checked_up_to {
        check(&mut connection, "pragma quick_check(1)", &file).await?;
    }
    migrate(&mut connection, VERSIONS, &file).await?;
    let clock = Arc::new(StoreClock::open(clock, &mut connection).await.map_err(said)?);
    let readers = SqlitePoolOptions::new()
        .max_connections(options.readers.get())
        .test_before_acquire(false)
        .connect_lazy_with(read_options(&options));
    let desk = Desk {
        options: connect,
        connection: Some(connection),
        clock,
        file: Arc::clone(&file),
        closing: false,
    };
    let writer = Writer::start(desk, options.queue.get(), lock);
    Ok(SqliteStore::new(file, writer, readers))
}

/// Refuses what is not ours, or of a version that we don't know, before anything is changed: the way from
/// a rollback journal to a write-ahead log is a change by itself. A file that has a write-ahead log
/// already is looked at when it is opened.
async fn refuse_unknown(file: &Path) -> Result<(), OpenError> {
    let unreachable = |source| OpenError::Unreachable { file: file.to_owned(), source };
    if !has_rollback_journal(file).map_err(unreachable)? {
        return Ok(());
    }
    let mut connection = look_at(file).await?;
    recognize(&mut connection, VERSIONS, file).await.map(drop)
}

/// A connection that changes nothing.
pub(crate) async fn look_at(file: &Path) -> Result<SqliteConnection, OpenError> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let opened = options.connect().await;
    opened.map_err(|error| OpenError::Store(Fault::from(error).answer("look at its file", file)))
}

/// Whether the file is one of SQLite's, and keeps a rollback journal, as its first bytes say.
fn has_rollback_journal(file: &Path) -> io::Result<bool> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    const WRITE_VERSION: usize = 18;
    const ROLLBACK: u8 = 1;
    let mut header = Vec::new();
    match File::open(file) {
        Ok(file) => file.take(100).read_to_end(&mut header)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(header.starts_with(MAGIC) && header.get(WRITE_VERSION) == Some(&ROLLBACK))
}

/// The file by its one name, whatever links lead to it.
fn resolve(file: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = std::fs::canonicalize(folder_of(file))?;
            Ok(file.file_name().map_or_else(|| file.to_owned(), |name| folder.join(name)))
        }
        resolved => resolved,
    }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Takes the file for this process; free again when what is answered is dropped, or the process dies.
pub(crate) fn lock(file: &Path) -> Result<File, OpenError> {
    let unreachable = |source| OpenError::Unreachable { file: file.to_owned(), source };
    match std::fs::metadata(file) {
        Ok(found) if found.permissions().readonly() => {
            return Err(OpenError::ReadOnly { file: file.to_owned() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreachable(error)),
    }
    let lock = beside(&resolve(file).map_err(unreachable)?, "lock");
    let lock = File::options().create(true).truncate(false).write(true).open(lock).map_err(|error| {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly { file: file.to_owned() }
            }
            _ => unreachable(error),
        }
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { file: file.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unreachable(error)),
    }
}

/// The path of a file beside `file`: its name, a dash, `ending`.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-");
    name.push(ending);
    name.into()
}

fn connect_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&options.file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.busy_timeout)
        // Every statement's text that there is, and some.
        .statement_cache_capacity(1024)
        .pragma("cache_size", "-32768")
        // What a long backup let grow shrinks again.
        .pragma("journal_size_limit", "67108864")
        .thread_name(|_| "aegis-sqlite-writer".to_owned())
}

pub(crate) fn read_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&options.file)
        .read_only(true)
        .busy_timeout(options.busy_timeout)
        .statement_cache_capacity(256)
        .thread_name(|_| "aegis-sqlite-reader".to_owned())
}

/// Looks for damage, whole.
pub(crate) async fn check(
    connection: &mut SqliteConnection,
    pragma: &'static str,
    file: &Path,
) -> Result<(), OpenError> {
    let rows = Sql::new(pragma).query().fetch_all(connection).await;
    let rows = rows.map_err(|error| OpenError::Store(Fault::from(error).answer("check its file", file)))?;
    let finding = rows.first().and_then(|row| row.try_get::<String, _>(0).ok()).unwrap_or_default();
    match finding.as_str() {
        "ok" => Ok(()),
        _ => Err(OpenError::Damaged { file: file.to_owned(), finding }),
    }
}
