//! The record of a backup that ended with something, and what people do to records.

use std::collections::BTreeMap;

use super::{Decider, NameTaken};
use crate::{
    engine::EngineError,
    model::{
        BackupJob, BackupRecord, ChainId, CheckStatus, DisplayName, EntityKey, EventFacts, EventKind, Hold,
        OperationId, Principal, RecordCopy, RecordId, RecordLifecycle, RecordState, RecordStep, RecordUse,
        RecoveryPoint, RestoredBy, Timestamp, Verification, VerificationLevel, Versioned,
    },
    rules::exposure::recovery_point,
    seams::{BackupResult, Capabilities, Changeset, EndStatus, Feature, Outcome},
};

/// What a record is made of.
#[derive(Debug)]
pub(crate) struct NewRecord<'a> {
    /// The job that made it.
    pub(crate) job: &'a BackupJob,
    /// The operation that made it.
    pub(crate) operation: OperationId,
    /// How it ended.
    pub(crate) outcome: &'a Outcome,
    /// What it made.
    pub(crate) result: &'a BackupResult,
    /// What its driver can do.
    pub(crate) capabilities: &'a Capabilities,
    /// The chain of what it builds on, where there is one.
    pub(crate) parent: Option<(RecordId, ChainId)>,
    /// A restore that ran into its namespaces meanwhile.
    pub(crate) made_during: Option<RestoredBy>,
}

