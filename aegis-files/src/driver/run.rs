//! Carrying work out on a blocking thread, and what became of it as an outcome.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    model::{IssueGroup, Timestamp},
    seams::{
        CleanUpWork, DriverError, EndStatus, Operation, Outcome, RestorePreview, RestorePurpose, RestoreWork,
        VerifyWork, Work, WorkResult,
    },
};

use super::{Inner, jobs::End};
use crate::{
    backup::{BackupMade, BackupPlan, back_up},
    clean_up::{CleanUp, CleanedUp},
    control::{Control, Stop, issue},
    delete::{Deleted, delete},
    operations::{Operations, Settled},
    prune,
    repository::{Location, attempt, session::Session},
    restore::{
        IndexedRepository, Restore,
        target::{Allowed, map, territories},
    },
    snapshot,
    trial::Trial,
    verify::{Verified, VerifyPlan, verify},
};

impl Inner {
    /// Carries `operation` out. Blocks; a panic of rustic's becomes a failure.
    pub(super) fn run(&self, operation: &Operation, location: &Location, control: &Arc<Control>) -> End {
        let work = AssertUnwindSafe(|| self.run_work(operation, location, control));
        let ended = catch_unwind(work).unwrap_or_else(|_| {
            Err(Stop::Failed(
                DriverError::internal("the repository's engine broke off: what it read made no sense to it")
                    .with_suggestion("check the repository with `restic check --read-data`"),
            ))
        });
        let now = self.clock.now();
        let end = ended.unwrap_or_else(|stop| {
            // Whatever broke first, it was because it was asked to.
            let stop = if control.is_cancelled() { Stop::Cancelled } else { stop };
            End::ended(stopped(stop, now))
        });
        if let Work::Backup(_) | Work::Restore(_) = &operation.work {
            let operations = Operations::new(Arc::clone(&location.storage));
            let noted = location.runtime.block_on(async {
                // Whoever asks after this process is told that it is over, and never runs it again.
                if let Work::Restore(_) = &operation.work {
                    operations.settle(operation.id, Settled::Lost).await?;
                }
                operations.end(operation.id).await
            });
            if let Err(error) = noted {
                tracing::warn!(operation = %operation.id, %error, "could not note that the work is over");
            }
        }
        end
    }

    fn run_work(
        &self,
        operation: &Operation,
        location: &Location,
        control: &Arc<Control>,
    ) -> Result<End, Stop> {
        match &operation.work {
            Work::Backup(work) => {
                let namespaces = self.sets(&work.namespaces)?;
                let base = work.base.as_ref().map(|base| base.handle.clone());
                let plan = BackupPlan { namespaces, kind: work.kind, base, never: Arc::clone(&self.never) };
                Ok(End::ended(backed_up(back_up(location, operation, plan, control)?)))
            }
            Work::Restore(work) => {
                let trial = match work.purpose {
                    RestorePurpose::Trial => Some(Trial::begin(self.journals(), operation.id)?),
                    RestorePurpose::Recovery => None,
                };
                let own = Own { operation: operation.id.to_string(), trial: trial.as_ref() };
                let restored = self.with_restore(location, work, own, control, |restore| restore.run())?;
                let status = if restored.errors.is_empty() {
                    EndStatus::Completed
                } else {
                    EndStatus::PartiallyFailed
                };
                Ok(End::ended(Outcome {
                    status,
                    ended_at: self.clock.now(),
                    warnings: restored.warnings,
                    errors: restored.errors,
                    failure_class: None,
                    result: WorkResult::Restore(restored.result),
                }))
            }
            Work::Verify(work) => Ok(End::ended(self.verify(operation, location, work, control)?)),
            Work::Delete(work) => {
                match delete(location, &work.record.handle, work.record.operation, control)? {
                    Deleted::Deferred { until, reason } => Ok(End::Deferred { until, reason }),
                    Deleted::Gone => {
                        let pruned = prune::after_deletion(location, self.longest_job, control);
                        Ok(End::ended(deleted(self.clock.now(), pruned)))
                    }
                }
            }
            Work::CleanUp(work) => Ok(End::ended(self.clean_up(work, control)?)),
        }
    }

    /// Where the journals of trial restores lie.
    fn journals(&self) -> &Path {
        self.restore_roots.first().unwrap_or(&self.scratch)
    }

