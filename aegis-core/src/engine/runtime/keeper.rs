//! The keepers of manifests: what lies beside a backup stays true after its record changed.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Core, RETRIES,
    held::{HeldLease, Hold},
    log::{BATCH, unread},
    manifest::{Manifest, delete_manifest, manifest_key, write_manifest},
};
use crate::{
    engine::EngineError,
    model::{
        BackupJob, BackupRecord, EntityKey, EventKind, Policy, RecordId, RecordState, SealedEvent, StorageUri,
    },
    seams::{
        CompareAndSwap, ErrorClass, ObjectKey, ObjectStorage, ObjectStorageError, PutMode, ReaderStep, Scope,
        StoreExt, report,
    },
};

/// Rewrites the manifests in one location of records that changed since they were last written.
pub(super) async fn keep_manifests(
    core: &Core,
    lease: &mut HeldLease,
    storage: &Arc<dyn ObjectStorage>,
) -> Result<(), EngineError> {
    let name = reader_of(storage.uri());
    while let Hold::Ours(_) = lease.ensure(core).await? {
        let (after, events) = unread(core, &name, BATCH).await?;
        let Some(last) = events.last() else { break };
        let changed: BTreeSet<RecordId> = events.iter().filter_map(changed_record).collect();
        for id in changed {
            let Hold::Ours(_) = lease.ensure(core).await? else { return Ok(()) };
            match keep_manifest(core, &**storage, id).await {
                // One object that can't be written must not keep the others from being true.
                Err(error) if !error.class().is_transient() && !matches!(error, EngineError::Store(_)) => {
                    tracing::error!(record = %id, error = %report(&error), "a manifest can't be rewritten");
                }
                other => other?,
            }
        }
        core.store.advance_reader(ReaderStep::new(name.as_str(), after, last.position)).await?;
    }
    Ok(())
}

/// The name of a location's keeper as a reader of the log.
pub(super) fn reader_of(location: &StorageUri) -> String {
    format!("manifests/{location}")
}

fn changed_record(sealed: &SealedEvent) -> Option<RecordId> {
    match &sealed.event.subject {
        EntityKey::Record(id) if rewrites_manifest(sealed.event.kind) => Some(*id),
        _ => None,
    }
}

/// What changes about a record that its manifest should tell.
const fn rewrites_manifest(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RecordHeld
            | EventKind::RecordReleased
            | EventKind::RecordProtectionChanged
            | EventKind::RecordChecked
            | EventKind::RecordFoundBad
            | EventKind::RecordExpired
            | EventKind::RecordReinstated
            | EventKind::RecordDeleted
    )
}

async fn keep_manifest(core: &Core, storage: &dyn ObjectStorage, id: RecordId) -> Result<(), EngineError> {
    let Some(record) = core.store.find::<BackupRecord>(&Scope::Everyone, id).await? else { return Ok(()) };
    for copy in record.copies.iter().filter(|copy| storage.uri().contains(&copy.location)) {
        let key = manifest_key(storage.uri(), &copy.location, &record.artifact)?;
        keep_copy(core, storage, id, &copy.location, &key).await?;
    }
    Ok(())
}

/// Makes the manifest of one copy true. What lies there is looked at before the record is read, and
/// nothing else is written over: a keeper that was held up puts nothing old in the place of what
/// another wrote since.
async fn keep_copy(
    core: &Core,
    storage: &dyn ObjectStorage,
    id: RecordId,
    location: &StorageUri,
    key: &ObjectKey,
) -> Result<(), EngineError> {
    for _ in 0..RETRIES {
        let over = what_lies_there(storage, key).await?;
        let record = core.store.find::<BackupRecord>(&Scope::Everyone, id).await?;
        let Some(record) = record else { return Ok(()) };
        match record.state() {
            RecordState::Available | RecordState::Expired => {}
            // Whoever removes the data removes the manifest. A rewriting that began before may have
            // brought it back since: once the data is gone, it goes again.
            RecordState::Deleting => return Ok(()),
            RecordState::Deleted => return delete_manifest(storage, key).await,
        }
        if !record.copies.iter().any(|copy| copy.gone_at.is_none() && copy.location == *location) {
            return Ok(());
        }
        let Some(manifest) = manifest_of(core, BackupRecord::clone(&record)).await? else { return Ok(()) };
        match write_manifest(storage, key, &manifest, over).await {
            Err(error)
                if matches!(error.class(), ErrorClass::VersionConflict | ErrorClass::AlreadyExists) => {}
            written => return written,
        }
    }
    Err(EngineError::Unavailable(format!("the manifest {key} was rewritten by others again and again")))
}

/// How to write over what lies there now, and over nothing else where the storage can tell.
async fn what_lies_there(storage: &dyn ObjectStorage, key: &ObjectKey) -> Result<PutMode, EngineError> {
    if storage.capabilities().compare_and_swap == CompareAndSwap::Unsupported {
        return Ok(PutMode::Overwrite);
    }
    match storage.head(key).await {
        Ok(found) => Ok(PutMode::Update(found.version)),
        Err(ObjectStorageError::NotFound { .. }) => Ok(PutMode::Create),
        Err(error) => Err(error.into()),
    }
}

async fn manifest_of(core: &Core, record: BackupRecord) -> Result<Option<Manifest>, EngineError> {
    let everyone = Scope::Everyone;
    let Some(job) = core.store.find::<BackupJob>(&everyone, record.job).await? else { return Ok(None) };
    let policy = match record.policy {
        Some(policy) => core.store.find::<Policy>(&everyone, policy).await?,
        None => None,
    };
    let policy = policy.map(|policy| Policy::clone(&policy));
    Ok(Some(Manifest::new(record, BackupJob::clone(&job), policy)))
}
