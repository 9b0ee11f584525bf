//! The schema says what core says.

use aegis_core::{
    model::{CheckStatus, EntityKind, ExecutionStatus, JobStatus, PlanStatus, RecordState},
    seams::{Column, ColumnType},
};
use sqlx::{Row, SqliteConnection};

use super::{connect, open};
use crate::sql::Sql;

/// A connection to a new store's file.
async fn new(folder: &tempfile::TempDir) -> SqliteConnection {
    let file = folder.path().join("aegis.db");
    open(&file).await.unwrap().close().await;
    connect(&file).await
}

/// The states that core knows of a kind's machine.
fn states(kind: EntityKind) -> Vec<&'static str> {
    match kind {
        EntityKind::Job => JobStatus::ALL.iter().map(|status| status.as_str()).collect(),
        EntityKind::Record => RecordState::ALL.iter().map(|state| state.as_str()).collect(),
        EntityKind::Plan => PlanStatus::ALL.iter().map(|status| status.as_str()).collect(),
        EntityKind::Execution => ExecutionStatus::ALL.iter().map(|status| status.as_str()).collect(),
        EntityKind::Verification | EntityKind::DrTest => {
            CheckStatus::ALL.iter().map(|status| status.as_str()).collect()
        }
        EntityKind::Policy
        | EntityKind::PolicyState
        | EntityKind::Slot
        | EntityKind::RetentionRun
        | EntityKind::ClusterState
        | EntityKind::Reservation => Vec::new(),
    }
}

#[tokio::test]
async fn each_status_is_checked_against_the_states_of_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = new(&folder).await;
    for kind in EntityKind::ALL {
        let mut sql = Sql::new("select sql from sqlite_schema where type = 'table' and name = ");
        sql.bind(kind.as_str());
        let text: String = sql.query().fetch_one(&mut connection).await.unwrap().get(0);
        let list = text.split_once("(status in (").map_or("", |(_, rest)| rest.split_once(')').unwrap().0);
        let checked: Vec<_> = list
            .split(", ")
            .map(|label| label.trim_matches('\''))
            .filter(|label| !label.is_empty())
            .collect();
        assert_eq!(checked, states(*kind), "of {kind}");
        assert_eq!(kind.columns().contains(&Column::Status), !checked.is_empty(), "of {kind}");
    }
}

#[tokio::test]
async fn each_kind_has_the_columns_that_core_derives_from_its_documents() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = new(&folder).await;
    for kind in EntityKind::ALL {
        let mut sql = Sql::new("select name, type from pragma_table_info(");
        sql.bind(kind.as_str()).push(") order by name");
        let rows = sql.query().fetch_all(&mut connection).await.unwrap();
        let there: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let derived = kind.key_columns().iter().chain(kind.columns());
        let mut wanted: Vec<_> =
            derived.map(|column| (column.name().to_owned(), affinity(*column).to_owned())).collect();
        wanted.extend([
            ("version".to_owned(), "INTEGER".to_owned()),
            ("document".to_owned(), "TEXT".to_owned()),
        ]);
        wanted.sort();
        assert_eq!(there, wanted, "of {kind}");
    }
}

fn affinity(column: Column) -> &'static str {
    match column.value_type() {
        ColumnType::Uuid => "BLOB",
        ColumnType::Text => "TEXT",
        ColumnType::Instant | ColumnType::Integer | ColumnType::Flag => "INTEGER",
    }
}
