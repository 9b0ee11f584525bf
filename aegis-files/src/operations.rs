//! What an operation leaves beside the repository: that it began, and how it ended.
//!
//! `operations/<id>.json` says that work began and has not been seen to end: beside it nothing may
//! be removed from the repository. `outcomes/<id>.json` settles the operation, and is created once:
//! either by the work, right before it writes its snapshot, or by whoever finds the work dead. So
//! an operation that was called lost never counts later.

use std::{collections::BTreeSet, sync::Arc};

use aegis_core::{
    model::{IssueGroup, OperationId, ResourceCounts, Timestamp},
    seams::{DriverError, ListOptions, ObjectKey, ObjectStorage, ObjectStorageError, PutMode, WorkKind},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    lease::{Claim, RepositoryLease},
    repository::{error, object_key},
};

const RUNNING: &str = "operations";
const OUTCOMES: &str = "outcomes";
/// That data is being removed from the repository.
const PRUNING: &str = "locks/pruning";
/// When that was last done.
const PRUNED: &str = "locks/pruned";

/// That work began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Beginning {
    pub(crate) kind: String,
    pub(crate) started_at_micros: i64,
}

/// How a backup ended, beside its snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "settled")]
pub(crate) enum Settled {
    /// It found this, and went on to write its snapshot.
    Made(Made),
    /// It was found dead, and may write none any more.
    Lost,
}

/// What a backup found before it wrote its snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) counts: ResourceCounts,
    pub(crate) errors: Vec<IssueGroup>,
    pub(crate) warnings: Vec<IssueGroup>,
}

/// The operations of one location.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    storage: Arc<dyn ObjectStorage>,
}

impl Operations {
    pub(crate) fn new(storage: Arc<dyn ObjectStorage>) -> Self {
        Self { storage }
    }

    /// Notes that `id` began; `false` if it was noted before.
    pub(crate) async fn begin(
        &self,
        id: OperationId,
        kind: WorkKind,
        started_at_micros: i64,
    ) -> Result<bool, DriverError> {
        let beginning = Beginning { kind: kind.to_string(), started_at_micros };
        self.create(&key(RUNNING, id)?, &beginning).await
    }

    /// Whether `id` began and has not been seen to end.
    pub(crate) async fn has_begun(&self, id: OperationId) -> Result<bool, DriverError> {
        Ok(self.read::<Beginning>(&key(RUNNING, id)?).await?.is_some())
    }

    /// Notes that `id` is over. Idempotent.
    pub(crate) async fn end(&self, id: OperationId) -> Result<(), DriverError> {
        self.remove(&key(RUNNING, id)?).await
    }

    /// Settles `id`; answers how it is settled, which is not `settled` if another was faster.
    pub(crate) async fn settle(&self, id: OperationId, settled: Settled) -> Result<Settled, DriverError> {
        let key = key(OUTCOMES, id)?;
        if self.create(&key, &settled).await? {
            return Ok(settled);
        }
        self.read(&key)
            .await?
            .ok_or_else(|| DriverError::unavailable("the operation's outcome was just removed"))
    }

    /// How `id` was settled, if it was.
    pub(crate) async fn settled(&self, id: OperationId) -> Result<Option<Settled>, DriverError> {
        self.read(&key(OUTCOMES, id)?).await
    }

    /// Forgets how `id` was settled. Idempotent; only once its snapshot is gone.
    pub(crate) async fn forget(&self, id: OperationId) -> Result<(), DriverError> {
        self.remove(&key(OUTCOMES, id)?).await
    }

    /// The backups that began after `since` and have not been seen to end. What began before that
    /// has died unseen: no backup may take so long.
    pub(crate) async fn running_backups(
        &self,
        since: Timestamp,
    ) -> Result<BTreeSet<OperationId>, DriverError> {
        let prefix = object_key(RUNNING)?;
        let mut options = ListOptions { prefix: Some(prefix), ..ListOptions::default() };
        let mut running = BTreeSet::new();
        loop {
            let page = self.storage.list(&options).await;
            let page =
                page.map_err(|cause| error::storage("list the running operations", &Arc::new(cause)))?;
            for object in page.objects {
                let Some(id) = id_of(&object.key) else { continue };
                let beginning = self.read::<Beginning>(&object.key).await?;
                let runs = |beginning: Beginning| {
                    beginning.kind == WorkKind::Backup.to_string()
                        && beginning.started_at_micros > since.as_micros()
                };
                if beginning.is_some_and(runs) {
                    running.insert(id);
                }
            }
            match page.next {
                Some(next) => options.after = Some(next),
                None => return Ok(running),
            }
        }
    }

