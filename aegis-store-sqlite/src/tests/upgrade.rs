//! Every schema that ever was, with data in it, is brought up to date and loses nothing; one that is
//! newer than ours is left alone.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    model::{Entity, EntityKind, Position},
    seams::{Column, ColumnType, ErrorClass, LogEnd, Scope, Store, Value},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use tempfile::TempDir;
use uuid::Uuid;

use super::{connect, open};
use crate::{
    OpenError, SqliteStore,
    migrate::{VERSIONS, migrate},
    sql::Sql,
};

/// What a store of each schema had written: one of every kind at the least, sealed events, a lease. A
/// schema that is released stays here for good.
///
/// What the second added is written by its triggers.
const DATA: &[(i64, &str)] = &[(1, WRITTEN), (2, WRITTEN), (3, WRITTEN), (4, WRITTEN)];
const WRITTEN: &str = include_str!("data_0001.sql");

async fn execute(connection: &mut SqliteConnection, text: &str) {
    Sql::new(text).query().execute(connection).await.unwrap();
}

/// A file with the schema `version` and data in it.
async fn write_old(file: &Path, version: i64, data: &str) {
    let mut connection = connect(file).await;
    let earlier: Vec<_> = VERSIONS.iter().filter(|(number, ..)| *number <= version).copied().collect();
    migrate(&mut connection, &earlier, file).await.unwrap();
    for row in data.lines() {
        execute(&mut connection, row).await;
    }
    sqlx::Connection::close(connection).await.unwrap();
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    (folder, file)
}

#[test]
fn every_schema_has_its_data_here() {
    let known: Vec<_> = DATA.iter().map(|(version, _)| *version).collect();
    assert_eq!(known, VERSIONS.iter().map(|(version, ..)| *version).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_earlier_schema_is_brought_up_to_date_and_keeps_its_data() {
    for (version, data) in DATA {
        let (_folder, file) = place();
        write_old(&file, *version, data).await;
        let store = open(&file).await.unwrap();
        let written = |table: &str| {
            data.lines().filter(|row| row.starts_with(&format!("INSERT INTO {table} "))).count()
        };
        assert_eq!(keeps_its_chains(&store).await, written("event"), "schema {version}");
        assert!(!store.tenants().await.unwrap().is_empty());
        store.close().await;
        let mut connection = connect(&file).await;
        for kind in EntityKind::ALL {
            let kept = keeps_documents_and_columns(&mut connection, *kind).await;
            assert_eq!(kept, written(kind.as_str()), "{kind} of schema {version}");
        }
    }
}

/// Reads every entity of a kind back and compares its columns with what core says of it; how many.
async fn keeps_documents_and_columns(connection: &mut SqliteConnection, kind: EntityKind) -> usize {
    let rows = Sql::new(format!("select * from {kind}")).query().fetch_all(connection).await.unwrap();
    assert!(!rows.is_empty(), "no {kind}: the data leaves it out");
    for row in &rows {
        let entity = Entity::from_document(kind, row.get("document")).unwrap();
        for column in kind.key_columns().iter().chain(kind.columns()) {
            let derived = entity.value(*column);
            assert_eq!(value(row, *column), derived, "{column} of {:?}", entity.key());
        }
    }
    rows.len()
}

fn value(row: &SqliteRow, column: Column) -> Option<Value<'_>> {
    let name = column.name();
    match column.value_type() {
        ColumnType::Uuid => row.get::<Option<Uuid>, _>(name).map(Value::Uuid),
        ColumnType::Text => row.get::<Option<&str>, _>(name).map(|text| Value::Text(text.into())),
        ColumnType::Instant => {
            let micros = row.get::<Option<i64>, _>(name);
            micros.map(|at| Value::Instant(aegis_core::model::Timestamp::from_micros(at)))
        }
        ColumnType::Integer => row.get::<Option<i64>, _>(name).map(Value::Integer),
        ColumnType::Flag => row.get::<Option<bool>, _>(name).map(Value::Flag),
    }
}

/// Links every event again and compares; how many there are.
async fn keeps_its_chains(store: &SqliteStore) -> usize {
    let sealed = store.events(&Scope::Everyone, Position::START, usize::MAX).await.unwrap();
    let again = LogEnd::default().link(sealed.iter().map(|sealed| Arc::clone(&sealed.event))).unwrap();
    assert_eq!(sealed, again);
    sealed.len()
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (_folder, file) = place();
    open(&file).await.unwrap().close().await;
    let known = VERSIONS.iter().map(|(version, ..)| *version).max().unwrap();
    let mut connection = connect(&file).await;
    execute(
        &mut connection,
        &format!(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values ({}, 'of tomorrow', 1, x'00', 0)",
            known + 1
        ),
    )
    .await;
    sqlx::Connection::close(connection).await.unwrap();
    let before = std::fs::read(&file).unwrap();
    let Err(refused) = open(&file).await else { panic!("it was opened") };
    assert!(
        matches!(refused, OpenError::Newer { found, known: ours, .. } if (found, ours) == (known + 1, known))
    );
    assert_eq!(refused.class(), ErrorClass::Unsupported);
    let said = refused.to_string();
    assert!(
        said.contains(&format!("schema version {}", known + 1)) && said.contains("run the newer Aegis again"),
        "{said}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before, "nothing was changed");
}
