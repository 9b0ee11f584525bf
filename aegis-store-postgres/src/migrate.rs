//! The schema: made, brought up to date, or refused.

use aegis_core::seams::StoreError;
use futures::future::BoxFuture;
use sqlx::{
    PgConnection, SqlStr,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType, Migrator},
};

use crate::error;

/// Every schema that ever was, oldest first. What is here is never edited, only added to.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("../migrations/0001_init.sql")),
    (2, "tally", include_str!("../migrations/0002_tally.sql")),
    (3, "log", include_str!("../migrations/0003_log.sql")),
    (4, "manual", include_str!("../migrations/0004_manual.sql")),
];

const ACTION: &str = "bring the database's schema up to date";

/// The migrations up to and including `version`.
fn migrator(version: i64) -> Migrator {
    let known = MIGRATIONS.iter().filter(|(number, ..)| *number <= version);
    let migration = |(number, name, sql): &(i64, &'static str, &'static str)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(*number, (*name).into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(known.map(migration).collect())
}

/// The newest schema that this version of Aegis knows.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

/// Makes the schema what this version of Aegis needs. Processes that do so at once wait for each other.
pub(crate) async fn run(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    to_version(connection, schema, newest()).await
}

/// How long another process that changes the schema is waited for.
const PATIENCE: &str = "5min";

/// Makes the schema that of `version`. What that takes is not bounded by the timeout of statements;
/// the wait for others is, by another.
pub(crate) async fn to_version(
    connection: &mut PgConnection,
    schema: &str,
    version: i64,
) -> Result<(), StoreError> {
    set(connection, &format!("set statement_timeout = 0; set lock_timeout = '{PATIENCE}'")).await?;
    let made = make(connection, schema, version).await;
    let reset = set(connection, "reset statement_timeout; reset lock_timeout").await;
    made.and(reset)
}

async fn set(connection: &mut PgConnection, text: &str) -> Result<(), StoreError> {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(connection).await;
    done.map(drop).map_err(|error| error::read(ACTION, error))
}

async fn make(connection: &mut PgConnection, schema: &str, version: i64) -> Result<(), StoreError> {
    let encoding: String = sqlx::query_scalar("show server_encoding")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| error::read(ACTION, error))?;
    if encoding != "UTF8" {
        return Err(error::unusable(
            ACTION,
            format!("the database's encoding is {encoding}; Aegis needs UTF8"),
        ));
    }
    let migrator = migrator(version);
    let found = applied(connection).await?;
    let needed = migrator.iter().map(|migration| (migration.version, &migration.checksum));
    if found.iter().map(|migration| (migration.version, &migration.checksum)).eq(needed) {
        // Nothing is written, which whoever only uses the tables may have no right to.
        return Ok(());
    }
    if is_read_only(connection).await? {
        return check(&found, version);
    }
    if !exists(connection, schema).await? {
        create(connection, schema).await?;
    }
    apply(&migrator, connection).await.map_err(refused)
}

/// What was applied to the schema, oldest first; nothing if it is not there.
async fn applied(connection: &mut PgConnection) -> Result<Vec<AppliedMigration>, StoreError> {
    let is_there: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| error::read(ACTION, error))?;
    if !is_there {
        return Ok(Vec::new());
    }
    connection.list_applied_migrations("_sqlx_migrations").await.map_err(refused)
}

async fn exists(connection: &mut PgConnection, schema: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
        .bind(schema)
        .fetch_one(connection)
        .await
        .map_err(|error| error::read(ACTION, error))
}

async fn create(connection: &mut PgConnection, schema: &str) -> Result<(), StoreError> {
    let create = format!("create schema if not exists {}", quoted(schema));
    let created = sqlx::query(sqlx::AssertSqlSafe(create)).execute(connection).await;
    // Of two that create it at once, one finds the other's.
    let met = |error: &sqlx::Error| error.as_database_error().is_some_and(|e| e.is_unique_violation());
    match created {
        Err(error) if !met(&error) => Err(error::read(ACTION, error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Not `run`, whose future can't go from thread to thread as far as the compiler sees.
fn apply<'a>(
    migrator: &'a Migrator,
    connection: &'a mut PgConnection,
) -> BoxFuture<'a, Result<(), MigrateError>> {
    Box::pin(migrator.run_direct(None, connection, false))
}

/// Whether nothing can be written: a standby, or a database that was set so.
async fn is_read_only(connection: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar("select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean")
        .fetch_one(connection)
        .await
        .map_err(|error| error::read(ACTION, error))
}

/// Checks that a schema that can't be changed is the one that is needed.
fn check(found: &[AppliedMigration], version: i64) -> Result<(), StoreError> {
    match found.iter().map(|migration| migration.version).max() {
        Some(found) if found == version => Ok(()),
        Some(found) if found > version => Err(newer(found)),
        Some(_) | None => Err(error::unusable(
            ACTION,
            "its schema is missing or older than this version of Aegis, and the database is read-only"
                .to_owned(),
        )),
    }
}

fn newer(found: i64) -> StoreError {
    let newest = newest();
    error::unusable(
        ACTION,
        format!(
            "its schema is {found} and this version of Aegis knows {newest} at most: it was made by a newer \
             version; start that one"
        ),
    )
}

fn refused(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => newer(found),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error::read(ACTION, error),
        other => error::unusable(ACTION, other.to_string()),
    }
}

/// A name as PostgreSQL takes it whatever is in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
