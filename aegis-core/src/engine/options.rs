//! What an embedder can set.

use std::time::Duration;

use crate::{
    model::{ApprovalRule, TenantId},
    rules::retention::SWEEP_INTERVAL,
};

/// How the engine paces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How long a lease lasts without being renewed: how long others wait for a replica that died.
    pub lease_ttl: Duration,
    /// How often running work is looked at, where no hint comes before.
    pub poll_interval: Duration,
    /// How long the loops sleep at most when nothing is due.
    pub idle_interval: Duration,
    /// How often progress is noted at most, per operation.
    pub progress_interval: Duration,
    /// How long after a lost attempt the next one starts; doubles with each, up to an hour.
    pub retry_backoff: Duration,
    /// How many backups run into one storage location at a time, as far as this engine knows.
    pub max_running_per_location: usize,
    /// How often retention looks at records when nothing else makes it.
    pub sweep_interval: Duration,
    /// How often the heads of the event log's chains are anchored in storage, if they have moved: how
    /// much of the log's end could be cut off unseen.
    pub anchor_interval: Duration,
    /// How long events are kept in the log; for good unless this says otherwise. What is older is let go
    /// once an hour, as far as everyone who reads the log for the engine has come, and is written down in
    /// each storage location first, so that [`verify_log`](super::Aegis::verify_log) can tell. Without a
    /// location nothing is let go.
    pub keep_events: Option<Duration>,
    /// How often it is looked which namespaces a cluster has.
    pub discovery_interval: Duration,
    /// How long a namespace that nobody protects is called new after it appeared.
    pub coverage_grace: Duration,
    /// How long a verification may run.
    pub verification_timeout: Duration,
    /// How long a recovery execution may run.
    pub execution_timeout: Duration,
    /// How long a DR test may run, its checks included.
    pub dr_test_timeout: Duration,
    /// How long shutdown waits for what is under way in a pass.
    pub drain_timeout: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            poll_interval: Duration::from_secs(2),
            idle_interval: Duration::from_secs(10),
            progress_interval: Duration::from_secs(5),
            retry_backoff: Duration::from_secs(30),
            max_running_per_location: 8,
            sweep_interval: SWEEP_INTERVAL,
            anchor_interval: Duration::from_secs(3600),
            keep_events: None,
            discovery_interval: Duration::from_secs(60),
            coverage_grace: Duration::from_secs(24 * 3600),
            verification_timeout: Duration::from_secs(24 * 3600),
            execution_timeout: Duration::from_secs(24 * 3600),
            dr_test_timeout: Duration::from_secs(24 * 3600),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// What an embedder can say of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// Whose it is; at least one tenant.
    pub tenants: Vec<TenantId>,
    /// How many backups of it run at a time.
    pub max_running: usize,
    /// How long a restore of what a policy of it protects is assumed to take, for where nothing was
    /// measured. It never shows that an RTO is met.
    pub assumed_restore_time: Option<Duration>,
}

impl ClusterOptions {
    /// A cluster of these tenants.
    #[must_use]
    pub fn for_tenants(tenants: impl IntoIterator<Item = TenantId>) -> Self {
        Self { tenants: tenants.into_iter().collect(), max_running: 4, assumed_restore_time: None }
    }

    /// With this many backups at a time.
    #[must_use]
    pub const fn with_max_running(mut self, max_running: usize) -> Self {
        self.max_running = max_running;
        self
    }

    /// With this time for a restore where nothing was measured.
    #[must_use]
    pub const fn with_assumed_restore_time(mut self, assumed: Duration) -> Self {
        self.assumed_restore_time = Some(assumed);
        self
    }
}

/// What an embedder can say of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantOptions {
    /// How many people must approve a recovery plan.
    pub approval: ApprovalRule,
    /// What its people need to notice a disaster and to decide on a restore: part of every estimate
    /// of a recovery time.
    pub decision_time: Duration,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self { approval: ApprovalRule::None, decision_time: Duration::ZERO }
    }
}

impl TenantOptions {
    /// With this rule of approval.
    #[must_use]
    pub const fn with_approval(mut self, approval: ApprovalRule) -> Self {
        self.approval = approval;
        self
    }

    /// With this time to notice a disaster and to decide on a restore.
    #[must_use]
    pub const fn with_decision_time(mut self, decision_time: Duration) -> Self {
        self.decision_time = decision_time;
        self
    }
}
