//! What both sides work on: a database with many jobs, and two servers over it.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{Running, SystemClock},
    http::{Access, HttpOptions, Identity, LimitProfile, Metrics, Role, Token, TokenHash, Tokens},
    model::{
        ArtifactName, BackupJob, BackupKind, ClusterName, EventFacts, EventKind, JobStatus, Labels,
        Principal, SealedEvent, Timestamp,
    },
    seams::{
        BackupDriver, BackupWork, Changeset, Clock, Monotonic, Notifier, NotifyError, Operation, Store, Work,
        WorkKind,
    },
    store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
    testing::{MemoryObjectStorage, ScriptedDriver, fixtures},
};
use async_trait::async_trait;
use axum::{Router, serve::ListenerExt};
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    bare::{self, Database},
    client::{METRICS, TOKEN},
    filled::{self, SPAN},
    load::{self, SPACING},
    server, setting,
};

pub(crate) const SCHEMA: &str = "aegis_bench";
/// How many of the policies have a history: slots, jobs, records.
pub(crate) const LIVED: u64 = 100;

/// The database itself, as `load` knows it.
pub(crate) struct Bench {
    pub(crate) bare: PgPool,
}

impl Bench {
    pub(crate) async fn execute(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&self.bare).await.unwrap();
    }
}

/// The machine's clock, set to just after all that is in the database.
#[derive(Debug)]
struct Later(SystemClock);

#[async_trait]
impl Clock for Later {
    fn now(&self) -> Timestamp {
        fixtures::START.saturating_add(SPAN).saturating_add(self.monotonic().elapsed())
    }

    fn monotonic(&self) -> Monotonic {
        self.0.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// The jobs that were put in: so many, the last one just before now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jobs {
    first: u64,
    last: u64,
}

impl Jobs {
    fn new(rows: u64) -> Self {
        let last = u64::try_from(SPAN.as_micros() / SPACING.as_micros()).unwrap();
        Self { first: last - rows, last }
    }

    /// One of them, any.
    pub(crate) fn any(self, number: u64) -> u64 {
        self.first + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (self.last - self.first)
    }

    pub(crate) fn id(number: u64) -> Uuid {
        Uuid::from_u128(number.into())
    }

