//! Every schema that ever was, with data in it, is brought up to date and loses nothing.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::{
        ChainHash, ChangesetId, Entity, EntityKind, EventFacts, EventKind, Position, Principal, TenantId,
    },
    seams::{Changeset, Claim, Column, ColumnType, Fence, HolderId, LeaseName, LogEnd, Scope, Store, Value},
    testing::fixtures,
};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow};

use super::database::{Database, SCHEMA, connect, execute};
use crate::{PostgresStore, log, migrate};

/// What a store of each schema had written: one of every kind at the least, sealed events, a lease. A
/// schema that is released stays here for good.
///
/// What the second added is written by its triggers.
const DATA: &[(i64, &str)] = &[(1, WRITTEN), (2, WRITTEN), (3, WRITTEN), (4, WRITTEN)];
const WRITTEN: &str = include_str!("data_0001.sql");

/// What versions of the first two schemas say that is said otherwise since. The rest of their statements is
/// as it is now, with less in it.
mod before_the_third {
    pub(super) const WRITE: &str = "insert into event_tail (tenant, document) select e.tenant, e.document::json \
        from unnest($1::text[], $2::text[]) with ordinality as e (tenant, document, place) order by e.place";
    pub(super) const BATCH: &str = "select b.seq, b.tenant, b.document::text as document, c.head as chain \
        from (select seq, tenant, document from event_tail order by seq limit $1) as b \
        left join chain as c on c.tenant = coalesce(b.tenant, '') order by b.seq";
}

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

/// The changeset of job `number` and the one after it.
fn pair(number: u64) -> Changeset {
    let id = ChangesetId::from_uuid(uuid::Uuid::from_u128(number.into()));
    let mut changeset = Changeset::new(id, Principal::engine(), fixtures::START);
    for number in [number, number + 1] {
        changeset.insert(fixtures::job(number), EventKind::JobCreated, EventFacts::default());
    }
    changeset
}

/// Writes a changeset's events as a version of an earlier schema does.
async fn write_as_before(connection: &mut PgConnection, changeset: Changeset) {
    let events: Vec<_> = changeset.into_writes().map(|(_, event)| event).collect();
    let tenants: Vec<_> = events.iter().map(|event| event.tenant.as_ref().map(ToString::to_string)).collect();
    let documents: Vec<_> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    let write = sqlx::query(before_the_third::WRITE).bind(tenants).bind(documents);
    write.execute(connection).await.unwrap();
}

/// Seals `limit` events as a version of an earlier schema does.
async fn seal_as_before(connection: &mut PgConnection, fence: &Fence, after: Position, limit: i64) {
    let rows = sqlx::query(before_the_third::BATCH).bind(limit).fetch_all(&mut *connection).await.unwrap();
    let mut end = LogEnd { head: after, ..LogEnd::default() };
    let (mut numbers, mut linked) = (Vec::new(), Vec::new());
    for row in rows {
        let tenant = row.get::<Option<&str>, _>("tenant").map(|tenant| TenantId::new(tenant).unwrap());
        if let Some(head) = row.get::<Option<&[u8]>, _>("chain") {
            end.chains.entry(tenant.clone()).or_insert(ChainHash::from_bytes(head.try_into().unwrap()));
        }
        numbers.push(row.get("seq"));
        linked.push(end.link_document(tenant, row.get::<&str, _>("document").as_bytes()));
    }
    log::append(fence, &numbers, &linked, &end).execute(connection).await.unwrap();
}

#[tokio::test]
async fn replicas_of_earlier_versions_go_on_writing_and_sealing_beside_newer_ones() {
    for (version, data) in DATA.iter().filter(|(version, _)| *version < 3) {
        let Some(database) = old(*version, data).await else { return };
        let mut replica = database.connect().await;
        write_as_before(&mut replica, pair(101)).await;
        let store = database.open().await;
        store.commit(pair(201)).await.unwrap();
        write_as_before(&mut replica, pair(301)).await;
        store.commit(pair(401)).await.unwrap();

        let from = store.head().await.unwrap();
        let sealer = HolderId("the test".to_owned());
        let claimed = store.claim(&LeaseName::figures(), &sealer, Duration::from_secs(60)).await;
        let Claim::Granted(lease) = claimed.unwrap() else { panic!("the lease is free") };
        seal_as_before(&mut replica, &lease.fence, from, 3).await;
        assert_eq!(store.seal(&lease.fence, 1).await.unwrap().count, 1, "the rest of a changeset");
        assert_eq!(store.seal(&lease.fence, 3).await.unwrap().count, 4, "whole changesets");
        let sealed = store.events(&Scope::Everyone, from, 100).await.unwrap();
        let changesets = sealed.iter().map(|sealed| sealed.event.id.changeset.as_uuid().as_u128());
        assert_eq!(
            changesets.collect::<Vec<_>>(),
            [101, 101, 201, 201, 301, 301, 401, 401],
            "schema {version}"
        );
        keeps_its_chains(&store).await;
    }
}
