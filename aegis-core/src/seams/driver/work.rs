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
}

/// A check to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyWork {
    /// What to check.
    pub record: RecordRef,
    /// How deep; the levels below are checked on the way.
    pub level: VerificationLevel,
}

/// Data to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteWork {
    /// What to remove.
    pub record: RecordRef,
}
