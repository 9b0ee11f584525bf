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
    (3, "log", include_str!("../migrations/0003_log.sql")),
    (4, "manual", include_str!("../migrations/0004_manual.sql")),
];

/// What marks a file as one of ours, as the first version sets it.
const APPLICATION_ID: i64 = 0x4165_6769;

/// Brings the file to the newest of `versions`.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    versions: &[(i64, &'static str, &'static str)],
    file: &Path,
) -> Result<(), OpenError> {
    recognize(connection, versions, file).await?;
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

/// The version of the schema that is there, 0 of an empty file.
///
/// # Errors
/// [`OpenError::NotOurs`], [`OpenError::Newer`], [`OpenError::Store`].
pub(crate) async fn recognize(
    connection: &mut SqliteConnection,
    versions: &[(i64, &'static str, &'static str)],
    file: &Path,
) -> Result<i64, OpenError> {
    let unreadable = |fault: Fault| OpenError::Store(fault.answer("read its schema", file));
    let found = version(connection).await.map_err(unreadable)?;
    let Some(found) = found else { return Err(OpenError::NotOurs { file: file.to_owned() }) };
    let known = versions.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    if found > known {
        return Err(OpenError::Newer { file: file.to_owned(), found, known });
    }
    Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "insert into job (id, version, tenant, cluster, policy, location, status, live, hidden, priority, at, document) \
        values (x'01', 1, 'acme', 'c1', x'0a', 'file:///', 'pending', 1, 0, 0, 1, '{}'), \
            (x'02', 1, 'acme', 'c2', null, 'file:///', 'failed', 0, 1, 0, -5, '{}'); \
        insert into record (id, version, tenant, cluster, policy, chain, status, at, stored, document) \
        values (x'01', 1, 'globex', 'c1', x'0a', x'01', 'available', 9, 9223372036854775807, '{}'), \
            (x'02', 1, 'globex', 'c1', x'0a', x'01', 'available', 9, 9223372036854775807, '{}')";

    /// Totals by kind and tenant: how many, and the two parts of what they take.
    async fn totals(
        connection: &mut SqliteConnection,
        text: &'static str,
    ) -> Vec<(String, String, i64, i64, i64)> {
        sqlx::query_as(text).fetch_all(connection).await.unwrap()
    }

    #[tokio::test]
    async fn totals_of_an_earlier_file_are_counted_once_and_then_kept() {
        let mut connection =
            <SqliteConnection as sqlx::Connection>::connect("sqlite::memory:").await.unwrap();
        migrate(&mut connection, &VERSIONS[..1], Path::new("")).await.unwrap();
        sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
        migrate(&mut connection, VERSIONS, Path::new("")).await.unwrap();
        sqlx::raw_sql("update job set status = 'failed'; delete from record where id = x'02'")
            .execute(&mut connection)
            .await
            .unwrap();
        crate::tally::fold(&mut connection, usize::MAX).await.unwrap();

        let kept = "select kind, tenant, sum(count), sum(stored_high), sum(stored_low) from tally \
            where span = 42 and cluster = '' and policy = x'' group by 1, 2 order by 1, 2";
        let expected = [("job", "acme", 2, 0, 0), ("record", "globex", 1, (1 << 31) - 1, u32::MAX.into())];
        let expected =
            expected.map(|(kind, tenant, n, high, low)| (kind.to_owned(), tenant.to_owned(), n, high, low));
        let found = totals(&mut connection, kept).await;
        let whole = |(high, low): (i64, i64)| (i128::from(high) << 32) + i128::from(low);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.0, &found.1, found.2), (&expected.0, &expected.1, expected.2));
            assert_eq!(whole((found.3, found.4)), whole((expected.3, expected.4)));
        }
        assert_eq!(found.len(), expected.len());
    }
}