    /// When `id` was settled, by the storage's clock.
    pub(crate) async fn settled_at(&self, id: OperationId) -> Result<Option<Timestamp>, DriverError> {
        match self.storage.head(&key(OUTCOMES, id)?).await {
            Ok(meta) => Ok(Some(meta.modified_at)),
            Err(ObjectStorageError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(error::storage("look for the operation", &Arc::new(cause))),
        }
    }

    /// Notes that data is being removed. Only under the repository's lease.
    pub(crate) async fn begin_prune(&self, now: Timestamp) -> Result<(), DriverError> {
        self.write(&object_key(PRUNING)?, now).await
    }

    /// Notes that no data is being removed any more. Idempotent; only under the repository's lease.
    pub(crate) async fn end_prune(&self) -> Result<(), DriverError> {
        self.remove(&object_key(PRUNING)?).await
    }

    /// Whether data is being removed. The note of a pruner that died is cleared, once its lease can
    /// be had.
    pub(crate) async fn prune_is_under_way(&self, lease: &RepositoryLease) -> Result<bool, DriverError> {
        if self.read::<i64>(&object_key(PRUNING)?).await?.is_none() {
            return Ok(false);
        }
        let Claim::Held(held) = lease.try_claim().await? else { return Ok(true) };
        let cleared = self.end_prune().await;
        held.release().await?;
        cleared.map(|()| false)
    }

    /// When data was last removed.
    pub(crate) async fn pruned_at(&self) -> Result<Option<Timestamp>, DriverError> {
        Ok(self.read::<i64>(&object_key(PRUNED)?).await?.map(Timestamp::from_micros))
    }

    /// Notes that data was removed at `now`.
    pub(crate) async fn set_pruned(&self, now: Timestamp) -> Result<(), DriverError> {
        self.write(&object_key(PRUNED)?, now).await
    }

    async fn write(&self, key: &ObjectKey, at: Timestamp) -> Result<(), DriverError> {
        let text = Bytes::from(at.as_micros().to_string());
        let written = self.storage.put(key, text, PutMode::Overwrite).await;
        written.map(drop).map_err(|cause| error::storage("note down the removal of data", &Arc::new(cause)))
    }

    async fn create<T: Serialize + Sync>(&self, key: &ObjectKey, value: &T) -> Result<bool, DriverError> {
        let json = serde_json::to_vec(value).map_err(|cause| {
            DriverError::internal(format!("could not write down `{key}`")).with_source(cause)
        })?;
        match self.storage.put(key, Bytes::from(json), PutMode::Create).await {
            Ok(_) => Ok(true),
            Err(ObjectStorageError::AlreadyExists { .. }) => Ok(false),
            Err(cause) => Err(error::storage("note down the operation", &Arc::new(cause))),
        }
    }

    async fn read<T: DeserializeOwned>(&self, key: &ObjectKey) -> Result<Option<T>, DriverError> {
        match self.storage.get(key).await {
            Ok((_, bytes)) => serde_json::from_slice(&bytes).map(Some).map_err(|cause| {
                error::damaged(format!("`{key}` in {} does not parse", self.storage.uri())).with_source(cause)
            }),
            Err(ObjectStorageError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(error::storage("look for the operation", &Arc::new(cause))),
        }
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), DriverError> {
        let removed = self.storage.delete(key).await;
        removed.map_err(|cause| error::storage("note that the operation is over", &Arc::new(cause)))
    }
}

fn key(folder: &str, id: OperationId) -> Result<ObjectKey, DriverError> {
    object_key(&format!("{folder}/{id}.json"))
}

fn id_of(key: &ObjectKey) -> Option<OperationId> {
    key.as_str().rsplit('/').next()?.strip_suffix(".json")?.parse().ok()
}
