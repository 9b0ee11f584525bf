//! The seam to what does the copying: Velero, files, databases, virtual disks.

mod capabilities;
mod error;
mod observation;
mod work;

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use capabilities::{Capabilities, Feature};
pub use error::{DriverError, DriverErrorDetail};
pub use observation::{
    BackupResult, CleanUpResult, EndStatus, Observation, Outcome, RestoreResult, VerifyResult, WorkResult,
};
pub use work::{
    BackupWork, CleanUpWork, DeleteWork, Operation, RestorePurpose, RestoreWork, VerifyWork, Work, WorkKind,
};

use crate::model::{
    ArtifactName, Bytes, ClusterName, NamespaceName, OperationId, RecordRef, StorageUri, TenantId, Timestamp,
};

/// One protected system, seen through what can back it up and restore it.
///
/// The work may run elsewhere and outlive this process (Velero) or live in it (files): the engine
/// can't tell, and need not.
///
/// # Contract for implementors
/// - [`start`](Self::start) is idempotent per [`OperationId`]. Everything the work leaves carries
///   the operation's id or its [`ArtifactName`], so that it is found again.
/// - [`observe`](Self::observe) says what is true now, and changes nothing. A driver searches for
///   what the operation may have left before it answers `Absent` or `Lost`.
/// - `Absent`: this operation may be started again under the same id. `Lost`: it can never count
///   any more; a new attempt gets a new id.
/// - States of the outer system that the driver does not know are `Unknown`, never an end.
/// - What [`capabilities`](Self::capabilities) does not declare answers `Unsupported`.
/// - A timeout after a request left is `Indeterminate`; before, `Unavailable`.
/// - No error and no observation holds a secret.
/// - Every method is cancel safe: a dropped `start` or `cancel` may have happened, which the next
///   `observe` tells.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait BackupDriver: fmt::Debug + Send + Sync + 'static {
    /// What this driver can do, as data; does not change while it lives.
    fn capabilities(&self) -> &Capabilities;

    /// The namespaces that exist now, sorted by name.
    ///
    /// # Errors
    /// `Unavailable`, `Unauthenticated`, `Forbidden`, `Internal`.
    async fn namespaces(&self) -> Result<Vec<NamespaceName>, DriverError>;

    /// Starts the operation, or does nothing if it was started before under this id.
    ///
    /// Success means *accepted*: from now on `observe` answers for it. Only the holder of the
    /// cluster's lease calls this, and only after the intent was committed.
    ///
    /// # Errors
    /// `InvalidInput` (with the mend), `NotFound` (a namespace or record that is not there),
    /// `Unsupported`, `Unauthenticated`, `Forbidden`: final, the operation did not start.
    /// `Unavailable`, `RateLimited`: not started, try again. `Indeterminate`: observe.
    async fn start(&self, operation: &Operation) -> Result<(), DriverError>;

    /// What is true of the operation now.
    ///
    /// # Errors
    /// `Unavailable`, `Unauthenticated`, `Forbidden`, `Internal`: nothing is known; the operation
    /// stays as it was and ages.
    async fn observe(&self, operation: &Operation) -> Result<Observation, DriverError>;

    /// Asks for the operation to end. Idempotent; success means *asked*: the end is observed.
    ///
    /// # Errors
    /// `Unsupported` (undeclared), `Unavailable`, `Indeterminate`, `Forbidden`, `Internal`.
    async fn cancel(&self, operation: &Operation) -> Result<(), DriverError>;

    /// What a restore would do, changing nothing.
    ///
    /// # Errors
    /// `Unsupported` (undeclared), and as [`start`](Self::start).
    async fn preview(&self, tenant: &TenantId, restore: &RestoreWork) -> Result<RestorePreview, DriverError>;

    /// Entries of a record directly below a path, one page in order of their names.
    ///
    /// # Errors
    /// `Unsupported` (undeclared), `NotFound` (record or path), `Unavailable`, `Unauthenticated`.
    async fn browse(&self, request: &BrowseRequest) -> Result<BrowsePage, DriverError>;

    /// What lies in a location, whoever made it: for rebuilding a lost catalogue and finding drift.
    /// Ordered by artifact; a page ends where `next` is `None`.
    ///
    /// # Errors
    /// `Unsupported` (undeclared), `Unavailable`, `Unauthenticated`, `Forbidden`, `Internal`.
    async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryPage, DriverError>;

    /// Operations of which something changed; saves waiting and is never relied on. May end or
    /// stay silent for ever. Each call gives a stream of its own.
    fn hints(&self) -> BoxStream<'static, OperationId>;
}

