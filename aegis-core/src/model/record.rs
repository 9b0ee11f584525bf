//! Backup records: recovery points in the catalogue, and what protects them.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, BackupKind, Bytes, ChainId, ClusterName, DisplayName, DrTestId, Encryption, Evidence,
    ExecutionId, FoundBad, IssueGroup, JobId, Labels, Machine, NamespaceName, NamespaceSelection,
    OperationId, PolicyId, Principal, RecordId, RecoveryPoint, ResourceCounts, RestoredBy, RetentionGroup,
    Sizes, StorageUri, TenantId, Timestamp, TransitionError, VerificationId, VerificationLevel, WasBad,
    machine::labels,
};

labels! {
    /// The states of a backup record.
    RecordState {
        /// In the catalogue, with its data.
        Available = "available",
        /// Retention decided that it may go; in its grace time.
        Expired = "expired",
        /// Its data is being removed.
        Deleting = "deleting",
        /// Its data is gone.
        Deleted = "deleted",
    }
}

labels! {
    /// What can happen to a backup record.
    RecordStepKind {
        /// It may go, after its grace time.
        Expire = "expire",
        /// It stays after all.
        Reinstate = "reinstate",
        /// Its data is to be removed now.
        Delete = "delete",
        /// Its data is gone.
        Confirm = "confirm",
    }
}

impl Machine for RecordState {
    type Step = RecordStepKind;
    const NAME: &'static str = "backup record";
    const ALL: &'static [Self] = Self::ALL;
    const STEPS: &'static [RecordStepKind] = RecordStepKind::ALL;
    const TRANSITIONS: &'static [(Self, RecordStepKind, Self)] = &[
        (Self::Available, RecordStepKind::Expire, Self::Expired),
        (Self::Expired, RecordStepKind::Reinstate, Self::Available),
        (Self::Expired, RecordStepKind::Delete, Self::Deleting),
        (Self::Deleting, RecordStepKind::Confirm, Self::Deleted),
    ];
}

impl RecordState {
    /// The states of records that are there: their data is not gone and not going.
    pub const THERE: [Self; 2] = [Self::Available, Self::Expired];
}

/// What happens to a backup record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordStep {
    /// It may go once `delete_after` has passed.
    Expire {
        /// Whose word that is.
        by: ExpiredBy,
        /// The end of its grace time.
        delete_after: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// It stays after all.
    Reinstate,
    /// Its data is to be removed now.
    Delete(Deletion),
    /// Its data is gone.
    Confirm,
}

impl RecordStep {
    /// Which step of the table this is.
    #[must_use]
    pub const fn kind(&self) -> RecordStepKind {
        match self {
            Self::Expire { .. } => RecordStepKind::Expire,
            Self::Reinstate => RecordStepKind::Reinstate,
            Self::Delete(_) => RecordStepKind::Delete,
            Self::Confirm => RecordStepKind::Confirm,
        }
    }
}

/// The removal of a record's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The identity that the driver sees.
    pub operation: OperationId,
    /// The operation's name.
    pub name: ArtifactName,
    /// When the engine committed to it.
    pub started_at: Timestamp,
    /// When to ask again, where the storage refuses for now.
    pub deferred_until: Option<Timestamp>,
    /// Why the last try did not succeed.
    pub last_error: Option<String>,
}

/// Who decided that a record may go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredBy {
    /// The rules of retention, which may decide otherwise until it goes.
    Rules,
    /// A person, whom the rules do not overrule; guards and floors do.
    Person(Principal),
}

/// Where a record is in its life, with what belongs to that state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordLifecycle {
    /// In the catalogue, with its data.
    Available,
    /// In its grace time.
    Expired {
        /// When that was decided.
        at: Timestamp,
        /// Whose word that was.
        by: ExpiredBy,
        /// The end of its grace time.
        delete_after: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// Its data is being removed.
    Deleting(Deletion),
    /// Its data is gone.
    Deleted {
        /// When its removal began: since then it could not be relied on.
        began_at: Timestamp,
        /// Since when.
        at: Timestamp,
    },
}

