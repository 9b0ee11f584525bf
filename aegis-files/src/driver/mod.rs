//! The driver: what is asked of it, checked, and handed to blocking threads.

mod config;
mod find;
mod jobs;
mod run;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use aegis_core::{
    model::{NamespaceName, OperationId, RestoreTarget, StorageUri, TenantId},
    seams::{
        BackupDriver, BackupWork, BrowsePage, BrowseRequest, Capabilities, CleanUpWork, Clock, DriverError,
        InventoryPage, InventoryRequest, Observation, Operation, RestorePreview, RestorePurpose, RestoreWork,
        VerifyWork, Work,
    },
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::{runtime::Handle, sync::broadcast};

use crate::{
    browse, clean_up::Territory, control::Stop, fileset::FileSet, inventory, operations::Operations, prune,
    prune::Pruned, repository::Location, restore::target,
};
use config::ConfiguredStorage;
pub use config::FilesDriverBuilder;
use jobs::Jobs;

/// How many hints may wait for a slow listener before it loses the oldest.
const HINTS: usize = 256;

/// Backs up directories and files into restic repositories, and restores them.
///
/// Work runs on the blocking threads of the tokio runtime in which it was started, and dies with
/// the process; what a backup left is found again by its operation's id. `Clone`s are handles to
/// the same driver.
#[derive(Clone, Debug)]
pub struct FilesDriver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    namespaces: BTreeMap<NamespaceName, FileSet>,
    storages: Vec<ConfiguredStorage>,
    restore_roots: Vec<PathBuf>,
    scratch: PathBuf,
    never: Arc<[PathBuf]>,
    longest_job: Duration,
    jobs: Jobs,
    hints: broadcast::Sender<OperationId>,
}

/// What an [`Inner`] is made of.
struct Parts {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    namespaces: BTreeMap<NamespaceName, FileSet>,
    storages: Vec<ConfiguredStorage>,
    restore_roots: Vec<PathBuf>,
    scratch: PathBuf,
    never: Arc<[PathBuf]>,
    longest_job: Duration,
}

impl FilesDriver {
    /// Starts to make a driver that tells time by `clock`.
    pub fn builder(clock: Arc<dyn Clock>) -> FilesDriverBuilder {
        FilesDriverBuilder::new(clock)
    }

    /// Removes from the repository in `location` what no record needs any more.
    ///
    /// Done by itself after deletions, at most once an hour. In two phases: what is needed no more
    /// is marked, and removed by a prune that comes later than the longest permitted job and a day.
    /// Safe beside backups of any process that works through this driver; idempotent. Not cancel
    /// safe: dropped, it goes on in the background.
    ///
    /// # Errors
    /// `InvalidInput` for a location that is not configured, and those of opening the repository.
    pub async fn prune(&self, location: &StorageUri) -> Result<Pruned, DriverError> {
        let (location, longest) = (self.0.location(location)?, self.0.longest_job);
        blocking(location, move |location| prune::prune(location, longest, &Arc::default())).await
    }

    /// Where `namespace` lies if it was restored to `target`.
    pub(crate) fn territories(
        &self,
        namespace: &NamespaceName,
        target: &RestoreTarget,
    ) -> Result<Vec<Territory>, DriverError> {
        let mapping = BTreeMap::from([(namespace.clone(), target.clone())]);
        target::territories(std::slice::from_ref(namespace), &mapping, self.0.allowed())
    }
}

impl Inner {
    fn new(parts: Parts) -> Self {
        let Parts { capabilities, clock, namespaces, storages, restore_roots, scratch, never, longest_job } =
            parts;
        let hints = broadcast::Sender::new(HINTS);
        Self {
            capabilities,
            clock,
            namespaces,
            storages,
            restore_roots,
            scratch,
            never,
            longest_job,
            jobs: Jobs::default(),
            hints,
        }
    }

    /// The configured location `uri`, for use from the current runtime.
    fn location(&self, uri: &StorageUri) -> Result<Location, DriverError> {
        let found = self.storages.iter().find(|known| known.storage.uri() == uri);
        let Some(known) = found else {
            let names: Vec<_> = self.storages.iter().map(|known| known.storage.uri().to_string()).collect();
            return Err(DriverError::invalid_input(format!("the storage location {uri} is not configured"))
                .with_suggestion(format!("use one of: {}", names.join(", "))));
        };
        let runtime = Handle::try_current().map_err(|cause| {
            DriverError::internal("the files driver was called outside of a tokio runtime").with_source(cause)
        })?;
        Ok(Location {
            storage: Arc::clone(&known.storage),
            password: known.password.clone(),
            clock: Arc::clone(&self.clock),
            runtime,
            lease: Arc::clone(&known.lease),
            longest_job: self.longest_job,
        })
    }

