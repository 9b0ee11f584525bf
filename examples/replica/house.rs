//! What the replicas share: a database, a directory, and the clusters that all of them serve.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{ClusterOptions, EngineOptions, NewJob, SystemClock},
    model::{ClusterName, NamespaceSelection, TenantId},
    seams::Clock,
    storage::{StorageOptions, open},
    store::{PostgresOptions, PostgresStore},
};

use super::driver::{CountedDriver, Ledger};

/// How many clusters there are: the work of each is done by one replica at a time.
pub(crate) const CLUSTERS: usize = 6;

/// How long others wait for a replica that died; 15 seconds unless said.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Where everything is, and how the work goes.
#[derive(Clone, Debug)]
pub(crate) struct House<'a> {
    /// The database, and the schema in it.
    pub(crate) url: &'a str,
    pub(crate) schema: &'a str,
    /// The directory with the ledger and the storage.
    pub(crate) home: &'a Path,
    /// How long each backup takes.
    pub(crate) takes: Duration,
    /// How many run at a time in each cluster.
    pub(crate) at_a_time: usize,
    /// Told what the driver does.
    pub(crate) tell: fn(&str),
}

impl House<'_> {
    pub(crate) fn ledger(&self, process: &str) -> std::io::Result<Arc<Ledger>> {
        Ledger::open(self.home.join("ledger"), process).map(Arc::new)
    }

    /// An engine of the process that has this ledger.
    pub(crate) async fn engine(&self, ledger: &Arc<Ledger>) -> Result<Aegis, Box<dyn Error>> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let driver = CountedDriver::new(Arc::clone(&clock), Arc::clone(ledger), self.takes, self.tell);
        let driver = Arc::new(driver);
        let database = PostgresOptions::new(self.url)?.schema(self.schema);
        let storage =
            open(&format!("file://{}/backups/", self.home.display()).parse()?, &StorageOptions::default())?;
        let mut builder = Aegis::builder()
            .store(Arc::new(PostgresStore::open(database).await?))
            .clock(clock)
            .storage(storage)
            .options(pace());
        let options =
            ClusterOptions::for_tenants([TenantId::new("default")?]).with_max_running(self.at_a_time);
        for n in 0..CLUSTERS {
            let driver: Arc<CountedDriver> = Arc::clone(&driver);
            builder = builder.cluster_with(cluster(n)?.to_string(), driver, options.clone());
        }
        Ok(builder.build()?)
    }
}

/// How the engines pace themselves: quicker than usual, since all of it is over in a moment.
fn pace() -> EngineOptions {
    let mut options = EngineOptions::default();
    options.lease_ttl = LEASE;
    options.poll_interval = Duration::from_millis(50);
    options.retry_backoff = Duration::from_millis(200);
    options.max_running_per_location = 10_000;
    options
}

/// The cluster that the `n`th job is of.
pub(crate) fn cluster(n: usize) -> Result<ClusterName, Box<dyn Error>> {
    Ok(format!("cluster-{}", n % CLUSTERS).parse()?)
}

/// The `n`th job. It has as many attempts as there may be deaths in its way.
pub(crate) fn job(n: usize) -> Result<NewJob, Box<dyn Error>> {
    let mut job = NewJob::new(format!("job-{n:05}").parse()?, cluster(n)?, NamespaceSelection::all());
    job.max_attempts = std::num::NonZeroU32::new(100).ok_or("no attempts")?;
    Ok(job)
}