impl Decider<'_> {
    /// The record of a backup that ended with something.
    pub(crate) fn new_record(&self, new: &NewRecord<'_>) -> Option<BackupRecord> {
        let NewRecord { job, outcome, result, .. } = new;
        let attempt = job.attempts.iter().find(|attempt| attempt.operation == new.operation)?;
        let id: RecordId = self.ids.mint(self.now);
        let parent = new.parent.filter(|_| new.capabilities.has(Feature::Chains));
        let available_at = self.now;
        Some(BackupRecord {
            id,
            tenant: job.tenant.clone(),
            job: job.id,
            policy: job.policy,
            operation: new.operation,
            artifact: attempt.name.clone(),
            handle: result.handle.clone(),
            name: job.name.clone(),
            cluster: job.cluster.clone(),
            selection: job.namespaces.clone(),
            namespaces: result.namespaces.clone(),
            kind: result.kind,
            parent: parent.map(|(parent, _)| parent),
            chain: parent.map_or_else(|| ChainId::from_uuid(id.as_uuid()), |(_, chain)| chain),
            partial: outcome.status == EndStatus::PartiallyFailed,
            recovery_point: recovery_point_of(new, attempt.started_at, available_at),
            started_at: attempt.started_at,
            created_at: self.now,
            lifecycle: RecordLifecycle::Available,
            copies: vec![RecordCopy {
                location: job.location.clone(),
                available_at,
                gone_at: None,
                stored: result.sizes.stored.or(result.sizes.logical),
                locked_until: result.locked_until,
                last_verified_at: None,
            }],
            sizes: result.sizes,
            counts: result.counts.clone(),
            checksum: result.checksum.clone(),
            encryption: result.encryption.clone(),
            ttl: job.ttl,
            evidence: Vec::new(),
            first_passed: BTreeMap::new(),
            found_bad: None,
            was_bad: Vec::new(),
            made_during: new.made_during,
            holds: Vec::new(),
            protected: false,
            uses: Vec::new(),
            labels: job.labels.clone(),
            warnings: outcome.warnings.clone(),
            errors: outcome.errors.clone(),
        })
    }

    /// A verification of `record`, which is marked as in use by it.
    pub(crate) fn new_verification(
        &self,
        changeset: &mut Changeset,
        record: &mut BackupRecord,
        level: VerificationLevel,
        requested_by: Principal,
        timeout: std::time::Duration,
    ) -> Option<Verification> {
        let id = self.ids.mint(self.now);
        let reference = record.reference()?;
        let name = DisplayName::new(format!("verify-{}", record.artifact)).ok()?;
        let owner = EntityKey::Verification(id);
        let name = self.reserve_name(changeset, &record.tenant, owner, &name, NameTaken::Yes);
        record.uses.push(RecordUse::Verification(id));
        Some(Verification {
            id,
            tenant: record.tenant.clone(),
            record: reference,
            cluster: record.cluster.clone(),
            level,
            operation: self.ids.mint(self.now),
            name,
            status: CheckStatus::Running,
            requested_by,
            started_at: self.now,
            completed_at: None,
            timeout,
            passed_level: None,
            bytes_read: None,
            reason: None,
            errors: Vec::new(),
        })
    }

    /// Sets or changes a hold; an expired record comes back to available.
    ///
    /// # Errors
    /// `InvalidTransition` if its data is being removed or gone.
    pub(crate) fn hold_record(
        &self,
        record: &Versioned<BackupRecord>,
        hold: Hold,
        mut changeset: Changeset,
    ) -> Result<Changeset, EngineError> {
        refuse_if_going(record, "held")?;
        let facts =
            EventFacts { reason: Some(format!("{}: {}", hold.name, hold.reason)), ..record_facts(record) };
        let mut next = BackupRecord::clone(record);
        next.holds.retain(|known| known.name != hold.name);
        next.holds.push(hold);
        if next.state() == RecordState::Expired {
            next = next.apply(RecordStep::Reinstate, self.now)?;
        }
        changeset.update(record.version, next, EventKind::RecordHeld, facts);
        Ok(changeset)
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    pub(crate) fn release_record(
        &self,
        record: &Versioned<BackupRecord>,
        name: &DisplayName,
        mut changeset: Changeset,
    ) -> Result<Changeset, EngineError> {
        let mut next = BackupRecord::clone(record);
        next.holds.retain(|known| known.name != *name);
        if next.holds.len() == record.holds.len() {
            return Err(EngineError::not_found("hold", name));
        }
        let facts = EventFacts { reason: Some(name.to_string()), ..record_facts(record) };
        changeset.update(record.version, next, EventKind::RecordReleased, facts);
        Ok(changeset)
    }

    /// Marks a record as protected or no longer; protecting an expired one brings it back.
    ///
    /// # Errors
    /// `InvalidTransition` if its data is being removed or gone.
    pub(crate) fn protect_record(
        &self,
        record: &Versioned<BackupRecord>,
        protected: bool,
        mut changeset: Changeset,
    ) -> Result<Changeset, EngineError> {
        refuse_if_going(record, "protected")?;
        let mut next = BackupRecord::clone(record);
        next.protected = protected;
        if protected && next.state() == RecordState::Expired {
            next = next.apply(RecordStep::Reinstate, self.now)?;
        }
        changeset.update(record.version, next, EventKind::RecordProtectionChanged, record_facts(record));
        Ok(changeset)
    }
}

fn refuse_if_going(record: &BackupRecord, what: &str) -> Result<(), EngineError> {
    match record.state() {
        RecordState::Available | RecordState::Expired => Ok(()),
        state @ (RecordState::Deleting | RecordState::Deleted) => Err(EngineError::Blocked(format!(
            "record `{}` can't be {what} any more: it is {state}",
            record.id
        ))),
    }
}

fn recovery_point_of(new: &NewRecord<'_>, started_at: Timestamp, available_at: Timestamp) -> RecoveryPoint {
    recovery_point(
        new.capabilities.consistency,
        new.result.consistent_at,
        started_at,
        new.outcome.ended_at,
        available_at,
    )
}

pub(crate) fn record_facts(record: &BackupRecord) -> EventFacts {
    EventFacts {
        cluster: Some(record.cluster.clone()),
        policy: record.policy,
        job: Some(record.job),
        record: Some(record.id),
        ..EventFacts::default()
    }
}
