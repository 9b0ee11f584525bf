//! What can be told of operations that this process does not run.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::{IssueGroup, OperationId, Progress},
    seams::{BackupWork, DriverError, EndStatus, Observation, Operation, Outcome, Work, WorkResult},
};

use super::{Inner, blocking};
use crate::{
    backup,
    control::{Control, Stop},
    operations::{Made, Operations, Settled},
    repository::{Location, attempt, session::Session},
    snapshot,
};

/// How long a snapshot may take to be written after its backup was settled.
const WRITING: Duration = Duration::from_secs(60);

impl Inner {
    /// What is true of an operation that was not started here, or so long ago that it is forgotten.
    pub(super) async fn find(&self, operation: &Operation) -> Result<Observation, DriverError> {
        match &operation.work {
            Work::Backup(work) => self.find_backup(operation.id, work).await,
            Work::Restore(work) => {
                let location = self.location(&work.record.location)?;
                let operations = Operations::new(Arc::clone(&location.storage));
                let known = operations.settled(operation.id).await?.is_some()
                    || operations.has_begun(operation.id).await?;
                if !known {
                    return Ok(Observation::Absent);
                }
                let reason = "the process that restored has ended; what it had restored by then is there";
                Ok(Observation::Lost { reason: reason.to_owned() })
            }
            // Checks leave nothing, and a removal is repeated without harm.
            Work::Verify(_) | Work::Delete(_) | Work::CleanUp(_) => Ok(Observation::Absent),
        }
    }

    /// Only the holder of the cluster's lease asks, so whoever ran the backup elsewhere is gone, or
    /// believed to be. If it has not settled the backup, it is settled here as lost: from then on it
    /// can't count, even if its process wakes up.
    async fn find_backup(&self, id: OperationId, work: &BackupWork) -> Result<Observation, DriverError> {
        let location = self.location(&work.location)?;
        let operations = Operations::new(Arc::clone(&location.storage));
        let settled = match operations.settled(id).await? {
            Some(settled) => settled,
            // What is not noted as begun has no snapshot: the note is written first.
            None if !operations.has_begun(id).await? => return Ok(Observation::Absent),
            None => operations.settle(id, Settled::Lost).await?,
        };
        let made = match settled {
            Settled::Made(made) => made,
            Settled::Lost => {
                operations.end(id).await?;
                let reason = "the process that ran the backup ended before it was done".to_owned();
                return Ok(Observation::Lost { reason });
            }
        };
        if let Some(outcome) = blocking(location, move |location| ended(location, id, made)).await? {
            operations.end(id).await?;
            return Ok(Observation::Ended(Box::new(outcome)));
        }
        let age = operations.settled_at(id).await?.map(|at| self.clock.now().since(at));
        if age.is_some_and(|age| age < WRITING) {
            return Ok(Observation::Running(Progress::default()));
        }
        operations.end(id).await?;
        let reason = "the process that ran the backup ended right before it wrote the snapshot".to_owned();
        Ok(Observation::Lost { reason })
    }
}

/// The outcome that a backup's snapshot and its settlement tell; `None` without a snapshot. Blocks.
fn ended(location: &Location, id: OperationId, made: Made) -> Result<Option<Outcome>, Stop> {
    if !location.exists()? {
        return Ok(None);
    }
    let session = Session::new(Arc::new(Control::default()));
    let repository = location.open(&session)?;
    let found = attempt(&session, "look for the backup's snapshot", || {
        repository.get_matching_snapshots(|candidate| snapshot::is_of(candidate, id))
    })?;
    let Some(found) = found.into_iter().next() else { return Ok(None) };
    let Made { counts, errors, warnings } = made;
    Ok(Some(Outcome {
        status: status(&errors),
        ended_at: snapshot::ended_at(&found),
        warnings,
        errors,
        failure_class: None,
        result: WorkResult::Backup(backup::result(&found, counts, None)),
    }))
}

const fn status(errors: &[IssueGroup]) -> EndStatus {
    if errors.is_empty() { EndStatus::Completed } else { EndStatus::PartiallyFailed }
}
