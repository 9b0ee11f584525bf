//! Backup jobs, as people ask for them.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use futures::future;

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{Decider, job_facts},
    },
    model::{
        BackupJob, BackupKind, ClusterName, DisplayName, EntityKey, EventKind, JobId, JobStatus, Labels,
        NamespaceSelection, Policy, PolicyId, StorageUri, Version, Versioned,
    },
    seams::{Changeset, Conflict, Feature, JobOrder, JobQuery, ProgressReport, StoreExt, Turn, Window},
};

/// How long a manual backup is kept at the least unless it says otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(720 * 3600);

/// A backup job to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewJob {
    /// What people call it.
    pub name: DisplayName,
    /// What is backed up.
    pub cluster: ClusterName,
    /// Which namespaces of it.
    pub namespaces: NamespaceSelection,
    /// Whether volumes are wanted, for drivers that have them.
    pub include_volumes: bool,
    /// Where the data goes; the tenant's only location if not given.
    pub location: Option<StorageUri>,
    /// How long it is kept at the least; 720 hours unless given.
    pub ttl: Duration,
    /// Labels, passed on to the record.
    pub labels: Labels,
    /// What kind of backup.
    pub kind: BackupKind,
    /// Higher goes first.
    pub priority: i32,
    /// How long an attempt may run.
    pub timeout: Duration,
    /// How many attempts it may have.
    pub max_attempts: NonZeroU32,
}

impl NewJob {
    /// A full backup with defaults for the rest.
    #[must_use]
    pub fn new(name: DisplayName, cluster: ClusterName, namespaces: NamespaceSelection) -> Self {
        Self {
            name,
            cluster,
            namespaces,
            include_volumes: true,
            location: None,
            ttl: DEFAULT_TTL,
            labels: Labels::default(),
            kind: BackupKind::Full,
            priority: 0,
            timeout: Policy::DEFAULT_TIMEOUT,
            max_attempts: Policy::DEFAULT_MAX_ATTEMPTS,
        }
    }

    /// Into this location.
    #[must_use]
    pub fn with_location(mut self, location: StorageUri) -> Self {
        self.location = Some(location);
        self
    }

    /// Of this kind.
    #[must_use]
    pub const fn with_kind(mut self, kind: BackupKind) -> Self {
        self.kind = kind;
        self
    }
}

/// A job with what is known of it beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// The job.
    pub job: Versioned<BackupJob>,
    /// How far its open attempt is, as last seen.
    pub progress: Option<ProgressReport>,
    /// How many of the tenant's jobs for its cluster are started before it, while it waits.
    pub queue_position: Option<u64>,
}

impl Tenant {
    /// Makes a backup job; it starts as soon as the limits permit.
    ///
    /// # Errors
    /// `InvalidInput` (an unknown cluster or location, with the known ones), `Unsupported` (a kind
    /// that the cluster's driver can't make).
    pub async fn create_job(&self, new: NewJob) -> Result<JobView, EngineError> {
        let served = self.core.cluster_of(&self.tenant, &new.cluster)?;
        let capabilities = served.driver.capabilities();
        if !capabilities.kinds.contains(&new.kind) {
            let (driver, kind) = (capabilities.driver, new.kind);
            return Err(EngineError::Unsupported(format!("the {driver} driver makes no {kind} backups")));
        }
        let location = self.location(new.location)?;
        let (changeset, job) = {
            let decider = self.decider();
            let mut changeset = self.changeset(&decider);
            let id: JobId = decider.ids.mint(decider.now);
            let job = BackupJob {
                id,
                tenant: self.tenant.clone(),
                name: new.name,
                cluster: new.cluster.clone(),
                namespaces: new.namespaces,
                include_volumes: new.include_volumes,
                location,
                ttl: Some(new.ttl),
                labels: new.labels,
                kind: new.kind,
                priority: new.priority,
                policy: None,
                slot: None,
                status: JobStatus::Pending,
                attempts: Vec::new(),
                max_attempts: new.max_attempts,
                timeout: new.timeout,
                retry_at: None,
                created_by: self.principal.clone(),
                created_at: decider.now,
                started_at: None,
                completed_at: None,
                cancel_requested_at: None,
                late_operation: None,
                result: None,
                failure: None,
                warnings: Vec::new(),
                errors: Vec::new(),
                hidden: false,
            };
            let facts = job_facts(&job);
            let job = Arc::new(job);
            changeset.insert(Arc::clone(&job), EventKind::JobCreated, facts);
            self.take_key(&mut changeset, EntityKey::Job(id));
            (changeset, Versioned { version: Version::FIRST, value: job })
        };
        self.commit_new(changeset).await?;
        let queue_position = self.queue_position(&job).await.map_err(EngineError::after_change)?;
        Ok(JobView { job, progress: None, queue_position })
    }