impl RecordLifecycle {
    /// The state, without its particulars.
    #[must_use]
    pub const fn state(&self) -> RecordState {
        match self {
            Self::Available => RecordState::Available,
            Self::Expired { .. } => RecordState::Expired,
            Self::Deleting(_) => RecordState::Deleting,
            Self::Deleted { .. } => RecordState::Deleted,
        }
    }

    /// Since when its data can't be relied on, because its removal began.
    #[must_use]
    pub const fn unusable_since(&self) -> Option<Timestamp> {
        match self {
            Self::Available | Self::Expired { .. } => None,
            Self::Deleting(deletion) => Some(deletion.started_at),
            Self::Deleted { began_at, .. } => Some(*began_at),
        }
    }
}

/// One place where a record's bytes lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordCopy {
    /// The configured location.
    pub location: StorageUri,
    /// Since when it can be used here.
    pub available_at: Timestamp,
    /// Since when it can't be used here any more.
    pub gone_at: Option<Timestamp>,
    /// What it takes here: by its driver's word, else what the backup holds.
    pub stored: Option<Bytes>,
    /// Until when the storage itself refuses deletion.
    pub locked_until: Option<Timestamp>,
    /// When it was last verified here.
    pub last_verified_at: Option<Timestamp>,
}

/// A person's word that a record stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name; unique per record.
    pub name: DisplayName,
    /// Why.
    pub reason: String,
    /// Who set it.
    pub set_by: Principal,
    /// When.
    pub set_at: Timestamp,
    /// Until when; for ever if `None`.
    pub until: Option<Timestamp>,
}

impl Hold {
    /// Whether it still holds at `now`.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Who needs a record to stay for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordUse {
    /// A recovery execution reads it.
    Execution(ExecutionId),
    /// A verification reads it.
    Verification(VerificationId),
    /// A DR test restores it.
    DrTest(DrTestId),
    /// A backup builds on it.
    Job(JobId),
}

/// A recovery point in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// Its id.
    pub id: RecordId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The job that made it.
    pub job: JobId,
    /// The policy that it was made for.
    pub policy: Option<PolicyId>,
    /// The operation that made it.
    pub operation: OperationId,
    /// The name under which it was made; its folder in the location.
    pub artifact: ArtifactName,
    /// The driver's own handle.
    pub handle: String,
    /// What people call it.
    pub name: DisplayName,
    /// Where it comes from.
    pub cluster: ClusterName,
    /// What was asked for.
    pub selection: NamespaceSelection,
    /// What it covers.
    pub namespaces: Vec<NamespaceName>,
    /// What kind it became.
    pub kind: BackupKind,
    /// What it can't be restored without.
    pub parent: Option<RecordId>,
    /// The full that its chain began with, and what depends on it.
    pub chain: ChainId,
    /// Whether a part of what was asked for is missing.
    pub partial: bool,
    /// The instant that the data reflects.
    pub recovery_point: RecoveryPoint,
    /// When its job started.
    pub started_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where it is in its life. Changed by [`apply`](Self::apply) alone.
    pub lifecycle: RecordLifecycle,
    /// Where its bytes lie; at least one.
    pub copies: Vec<RecordCopy>,
    /// How large it is.
    pub sizes: Sizes,
    /// How many of what it holds.
    pub counts: ResourceCounts,
    /// A checksum over the whole.
    pub checksum: Option<String>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// How long it is kept at the least, by the clock, from its making.
    pub ttl: Option<Duration>,
    /// The newest outcome of a check at each level.
    pub evidence: Vec<Evidence>,
    /// When a check of each level passed for the first time, whatever was found since.
    #[serde(default)]
    pub first_passed: BTreeMap<VerificationLevel, Timestamp>,
    /// The finding that it is of no use. Changed by [`find_bad`](Self::find_bad) and
    /// [`find_good`](Self::find_good).
    pub found_bad: Option<FoundBad>,
    /// The findings before that did not last, oldest first: what was known of it at each time.
    #[serde(default)]
    pub was_bad: Vec<WasBad>,
    /// A restore that ran while it was made: it is not good by itself.
    pub made_during: Option<RestoredBy>,
    /// Who said that it stays.
    pub holds: Vec<Hold>,
    /// Whether people marked it as never to expire.
    pub protected: bool,
    /// Who needs it for the time being.
    pub uses: Vec<RecordUse>,
    /// Labels of its job.
    pub labels: Labels,
    /// Warnings by cause.
    pub warnings: Vec<IssueGroup>,
    /// Errors by cause.
    pub errors: Vec<IssueGroup>,
}

