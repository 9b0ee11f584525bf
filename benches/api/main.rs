//! The API beside a bare program: the same bytes over the same tables, one after the other, in pairs.
//!
//!     bash scripts/test-servers.sh run cargo bench --all-features --bench api
//!
//! Our side is the whole router, with tokens, limits, validation and a log at `info` that goes nowhere,
//! over an engine whose loops seal the log; the other is axum and sqlx, with a handler for each question
//! and nothing else. Both are asked over real sockets, by the same client, with the same connections.
//!
//! Starts a PostgreSQL server of its own that flushes what it commits; `AEGIS_BENCH_POSTGRES` names
//! another, whose database is filled unless it has jobs already. Sizes, for a quick run:
//! `AEGIS_BENCH_ROWS` (jobs; 1000000, in SQLite a tenth), `AEGIS_BENCH_RUNS` (records of each of the first
//! hundred of 10,000 policies; 720), `AEGIS_BENCH_CALLERS` (connections; 32), `AEGIS_BENCH_PAIRS` (5),
//! `AEGIS_BENCH_SECONDS` (3, for each half of a pair), `AEGIS_BENCH_CALLS` (500, for each endpoint's
//! 99th percentile), `AEGIS_BENCH_STORE` (`postgres` or `sqlite`), `AEGIS_BENCH_ONLY` (`pairs` or
//! `endpoints`). Prints medians over the pairs; the ratio is the median of each pair's own.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench measures real time, and stops where something is wrong"
)]

mod bare;
mod client;
mod endpoints;
#[path = "../filled/mod.rs"]
#[expect(dead_code, reason = "shared by benches")]
mod filled;
#[path = "../../aegis-store-postgres/benches/postgres/load.rs"]
#[expect(dead_code, reason = "shared with the store's bench")]
mod load;
mod pairs;
#[path = "../../aegis-store-postgres/tests/it/server.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod server;
mod world;

use std::time::Duration;

use world::{Bench, SCHEMA, World};

/// How much is measured.
struct Sizes {
    callers: usize,
    pairs: usize,
    stretch: Duration,
    calls: usize,
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn is_asked(what: &str, part: &str) -> bool {
    std::env::var(what).map_or(true, |asked| asked == part)
}

async fn measure(world: &World, sizes: &Sizes) {
    let store = world.store;
    if is_asked("AEGIS_BENCH_ONLY", "pairs") {
        println!("\n| {store}, {} callers | ours | bare | ratio | target |\n|--|--|--|--|--|", sizes.callers);
        pairs::all(world, sizes).await;
    }
    if is_asked("AEGIS_BENCH_ONLY", "endpoints") {
        println!("\n| {store}, one caller | bytes | p50 | p99 | target |\n|--|--|--|--|--|");
        endpoints::all(world, sizes).await;
    }
}

#[tokio::main]
async fn main() {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::sink);
    log.init();
    let sizes = Sizes {
        callers: setting("AEGIS_BENCH_CALLERS", 32),
        pairs: setting("AEGIS_BENCH_PAIRS", 5),
        stretch: Duration::from_secs_f64(setting("AEGIS_BENCH_SECONDS", 3.0)),
        calls: setting("AEGIS_BENCH_CALLS", 500),
    };
    let rows = setting("AEGIS_BENCH_ROWS", 1_000_000);
    if is_asked("AEGIS_BENCH_STORE", "postgres")
        && let Some(world) = world::postgres(rows, sizes.callers).await
    {
        measure(&world, &sizes).await;
    }
    if is_asked("AEGIS_BENCH_STORE", "sqlite") {
        measure(&world::sqlite(rows / 10).await, &sizes).await;
    }
}
