//! What a driver says of an operation.

use crate::model::{
    BackupKind, Bytes, Encryption, IssueGroup, NamespaceName, Progress, ResourceCounts, RestoreTarget, Sizes,
    Timestamp, VerificationLevel, machine_labels,
};
use crate::seams::ErrorClass;

/// What is true of an operation now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It was never started, or left nothing: it may be started again under the same id.
    Absent,
    /// It can never count any more; a new attempt needs a new id.
    Lost {
        /// Why, for a person.
        reason: String,
    },
    /// It waits in the outer system.
    Queued {
        /// How many are before it, where known.
        position: Option<u64>,
    },
    /// It runs.
    Running(Progress),
    /// The outer system says something that the driver does not know.
    Unknown {
        /// The outer system's own word.
        state: String,
    },
    /// Deletion must wait: the data is locked.
    Deferred {
        /// When to ask again.
        until: Timestamp,
        /// Why, for a person.
        reason: String,
    },
    /// It has ended.
    Ended(Box<Outcome>),
}

machine_labels! {
    /// How an operation ended.
    EndStatus {
        /// What was asked for is there.
        Completed = "completed",
        /// Some of it is.
        PartiallyFailed = "partially_failed",
        /// Nothing usable is.
        Failed = "failed",
        /// It was stopped on request.
        Cancelled = "cancelled",
    }
}

/// How an operation ended, and what it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: EndStatus,
    /// When it ended, by the outer system's clock.
    pub ended_at: Timestamp,
    /// Warnings by cause.
    pub warnings: Vec<IssueGroup>,
    /// Errors by cause; at least one if it did not complete.
    pub errors: Vec<IssueGroup>,
    /// The class of what made it fail, where it is known: a transient one is worth another attempt.
    pub failure_class: Option<ErrorClass>,
    /// What it made or found.
    pub result: WorkResult,
}

impl Outcome {
    /// When an operation that began at `from` ended, having been seen to have ended at `seen_at`: how
    /// often the engine looks is no part of how long it took. Another's clock that says what can't be
    /// is not believed.
    #[must_use]
    pub fn ended_between(&self, from: Timestamp, seen_at: Timestamp) -> Timestamp {
        if (from..=seen_at).contains(&self.ended_at) { self.ended_at } else { seen_at }
    }
}

/// What an operation made or found; matches the kind of its work unless nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkResult {
    /// Nothing came of it.
    Nothing,
    /// A backup.
    Backup(BackupResult),
    /// A restore.
    Restore(RestoreResult),
    /// A check.
    Verify(VerifyResult),
    /// The data is gone.
    Deleted,
    /// What a trial restore made is gone, as far as it may go.
    CleanUp(CleanUpResult),
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupResult {
    /// The driver's own handle for it, as a snapshot id; at most 253 bytes.
    pub handle: String,
    /// What kind it became; a first incremental is a full.
    pub kind: BackupKind,
    /// The instant that the data reflects, where the driver knows it.
    pub consistent_at: Option<Timestamp>,
    /// How large it is.
    pub sizes: Sizes,
    /// How many of what it holds.
    pub counts: ResourceCounts,
    /// What it really covers.
    pub namespaces: Vec<NamespaceName>,
    /// A checksum over the whole, as `sha256:<hex>`.
    pub checksum: Option<String>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// Until when the storage itself refuses deletion.
    pub locked_until: Option<Timestamp>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreResult {
    /// How many of what were restored.
    pub restored: ResourceCounts,
    /// Entries that were there already as they should be.
    pub unchanged: u64,
    /// Bytes that were written.
    pub bytes: Bytes,
}

/// What a clean-up did. One that left something ended as [`EndStatus::PartiallyFailed`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanUpResult {
    /// How many of what were removed, by this operation.
    pub removed: ResourceCounts,
    /// The targets at which something still lies that is not the driver's to remove.
    pub left: Vec<RestoreTarget>,
}

/// What a check found. One that found a fault ended as [`EndStatus::Failed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyResult {
    /// The highest level that passed, if any.
    pub passed: Option<VerificationLevel>,
    /// The level that failed, with the findings in the outcome's errors.
    pub failed: Option<VerificationLevel>,
    /// The first level that could not be checked, and why.
    pub not_run: Option<(VerificationLevel, String)>,
    /// Bytes that were read.
    pub bytes_read: Bytes,
}
