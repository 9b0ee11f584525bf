//! A database for each test, copied from one with the schema in it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use aegis_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The schema that the tests' stores are in; not the usual one, so that a statement which names that
/// one would fail.
pub(crate) const SCHEMA: &str = "aegis \"test\"";

/// A database of a test's own.
pub(crate) struct Database {
    /// Its URL, with a user who may do everything.
    pub(crate) url: String,
}

/// The URL of the server, up to its last slash, or `None` once the skip was said.
pub(crate) fn server(test: &str) -> Option<String> {
    match std::env::var("AEGIS_TEST_POSTGRES") {
        Ok(url) => Some(url),
        Err(_) => {
            aegis_core::testing::skip(
                test,
                "no PostgreSQL server: run bash scripts/test.sh, or set AEGIS_TEST_POSTGRES",
            );
            None
        }
    }
}

impl Database {
    /// A new one with the newest schema, or `None` once the skip was said.
    pub(crate) async fn fresh(test: &str) -> Option<Self> {
        let server = server(test)?;
        let mut admin = connect(&format!("{server}/postgres")).await;
        let template = template(&server, &mut admin).await;
        Some(Self::create(&server, &mut admin, &template).await)
    }

    /// A new one with nothing in it, or `None` once the skip was said.
    pub(crate) async fn empty(test: &str) -> Option<Self> {
        let server = server(test)?;
        let mut admin = connect(&format!("{server}/postgres")).await;
        Some(Self::create(&server, &mut admin, "template0").await)
    }

    async fn create(server: &str, admin: &mut PgConnection, template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        execute(admin, &format!("drop database if exists {name} with (force)")).await;
        execute(admin, &format!("create database {name} template {template}")).await;
        Self { url: format!("{server}/{name}") }
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.url).unwrap().schema(SCHEMA).connections(8)
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::open(self.options()).await.unwrap()
    }

    /// A connection beside the store, with its tables in reach.
    pub(crate) async fn connect(&self) -> PgConnection {
        let mut connection = connect(&self.url).await;
        execute(&mut connection, "set search_path to \"aegis \"\"test\"\"\"").await;
        connection
    }

    /// Makes the database's clock go before the real one by so much.
    pub(crate) async fn shift_clock(&self, by: Duration) {
        let text = format!(
            "create or replace function store_now() returns timestamptz language sql volatile as \
             'select clock_timestamp() + {} * interval ''1 microsecond'''",
            by.as_micros()
        );
        execute(&mut self.connect().await, &text).await;
    }
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

pub(crate) async fn execute(connection: &mut PgConnection, text: &str) {
    sqlx::query(AssertSqlSafe(text.to_owned())).execute(connection).await.unwrap();
}

/// The sessions that stores have with the database, by their process ids.
pub(crate) async fn sessions(connection: &mut PgConnection) -> Vec<i32> {
    let text = "select pid from pg_stat_activity where datname = current_database() \
                and application_name = 'aegis' order by pid";
    sqlx::query_scalar(text).fetch_all(connection).await.unwrap()
}

/// The database that others are copied from, made by whoever needs it first.
async fn template(server: &str, admin: &mut PgConnection) -> String {
    let mut hasher = DefaultHasher::new();
    include_str!("../../migrations/0001_init.sql").hash(&mut hasher);
    include_str!("../../migrations/0002_tally.sql").hash(&mut hasher);
    include_str!("../../migrations/0003_log.sql").hash(&mut hasher);
    include_str!("../../migrations/0004_manual.sql").hash(&mut hasher);
    let name = format!("template_{:x}", hasher.finish());
    execute(admin, "select pg_advisory_lock(4711)").await;
    let known: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(&name)
        .fetch_one(&mut *admin)
        .await
        .unwrap();
    if !known {
        let making = format!("{name}_making");
        execute(admin, &format!("drop database if exists {making} with (force)")).await;
        execute(admin, &format!("create database {making}")).await;
        let options = PostgresOptions::new(&format!("{server}/{making}")).unwrap().schema(SCHEMA);
        PostgresStore::open(options).await.unwrap().close().await;
        execute(admin, &format!("alter database {making} rename to {name}")).await;
    }
    execute(admin, "select pg_advisory_unlock(4711)").await;
    name
}
