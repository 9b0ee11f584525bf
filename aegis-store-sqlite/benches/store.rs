//! The store beside bare SQLite: the same tables, the same rows, the same durability, in turns.
//!
//! `cargo bench -p aegis-store-sqlite -- [ROWS]`; 100,000 rows unless told otherwise.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark stops at the first surprise"
)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use aegis_core::{
    model::{
        BackupJob, ChangesetId, Entity, EntityKey, EventFacts, EventKind, JobId, JobStatus, Principal,
        Version,
    },
    seams::{Changeset, Column, JobQuery, Scope, Store, Value, Window},
    testing::{
        ManualClock,
        fixtures::{at, cluster, id, job, tenant},
    },
};
use aegis_store_sqlite::{SqliteOptions, SqliteStore};
use futures::future::join_all;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

const PAIRS: usize = 5;
const WRITERS: u64 = 8;
const JOBS: u64 = 4_000;
const READS: u64 = 1_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000);
    creating().await;
    reading(rows).await;
}

fn made(n: u64) -> BackupJob {
    BackupJob { created_at: at(n), ..job(n) }
}

fn changeset(n: u64) -> Changeset {
    let id = ChangesetId::from_uuid(Uuid::from_u128(n.into()));
    let mut changeset = Changeset::new(id, Principal::engine(), at(n));
    changeset.insert(made(n), EventKind::JobCreated, EventFacts::default());
    changeset
}

async fn open(file: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(file), Arc::new(ManualClock::starting_at(at(0)))).await.unwrap()
}

fn bare(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-32768")
}

/// Runs both in turns and prints the medians; `more_is_better` says what is counted.
fn report(what: &str, unit: &str, mut ours: Vec<f64>, mut theirs: Vec<f64>) {
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let (ours, theirs) = (ours[ours.len() / 2], theirs[theirs.len() / 2]);
    println!("{what:<44} {ours:>10.1} {unit}, bare {theirs:>10.1} {unit}: {:.2}", ours / theirs);
}

async fn creating() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        ours.push(through_the_store().await);
        theirs.push(in_bare_batches().await);
    }
    report("jobs created by 8 writers", "/s", ours, theirs);
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

async fn through_the_store() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("aegis.db")).await);
    let begun = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..JOBS / WRITERS {
                store.commit(changeset(n * WRITERS + writer + 1)).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    rate(JOBS, begun.elapsed())
}

/// One writer that commits eight at a time, row by row with statements that stay prepared.
async fn in_bare_batches() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    open(&file).await.close().await;
    let mut connection = bare(&file).connect().await.unwrap();
    let begun = Instant::now();
    for first in (1..=JOBS).step_by(usize::try_from(WRITERS).unwrap()) {
        let mut transaction = connection.begin_with("begin immediate").await.unwrap();
        for n in first..first + WRITERS {
            insert_bare(&mut transaction, changeset(n)).await;
        }
        transaction.commit().await.unwrap();
    }
    rate(JOBS, begun.elapsed())
}

async fn insert_bare(connection: &mut SqliteConnection, changeset: Changeset) {
    let id = changeset.id.as_uuid();
    sqlx::query("insert into changeset (id, applied_at) values (?, ?)")
        .bind(id)
        .bind(changeset.at.as_micros())
        .execute(&mut *connection)
        .await
        .unwrap();
    for (write, event) in changeset.into_writes() {
        let entity = write.entity();
        let mut insert = sqlx::query(
            "insert into job (id, version, tenant, cluster, policy, location, status, live, hidden, priority, at, \
             due_at, document) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        insert = bind(insert, entity.value(Column::Id)).bind(1i64);
        for column in entity.key().kind().columns() {
            insert = bind(insert, entity.value(*column));
        }
        insert.bind(entity.to_document().unwrap()).execute(&mut *connection).await.unwrap();
        sqlx::query("insert into event_tail (tenant, document) values (?, ?)")
            .bind(event.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()))
            .bind(serde_json::to_string(&event).unwrap())
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, value: Option<Value<'_>>) -> Query<'q> {
    match value {
        None => query.bind(Option::<i64>::None),
        Some(Value::Uuid(id)) => query.bind(id),
        Some(Value::Text(text)) => query.bind(text.into_owned()),
        Some(Value::Instant(at)) => query.bind(at.as_micros()),
        Some(Value::Integer(number)) => query.bind(number),
        Some(Value::Flag(flag)) => query.bind(flag),
    }
}

async fn reading(rows: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let store = open(&file).await;
    for first in (1..=rows).step_by(256) {
        let commits = (first..(first + 256).min(rows + 1)).map(|n| store.commit(changeset(n)));
        for committed in join_all(commits).await {
            committed.unwrap();
        }
    }
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .test_before_acquire(false)
        .connect_with(bare(&file).read_only(true))
        .await
        .unwrap();
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..PAIRS {
        figures[0].push(median(READS, async |n| drop(gotten(&store, n % rows + 1).await)).await);
        figures[1].push(median(READS, async |n| drop(got_bare(&pool, n % rows + 1).await)).await);
        figures[2].push(median(READS, async |n| assert!(listed(&store, n % rows).await <= 50)).await);
        figures[3].push(median(READS, async |n| assert!(listed_bare(&pool, n % rows).await <= 50)).await);
    }
    let [get, bare_get, list, bare_list] = figures;
    report(&format!("p50 of a get by id, {rows} rows"), "us", get, bare_get);
    report(&format!("p50 of a list of 50, {rows} rows"), "us", list, bare_list);
}

/// The median time of many reads, in microseconds.
async fn median(times: u64, read: impl AsyncFn(u64)) -> f64 {
    let mut took = Vec::new();
    for n in 0..times {
        let begun = Instant::now();
        read(n.wrapping_mul(0x9e37_79b9)).await;
        took.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    took[took.len() / 2]
}

async fn gotten(store: &SqliteStore, n: u64) -> (Version, Entity) {
    store.get(&Scope::Tenant(tenant()), &EntityKey::Job(id(n))).await.unwrap().unwrap()
}

async fn got_bare(pool: &SqlitePool, n: u64) -> BackupJob {
    let row = sqlx::query("select version, document from job where id = ? and tenant = ?")
        .bind(id::<JobId>(n).as_uuid())
        .bind(tenant().as_str().to_owned())
        .fetch_one(pool)
        .await
        .unwrap();
    serde_json::from_str(row.get(1)).unwrap()
}

async fn listed(store: &SqliteStore, before: u64) -> usize {
    let mut query = JobQuery::new(Scope::Tenant(tenant())).with_window(Window::first(50));
    query.cluster = Some(cluster());
    query.statuses = vec![JobStatus::Pending];
    query.to = Some(at(before));
    store.jobs(&query).await.unwrap().items.len()
}

async fn listed_bare(pool: &SqlitePool, before: u64) -> usize {
    let rows = sqlx::query(
        "select version, document from job where tenant = ? and cluster = ? and status = 'pending' and hidden = 0 \
         and at < ? order by at desc, id desc limit 50",
    )
    .bind(tenant().as_str().to_owned())
    .bind(cluster().as_str().to_owned())
    .bind(at(before).as_micros())
    .fetch_all(pool)
    .await
    .unwrap();
    rows.iter().map(|row| serde_json::from_str(row.get(1)).unwrap()).collect::<Vec<BackupJob>>().len()
}
