//! Backup records: recovery points in the catalogue, and what proves and protects them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, BackupKind, Bytes, ChainId, ClusterName, DisplayName, DrTestId, Encryption, ExecutionId,
    IssueGroup, JobId, Labels, Machine, NamespaceName, NamespaceSelection, OperationId, PolicyId, Principal,
    RecordId, RecoveryPoint, ResourceCounts, RestoredBy, Sizes, StorageUri, TenantId, Timestamp,
    TransitionError, VerificationId, VerificationLevel, machine::labels,
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
    /// What it takes here.
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

/// The newest outcome of a check at one level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How deep.
    pub level: VerificationLevel,
    /// When.
    pub at: Timestamp,
    /// Whether it passed.
    pub passed: bool,
    /// What found it.
    pub found_by: EvidenceSource,
    /// Since when checks so deep had passed before this one, none between that did not; `None` if the
    /// one before did not pass, either.
    pub since: Option<Timestamp>,
}

impl Evidence {
    /// Since when checks so deep pass, or passed until this one.
    #[must_use]
    pub fn passed_since(&self) -> Option<Timestamp> {
        self.since.or_else(|| self.passed.then_some(self.at))
    }
}

/// What found out about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceSource {
    /// A verification.
    Verification(VerificationId),
    /// A DR test.
    DrTest(DrTestId),
}

/// The finding that a record is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundBad {
    /// When it was found.
    pub at: Timestamp,
    /// What is wrong, for a person.
    pub reason: String,
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
    /// The finding that it is of no use.
    pub found_bad: Option<FoundBad>,
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

    /// Until when some copy is locked by its storage.
    #[must_use]
    pub fn locked_until(&self) -> Option<Timestamp> {
        self.copies.iter().filter_map(|copy| copy.locked_until).max()
    }

    /// The highest level that passed and was not refuted since, with its time.
    #[must_use]
    pub fn verified(&self) -> Option<(VerificationLevel, Timestamp)> {
        self.evidence
            .iter()
            .filter(|evidence| evidence.passed)
            .max_by_key(|evidence| evidence.level)
            .map(|evidence| (evidence.level, evidence.at))
    }

    /// When it was verified as deep as `level`: since when, and until when if that was refuted. A deeper
    /// check proves what is above it, too. The lowest level asks for nothing, so it always holds.
    #[must_use]
    pub fn verified_during(&self, level: VerificationLevel) -> Option<(Timestamp, Option<Timestamp>)> {
        if level == VerificationLevel::Catalogued {
            return Some((Timestamp::MIN, None));
        }
        let deep = || self.evidence.iter().filter(|evidence| evidence.level >= level);
        let refuted = || deep().filter(|evidence| !evidence.passed);
        let stands = deep().filter(|evidence| evidence.passed).filter_map(Evidence::passed_since).min();
        let Some(stands) = stands else {
            let last = refuted().filter(|evidence| evidence.since.is_some()).max_by_key(|last| last.at)?;
            return Some((last.since?, Some(last.at)));
        };
        let before = refuted().filter(|evidence| evidence.at >= stands).filter_map(|evidence| evidence.since);
        Some((before.min().map_or(stands, |since| since.min(stands)), None))
    }

    /// Since when it is verified as deep as `level`; `None` if it is not, or not any more.
    #[must_use]
    pub fn verified_since(&self, level: VerificationLevel) -> Option<Timestamp> {
        self.verified_during(level).filter(|(_, until)| until.is_none()).map(|(since, _)| since)
    }

    /// Notes the outcome of a check, replacing the older one at its level.
    pub fn note_evidence(&mut self, mut evidence: Evidence) {
        let known = self.evidence.iter().find(|known| known.level == evidence.level);
        let goes_on = known.filter(|known| known.passed || !evidence.passed);
        evidence.since = goes_on.and_then(Evidence::passed_since).filter(|since| *since < evidence.at);
        self.evidence.retain(|known| known.level != evidence.level);
        self.evidence.push(evidence);
        self.evidence.sort_by_key(|known| known.level);
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
    use crate::{model::machine::tests::check, testing::fixtures};

    #[test]
    fn it_is_verified_since_the_first_check_that_passed_so_deep_and_was_not_refuted() {
        use VerificationLevel as Level;
        let at = Timestamp::from_seconds;
        let mut record = fixtures::record(1);
        let mut note = |level, seconds, passed| {
            let found_by = EvidenceSource::Verification(fixtures::id(1));
            record.note_evidence(Evidence { level, at: at(seconds), passed, found_by, since: None });
            [Level::Checksummed, Level::Restored].map(|level| record.verified_since(level))
        };
        assert_eq!(note(Level::Present, 1, true), [None, None]);
        assert_eq!(note(Level::Checksummed, 2, true), [Some(at(2)), None]);
        assert_eq!(note(Level::Restored, 3, true), [Some(at(2)), Some(at(3))]);
        assert_eq!(note(Level::Checksummed, 4, true), [Some(at(2)), Some(at(3))], "checked again");
        assert_eq!(note(Level::Restored, 5, false), [Some(at(2)), None]);
        assert_eq!(record.verified_during(Level::Restored), Some((at(3), Some(at(5)))));
        let mut again = Evidence { since: None, ..record.evidence.last().unwrap().clone() };
        (again.at, again.passed) = (at(6), true);
        record.note_evidence(again);
        assert_eq!(record.verified_since(Level::Restored), Some(at(6)));
        assert_eq!(fixtures::record(2).verified_since(Level::Catalogued), Some(Timestamp::MIN));
    }

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