    /// The sets of these namespaces.
    fn sets(&self, names: &[NamespaceName]) -> Result<Vec<(NamespaceName, FileSet)>, DriverError> {
        let set = |name: &NamespaceName| match self.namespaces.get(name) {
            Some(set) => Ok((name.clone(), set.clone())),
            None => {
                let known: Vec<_> = self.namespaces.keys().map(NamespaceName::as_str).collect();
                Err(DriverError::not_found(format!("there is no namespace `{name}`"))
                    .with_suggestion(format!("use one of: {}", known.join(", "))))
            }
        };
        names.iter().map(set).collect()
    }

    /// Refuses what can be seen to be wrong before it starts; answers where it works.
    fn check(&self, work: &Work) -> Result<Location, DriverError> {
        match work {
            Work::Backup(BackupWork { namespaces, location, kind, .. }) => {
                if !self.capabilities.kinds.contains(kind) {
                    return Err(DriverError::unsupported(format!(
                        "the files driver makes no {kind} backups"
                    )));
                }
                for (name, set) in self.sets(namespaces)? {
                    check_paths(&name, &set)?;
                }
                self.location(location)
            }
            Work::Restore(work) => {
                self.check_targets(work)?;
                self.location(&work.record.location)
            }
            Work::Verify(VerifyWork { record, level }) => {
                if !self.capabilities.verification.contains(level) {
                    return Err(DriverError::unsupported(format!(
                        "the files driver can't verify to {level}"
                    ))
                    .with_suggestion("verify to L4 or below"));
                }
                self.location(&record.location)
            }
            Work::Delete(work) => self.location(&work.record.location),
            Work::CleanUp(CleanUpWork { restore, work }) => {
                if work.purpose != RestorePurpose::Trial {
                    let error = format!("what `{restore}` restored is there to stay, and is not removed");
                    return Err(DriverError::invalid_input(error).with_suggestion("remove it by hand"));
                }
                if self.jobs.get(*restore).is_some_and(|job| job.is_running()) {
                    let error = format!("the restore `{restore}` still runs");
                    return Err(
                        DriverError::unavailable(error).with_suggestion("cancel it, or wait for its end")
                    );
                }
                self.check_targets(work)?;
                self.location(&work.record.location)
            }
        }
    }

    /// Refuses targets that no record could be restored to.
    fn check_targets(&self, work: &RestoreWork) -> Result<(), DriverError> {
        for name in &work.namespaces {
            match work.options.mapping.get(name) {
                None => drop(self.sets(std::slice::from_ref(name))?),
                Some(RestoreTarget::Namespace(other)) => drop(self.sets(std::slice::from_ref(other))?),
                Some(RestoreTarget::Path(path)) => {
                    target::below_a_root(path.as_ref(), &self.restore_roots)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that a backup begins; `false` if it is not to run here: it began before, elsewhere.
    async fn begin(&self, operation: &Operation, location: &Location) -> Result<bool, DriverError> {
        let operations = Operations::new(Arc::clone(&location.storage));
        let (kind, at) = (operation.work.kind(), operation.started_at.as_micros());
        match &operation.work {
            Work::Backup(_) => {
                if operations.settled(operation.id).await?.is_some()
                    || !operations.begin(operation.id, kind, at).await?
                {
                    return Ok(false);
                }
                // Written before the look, as the pruner does: one of the two sees the other.
                if operations.prune_is_under_way(&location.lease).await? {
                    operations.end(operation.id).await?;
                    let error =
                        format!("data that is needed no more is being removed from {}", location.uri());
                    return Err(
                        DriverError::unavailable(error).with_suggestion("it will not take long; try again")
                    );
                }
                Ok(true)
            }
            Work::Restore(_) => {
                // A location that may only be read is still good for restoring from.
                let begun = async {
                    let settled = operations.settled(operation.id).await?.is_some();
                    Ok::<_, DriverError>(!settled && operations.begin(operation.id, kind, at).await?)
                };
                Ok(begun.await.unwrap_or_else(|error| {
                    tracing::debug!(operation = %operation.id, %error, "could not note that the restore begins");
                    true
                }))
            }
            Work::Verify(_) | Work::Delete(_) | Work::CleanUp(_) => Ok(true),
        }
    }
}

fn check_paths(name: &NamespaceName, set: &FileSet) -> Result<(), DriverError> {
    for path in set.paths() {
        let wrong = match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => {
                let error =
                    format!("the namespace `{name}` names {}, which is a symbolic link", path.display());
                DriverError::invalid_input(error).with_suggestion("name what the link points to")
            }
            Ok(_) => continue,
            Err(cause) => {
                crate::repository::error::io(&format!("find the namespace `{name}` at"), path, cause)
            }
        };
        return Err(wrong);
    }
    Ok(())
}

/// Runs blocking work on the current runtime.
async fn blocking<T: Send + 'static>(
    location: Location,
    work: impl FnOnce(&Location) -> Result<T, Stop> + Send + 'static,
) -> Result<T, DriverError> {
    let runtime = location.runtime.clone();
    let done = runtime.spawn_blocking(move || work(&location)).await;
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Stop::Failed(error))) => Err(error),
        Ok(Err(Stop::Cancelled)) => Err(DriverError::unavailable("it was cancelled")),
        Err(cause) => {
            let error =
                DriverError::internal("the repository's engine broke off: what it read made no sense to it");
            Err(error
                .with_suggestion("check the repository with `restic check --read-data`")
                .with_source(cause))
        }
    }
}

