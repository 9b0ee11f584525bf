//! Events: what changed, by whom, when; sealed into one chain per tenant.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::{
    BackupKind, Bytes, ChangesetId, ClusterName, EntityKey, JobId, PolicyId, Principal, RecordId, Sizes,
    TenantId, Timestamp, Version, machine::labels,
};

labels! {
    /// What happened.
    EventKind {
        /// A backup job was made.
        JobCreated = "job.created",
        /// An attempt of a backup job started.
        JobStarted = "job.started",
        /// An attempt of a backup job was lost.
        JobAttemptLost = "job.attempt_lost",
        /// Someone asked to cancel a backup job.
        JobCancelRequested = "job.cancel_requested",
        /// A backup job completed.
        JobCompleted = "job.completed",
        /// A backup job completed in part.
        JobPartiallyFailed = "job.partially_failed",
        /// A backup job failed.
        JobFailed = "job.failed",
        /// A backup job was cancelled.
        JobCancelled = "job.cancelled",
        /// An operation ended after its job did.
        JobSettledLate = "job.settled_late",
        /// An ended backup job was hidden.
        JobHidden = "job.hidden",
        /// A record entered the catalogue.
        RecordCreated = "record.created",
        /// A record entered the catalogue from what lies in storage.
        RecordRebuilt = "record.rebuilt",
        /// A record may go after its grace time.
        RecordExpired = "record.expired",
        /// A record stays after all.
        RecordReinstated = "record.reinstated",
        /// A record's data is being removed.
        RecordDeleting = "record.deleting",
        /// A record's deletion must wait.
        RecordDeletionDeferred = "record.deletion_deferred",
        /// A record's data is gone.
        RecordDeleted = "record.deleted",
        /// A hold was set or changed.
        RecordHeld = "record.held",
        /// A hold was lifted.
        RecordReleased = "record.released",
        /// A record was marked as protected, or no longer.
        RecordProtectionChanged = "record.protection_changed",
        /// A record is needed for the time being, or no longer.
        RecordUseChanged = "record.use_changed",
        /// A check of a record has a new outcome.
        RecordChecked = "record.checked",
        /// A record was found to be of no use.
        RecordFoundBad = "record.found_bad",
        /// A recovery plan was made.
        PlanCreated = "plan.created",
        /// Someone approved a recovery plan.
        PlanApproved = "plan.approved",
        /// A recovery plan is carried out.
        PlanExecuting = "plan.executing",
        /// A recovery plan completed.
        PlanCompleted = "plan.completed",
        /// A recovery plan's execution failed.
        PlanFailed = "plan.failed",
        /// A recovery plan was given up.
        PlanCancelled = "plan.cancelled",
        /// A recovery plan was deleted.
        PlanDeleted = "plan.deleted",
        /// A recovery execution began.
        ExecutionStarted = "execution.started",
        /// Someone asked to cancel a recovery execution.
        ExecutionCancelRequested = "execution.cancel_requested",
        /// A recovery execution completed.
        ExecutionCompleted = "execution.completed",
        /// A recovery execution completed in part.
        ExecutionPartiallyFailed = "execution.partially_failed",
        /// A recovery execution failed.
        ExecutionFailed = "execution.failed",
        /// A recovery execution was cancelled.
        ExecutionCancelled = "execution.cancelled",
        /// A policy was made.
        PolicyCreated = "policy.created",
        /// A policy was changed.
        PolicyUpdated = "policy.updated",
        /// A policy was deleted.
        PolicyDeleted = "policy.deleted",
        /// What the engine knows of a policy changed.
        PolicyStateChanged = "policy_state.changed",
        /// A nominal time, or several in a row, came to an outcome.
        SlotSettled = "slot.settled",
        /// A verification began.
        VerificationStarted = "verification.started",
        /// A verification ended.
        VerificationEnded = "verification.ended",
        /// A DR test began.
        DrTestStarted = "dr_test.started",
        /// A DR test went on to its next phase.
        DrTestAdvanced = "dr_test.advanced",
        /// A DR test was asked to end.
        DrTestCancelRequested = "dr_test.cancel_requested",
        /// A DR test ended.
        DrTestEnded = "dr_test.ended",
        /// A retention run was recorded.
        RetentionRunRecorded = "retention_run.recorded",
        /// What goes on in a cluster changed.
        ClusterStateChanged = "cluster_state.changed",
        /// A key was taken.
        ReservationMade = "reservation.made",
        /// A key was given back.
        ReservationReleased = "reservation.released",
    }
}

/// The particulars of an event that figures are derived from. Never a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventFacts {
    /// The cluster concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The policy concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// The job concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The record concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// The kind of backup concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupKind>,
    /// How large what a backup job made is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
    /// A size, as the kind of event suggests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// How long what ended took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// Why, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The identity of an event: the changeset, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The changeset.
    pub changeset: ChangesetId,
    /// Its place in the changeset.
    pub index: u32,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.changeset, self.index)
    }
}

/// One change: who, what, when, and which versions it lies between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its identity.
    pub id: EventId,
    /// Whose chain it belongs to; `None` for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// What happened.
    pub kind: EventKind,
    /// Who did it.
    pub actor: Principal,
    /// When, by the wall clock; order is by position, never by this.
    pub at: Timestamp,
    /// What changed.
    pub subject: EntityKey,
    /// Its version before; `None` if it did not exist.
    pub before: Option<Version>,
    /// Its version after; `None` if it does not exist any more.
    pub after: Option<Version>,
    /// The particulars.
    pub facts: EventFacts,
}

/// A place in the event log; dense and in commit order over all tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A link of a tenant's hash chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// What the first event of a chain is linked to.
    pub const GENESIS: Self = Self([0; 32]);

    /// The link of `event` at `position` to what came before it in its tenant's chain.
    ///
    /// # Errors
    /// [`serde_json::Error`] if the event can't be written down, which no event that a changeset
    /// made is.
    pub fn link(self, event: &Event, position: Position) -> Result<Self, serde_json::Error> {
        Ok(self.link_document(&serde_json::to_vec(event)?, position))
    }

    /// The link of an event that was written down as `document`. Whoever links it need not know what it
    /// says: another version may have written it.
    #[must_use]
    pub fn link_document(self, document: &[u8], position: Position) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(position.0.to_be_bytes());
        hasher.update(document);
        Self(hasher.finalize().into())
    }

    /// The bytes of the link.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The link with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// The text is not a link of a chain: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link of a hash chain is written as 64 hexadecimal digits")]
pub struct ParseChainHashError;

impl FromStr for ChainHash {
    type Err = ParseChainHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(ParseChainHashError);
        }
        let mut bytes = [0; 32];
        for (n, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * n..2 * n + 2).ok_or(ParseChainHashError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ParseChainHashError)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ChainHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where a chain was, written down outside of the store: whoever changes the log afterwards can't
/// change this with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Whose chain; `None` for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// The position of the chain's newest event then.
    pub position: Position,
    /// The link of that event.
    pub hash: ChainHash,
    /// When it was written down, by the wall clock of whoever did.
    pub at: Timestamp,
}

/// An event with its place in the log and its link in the chain. Cloning shares the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEvent {
    /// Its place.
    pub position: Position,
    /// The link of its tenant's chain.
    pub hash: ChainHash,
    /// The event.
    pub event: Arc<Event>,
}