    fn clean_up(&self, work: &CleanUpWork, control: &Control) -> Result<Outcome, Stop> {
        let territories = territories(&work.work.namespaces, &work.work.options.mapping, self.allowed())?;
        let clean_up =
            CleanUp { home: self.journals(), restore: work.restore, territories: &territories, control };
        let CleanedUp { result, errors } = clean_up.run()?;
        let status = if errors.is_empty() { EndStatus::Completed } else { EndStatus::PartiallyFailed };
        Ok(Outcome {
            status,
            ended_at: self.clock.now(),
            warnings: Vec::new(),
            errors,
            failure_class: None,
            result: WorkResult::CleanUp(result),
        })
    }

    pub(super) fn allowed(&self) -> Allowed<'_> {
        Allowed { namespaces: &self.namespaces, restore_roots: &self.restore_roots }
    }

    fn verify(
        &self,
        operation: &Operation,
        location: &Location,
        work: &VerifyWork,
        control: &Arc<Control>,
    ) -> Result<Outcome, Stop> {
        let plan = VerifyPlan {
            handle: work.record.handle.clone(),
            level: work.level,
            scratch: self.scratch.clone(),
            operation: operation.id.to_string(),
        };
        let Verified { result, errors } = verify(location, &plan, control)?;
        let status = if result.failed.is_some() { EndStatus::Failed } else { EndStatus::Completed };
        Ok(Outcome {
            status,
            ended_at: self.clock.now(),
            warnings: Vec::new(),
            errors,
            failure_class: None,
            result: WorkResult::Verify(result),
        })
    }

    /// What a restore would do. Blocks.
    pub(super) fn preview_blocking(
        &self,
        location: &Location,
        work: &RestoreWork,
    ) -> Result<RestorePreview, Stop> {
        let control = Arc::default();
        self.with_restore(location, work, Own::default(), &control, |restore| restore.preview())
    }

    fn with_restore<T>(
        &self,
        location: &Location,
        work: &RestoreWork,
        own: Own<'_>,
        control: &Arc<Control>,
        run: impl FnOnce(&Restore<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let session = Session::new(Arc::clone(control));
        let repository = location.open(&session)?;
        let snapshot = snapshot::require(&repository, &session, &work.record.handle)?;
        let record: Vec<PathBuf> = snapshot.paths.iter().map(PathBuf::from).collect();
        let mapped = map(&record, &work.namespaces, &work.options, self.allowed())?;
        let repository: IndexedRepository =
            attempt(&session, "read the repository's index", || repository.to_indexed())?;
        run(&Restore {
            repository: &repository,
            session: &session,
            snapshot: &snapshot,
            mapped: &mapped,
            existing: work.options.existing,
            operation: own.operation,
            trial: own.trial,
        })
    }
}

/// What a restore leaves its name on.
#[derive(Default)]
struct Own<'a> {
    operation: String,
    trial: Option<&'a Trial>,
}

fn backed_up(made: BackupMade) -> Outcome {
    let status = if made.errors.is_empty() { EndStatus::Completed } else { EndStatus::PartiallyFailed };
    Outcome {
        status,
        ended_at: made.ended_at,
        warnings: made.warnings,
        errors: made.errors,
        failure_class: None,
        result: WorkResult::Backup(made.result),
    }
}

/// The record is gone, whatever became of the space that it took.
fn deleted(at: Timestamp, pruned: Result<(), Stop>) -> Outcome {
    let warnings = match pruned {
        Ok(()) | Err(Stop::Cancelled) => Vec::new(),
        Err(Stop::Failed(error)) => vec![issue(&error)],
    };
    Outcome {
        status: EndStatus::Completed,
        ended_at: at,
        warnings,
        errors: Vec::new(),
        failure_class: None,
        result: WorkResult::Deleted,
    }
}

fn stopped(stop: Stop, at: Timestamp) -> Outcome {
    let (status, errors, failure_class) = match stop {
        Stop::Cancelled => {
            (EndStatus::Cancelled, vec![IssueGroup::once("it was cancelled on request")], None)
        }
        Stop::Failed(error) => (EndStatus::Failed, vec![issue(&error)], Some(error.class())),
    };
    Outcome { status, ended_at: at, warnings: Vec::new(), errors, failure_class, result: WorkResult::Nothing }
}