impl BackupRecord {
    /// The record after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if the state machine has no such step from here.
    pub fn apply(mut self, step: RecordStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.lifecycle.state().after(step.kind())?;
        self.lifecycle = match step {
            RecordStep::Expire { by, delete_after, reason } => {
                RecordLifecycle::Expired { at, by, delete_after, reason }
            }
            RecordStep::Reinstate => RecordLifecycle::Available,
            RecordStep::Delete(deletion) => RecordLifecycle::Deleting(deletion),
            RecordStep::Confirm => {
                for copy in &mut self.copies {
                    copy.gone_at = copy.gone_at.or(Some(at));
                }
                RecordLifecycle::Deleted { began_at: self.lifecycle.unusable_since().unwrap_or(at), at }
            }
        };
        Ok(self)
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> RecordState {
        self.lifecycle.state()
    }

    /// Whether its data is there and nothing is known against it; its chain is another matter.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.found_bad.is_none() && matches!(self.state(), RecordState::Available | RecordState::Expired)
    }

    /// The groups in which retention judges it: one for each location in which it lies, or has lain.
    pub fn groups(&self) -> impl Iterator<Item = RetentionGroup> {
        self.copies.iter().map(|copy| RetentionGroup {
            cluster: self.cluster.clone(),
            policy: self.policy,
            location: copy.location.clone(),
        })
    }

    /// Until when some copy is locked by its storage.
    #[must_use]
    pub fn locked_until(&self) -> Option<Timestamp> {
        self.copies.iter().filter_map(|copy| copy.locked_until).max()
    }

    /// What keeps it from being deleted at `now`, for a person; `None` if nothing does.
    #[must_use]
    pub fn guarded_by(&self, now: Timestamp) -> Option<String> {
        if let Some(hold) = self.holds.iter().find(|hold| hold.is_active(now)) {
            return Some(format!("it is held by `{}`: {}", hold.name, hold.reason));
        }
        if self.protected {
            return Some("it is protected".to_owned());
        }
        (!self.uses.is_empty()).then(|| "it is in use".to_owned())
    }

    /// What it takes in all its copies that are there; `None` if that is known of none.
    #[must_use]
    pub fn stored(&self) -> Option<Bytes> {
        let there = self.copies.iter().filter(|copy| copy.gone_at.is_none());
        let known = there.filter_map(|copy| copy.stored);
        known.reduce(|sum, size| Bytes(sum.0.saturating_add(size.0)))
    }

    /// The record as drivers need to know it, by its first copy that is there.
    #[must_use]
    pub fn reference(&self) -> Option<RecordRef> {
        let copy = self.copies.iter().find(|copy| copy.gone_at.is_none())?;
        Some(RecordRef {
            id: self.id,
            cluster: self.cluster.clone(),
            operation: self.operation,
            artifact: self.artifact.clone(),
            handle: self.handle.clone(),
            location: copy.location.clone(),
            namespaces: self.namespaces.clone(),
        })
    }
}

/// A record as drivers need to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRef {
    /// The record.
    pub id: RecordId,
    /// The cluster that it came from.
    pub cluster: ClusterName,
    /// The operation that made it.
    pub operation: OperationId,
    /// The name under which it was made.
    pub artifact: ArtifactName,
    /// The driver's own handle.
    pub handle: String,
    /// The location of the copy to use.
    pub location: StorageUri,
    /// What it covers.
    pub namespaces: Vec<NamespaceName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::machine::tests::check;

    #[test]
    fn every_step_is_legal_exactly_where_the_design_says() {
        use RecordState as S;
        use RecordStepKind as K;
        check::<RecordState>(&[
            (S::Available, &[(K::Expire, S::Expired)]),
            (S::Expired, &[(K::Reinstate, S::Available), (K::Delete, S::Deleting)]),
            (S::Deleting, &[(K::Confirm, S::Deleted)]),
            (S::Deleted, &[]),
        ]);
    }
}
