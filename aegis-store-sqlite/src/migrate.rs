//! The schema and its versions: forward only.

use std::{borrow::Cow, path::Path};

use sqlx::{
    Row, SqlStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
};

use crate::{OpenError, error::Fault, sql::Sql};

/// Every version of the schema, oldest first. What was released is never changed.
pub(crate) const VERSIONS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("../migrations/0001_init.sql")),
    (2, "tally", include_str!("../migrations/0002_tally.sql")),
];

/// What marks a file as one of ours, as the first version sets it.
const APPLICATION_ID: i64 = 0x4165_6769;

/// Brings the file to the newest of `versions`.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    versions: &[(i64, &'static str, &'static str)],
    file: &Path,
) -> Result<(), OpenError> {
    let unreadable = |fault: Fault| OpenError::Store(fault.answer("read its schema", file));
    let found = version(connection).await.map_err(unreadable)?;
    let Some(found) = found else { return Err(OpenError::NotOurs { file: file.to_owned() }) };
    let known = versions.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    if found > known {
        return Err(OpenError::Newer { file: file.to_owned(), found, known });
    }
    let migrations = versions.iter().map(|(version, name, text)| {
        Migration::new(
            *version,
            Cow::Borrowed(*name),
            MigrationType::Simple,
            SqlStr::from_static(text),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect()).run_direct(None, connection, false).await.map_err(
        |error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                OpenError::Store(Fault::Driver(error).answer("bring its schema up to date", file))
            }
            error => OpenError::Schema { file: file.to_owned(), source: error },
        },
    )
}

/// The version of the schema that is there, 0 of an empty file; `None` if it is not one of ours.
async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, Fault> {
    let row = Sql::new("pragma application_id").query().fetch_one(&mut *connection).await?;
    let ours = row.try_get::<i64, _>(0)? == APPLICATION_ID;
    let tables = "select count(*), count(*) filter (where name = '_sqlx_migrations') from sqlite_schema \
         where type = 'table' and name not like 'sqlite_%'";
    let row = Sql::new(tables).query().fetch_one(&mut *connection).await?;
    let (all, migrations): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if all > migrations && !ours {
        return Ok(None);
    }
    if migrations == 0 {
        return Ok(Some(0));
    }
    let newest = Sql::new("select coalesce(max(version), 0) from _sqlx_migrations");
    Ok(Some(newest.query().fetch_one(connection).await?.try_get(0)?))
}
