//! Removing a record: its snapshot is forgotten; what only it needed goes with a later prune.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::{OperationId, Timestamp},
    seams::{Immutability, ObjectStorageError},
};
use rustic_core::FileType;

use crate::{
    control::{Control, Stop},
    operations::Operations,
    repository::{Location, attempt, error, file_key, session::Session},
    snapshot,
};

/// How long to wait before asking again about what is locked without an end.
const ASK_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// What became of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone, or was not there.
    Gone,
    /// The storage keeps it.
    Deferred { until: Timestamp, reason: String },
}

/// Forgets the snapshot `handle`, which `made_by` made. Idempotent. Blocks.
pub(crate) fn delete(
    location: &Location,
    handle: &str,
    made_by: OperationId,
    control: &Arc<Control>,
) -> Result<Deleted, Stop> {
    if !location.exists()? {
        return Ok(Deleted::Gone);
    }
    let session = Session::new(Arc::clone(control));
    let repository = location.open(&session)?;
    let id = snapshot::id(handle)?;
    if snapshot::find(&repository, &session, handle)?.is_some() {
        if let Some(deferred) = locked(location, handle)? {
            return Ok(deferred);
        }
        attempt(&session, "forget the snapshot", || repository.delete_snapshots(&[id]))?;
    }
    let operations = Operations::new(Arc::clone(&location.storage));
    location.runtime.block_on(operations.forget(made_by))?;
    Ok(Deleted::Gone)
}

fn locked(location: &Location, handle: &str) -> Result<Option<Deleted>, Stop> {
    let id = snapshot::id(handle)?;
    let key = file_key(FileType::Snapshot, &id).map_err(|cause| error::rustic("name the snapshot", cause))?;
    let now = location.clock.now();
    let deferred = |until: Timestamp| {
        let reason = format!("the storage keeps the snapshot {handle} locked");
        Some(Deleted::Deferred { until, reason })
    };
    match location.runtime.block_on(location.storage.immutability(&key)) {
        Ok(Immutability::Until(until)) if until > now => Ok(deferred(until)),
        Ok(Immutability::Indefinite) => Ok(deferred(now.saturating_add(ASK_AGAIN))),
        Ok(Immutability::Until(_) | Immutability::None | Immutability::Unknown) => Ok(None),
        // Whether it is locked, the deletion itself will tell.
        Err(ObjectStorageError::Unsupported { .. } | ObjectStorageError::NotFound { .. }) => Ok(None),
        Err(cause) => Err(error::storage("ask whether the snapshot is locked", &Arc::new(cause)).into()),
    }
}
