//! The store against bare SQL over the same tables, one after the other, in pairs.
//!
//!     bash scripts/test-servers.sh run cargo bench -p aegis-store-postgres
//!
//! Starts a server of its own that flushes what it commits; `AEGIS_BENCH_POSTGRES` names another, whose
//! database may be filled. Sizes, for a quick run: `AEGIS_BENCH_ROWS` (jobs to read over, rising:
//! `10000,1000000,10000000`), `AEGIS_BENCH_PAIRS` (5), `AEGIS_BENCH_SECONDS` (3, for each half of a pair
//! that measures a rate), `AEGIS_BENCH_ONLY` (`writes`, `reads` or `due`). Prints the medians over the pairs;
//! the ratio is the median of each pair's own.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::future_not_send,
    clippy::disallowed_methods,
    reason = "a bench measures real time, and stops where something is wrong"
)]

mod bare;
mod due;
mod load;
mod reads;
#[path = "../../tests/it/server.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod server;
mod writes;

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use aegis_core::{
    model::{ChangesetId, Principal},
    seams::{Changeset, Claim, HolderId, LeaseName, Store},
    testing::fixtures,
};
use aegis_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

const SCHEMA: &str = "aegis_bench";

struct Bench {
    store: Arc<PostgresStore>,
    bare: PgPool,
    /// The number of the next thing to make.
    next: Cell<u64>,
    pairs: usize,
    stretch: Duration,
}

/// The id of a changeset, each time another.
fn fresh() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u64_pair(1, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn changeset() -> Changeset {
    Changeset::new(ChangesetId::from_uuid(fresh()), Principal::engine(), fixtures::START)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How long it takes, in milliseconds.
async fn timed(work: impl AsyncFn()) -> f64 {
    let began = Instant::now();
    work().await;
    began.elapsed().as_secs_f64() * 1e3
}

impl Bench {
    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// How often a second `writers` at once get `work` done, each time with a number of its own.
    async fn rate(&self, writers: usize, work: impl AsyncFn(u64)) -> f64 {
        let (began, done) = (Instant::now(), Cell::new(0_u64));
        let writer = async || {
            while began.elapsed() < self.stretch {
                work(self.number()).await;
                done.set(done.get() + 1);
            }
        };
        futures::future::join_all((0..writers).map(|_| writer())).await;
        done.get() as f64 / began.elapsed().as_secs_f64()
    }

    /// Rates of the store and beside it, where more is better.
    async fn rates(
        &self,
        what: &str,
        target: f64,
        writers: usize,
        store: impl AsyncFn(u64),
        bare: impl AsyncFn(u64),
    ) {
        let mut figures = Vec::new();
        for _ in 0..self.pairs {
            figures.push((self.rate(writers, &store).await, self.rate(writers, &bare).await));
        }
        print(what, "/s", &figures, &format!(">= {target:.2}"));
    }

    /// Times of the store and beside it, where less is better: medians of so many turns for each pair.
    async fn times(
        &self,
        what: &str,
        target: f64,
        turns: usize,
        store: impl AsyncFn(),
        bare: impl AsyncFn(),
    ) {
        let mut figures = Vec::new();
        for _ in 0..self.pairs {
            let (mut through, mut beside) = (Vec::new(), Vec::new());
            for _ in 0..turns {
                through.push(timed(&store).await);
                beside.push(timed(&bare).await);
            }
            figures.push((median(through), median(beside)));
        }
        print(what, " ms", &figures, &format!("<= {target:.2}"));
    }

    async fn execute(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&self.bare).await.unwrap();
    }

    async fn count(&self, what: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {what}")))
            .fetch_one(&self.bare)
            .await
            .unwrap()
    }
}

fn print(what: &str, unit: &str, figures: &[(f64, f64)], target: &str) {
    let store = median(figures.iter().map(|(store, _)| *store).collect());
    let bare = median(figures.iter().map(|(_, bare)| *bare).collect());
    let ratio = median(figures.iter().map(|(store, bare)| store / bare).collect());
    let digits = if store < 100.0 { 3 } else { 0 };
    println!("| {what} | {store:.digits$}{unit} | {bare:.digits$}{unit} | {ratio:.2} | {target} |");
}

/// Seals for as long as the bench runs, as the engine does.
async fn seal(store: Arc<PostgresStore>) {
    let me = HolderId("bench".to_owned());
    let Claim::Granted(lease) =
        store.claim(&LeaseName::sealer(), &me, Duration::from_secs(36_000)).await.unwrap()
    else {
        return;
    };
    loop {
        if store.seal(&lease.fence, 1_000).await.unwrap().count < 1_000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Connections like the store's, to the same tables.
async fn pool(url: &str) -> PgPool {
    let options = PgPoolOptions::new().max_connections(34).test_before_acquire(false);
    options
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(format!("set search_path to {SCHEMA}; set jit = off")))
                    .execute(connection)
                    .await
                    .map(drop)
            })
        })
        .connect(url)
        .await
        .unwrap()
}

/// That what is committed is on the disk, else nothing is worth comparing.
async fn must_flush(bare: &PgPool) {
    for name in ["fsync", "synchronous_commit"] {
        let value: String =
            sqlx::query_scalar(AssertSqlSafe(format!("show {name}"))).fetch_one(bare).await.unwrap();
        assert_eq!(value, "on", "{name}");
    }
}

#[tokio::main]
async fn main() {
    let mut own = None;
    let url = match std::env::var("AEGIS_BENCH_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let settings = ["max_wal_size=8GB", "shared_buffers=1GB", "maintenance_work_mem=512MB"];
            let Some(server) = server::Server::start_with("the bench of PostgreSQL", &settings).await else {
                return;
            };
            own.insert(server).url("aegis")
        }
    };
    let options = PostgresOptions::new(&url).unwrap().schema(SCHEMA).connections(34);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    let bench = Bench {
        store: Arc::clone(&store),
        bare: pool(&url).await,
        next: Cell::new(1 << 40),
        pairs: setting("AEGIS_BENCH_PAIRS", 5),
        stretch: Duration::from_secs_f64(setting("AEGIS_BENCH_SECONDS", 3.0)),
    };
    must_flush(&bench.bare).await;
    let sealing = tokio::spawn(seal(store));
    let only = setting("AEGIS_BENCH_ONLY", String::new());
    let asked = |part: &str| only.is_empty() || only == part;
    println!("| what | store | bare | ratio | target |\n|--|--|--|--|--|");
    if asked("writes") {
        writes::all(&bench).await;
        println!("events that are not sealed after the writes: {}", bench.count("event_tail").await);
    }
    if asked("due") {
        due::all(&bench).await;
    }
    if asked("reads") {
        reads::all(&bench, &setting("AEGIS_BENCH_ROWS", "10000,1000000,10000000".to_owned())).await;
    }
    sealing.abort();
    drop(own);
}
