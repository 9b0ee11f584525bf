//! Anchors: the heads of the event log's chains, written down in object storage.
//!
//! An anchor lies at `<location>/metadata/aegis-log/<log>/<chain>/<position>-<hash>.json`. `metadata`
//! is a name that Velero permits at the top of its locations; any other would make them unavailable.
//! The log is named by the changeset of its first event, so that the log of a rebuilt catalogue is
//! told from the one that was lost. A chain is `tenant-<id>` or `nobody`.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Core,
    held::{HeldLease, Hold},
};
use crate::{
    engine::EngineError,
    model::{Anchor, ChainHash, Position, StorageUri, TenantId},
    rules::{LogFinding, superfluous_anchors},
    seams::{
        LeaseName, ListOptions, Monotonic, ObjectKey, ObjectMeta, ObjectStorage, ObjectStorageError, PutMode,
        ReaderStep, Scope, Store, report,
    },
};

/// Where anchors lie below a location.
const FOLDER: &str = "metadata/aegis-log";
/// How many events one read takes.
const BATCH: usize = 1000;
/// How many anchors are read at a time.
const AT_ONCE: usize = 8;

/// Writes the anchors of one location's tenants now and then, under a lease of its own.
#[derive(Debug)]
pub(crate) struct Anchorer {
    lease: HeldLease,
    storage: Arc<dyn ObjectStorage>,
    tenants: Vec<TenantId>,
    anchored_at: Option<Monotonic>,
}

impl Anchorer {
    pub(crate) fn new(storage: Arc<dyn ObjectStorage>, tenants: Vec<TenantId>) -> Self {
        let lease = HeldLease::new(LeaseName::anchors(storage.uri()));
        Self { lease, storage, tenants, anchored_at: None }
    }

    /// Anchors what was sealed since the last time, if that is long enough ago.
    ///
    /// What is written down was sealed, and is true whoever writes it: an anchor that a crash left
    /// without a note of it is written again, under the same key.
    pub(crate) async fn pass(&mut self, core: &Core) -> Result<(), EngineError> {
        let now = core.clock.monotonic();
        if self.anchored_at.is_some_and(|at| now.since(at) < core.options.anchor_interval) {
            return Ok(());
        }
        let Hold::Ours(_) = self.lease.ensure(core).await? else { return Ok(()) };
        let name = reader_of(self.storage.uri());
        let from = core.store.reader_position(&name).await?;
        let (to, heads) = self.heads_after(core, from).await?;
        if to == from {
            return Ok(());
        }
        let Some(log) = name_of_log(&*core.store, &*self.storage).await? else {
            return Err(EngineError::Internal("the event log has events and no name".to_owned()));
        };
        let at = core.clock.now();
        for (tenant, (position, hash)) in heads {
            self.write(&log, &Anchor { tenant, position, hash, at }).await?;
        }
        core.store.advance_reader(ReaderStep::new(name, from, to)).await?;
        self.anchored_at = Some(now);
        Ok(())
    }

    pub(crate) async fn close(&mut self, core: &Core) {
        self.lease.release(core).await;
    }

    /// The newest event after a position, and the heads of the chains that have grown since.
    async fn heads_after(
        &mut self,
        core: &Core,
        from: Position,
    ) -> Result<(Position, BTreeMap<Option<TenantId>, (Position, ChainHash)>), EngineError> {
        let mut heads = BTreeMap::new();
        let mut at = core.store.log_start().await?.position.max(from);
        loop {
            let events = core.store.events(&Scope::Everyone, at, BATCH).await?;
            let Some(last) = events.last() else { return Ok((at, heads)) };
            at = last.position;
            for sealed in events {
                let tenant = &sealed.event.tenant;
                if tenant.as_ref().is_none_or(|tenant| self.tenants.contains(tenant)) {
                    heads.insert(tenant.clone(), (sealed.position, sealed.hash));
                }
            }
            self.lease.ensure(core).await?;
        }
    }

