//! The removal of a record's data, once its grace time is over.

use std::time::Duration;

use super::{Decider, NameTaken, record::record_facts};
use crate::{
    engine::EngineError,
    model::{
        BackupRecord, Deletion, DisplayName, EntityKey, EventFacts, EventKind, Policy, RecordLifecycle,
        RecordStep, ReservationKey, TransitionError, Versioned,
    },
    seams::{Changeset, DeleteWork, EndStatus, Observation, Operation, Work},
};

/// How long a removal that did not succeed waits for the next try.
const RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What to do with a record whose data is being removed, after the removal was observed.
#[derive(Debug)]
pub(crate) enum DeletionStep {
    /// Nothing yet.
    Wait,
    /// Call the driver's `start` again under the same identity.
    Start,
    /// Commit this.
    Commit(Changeset),
}

impl Decider<'_> {
    /// Commits to removing a record's data, under the policy that was read; the driver is called
    /// afterwards.
    ///
    /// # Errors
    /// `InvalidTransition` if something guards the record, or it is not expired.
    pub(crate) fn begin_deletion(
        &self,
        record: &Versioned<BackupRecord>,
        policy: Option<&Versioned<Policy>>,
    ) -> Result<Changeset, EngineError> {
        if let Some(guard) = record.guarded_by(self.now) {
            return Err(EngineError::Blocked(format!("record `{}` can't be deleted: {guard}", record.id)));
        }
        let mut changeset = self.changeset();
        // Rules that someone loosens meanwhile are heard; so is a rebuild that freezes retention.
        if let Some(policy) = policy {
            changeset.expect_unchanged(EntityKey::Policy(policy.id), policy.version);
        }
        changeset.expect_absent(EntityKey::Reservation(ReservationKey::retention_freeze(&record.tenant)));
        let name = DisplayName::new(format!("delete-{}", record.artifact))
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        let owner = EntityKey::Record(record.id);
        let name = self.reserve_name(&mut changeset, &record.tenant, owner, &name, NameTaken::Yes);
        let deletion = Deletion {
            operation: self.ids.mint(self.now),
            name,
            started_at: self.now,
            deferred_until: None,
            last_error: None,
        };
        let next = BackupRecord::clone(record).apply(RecordStep::Delete(deletion), self.now)?;
        changeset.update(record.version, next, EventKind::RecordDeleting, record_facts(record));
        Ok(changeset)
    }

    /// What follows from an observation of a record's removal.
    ///
    /// # Errors
    /// [`TransitionError`] if the record is not being removed any more.
    pub(crate) fn observe_deletion(
        &self,
        record: &Versioned<BackupRecord>,
        deletion: &Deletion,
        observation: Observation,
    ) -> Result<DeletionStep, TransitionError> {
        match observation {
            Observation::Ended(outcome) if outcome.status == EndStatus::Completed => {
                let mut changeset = self.changeset();
                let next = BackupRecord::clone(record).apply(RecordStep::Confirm, self.now)?;
                let facts = EventFacts { bytes: record.sizes.stored, ..record_facts(record) };
                changeset.update(record.version, next, EventKind::RecordDeleted, facts);
                Ok(DeletionStep::Commit(changeset))
            }
            Observation::Ended(outcome) => {
                let reason = super::job::failure_of(&outcome).message;
                Ok(DeletionStep::Commit(self.renew_deletion(record, deletion, reason)))
            }
            Observation::Lost { reason } => {
                Ok(DeletionStep::Commit(self.renew_deletion(record, deletion, reason)))
            }
            Observation::Deferred { until, reason } => {
                Ok(DeletionStep::Commit(self.defer_deletion(record, deletion, until, reason)))
            }
            Observation::Absent => Ok(DeletionStep::Start),
            Observation::Queued { .. } | Observation::Running(_) | Observation::Unknown { .. } => {
                Ok(DeletionStep::Wait)
            }
        }
    }

    /// A removal that failed is asked for again later, under a new identity.
    fn renew_deletion(
        &self,
        record: &Versioned<BackupRecord>,
        deletion: &Deletion,
        reason: String,
    ) -> Changeset {
        let until = self.now.saturating_add(RETRY_AFTER);
        let renewed = Deletion { operation: self.ids.mint(self.now), ..deletion.clone() };
        self.defer_deletion(record, &renewed, until, reason)
    }

    /// A removal that could not be started is tried again in a while, under its identity.
    pub(crate) fn postpone_deletion(
        &self,
        record: &Versioned<BackupRecord>,
        deletion: &Deletion,
        reason: String,
    ) -> Changeset {
        self.defer_deletion(record, deletion, self.now.saturating_add(RETRY_AFTER), reason)
    }

    fn defer_deletion(
        &self,
        record: &Versioned<BackupRecord>,
        deletion: &Deletion,
        until: crate::model::Timestamp,
        reason: String,
    ) -> Changeset {
        let mut next = BackupRecord::clone(record);
        next.lifecycle = RecordLifecycle::Deleting(Deletion {
            deferred_until: Some(until),
            last_error: Some(reason.clone()),
            ..deletion.clone()
        });
        let facts = EventFacts { reason: Some(reason), ..record_facts(record) };
        let mut changeset = self.changeset();
        changeset.update(record.version, next, EventKind::RecordDeletionDeferred, facts);
        changeset
    }
}

/// A removal as the driver knows it.
pub(crate) fn operation_of(record: &BackupRecord, deletion: &Deletion) -> Option<Operation> {
    Some(Operation {
        id: deletion.operation,
        tenant: record.tenant.clone(),
        cluster: record.cluster.clone(),
        name: deletion.name.clone(),
        started_at: deletion.started_at,
        work: Work::Delete(DeleteWork { record: record.reference()? }),
    })
}
