//! The readers of the event log: how far each has come, and what it derived on the way.

use std::collections::{BTreeMap, BTreeSet};

use aegis_core::{
    model::Position,
    seams::{Conflict, Derived, DerivedKeys, DerivedQuery, DerivedRow, ReaderStep, StoreError},
};
use sqlx::{Connection, Row, SqliteConnection};

use crate::{
    commit::insert,
    error::Fault,
    rows::{signed, unsigned},
    sql::{Arg, Sql, runs},
};

/// How far a reader has come.
pub(crate) async fn position(connection: &mut SqliteConnection, name: &str) -> Result<Position, Fault> {
    let mut sql = Sql::new("select position from reader where name = ");
    sql.bind(name);
    match sql.query().fetch_optional(connection).await? {
        Some(row) => Ok(Position(unsigned(row.try_get(0)?)?)),
        None => Ok(Position::START),
    }
}

/// How far each reader has come.
pub(crate) async fn positions(
    connection: &mut SqliteConnection,
) -> Result<BTreeMap<String, Position>, Fault> {
    let rows = Sql::new("select name, position from reader").query().fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Position(unsigned(row.try_get(1)?)?)))).collect()
}

/// Moves a reader on, if it is where the step begins, and keeps what it derived.
pub(crate) async fn advance(connection: &mut SqliteConnection, step: ReaderStep) -> Result<(), Fault> {
    step.check()?;
    let found = position(connection, &step.reader).await?;
    if found != step.from {
        let moved = Conflict::Moved { reader: step.reader, expected: step.from, found };
        return Err(StoreError::Conflict(moved).into());
    }
    let mut sql = Sql::new("insert into reader (name, position) values ");
    sql.row([step.reader.as_str().into(), signed(step.to.0)?.into()]);
    sql.push(" on conflict (name) do update set position = excluded.position");
    sql.query().execute(&mut *connection).await?;
    let row = |row| derived_row(&step.reader, row);
    let rows: Vec<Vec<Arg<'_>>> = step.derived.iter().map(row).collect();
    let replacing = " on conflict (reader, tenant, key) do update set document = excluded.document";
    insert(connection, "insert into derived (reader, tenant, key, document) values ", &rows, replacing).await
}

fn derived_row<'a>(reader: &'a str, row: &'a DerivedRow) -> Vec<Arg<'a>> {
    vec![reader.into(), row.tenant.as_str().into(), row.key.as_str().into(), (&*row.document).into()]
}

/// What a reader keeps for a tenant, and how far it had come: one snapshot.
pub(crate) async fn derived(reader: &mut SqliteConnection, query: &DerivedQuery) -> Result<Derived, Fault> {
    let mut snapshot = reader.begin().await?;
    let position = position(&mut snapshot, &query.reader).await?;
    let mut found = Vec::new();
    match &query.keys {
        DerivedKeys::Range(from, before) => {
            let mut sql = rows_of(query);
            sql.push("key >= ").bind(from.as_str()).push(" and key < ").bind(before.as_str());
            found.extend(sql.push(" order by key").clone().query().fetch_all(&mut *snapshot).await?);
        }
        DerivedKeys::Named(keys) => {
            // In order, so that the runs are, too.
            let keys: Vec<_> = keys.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
            for run in runs(&keys) {
                let mut sql = rows_of(query);
                sql.push("key in ").row(run.iter().map(|key| Arg::from(*key)));
                found.extend(sql.push(" order by key").clone().query().fetch_all(&mut *snapshot).await?);
            }
        }
    }
    snapshot.rollback().await?;
    let rows = found.iter().map(|row| {
        let document: &str = row.try_get(1)?;
        Ok(DerivedRow { tenant: query.tenant.clone(), key: row.try_get(0)?, document: document.into() })
    });
    Ok(Derived { position, rows: rows.collect::<Result<_, Fault>>()? })
}

fn rows_of(query: &DerivedQuery) -> Sql<'_> {
    let mut sql = Sql::new("select key, document from derived where reader = ");
    sql.bind(query.reader.as_str()).push(" and tenant = ").bind(query.tenant.as_str()).push(" and ");
    sql
}
