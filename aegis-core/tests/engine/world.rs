//! What the tests are made of.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, AegisBuilder, ClusterOptions, EngineOptions, JobView, NewJob, NewPolicy, Tenant},
    model::{
        ClusterName, DisplayName, JobId, JobStatus, NamespaceName, NamespaceSelection, RetentionRules,
        Schedule, StorageUri, TenantId, Timestamp,
    },
    seams::{BackupDriver, Clock, ObjectStorage, Store},
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver},
};
use aegis_store_memory::MemoryStore;

pub(crate) const START: Timestamp = Timestamp::from_seconds(1_770_393_600);

/// A store, a driver and a storage that outlive engines.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) driver: ScriptedDriver,
    pub(crate) storage: Arc<dyn ObjectStorage>,
}

pub(crate) fn name(text: &str) -> DisplayName {
    DisplayName::new(text).unwrap()
}

pub(crate) fn namespace(text: &str) -> NamespaceName {
    NamespaceName::new(text).unwrap()
}

pub(crate) fn local() -> ClusterName {
    ClusterName::new("local").unwrap()
}

pub(crate) fn location() -> StorageUri {
    "s3://backups/local/".parse().unwrap()
}

pub(crate) fn every(seconds: u32) -> Schedule {
    Schedule::Every { period: aegis_core::model::Seconds::new(seconds).unwrap() }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::starting_at(START);
        let dated: Arc<dyn Clock> = Arc::new(clock.clone());
        let driver = ScriptedDriver::new(Arc::clone(&dated))
            .with_namespace(namespace("app"), [("a.txt", "one"), ("b.txt", "two")])
            .with_namespace(namespace("db"), [("data", "rows")])
            .with_restore_root("/restores");
        Self {
            store: Arc::new(MemoryStore::new(Arc::clone(&dated))),
            storage: Arc::new(MemoryObjectStorage::new(location(), dated)),
            clock,
            driver,
        }
    }

    pub(crate) fn builder(&self) -> AegisBuilder {
        self.builder_over(Arc::new(self.driver.clone()))
    }

    /// The same with another driver.
    pub(crate) fn builder_over(&self, driver: Arc<dyn BackupDriver>) -> AegisBuilder {
        Aegis::builder()
            .store(Arc::clone(&self.store))
            .clock(Arc::new(self.clock.clone()))
            .cluster("local", driver)
            .storage(Arc::clone(&self.storage))
            .options(options())
            .seed([1; 32])
            .holder("one")
    }

    pub(crate) fn engine(&self) -> Aegis {
        self.builder().build().unwrap()
    }

    /// Another engine over the same store, driver and storage.
    pub(crate) fn other_engine(&self) -> Aegis {
        self.builder().seed([2; 32]).holder("two").build().unwrap()
    }

    /// One pass; time goes by only if it waits.
    pub(crate) async fn pass(&self, aegis: &Aegis) -> Duration {
        self.clock.drive(aegis.pass()).await
    }

    /// Passes, and lets time go by in between, for `time`.
    pub(crate) async fn run(&self, aegis: &Aegis, time: Duration) {
        let end = self.clock.monotonic().after(time);
        while self.clock.monotonic() < end {
            let pause = self.pass(aegis).await.max(Duration::from_millis(100));
            let left = end.since(self.clock.monotonic());
            self.clock.advance(pause.min(left));
        }
        self.pass(aegis).await;
    }

    /// Runs until the job has ended; panics if it has not within a day.
    pub(crate) async fn end(&self, aegis: &Aegis, job: JobId) -> JobView {
        for _ in 0..100_000 {
            let pause = self.pass(aegis).await.max(Duration::from_millis(100));
            let view = aegis.default_tenant().unwrap().job(job).await.unwrap();
            if !matches!(view.job.status, JobStatus::Pending | JobStatus::InProgress) {
                return view;
            }
            self.clock.advance(pause);
        }
        panic!("job {job} did not end");
    }

    /// A backup of `app`, carried out.
    pub(crate) async fn backup(&self, aegis: &Aegis) -> JobView {
        let job = tenant(aegis).create_job(new_job("manual")).await.unwrap();
        self.end(aegis, job.job.id).await
    }
}

pub(crate) fn options() -> EngineOptions {
    let mut options = EngineOptions::default();
    options.retry_backoff = Duration::from_secs(10);
    options.sweep_interval = Duration::from_secs(3600);
    options.idle_interval = Duration::from_secs(3600);
    options.poll_interval = Duration::from_secs(10);
    options
}

pub(crate) fn tenant(aegis: &Aegis) -> Tenant {
    aegis.default_tenant().unwrap()
}

pub(crate) fn new_job(what: &str) -> NewJob {
    NewJob::new(name(what), local(), NamespaceSelection::only([namespace("app")]).unwrap())
}

pub(crate) fn new_policy(what: &str, seconds: u32) -> NewPolicy {
    let app = NamespaceSelection::only([namespace("app")]).unwrap();
    NewPolicy::new(name(what), local(), app, every(seconds), RetentionRules::last(3))
}

pub(crate) fn one_at_a_time() -> ClusterOptions {
    ClusterOptions::for_tenants([TenantId::new("default").unwrap()]).with_max_running(1)
}
