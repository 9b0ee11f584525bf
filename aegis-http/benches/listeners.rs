//! How soon those who listen hear of what happens: 1,000 WebSockets while 200 jobs a second change
//! state, everything in one process, over real sockets.
//!
//! Each frame counts by its oldest event: the time from the instant that the event was committed at
//! to the instant at which the listener has read the frame.
//!
//! `cargo bench -p aegis-http --bench listeners -- [SECONDS]`

#![expect(clippy::disallowed_methods, reason = "it measures the machine's own time")]
#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ClusterOptions, NewJob, SystemClock, Tenant},
    model::{ClusterName, JobId, NamespaceSelection, TenantId, Timestamp},
    seams::{Clock, WorkKind},
    testing::{MemoryObjectStorage, ScriptedDriver},
};
use aegis_http::HttpOptions;
use aegis_store_memory::MemoryStore;
use futures::StreamExt;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

const LISTENERS: usize = 1_000;
/// Changes of a job's state in a second.
const RATE: u32 = 200;
/// What nobody may wait longer for, in 99 of 100 cases.
const REQUIRED: Duration = Duration::from_millis(250);
const CLUSTER: &str = "local";

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let seconds = std::env::args().skip(1).find_map(|arg| arg.parse::<u32>().ok()).unwrap_or(20);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = engine(&clock)?;
    let running = engine.start();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = aegis_http::router(engine.clone(), HttpOptions::default());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await });
    let mut ears = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(u64::from(seconds) + 5);
    for _ in 0..LISTENERS {
        let stream = TcpStream::connect(address).await?;
        let (socket, _) = client_async(format!("ws://{address}/api/v1/events"), stream).await?;
        ears.spawn(listen(socket, clock.clone(), end));
    }
    let changes = change(&engine.default_tenant()?, seconds).await?;
    let mut heard = Vec::new();
    let mut events = 0;
    while let Some(ear) = ears.join_next().await {
        let ear = ear?;
        events += ear.events;
        heard.extend(ear.waited);
    }
    running.shutdown().await;
    heard.sort_unstable();
    let at = |percent: usize| heard.get((heard.len() * percent / 100).min(heard.len().saturating_sub(1)));
    let p99 = at(99).copied().ok_or("nothing was heard")?;
    println!(
        "{LISTENERS} listeners, {changes} changes of jobs in {seconds} s: {events} events in {} frames; \
         waited p50 {:?}, p99 {p99:?}, at most {:?} (required: p99 {REQUIRED:?})",
        heard.len(),
        at(50),
        heard.last(),
    );
    if p99 > REQUIRED { Err("too slow".into()) } else { Ok(()) }
}

fn engine(clock: &Arc<dyn Clock>) -> Result<Aegis, Failure> {
    let driver = ScriptedDriver::new(clock.clone())
        .with_namespace("app".parse()?, [("file", "contents")])
        .with_duration(WorkKind::Backup, Duration::from_secs(3600));
    let cluster = ClusterOptions::for_tenants([TenantId::new("default")?]);
    let storage = MemoryObjectStorage::new("s3://backups/".parse()?, clock.clone());
    Ok(Aegis::builder()
        .store(Arc::new(MemoryStore::new(clock.clone())))
        .clock(clock.clone())
        .cluster_with(CLUSTER, Arc::new(driver), cluster)
        .storage(Arc::new(storage))
        .build()?)
}

/// Makes jobs and cancels them: each is a change of a job's state, with its event.
async fn change(tenant: &Tenant, seconds: u32) -> Result<u32, Failure> {
    let cluster: ClusterName = CLUSTER.parse()?;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut made: Option<JobId> = None;
    for number in 0..RATE * seconds {
        pace.tick().await;
        match made.take() {
            Some(job) => tenant.cancel_job(job).await.map(drop)?,
            None => {
                let name = format!("job-{number}").parse()?;
                let new = NewJob::new(name, cluster.clone(), NamespaceSelection::all());
                made = Some(tenant.create_job(new).await?.job.id);
            }
        }
    }
    Ok(RATE * seconds)
}

#[derive(Default)]
struct Heard {
    events: usize,
    waited: Vec<Duration>,
}

/// Listens to the end. Reads as little as a listener can: parsing is not what is measured.
async fn listen(mut socket: WebSocketStream<TcpStream>, clock: Arc<dyn Clock>, end: Instant) -> Heard {
    let mut heard = Heard::default();
    while let Ok(Some(Ok(message))) = tokio::time::timeout_at(end, socket.next()).await {
        let Message::Text(text) = message else { continue };
        let Some((_, rest)) = text.split_once("\"at\":\"") else { continue };
        let Some((at, _)) = rest.split_once('"') else { continue };
        let Ok(at) = at.parse::<Timestamp>() else { continue };
        heard.waited.push(clock.now().since(at));
        heard.events += text.matches("\"position\":").count();
    }
    heard
}