/// What a restore would do, without doing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RestorePreview {
    /// Entries that would be created.
    pub create: u64,
    /// Entries that would be overwritten.
    pub overwrite: u64,
    /// Entries that are there already, or stay because they differ and may not be touched.
    pub skip: u64,
    /// Of the skipped, those that differ from the record.
    pub differing: u64,
    /// Bytes that would be written.
    pub bytes: Bytes,
    /// Bytes that the target has free, where known.
    pub free: Option<Bytes>,
    /// Whatever would keep the restore from working, for a person; empty if it can work.
    pub obstacles: Vec<String>,
    /// Some of the entries, each with what would happen; at most 100.
    pub examples: Vec<PreviewEntry>,
}

/// What would happen to one entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PreviewEntry {
    /// Its path or name at the target.
    pub path: String,
    /// `create`, `overwrite` or `skip`.
    pub action: PreviewAction,
}

crate::model::machine_labels! {
    /// What would happen to an entry in a restore.
    PreviewAction {
        /// It is not there yet.
        Create = "create",
        /// It is there, differs, and would be replaced.
        Overwrite = "overwrite",
        /// It stays as it is.
        Skip = "skip",
    }
}

/// Which entries of a record to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowseRequest {
    /// Whose record.
    pub tenant: TenantId,
    /// The record.
    pub record: RecordRef,
    /// The folder to list; empty for the record's root. Segments joined by `/`.
    pub path: String,
    /// Only entries after this name.
    pub after: Option<String>,
    /// At most this many; at least 1.
    pub limit: usize,
}

/// One page of a record's entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrowsePage {
    /// The entries, in order of their names.
    pub entries: Vec<BrowseEntry>,
    /// Pass as [`BrowseRequest::after`] for the next page; `None` at the end.
    pub next: Option<String>,
}

/// One entry of a record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BrowseEntry {
    /// Its name, with what is not UTF-8 escaped.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes, for files.
    pub size: Option<u64>,
    /// When it was last modified.
    pub modified_at: Option<Timestamp>,
}

crate::model::machine_labels! {
    /// What an entry of a record is.
    EntryKind {
        /// A file.
        File = "file",
        /// A folder.
        Directory = "directory",
        /// A symbolic link.
        Symlink = "symlink",
        /// Anything else.
        Other = "other",
    }
}

/// What of a location to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryRequest {
    /// Whose data.
    pub tenant: TenantId,
    /// Where.
    pub location: StorageUri,
    /// Only artifacts after this one.
    pub after: Option<String>,
    /// At most this many; at least 1.
    pub limit: usize,
}

/// One page of what lies in a location.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryPage {
    /// What was found.
    pub items: Vec<InventoryItem>,
    /// Pass as [`InventoryRequest::after`] for the next page; `None` at the end.
    pub next: Option<String>,
}

/// One backup that lies in a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryItem {
    /// The driver's own handle, as in [`BackupResult::handle`].
    pub handle: String,
    /// The artifact's name, if Aegis made it.
    pub artifact: Option<ArtifactName>,
    /// The operation that made it, if Aegis made it.
    pub operation: Option<OperationId>,
    /// The cluster that it says it comes from.
    pub cluster: Option<ClusterName>,
    /// What it covers, as far as it says.
    pub namespaces: Vec<NamespaceName>,
    /// When it was started.
    pub started_at: Timestamp,
    /// What it would restore, as far as it says.
    pub logical_size: Option<Bytes>,
}
