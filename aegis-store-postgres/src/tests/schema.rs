//! The tables have the columns that core derives.

use aegis_core::{
    model::EntityKind,
    seams::{Column, ColumnType},
};
use sqlx::Row;

use super::database::{Database, SCHEMA};

#[tokio::test]
async fn each_kind_has_the_columns_that_core_derives_from_its_documents() {
    let Some(database) = Database::fresh("the schema on PostgreSQL").await else { return };
    let mut connection = database.connect().await;
    for kind in EntityKind::ALL {
        let rows = sqlx::query(
            "select column_name::text, data_type::text from information_schema.columns \
             where table_schema = $1 and table_name = $2 order by column_name collate \"C\"",
        )
        .bind(SCHEMA)
        .bind(kind.as_str())
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let there: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let derived = kind.key_columns().iter().chain(kind.columns());
        let mut wanted: Vec<_> =
            derived.map(|column| (column.name().to_owned(), type_of(*column).to_owned())).collect();
        wanted
            .extend([("version", "bigint"), ("document", "json")].map(|(n, t)| (n.to_owned(), t.to_owned())));
        wanted.sort();
        assert_eq!(there, wanted, "of {kind}");
    }
}

fn type_of(column: Column) -> &'static str {
    match column.value_type() {
        ColumnType::Uuid => "uuid",
        ColumnType::Text => "text",
        ColumnType::Instant => "timestamp with time zone",
        ColumnType::Integer => "bigint",
        ColumnType::Flag => "boolean",
    }
}