    /// Runs a policy now, whatever its schedule says: the one thing that fires at once.
    ///
    /// # Errors
    /// `NotFound`; `VersionConflict` if it is not at [`if_version`](Self::if_version).
    pub async fn run_policy(&self, policy: PolicyId) -> Result<JobView, EngineError> {
        let policy = self.find::<Policy>(policy).await?;
        self.check_version(&policy)?;
        let (changeset, id) = {
            let decider = self.decider();
            let mut changeset = self.changeset(&decider);
            let id: JobId = decider.ids.mint(decider.now);
            let mut job = decider.policy_job(&policy, id, None);
            job.created_by = self.principal.clone();
            let facts = job_facts(&job);
            changeset.insert(job, EventKind::JobCreated, facts);
            if self.if_version.is_some() {
                changeset.expect_unchanged(EntityKey::Policy(policy.id), policy.version);
            }
            self.take_key(&mut changeset, EntityKey::Job(id));
            (changeset, id)
        };
        match self.commit(changeset).await? {
            None => {}
            Some(Conflict::Changed { .. }) => return Err(EngineError::VersionConflict { what: "policy" }),
            Some(conflict) => return Err(unexpected(&conflict)),
        }
        self.job(id).await.map_err(EngineError::after_change)
    }

    pub(super) async fn commit_new(&self, changeset: Changeset) -> Result<(), EngineError> {
        match self.commit(changeset).await? {
            None => Ok(()),
            Some(conflict) => Err(unexpected(&conflict)),
        }
    }

    /// One job, hidden ones left out.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, id: JobId) -> Result<JobView, EngineError> {
        let job = self.find::<BackupJob>(id).await?;
        if job.hidden {
            return Err(EngineError::not_found("job", id));
        }
        let progress = match job.open_attempt().map(|attempt| attempt.operation) {
            Some(operation) => self.core.store.progress(&[operation]).await?.remove(&operation),
            None => None,
        };
        let queue_position = self.queue_position(&job).await?;
        Ok(JobView { job, progress, queue_position })
    }

    async fn queue_position(&self, job: &BackupJob) -> Result<Option<u64>, EngineError> {
        if job.status != JobStatus::Pending {
            return Ok(None);
        }
        let mut query = JobQuery::new(self.scope());
        query.cluster = Some(job.cluster.clone());
        query.statuses = vec![JobStatus::Pending];
        query.hidden = true;
        query.order = JobOrder::Dispatch;
        query.before = Some(Turn::from(job));
        query.window = Window { limit: 0, count: true, ..Window::ALL };
        Ok(self.core.store.jobs(&query).await?.total)
    }

    /// Jobs that match; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn jobs(&self, mut query: JobQuery) -> Result<Listing<Versioned<BackupJob>>, EngineError> {
        query.scope = self.scope();
        let page = self.core.store.jobs(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// The jobs with these ids, hidden ones, too; what is no job of the tenant is left out.
    ///
    /// # Errors
    /// As every call.
    pub async fn jobs_by_id(
        &self,
        ids: &[JobId],
    ) -> Result<HashMap<JobId, Versioned<BackupJob>>, EngineError> {
        let scope = self.scope();
        let reads = ids.iter().map(|id| self.core.store.find::<BackupJob>(&scope, *id));
        let found = future::try_join_all(reads).await?;
        Ok(found.into_iter().flatten().map(|job| (job.id, job)).collect())
    }

    /// What deleting a job means: a waiting one is cancelled, a running one is asked to end, an
    /// ended one is hidden while its record, slots, counts and events stay. Idempotent.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` if it runs and its driver can't cancel.
    pub async fn delete_job(&self, id: JobId) -> Result<(), EngineError> {
        self.change::<BackupJob>(id, |decider, job, mut changeset| {
            if job.hidden {
                return Err(EngineError::not_found("job", id));
            }
            match job.status {
                JobStatus::Pending | JobStatus::InProgress => self.ask_to_end(decider, job, changeset),
                JobStatus::Cancelled => Ok(changeset),
                JobStatus::Completed | JobStatus::PartiallyFailed | JobStatus::Failed => {
                    let mut next = BackupJob::clone(job);
                    next.hidden = true;
                    changeset.update(job.version, next, EventKind::JobHidden, job_facts(job));
                    Ok(changeset)
                }
            }
        })
        .await?;
        Ok(())
    }

    /// Cancels a waiting job, or notes for good that a running one is to end: it ends as cancelled
    /// when its driver says so, or as what it really became. Idempotent.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if it has ended; `Unsupported` if it runs and its driver
    /// can't cancel.
    pub async fn cancel_job(&self, id: JobId) -> Result<JobView, EngineError> {
        self.change::<BackupJob>(id, |decider, job, changeset| self.ask_to_end(decider, job, changeset))
            .await?;
        self.job(id).await.map_err(EngineError::after_change)
    }

    fn ask_to_end(
        &self,
        decider: &Decider<'_>,
        job: &Versioned<BackupJob>,
        changeset: Changeset,
    ) -> Result<Changeset, EngineError> {
        if job.status == JobStatus::InProgress
            && let Some(served) = self.core.clusters.get(&job.cluster)
            && !served.driver.capabilities().has(Feature::CancelBackup)
        {
            let driver = served.driver.capabilities().driver;
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver can't cancel a running backup"
            )));
        }
        if job.cancel_requested_at.is_some() {
            return Ok(changeset);
        }
        Ok(decider.cancel_job(job, changeset)?)
    }
}

fn unexpected(conflict: &Conflict) -> EngineError {
    EngineError::Internal(format!("a new entity met a conflict: {conflict}"))
}
