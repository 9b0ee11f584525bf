//! How many job life cycles a second the engine carries through on one core, over the memory store.
//!
//! Policies with real slots; each slot becomes a job (pending), is started (in progress) and ends
//! (completed) with a record, its manifest, the settled slot, the policy's state and a sealed event
//! for every change. The driver ends at once, so what is left is Aegis' own bookkeeping.
//!
//! `cargo bench --bench lifecycles --features testing -- [JOBS]`

#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{ClusterOptions, EngineOptions, NewPolicy, Tenant},
    model::{
        BackupKind, Bytes, ClusterName, Consistency, DisplayName, JobStatus, NamespaceName,
        NamespaceSelection, OperationId, Position, ResourceCounts, RetentionRules, Schedule, Seconds, Sizes,
        TenantId, Timestamp,
    },
    seams::{
        BackupDriver, BackupResult, BrowsePage, BrowseRequest, Capabilities, DriverError, EndStatus,
        InventoryPage, InventoryRequest, JobQuery, Observation, Operation, Outcome, RecordQuery,
        RestorePreview, RestoreWork, Scope, Window, Work, WorkResult,
    },
    store::MemoryStore,
    testing::{ManualClock, MemoryObjectStorage},
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

/// Life cycles to run unless the command line says otherwise.
const JOBS: usize = 50_000;
/// Policies that take turns.
const POLICIES: usize = 1_000;
/// What must be reached, per second.
const REQUIRED: f64 = 20_000.0;
/// The period of each policy, in seconds.
const PERIOD: u32 = 60;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let asked = std::env::args().skip(1).find_map(|arg| arg.parse::<NonZeroUsize>().ok());
    let rounds = asked.map_or(JOBS, NonZeroUsize::get).div_ceil(POLICIES);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let per_second = runtime.block_on(run(rounds))?;
    println!("{per_second:.0} job life cycles per second of one core (required: {REQUIRED:.0})");
    // Without optimisation the figure says nothing.
    let optimised = !cfg!(debug_assertions);
    if optimised && per_second < REQUIRED { Err("too slow".into()) } else { Ok(()) }
}

/// What this process has had of its one core, so that others on the machine do not count.
fn core_time() -> Result<Duration, Failure> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(spent.tv_sec)?, u32::try_from(spent.tv_nsec)?))
}

async fn run(rounds: usize) -> Result<f64, Failure> {
    let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
    let aegis = engine(&clock)?;
    let tenant = aegis.default_tenant()?;
    for number in 0..POLICIES {
        tenant.create_policy(policy(number)?).await?;
    }
    aegis.pass().await;
    let start = core_time()?;
    for _ in 0..rounds {
        clock.advance(Duration::from_secs(PERIOD.into()));
        while aegis.pass().await.is_zero() {}
    }
    let took = core_time()?.saturating_sub(start);
    let jobs = rounds * POLICIES;
    check(&tenant, jobs).await?;
    Ok(f64::from(u32::try_from(jobs)?) / took.as_secs_f64())
}

fn engine(clock: &ManualClock) -> Result<Aegis, Failure> {
    let clock: Arc<ManualClock> = Arc::new(clock.clone());
    let storage = MemoryObjectStorage::new("s3://bench/backups/".parse()?, clock.clone());
    let mut options = EngineOptions::default();
    options.max_running_per_location = POLICIES;
    let cluster = ClusterOptions::for_tenants([TenantId::new("default")?]).with_max_running(POLICIES);
    let engine = Aegis::builder()
        .store(Arc::new(MemoryStore::new(clock.clone())))
        .clock(clock)
        .cluster_with("bench", Arc::new(Instantly::new()), cluster)
        .storage(Arc::new(storage))
        .options(options)
        .seed([7; 32])
        .build()?;
    Ok(engine)
}

fn policy(number: usize) -> Result<NewPolicy, Failure> {
    Ok(NewPolicy::new(
        DisplayName::new(format!("policy {number}"))?,
        ClusterName::new("bench")?,
        NamespaceSelection::all(),
        Schedule::Every { period: Seconds::new(PERIOD)? },
        RetentionRules::last(1_000),
    ))
}

/// Every job completed, with a record and a slot, and every change has its sealed event.
async fn check(tenant: &Tenant, jobs: usize) -> Result<(), Failure> {
    let jobs = u64::try_from(jobs)?;
    let counted = Window { limit: 0, offset: 0, after: None, count: true };
    let mut completed = JobQuery::new(Scope::Everyone).with_window(counted);
    completed.statuses = vec![JobStatus::Completed];
    let completed = tenant.jobs(completed).await?.total;
    let records = tenant.record_totals(RecordQuery::new(Scope::Everyone)).await?.count;
    let mut events = 0_u64;
    let mut after = Position::START;
    loop {
        let batch = tenant.events(after, 10_000).await?;
        let Some(last) = batch.last() else { break };
        after = last.position;
        events += u64::try_from(batch.len())?;
    }
    println!("{jobs} jobs, {records} records, {events} sealed events");
    if completed == Some(jobs) && records == jobs && events > 5 * jobs {
        Ok(())
    } else {
        Err(format!("of {jobs} jobs {completed:?} completed").into())
    }
}

/// A driver whose every backup has ended as soon as it was started.
#[derive(Debug)]
struct Instantly {
    capabilities: Capabilities,
    namespaces: Vec<NamespaceName>,
}

impl Instantly {
    fn new() -> Self {
        let namespaces = NamespaceName::new("app").into_iter().collect();
        Self { capabilities: Capabilities::new("instantly", Consistency::InstantSnapshot), namespaces }
    }
}

fn unsupported<T>() -> Result<T, DriverError> {
    Err(DriverError::unsupported("this driver only makes backups"))
}

#[async_trait]
impl BackupDriver for Instantly {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(self.namespaces.clone())
    }

    async fn start(&self, _: &Operation) -> Result<(), DriverError> {
        Ok(())
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        let Work::Backup(work) = &operation.work else { return Ok(Observation::Absent) };
        let result = BackupResult {
            handle: operation.id.to_string(),
            kind: BackupKind::Full,
            consistent_at: Some(operation.started_at),
            sizes: Sizes { logical: Some(Bytes(1 << 20)), stored: Some(Bytes(1 << 19)), added: None },
            counts: ResourceCounts::from_iter([("files", 1)]),
            namespaces: work.namespaces.clone(),
            checksum: None,
            encryption: None,
            locked_until: None,
        };
        Ok(Observation::Ended(Box::new(Outcome {
            status: EndStatus::Completed,
            ended_at: operation.started_at,
            warnings: Vec::new(),
            errors: Vec::new(),
            failure_class: None,
            result: WorkResult::Backup(result),
        })))
    }

    async fn cancel(&self, _: &Operation) -> Result<(), DriverError> {
        unsupported()
    }

    async fn preview(
        &self,
        _: &aegis::model::TenantId,
        _: &RestoreWork,
    ) -> Result<RestorePreview, DriverError> {
        unsupported()
    }

    async fn browse(&self, _: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        unsupported()
    }

    async fn inventory(&self, _: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        unsupported()
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        stream::empty().boxed()
    }
}