    pub(crate) fn time(number: u64) -> Timestamp {
        fixtures::START.saturating_add(SPACING * u32::try_from(number).unwrap())
    }
}

/// Two servers over one database.
pub(crate) struct World {
    pub(crate) store: &'static str,
    pub(crate) jobs: Jobs,
    /// The router, with every limit on.
    pub(crate) ours: SocketAddr,
    /// The same without a limit to how often it may be asked, which would refuse the eleventh backup.
    pub(crate) patient: SocketAddr,
    pub(crate) bare: SocketAddr,
    pub(crate) database: Database,
    /// Seals the log as long as it is here.
    _running: Running,
    _own: Option<server::Server>,
    _folder: Option<tempfile::TempDir>,
}

pub(crate) async fn postgres(rows: u64, callers: usize) -> Option<World> {
    let mut own = None;
    let url = match std::env::var("AEGIS_BENCH_POSTGRES") {
        Ok(url) => url,
        Err(_) => {
            let settings = ["max_wal_size=8GB", "shared_buffers=1GB", "maintenance_work_mem=512MB"];
            own.insert(server::Server::start_with("the bench of the API", &settings).await?).url("aegis")
        }
    };
    let connections = u32::try_from(callers).unwrap() + 2;
    let options = PostgresOptions::new(&url).unwrap().schema(SCHEMA).connections(connections);
    let store = Arc::new(PostgresStore::open(options).await.unwrap());
    let pool = pool(&url, connections).await;
    let jobs = Jobs::new(rows);
    let (is_filled,): (bool,) =
        sqlx::query_as("select exists (select from job)").fetch_one(&pool).await.unwrap();
    if !is_filled {
        let bench = Bench { bare: pool.clone() };
        load::jobs(&bench, jobs.first, jobs.last).await;
        fill(&*store).await;
        bench.execute("vacuum analyze").await;
        bench.execute("checkpoint").await;
    }
    Some(serve("PostgreSQL", jobs, store, Database::Postgres(pool), own, None).await)
}

/// Connections like the store's, to the same tables.
async fn pool(url: &str, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
    options
        .after_connect(|connection, _| {
            Box::pin(async move {
                let settings = format!("set search_path to {SCHEMA}; set jit = off");
                sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
            })
        })
        .connect(url)
        .await
        .unwrap()
}

pub(crate) async fn sqlite(rows: u64) -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let store = Arc::new(SqliteStore::open(SqliteOptions::new(&file), clock()).await.unwrap());
    let jobs = Jobs::new(rows);
    put_in(&*store, jobs).await;
    fill(&*store).await;
    let connect = SqliteConnectOptions::new()
        .filename(&file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", "-32768");
    let pool = |connections| SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
    let database = Database::Sqlite {
        readers: pool(4).connect_with(connect.clone().read_only(true)).await.unwrap(),
        writer: pool(1).connect_with(connect).await.unwrap(),
    };
    serve("SQLite", jobs, store, database, None, Some(folder)).await
}

/// The same jobs through the store.
async fn put_in(store: &dyn Store, jobs: Jobs) {
    let numbers: Vec<_> = (jobs.first..jobs.last).collect();
    for some in numbers.chunks(1_000) {
        let id = Jobs::id(some[0]).into();
        let mut changeset = Changeset::new(id, Principal::engine(), fixtures::START);
        for number in some {
            let status = if number % 50 == 7 { JobStatus::Failed } else { JobStatus::Completed };
            let job = BackupJob {
                cluster: ClusterName::new(format!("c{}", number % 20)).unwrap(),
                policy: Some(fixtures::id(number % 1_000 + 1)),
                status,
                created_at: Jobs::time(*number),
                ..fixtures::job(*number)
            };
            changeset.insert(job, EventKind::JobCompleted, EventFacts::default());
        }
        store.commit(changeset).await.unwrap();
    }
}

/// The policies, with what their runs left.
async fn fill(store: &dyn Store) {
    filled::fill(store, setting("AEGIS_BENCH_RUNS", 720), LIVED).await.unwrap();
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(Later(SystemClock::new()))
}

/// The engine that the router is over serves the cluster, and its loops rest, so that nothing changes
/// what is measured; those of another one seal the log and count, as they would.
async fn serve(
    name: &'static str,
    jobs: Jobs,
    store: Arc<dyn Store>,
    database: Database,
    own: Option<server::Server>,
    folder: Option<tempfile::TempDir>,
) -> World {
    let clock = clock();
    let storage = MemoryObjectStorage::new(fixtures::location(), Arc::clone(&clock));
    let engine = Aegis::builder()
        .store(Arc::clone(&store))
        .clock(Arc::clone(&clock))
        .cluster("local", Arc::new(driver(&clock).await))
        .storage(Arc::new(storage))
        .notifier(Arc::new(Receiver))
        .build()
        .unwrap();
    let keeper = Aegis::builder()
        .store(store)
        .clock(Arc::clone(&clock))
        .cluster("idle", Arc::new(ScriptedDriver::new(Arc::clone(&clock))))
        .build()
        .unwrap();
    let running = keeper.start();
    let ours = listen(aegis::http::router(engine.clone(), options(LimitProfile::Interactive))).await;
    let patient = listen(aegis::http::router(engine, options(LimitProfile::Off))).await;
    let bare = listen(bare::router(database.clone(), clock)).await;
    World { store: name, jobs, ours, patient, bare, database, _running: running, _own: own, _folder: folder }
}

/// A driver that has the files of the first record that was put in.
async fn driver(clock: &Arc<dyn Clock>) -> ScriptedDriver {
    let files = (0..5_000).map(|number| (format!("file-{number}"), "a few words"));
    let driver = ScriptedDriver::new(Arc::clone(clock))
        .with_namespace(fixtures::namespace("app"), files)
        .with_duration(WorkKind::Backup, Duration::ZERO);
    let record = fixtures::record(0);
    let operation = Operation {
        id: record.operation,
        tenant: record.tenant,
        cluster: record.cluster,
        name: ArtifactName::try_from(&*record.handle).unwrap(),
        started_at: clock.now(),
        work: Work::Backup(BackupWork {
            namespaces: record.namespaces,
            include_volumes: false,
            location: fixtures::location(),
            kind: BackupKind::Full,
            base: None,
            keep_at_least: Duration::ZERO,
            labels: Labels::default(),
        }),
    };
    driver.start(&operation).await.unwrap();
    driver
}

/// Who is said to have refused events.
#[derive(Debug)]
struct Receiver;

#[async_trait]
impl Notifier for Receiver {
    fn name(&self) -> &str {
        filled::history::RECEIVER
    }

    async fn notify(&self, _: &SealedEvent) -> Result<(), NotifyError> {
        Ok(())
    }
}

/// Everything that a service has on.
fn options(limits: LimitProfile) -> HttpOptions {
    let token = |number: usize| Token {
        hash: TokenHash::of(&if number == 0 { TOKEN.to_owned() } else { format!("{TOKEN}-{number}") }),
        identity: Identity {
            tenant: fixtures::tenant(),
            principal: Principal::new("bench").unwrap(),
            role: Role::Admin,
        },
    };
    let tokens: Tokens = (0..20).map(token).collect();
    let metrics = Metrics::new(String::new).with_token(TokenHash::of(METRICS));
    let options = HttpOptions::default().with_access(Access::Tokens(tokens)).with_metrics(metrics);
    options.with_limits(fixtures::tenant(), limits)
}

async fn listen(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

impl World {
    /// Takes out what was made, and waits until the log is sealed, so that each half begins alike.
    pub(crate) async fn settle(&self) {
        let made = "delete from job where status = 'pending'";
        let unsealed = "select count(*) from event_tail";
        match &self.database {
            Database::Postgres(pool) => {
                sqlx::query(made).execute(pool).await.unwrap();
                until_none(|| sqlx::query_scalar(unsealed).fetch_one(pool)).await;
            }
            Database::Sqlite { writer, .. } => {
                sqlx::query(made).execute(writer).await.unwrap();
                until_none(|| sqlx::query_scalar(unsealed).fetch_one(writer)).await;
            }
        }
    }
}

async fn until_none<F: Future<Output = Result<i64, sqlx::Error>>>(count: impl Fn() -> F) {
    while count().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
