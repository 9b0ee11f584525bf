//! What a driver can be asked to do.

use std::time::Duration;

use crate::model::{
    ArtifactName, BackupKind, ClusterName, Labels, NamespaceName, OperationId, RecordRef, RestoreOptions,
    StorageUri, TenantId, Timestamp, VerificationLevel, machine_labels,
};

/// One attempt at outside work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its identity: the idempotency key.
    pub id: OperationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The cluster that it works on.
    pub cluster: ClusterName,
    /// The name for what it makes; unique among all attempts.
    pub name: ArtifactName,
    /// When the engine committed to it.
    pub started_at: Timestamp,
    /// What to do.
    pub work: Work,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Make a backup.
    Backup(BackupWork),
    /// Restore a record.
    Restore(RestoreWork),
    /// Check a record.
    Verify(VerifyWork),
    /// Remove a record's data.
    Delete(DeleteWork),
    /// Remove what a trial restore made.
    CleanUp(CleanUpWork),
}

impl Work {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> WorkKind {
        match self {
            Self::Backup(_) => WorkKind::Backup,
            Self::Restore(_) => WorkKind::Restore,
            Self::Verify(_) => WorkKind::Verify,
            Self::Delete(_) => WorkKind::Delete,
            Self::CleanUp(_) => WorkKind::CleanUp,
        }
    }
}

machine_labels! {
    /// The kinds of outside work.
    WorkKind {
        /// Making a backup.
        Backup = "backup",
        /// Restoring a record.
        Restore = "restore",
        /// Checking a record.
        Verify = "verify",
        /// Removing a record's data.
        Delete = "delete",
        /// Removing what a trial restore made.
        CleanUp = "clean_up",
    }
}

/// A backup to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupWork {
    /// What to back up; resolved, at least one.
    pub namespaces: Vec<NamespaceName>,
    /// Whether volumes are wanted, for drivers that have them.
    pub include_volumes: bool,
    /// Where the data goes.
    pub location: StorageUri,
    /// How it relates to earlier ones.
    pub kind: BackupKind,
    /// What an incremental or differential builds on, if the catalogue knows one.
    pub base: Option<RecordRef>,
    /// How long the outer system must keep it at the least, where it deletes by itself.
    pub keep_at_least: Duration,
    /// Labels to put on what is made, where the driver can.
    pub labels: Labels,
}

/// A restore to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreWork {
    /// What to restore.
    pub record: RecordRef,
    /// Which of its namespaces; resolved, at least one.
    pub namespaces: Vec<NamespaceName>,
    /// What of them, where to and how.
    pub options: RestoreOptions,
    /// Whether what it makes is to stay.
    pub purpose: RestorePurpose,
}

machine_labels! {
    /// What becomes of what a restore makes.
    RestorePurpose {
        /// It stays: nothing removes it.
        Recovery = "recovery",
        /// A [`CleanUpWork`] removes it later: a driver that declares
        /// [`Feature::CleanUp`](super::Feature::CleanUp) notes down durably what it makes, before it
        /// makes it.
        Trial = "trial",
    }
}

/// A check to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyWork {
    /// What to check.
    pub record: RecordRef,
    /// How deep; the levels below are checked on the way.
    pub level: VerificationLevel,
}

/// The leavings of a trial restore, to remove.
///
/// # Contract for implementors
/// - What the restore made is removed, and nothing else. What was at the target before, and what was
///   put there or changed since, stays. No link out of the target is followed.
/// - What the restore made is known by what the driver noted down then, never by its name or place. A
///   restore that was no trial, or of which nothing is known though something lies at its target, is
///   not cleaned up: refused with `InvalidInput`, or ended as failed.
/// - If something stays at the target, it ends as [`PartiallyFailed`](super::EndStatus), with the
///   targets in [`CleanUpResult::left`](super::CleanUpResult) and the reasons among the errors.
/// - It goes on where another left off, whether that was cancelled, crashed or came to its end; so
///   `Absent` is a good answer for one that died with its process. Of a restore that left nothing it
///   completes.
/// - While the restore still runs, `start` answers `Unavailable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanUpWork {
    /// The operation that restored.
    pub restore: OperationId,
    /// What it restored, and where to.
    pub work: RestoreWork,
}

/// Data to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteWork {
    /// What to remove.
    pub record: RecordRef,
}