#[async_trait]
impl BackupDriver for FilesDriver {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError> {
        Ok(self.0.namespaces.keys().cloned().collect())
    }

    async fn start(&self, operation: &Operation) -> Result<(), DriverError> {
        let inner = Arc::clone(&self.0);
        let location = inner.check(&operation.work)?;
        let id = operation.id;
        let Some(job) = inner.jobs.take_on(id, inner.clock.monotonic()) else { return Ok(()) };
        let operation = operation.clone();
        let runtime = location.runtime.clone();
        // What was taken on is begun or dropped again, even if nobody waits for it any more.
        let begun = runtime.clone().spawn(async move {
            let begun = inner.begin(&operation, &location).await;
            if !matches!(begun, Ok(true)) {
                inner.jobs.drop_again(id);
                return begun.map(drop);
            }
            drop(runtime.spawn_blocking(move || {
                let end = inner.run(&operation, &location, &job.control);
                inner.jobs.end(id, &job, end);
                // Nobody may be listening.
                let _ = inner.hints.send(id);
            }));
            Ok(())
        });
        begun.await.map_err(|cause| DriverError::internal("could not start the work").with_source(cause))?
    }

    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError> {
        match self.0.jobs.get(operation.id) {
            Some(job) => Ok(job.observation(self.0.clock.monotonic())),
            None => self.0.find(operation).await,
        }
    }

    async fn cancel(&self, operation: &Operation) -> Result<(), DriverError> {
        if let Some(job) = self.0.jobs.get(operation.id) {
            job.control.cancel();
        }
        Ok(())
    }

    async fn preview(
        &self,
        _tenant: &TenantId,
        restore: &RestoreWork,
    ) -> Result<RestorePreview, DriverError> {
        self.0.check_targets(restore)?;
        let (inner, work) = (Arc::clone(&self.0), restore.clone());
        let location = inner.location(&restore.record.location)?;
        blocking(location, move |location| inner.preview_blocking(location, &work)).await
    }

    async fn browse(&self, request: &BrowseRequest) -> Result<BrowsePage, DriverError> {
        let request = request.clone();
        let location = self.0.location(&request.record.location)?;
        blocking(location, move |location| browse::browse(location, &request)).await
    }

    async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryPage, DriverError> {
        let request = request.clone();
        let location = self.0.location(&request.location)?;
        blocking(location, move |location| inventory::inventory(location, &request)).await
    }

    fn hints(&self) -> BoxStream<'static, OperationId> {
        let listener = self.0.hints.subscribe();
        Box::pin(futures::stream::unfold(listener, |mut listener| async {
            loop {
                match listener.recv().await {
                    Ok(id) => return Some((id, listener)),
                    // Hints that were lost are no loss.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        }))
    }
}
