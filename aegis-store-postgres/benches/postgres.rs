//! The store against bare SQL on the same tables, one after the other, in pairs.
//!
//!     AEGIS_BENCH_POSTGRES=postgres://… cargo bench -p aegis-store-postgres [-- PAIRS SECONDS ROWS]
//!
//! Needs a server with `fsync` and `synchronous_commit` on, and a database that may be filled. Prints
//! medians over the pairs (5), of stretches of so many seconds (3) each; lists are measured over so
//! many jobs (100,000).

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures real time, and stops where something is wrong"
)]

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aegis_core::{
    model::{
        BackupJob, BackupRecord, ChangesetId, ClusterName, Entity, EntityKey, EventFacts, EventKind,
        JobStatus, Principal, Timestamp, Version,
    },
    seams::{
        Changeset, Claim, Column, Committed, HolderId, JobQuery, LeaseName, Scope, Store, Value, Window,
    },
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

const SCHEMA: &str = "aegis_bench";

struct Bench {
    store: Arc<PostgresStore>,
    bare: PgPool,
    next: Arc<AtomicU64>,
    pairs: usize,
    stretch: Duration,
}

/// The rows of a job's creation in one statement, without any check.
const CREATE: &str = "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
    inserted as (insert into job (id, version, tenant, cluster, policy, location, status, live, hidden, \
        priority, at, due_at, document) \
        values ($2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::json)) \
    insert into event_tail (tenant, document) values ($3, $14::text::json)";

/// The rows of a job's next state in one statement, with the version and nothing else checked.
const MOVE: &str = "with remembered as (insert into changeset (id, applied_at) values ($1, now())), \
    updated as (update job set version = version + 1, status = $4, document = $5::text::json \
        where id = $2 and version = $6) \
    insert into event_tail (tenant, document) values ($3, $7::text::json)";

fn uuid(entity: &Entity, column: Column) -> Option<Uuid> {
    if let Some(Value::Uuid(id)) = entity.value(column) { Some(id) } else { None }
}

fn text(entity: &Entity, column: Column) -> Option<String> {
    if let Some(Value::Text(text)) = entity.value(column) { Some(text.into_owned()) } else { None }
}

fn flag(entity: &Entity, column: Column) -> Option<bool> {
    if let Some(Value::Flag(flag)) = entity.value(column) { Some(flag) } else { None }
}

fn instant(entity: &Entity, column: Column) -> Option<DateTime<Utc>> {
    if let Some(Value::Instant(at)) = entity.value(column) { Some(at.into()) } else { None }
}

fn changeset() -> Changeset {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = Uuid::from_u64_pair(1, NEXT.fetch_add(1, Ordering::Relaxed));
    Changeset::new(ChangesetId::from_uuid(id), Principal::engine(), fixtures::START)
}

fn job(number: u64) -> BackupJob {
    let cluster = ClusterName::new(format!("c{}", number % 20)).unwrap();
    let created_at = fixtures::START.saturating_add(Duration::from_micros(number * 1_000));
    BackupJob { cluster, created_at, ..fixtures::job(number) }
}

fn creation(number: u64) -> Changeset {
    let mut changeset = changeset();
    changeset.insert(job(number), EventKind::JobCreated, EventFacts::default());
    changeset
}

fn transition(number: u64) -> Changeset {
    let mut changeset = changeset();
    let running = BackupJob { status: JobStatus::InProgress, ..job(number) };
    changeset.update(Version::FIRST, running, EventKind::JobStarted, EventFacts::default());
    changeset
}

async fn create_bare(pool: &PgPool, number: u64) {
    let changeset = creation(number);
    let id = changeset.id.as_uuid();
    let (write, event) = changeset.into_writes().next().unwrap();
    let entity = write.entity();
    sqlx::query(CREATE)
        .bind(id)
        .bind(uuid(entity, Column::Id))
        .bind(text(entity, Column::Tenant))
        .bind(text(entity, Column::Cluster))
        .bind(uuid(entity, Column::Policy))
        .bind(text(entity, Column::Location))
        .bind(text(entity, Column::Status))
        .bind(flag(entity, Column::Live))
        .bind(flag(entity, Column::Hidden))
        .bind(0_i64)
        .bind(instant(entity, Column::At))
        .bind(instant(entity, Column::DueAt))
        .bind(entity.to_document().unwrap())
        .bind(serde_json::to_string(&event).unwrap())
        .execute(pool)
        .await
        .unwrap();
}

async fn move_bare(pool: &PgPool, number: u64) {
    let changeset = transition(number);
    let id = changeset.id.as_uuid();
    let (write, event) = changeset.into_writes().next().unwrap();
    let entity = write.entity();
    sqlx::query(MOVE)
        .bind(id)
        .bind(uuid(entity, Column::Id))
        .bind(text(entity, Column::Tenant))
        .bind(text(entity, Column::Status))
        .bind(entity.to_document().unwrap())
        .bind(1_i64)
        .bind(serde_json::to_string(&event).unwrap())
        .execute(pool)
        .await
        .unwrap();
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Bench {
    /// How often a second `writers` tasks get `work` done, each with numbers of its own.
    async fn rate<F>(&self, writers: u64, work: impl Fn(u64) -> F + Clone + Send + 'static) -> f64
    where
        F: Future<Output = ()> + Send,
    {
        let until = Instant::now() + self.stretch;
        let done = Arc::new(AtomicU64::new(0));
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..writers {
            let (work, next, done) = (work.clone(), Arc::clone(&self.next), Arc::clone(&done));
            tasks.push(tokio::spawn(async move {
                while Instant::now() < until {
                    work(next.fetch_add(1, Ordering::Relaxed)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
    }

    fn print(what: &str, figures: &[(f64, f64)], target: f64) {
        let store = median(figures.iter().map(|(store, _)| *store).collect());
        let bare = median(figures.iter().map(|(_, bare)| *bare).collect());
        let ratio = median(figures.iter().map(|(store, bare)| store / bare).collect());
        println!("| {what} | {store:.0}/s | {bare:.0}/s | {ratio:.2} | {target:.2} |");
    }

    async fn creations(&self, writers: u64) {
        let mut figures = Vec::new();
        for _ in 0..self.pairs {
            let store = Arc::clone(&self.store);
            let through = self
                .rate(writers, move |number| {
                    let store = Arc::clone(&store);
                    async move { assert_eq!(store.commit(creation(number)).await.unwrap(), Committed::Applied) }
                })
                .await;
            let bare = self.bare.clone();
            let beside = self
                .rate(writers, move |number| {
                    let bare = bare.clone();
                    async move { create_bare(&bare, number).await }
                })
                .await;
            figures.push((through, beside));
        }
        Self::print(&format!("create a job, {writers} writers"), &figures, 0.9);
    }

    async fn transitions(&self, writers: u64) {
        let mut figures = Vec::new();
        for _ in 0..self.pairs {
            let first = self.fill(60_000).await;
            self.next.store(first, Ordering::Relaxed);
            let store = Arc::clone(&self.store);
            let through = self
                .rate(writers, move |number| {
                    let store = Arc::clone(&store);
                    async move { assert_eq!(store.commit(transition(number)).await.unwrap(), Committed::Applied) }
                })
                .await;
            let bare = self.bare.clone();
            let beside = self
                .rate(writers, move |number| {
                    let bare = bare.clone();
                    async move { move_bare(&bare, number).await }
                })
                .await;
            self.next.store(first + 60_000, Ordering::Relaxed);
            figures.push((through, beside));
        }
        Self::print(&format!("a job's next state, {writers} writers"), &figures, 0.9);
    }

    /// Inserts so many jobs; answers the first's number.
    async fn fill(&self, jobs: u64) -> u64 {
        let first = self.next.fetch_add(jobs, Ordering::Relaxed);
        for start in (first..first + jobs).step_by(1_000) {
            let mut changeset = changeset();
            for number in start..(start + 1_000).min(first + jobs) {
                changeset.insert(job(number), EventKind::JobCreated, EventFacts::default());
            }
            self.store.commit(changeset).await.unwrap();
        }
        first
    }

    async fn imports(&self) {
        let mut rates = Vec::new();
        for _ in 0..self.pairs {
            let store = Arc::clone(&self.store);
            let rate = self
                .rate(1, move |number| {
                    let store = Arc::clone(&store);
                    async move {
                        let mut changeset = changeset();
                        for n in 0..100 {
                            let id = fixtures::id((1 << 40) + number * 100 + n);
                            let record = BackupRecord { id, ..fixtures::record(1) };
                            changeset.insert(record, EventKind::RecordCreated, EventFacts::default());
                        }
                        store.commit(changeset).await.unwrap();
                    }
                })
                .await;
            rates.push(rate * 100.0);
        }
        println!("| import of records, 100 a call | {:.0} rows/s | not measured | | 0.75 |", median(rates));
    }

    async fn lists(&self) {
        let mut query = JobQuery::new(Scope::Tenant(fixtures::tenant()));
        query.cluster = Some(ClusterName::new("c3").unwrap());
        query.statuses = vec![JobStatus::Pending];
        query.from = Some(Timestamp::UNIX_EPOCH);
        let text = format!(
            "select version, document::text from job where tenant = $1 and cluster = $2 and status = 'pending' \
             and at >= $3 and not hidden order by at desc, id desc limit {}",
            50
        );
        let (mut store, mut bare, mut counted) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..300 {
            let began = Instant::now();
            let page = query.clone().with_window(Window::first(50));
            assert_eq!(self.store.jobs(&page).await.unwrap().items.len(), 50);
            store.push(began.elapsed().as_secs_f64() * 1e3);
            let began = Instant::now();
            let rows = sqlx::query(AssertSqlSafe(text.clone()))
                .bind(fixtures::tenant().as_str().to_owned())
                .bind("c3")
                .bind(DateTime::<Utc>::from(Timestamp::UNIX_EPOCH))
                .fetch_all(&self.bare)
                .await
                .unwrap();
            assert_eq!(rows.len(), 50);
            bare.push(began.elapsed().as_secs_f64() * 1e3);
        }
        for _ in 0..20 {
            let began = Instant::now();
            let page = query.clone().with_window(Window { count: true, ..Window::first(50) });
            assert!(self.store.jobs(&page).await.unwrap().total.is_some());
            counted.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let (store, bare, counted) = (median(store), median(bare), median(counted));
        println!(
            "| list of 50 by cluster, status and time | {store:.3} ms | {bare:.3} ms | {:.2} | 1.15 |",
            store / bare
        );
        println!("| the same with its total | {counted:.3} ms | | +{:.2} ms | +1 ms |", counted - store);
    }

    async fn gets(&self) {
        let first = self.fill(1_000).await;
        let mut figures = Vec::new();
        for _ in 0..self.pairs {
            let store = Arc::clone(&self.store);
            let through = self
                .rate(1, move |number| {
                    let store = Arc::clone(&store);
                    async move {
                        let key = EntityKey::Job(fixtures::id(first + number % 1_000));
                        let scope = Scope::Tenant(fixtures::tenant());
                        assert!(store.get(&scope, &key).await.unwrap().is_some());
                    }
                })
                .await;
            let bare = self.bare.clone();
            let beside = self
                .rate(1, move |number| {
                    let bare = bare.clone();
                    async move {
                        let id: Uuid = fixtures::id(first + number % 1_000);
                        let text = "select version, document::text from job where id = $1 and tenant = $2";
                        let row =
                            sqlx::query(text).bind(id).bind("default").fetch_optional(&bare).await.unwrap();
                        assert!(row.is_some());
                    }
                })
                .await;
            figures.push((through, beside));
        }
        Self::print("get by id", &figures, 0.9);
    }
}

/// Seals for as long as the bench runs; answers how many events were sealed.
async fn seal(store: Arc<PostgresStore>) {
    let me = HolderId("bench".to_owned());
    let ttl = Duration::from_secs(3_600);
    let Claim::Granted(lease) = store.claim(&LeaseName::sealer(), &me, ttl).await.unwrap() else { return };
    loop {
        if store.seal(&lease.fence, 1_000).await.unwrap().count < 1_000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::main]
async fn main() {
    let Ok(url) = std::env::var("AEGIS_BENCH_POSTGRES") else {
        println!("nothing measured: set AEGIS_BENCH_POSTGRES to the URL of a database that may be filled");
        return;
    };
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let number = |place: usize, default: u64| numbers.get(place).copied().unwrap_or(default);
    let options = PostgresOptions::new(&url).unwrap().schema(SCHEMA).connections(33);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    let bare = PgPoolOptions::new()
        .max_connections(32)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let text = format!("set search_path to {SCHEMA}");
                sqlx::query(AssertSqlSafe(text)).execute(connection).await.map(drop)
            })
        })
        .connect(&url)
        .await
        .unwrap();
    for setting in ["fsync", "synchronous_commit"] {
        let value: String =
            sqlx::query_scalar(AssertSqlSafe(format!("show {setting}"))).fetch_one(&bare).await.unwrap();
        println!("{setting} = {value}");
    }
    let bench = Bench {
        store: Arc::clone(&store),
        bare,
        next: Arc::new(AtomicU64::new(1)),
        pairs: usize::try_from(number(0, 5)).unwrap(),
        stretch: Duration::from_secs(number(1, 3)),
    };
    bench.fill(number(2, 100_000)).await;
    sqlx::query("analyze").execute(&bench.bare).await.unwrap();
    tokio::spawn(seal(store));
    println!("| what | store | bare | ratio | target |\n|--|--|--|--|--|");
    for writers in [1, 8, 32] {
        bench.creations(writers).await;
    }
    for writers in [1, 8, 32] {
        bench.transitions(writers).await;
    }
    bench.imports().await;
    bench.gets().await;
    bench.lists().await;
    let left: i64 =
        sqlx::query_scalar("select count(*) from event_tail").fetch_one(&bench.bare).await.unwrap();
    println!("events not sealed at the end: {left}");
}