    /// Writes an anchor, never over another, and lets older ones go.
    async fn write(&self, log: &str, anchor: &Anchor) -> Result<(), EngineError> {
        let json = serde_json::to_vec(anchor).map_err(|error| EngineError::Internal(error.to_string()))?;
        match self.storage.put(&key_of(log, anchor)?, json.into(), PutMode::Create).await {
            Ok(_) | Err(ObjectStorageError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let written = list(&*self.storage, &folder_of(log, Some(anchor.tenant.as_ref()))?).await?;
        let times: Vec<_> = written.iter().map(|object| object.modified_at).collect();
        for place in superfluous_anchors(&times) {
            let Some(object) = written.get(place) else { continue };
            // One that is locked stays: there may be more of them than needed, never fewer.
            if let Err(error) = self.storage.delete(&object.key).await {
                tracing::debug!(key = %object.key, error = %report(&error), "an old anchor stays");
            }
        }
        Ok(())
    }
}

/// The name of a location's anchorer as a reader of the log.
pub(super) fn reader_of(location: &StorageUri) -> String {
    format!("anchors/{location}")
}

/// The folder of a log, or of one of its chains.
fn folder_of(log: &str, chain: Option<Option<&TenantId>>) -> Result<ObjectKey, EngineError> {
    let folder = match chain {
        None => format!("{FOLDER}/{log}"),
        Some(None) => format!("{FOLDER}/{log}/nobody"),
        Some(Some(tenant)) => format!("{FOLDER}/{log}/tenant-{tenant}"),
    };
    ObjectKey::new(folder).map_err(|error| EngineError::Internal(error.to_string()))
}

fn key_of(log: &str, anchor: &Anchor) -> Result<ObjectKey, EngineError> {
    let folder = folder_of(log, Some(anchor.tenant.as_ref()))?;
    ObjectKey::new(format!("{folder}/{:020}-{}.json", anchor.position.0, anchor.hash))
        .map_err(|error| EngineError::Internal(error.to_string()))
}

/// Every object in a folder, in the order of their keys.
pub(super) async fn list(
    storage: &dyn ObjectStorage,
    folder: &ObjectKey,
) -> Result<Vec<ObjectMeta>, ObjectStorageError> {
    let mut options = ListOptions { prefix: Some(folder.clone()), ..ListOptions::default() };
    let mut objects = Vec::new();
    loop {
        let page = storage.list(&options).await?;
        objects.extend(page.objects);
        match page.next {
            Some(next) => options.after = Some(next),
            None => return Ok(objects),
        }
    }
}

/// The logs that are anchored in a location.
async fn logs(storage: &dyn ObjectStorage) -> Result<Vec<String>, EngineError> {
    let folder = ObjectKey::new(FOLDER).map_err(|error| EngineError::Internal(error.to_string()))?;
    Ok(storage.folders(Some(&folder)).await?)
}

/// Under which name the store's log is anchored: by its first event, or, where there is none to
/// read, the only name that lies in the location.
async fn name_of_log(store: &dyn Store, storage: &dyn ObjectStorage) -> Result<Option<String>, EngineError> {
    let first = match store.log_start().await?.log {
        Some(log) => Some(log),
        None => {
            store.events(&Scope::Everyone, Position::START, 1).await?.first().map(|it| it.event.id.changeset)
        }
    };
    if let Some(first) = first {
        return Ok(Some(first.to_string()));
    }
    let mut names = logs(storage).await?.into_iter();
    let only = names.next();
    Ok(only.filter(|_| names.next().is_none()))
}

/// The anchors of a log in one location, of one chain or of all, and what is wrong with them. What
/// can't be read is a finding: it is never passed over.
pub(super) async fn read_anchors(
    store: &dyn Store,
    storage: &dyn ObjectStorage,
    chain: Option<&TenantId>,
) -> Result<(Vec<Anchor>, Vec<LogFinding>), EngineError> {
    let unreadable = |key: &str, error: &EngineError| LogFinding::AnchorUnreadable {
        location: storage.uri().clone(),
        key: key.to_owned(),
        reason: report(error).to_string(),
    };
    let listed = async {
        let own = name_of_log(store, storage).await?;
        let mut objects = Vec::new();
        let mut others = Vec::new();
        for log in logs(storage).await? {
            let found = list(storage, &folder_of(&log, chain.map(Some))?).await?;
            if Some(&log) == own.as_ref() {
                objects = found;
            } else if !found.is_empty() {
                let folder = folder_of(&log, None)?.to_string();
                others.push(LogFinding::AnotherLog { location: storage.uri().clone(), folder });
            }
        }
        Ok((own, objects, others))
    };
    let (own, objects, mut findings) = match listed.await {
        Ok(listed) => listed,
        Err(error @ EngineError::Store(_)) => return Err(error),
        Err(error) => return Ok((Vec::new(), vec![unreadable(FOLDER, &error)])),
    };
    let log = own.unwrap_or_default();
    let read = stream::iter(objects)
        .map(|object| {
            let log = &log;
            async move {
                let anchor = read_anchor(storage, log, &object.key).await;
                Ok::<_, EngineError>((object.key, anchor))
            }
        })
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    let mut anchors = Vec::new();
    for (key, anchor) in read {
        match anchor {
            Ok(Some(anchor)) => anchors.push(anchor),
            Ok(None) => {}
            Err(error) => findings.push(unreadable(key.as_str(), &error)),
        }
    }
    Ok((anchors, findings))
}

/// One anchor; `None` if it was let go meanwhile.
async fn read_anchor(
    storage: &dyn ObjectStorage,
    log: &str,
    key: &ObjectKey,
) -> Result<Option<Anchor>, EngineError> {
    let bytes = match storage.get(key).await {
        Ok((_, bytes)) => bytes,
        Err(ObjectStorageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let anchor: Anchor = serde_json::from_slice(&bytes)
        .map_err(|error| EngineError::Internal(format!("it is no anchor: {error}")))?;
    if key_of(log, &anchor)? == *key {
        Ok(Some(anchor))
    } else {
        Err(EngineError::Internal("it does not say what its name says".to_owned()))
    }
}
