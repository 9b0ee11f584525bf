//! Every schema that ever was, with data in it, is brought up to date and loses nothing.

use std::sync::Arc;

use aegis_core::{
    model::{Entity, EntityKind, Position},
    seams::{Column, ColumnType, LogEnd, Scope, Store, Value},
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow};

use super::database::{Database, SCHEMA, connect, execute};
use crate::{PostgresStore, migrate};

/// What a store of each schema had written: one of every kind at the least, sealed events, a lease. A
/// schema that is released stays here for good.
///
/// What the second added is written by its triggers.
const DATA: &[(i64, &str)] = &[(1, include_str!("data_0001.sql")), (2, include_str!("data_0001.sql"))];

/// A database with the schema `version` and data in it, or `None` once the skip was said.
async fn old(version: i64, data: &str) -> Option<Database> {
    let database = Database::empty("upgrades on PostgreSQL").await?;
    let mut connection = connect(&database.url).await;
    execute(&mut connection, &format!("set search_path to {}", migrate::quoted(SCHEMA))).await;
    migrate::to_version(&mut connection, SCHEMA, version).await.unwrap();
    for row in data.lines() {
        execute(&mut connection, row).await;
    }
    connection.close().await.unwrap();
    Some(database)
}

#[test]
fn every_schema_has_its_data_here() {
    let known: Vec<_> = DATA.iter().map(|(version, _)| *version).collect();
    assert_eq!(known, (1..=migrate::newest()).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_earlier_schema_is_brought_up_to_date_and_keeps_its_data() {
    for (version, data) in DATA {
        let Some(database) = old(*version, data).await else { return };
        let store = database.open().await;
        let mut connection = database.connect().await;
        let mut entities = 0;
        for kind in EntityKind::ALL {
            entities += keeps_documents_and_columns(&mut connection, *kind).await;
        }
        let written = |table: &str| {
            data.lines().filter(|row| row.starts_with(&format!("INSERT INTO {table} "))).count()
        };
        assert_eq!(entities, EntityKind::ALL.iter().map(|kind| written(kind.as_str())).sum::<usize>());
        assert_eq!(kept(&mut connection).await, counted(&mut connection).await, "schema {version}");
        assert_eq!(keeps_its_chains(&store).await, written("event"), "schema {version}");
        assert!(!store.tenants().await.unwrap().is_empty());
    }
}

/// Reads every entity of a kind back and compares its columns with what core says of it; how many.
async fn keeps_documents_and_columns(connection: &mut PgConnection, kind: EntityKind) -> usize {
    let text = format!("select t.*, document::text as text from {kind} as t");
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(connection).await.unwrap();
    assert!(!rows.is_empty(), "no {kind}: the data leaves it out");
    for row in &rows {
        let entity = Entity::from_document(kind, row.get("text")).unwrap();
        for column in kind.key_columns().iter().chain(kind.columns()) {
            assert_eq!(value(row, *column), entity.value(*column), "{column} of {:?}", entity.key());
        }
    }
    rows.len()
}

fn value(row: &PgRow, column: Column) -> Option<Value<'_>> {
    match column.value_type() {
        ColumnType::Uuid => row.get::<Option<_>, _>(column.name()).map(Value::Uuid),
        ColumnType::Text => row.get::<Option<&str>, _>(column.name()).map(|text| Value::Text(text.into())),
        ColumnType::Instant => {
            row.get::<Option<DateTime<Utc>>, _>(column.name()).map(|at| Value::Instant(at.into()))
        }
        ColumnType::Integer => row.get::<Option<_>, _>(column.name()).map(Value::Integer),
        ColumnType::Flag => row.get::<Option<_>, _>(column.name()).map(Value::Flag),
    }
}

/// The totals of each kind and tenant: how many, and what they take in storage.
type Totals = Vec<(String, String, i64, i64)>;

/// As they are kept.
async fn kept(connection: &mut PgConnection) -> Totals {
    let text = "select kind, tenant, sum(count)::bigint, sum(stored)::bigint from (select kind, tenant, count, stored \
        from tally where span = 42 and cluster = '' and policy = '00000000-0000-0000-0000-000000000000' \
        union all select kind, tenant, count, stored from tally_tail) as t group by 1, 2 order by 1, 2";
    sqlx::query_as(text).fetch_all(connection).await.unwrap()
}

/// As they are.
async fn counted(connection: &mut PgConnection) -> Totals {
    let text = "select kind, tenant, sum(count)::bigint, sum(stored)::bigint from counted group by 1, 2 order by 1, 2";
    sqlx::query_as(text).fetch_all(connection).await.unwrap()
}

/// Links every event again and compares; how many there are.
async fn keeps_its_chains(store: &PostgresStore) -> usize {
    let sealed = store.events(&Scope::Everyone, Position::START, usize::MAX).await.unwrap();
    let again = LogEnd::default().link(sealed.iter().map(|sealed| Arc::clone(&sealed.event))).unwrap();
    assert_eq!(sealed, again);
    sealed.len()
}
