//! The seams: what Aegis asks of the systems around it.

mod clock;
mod driver;
mod error;
mod object_storage;

pub use clock::{Clock, Monotonic};
pub use driver::{
    BackupDriver, BackupResult, BackupWork, Base, BrowseEntry, BrowsePage, BrowseRequest, Capabilities,
    DeleteWork, DriverError, DriverErrorDetail, EndStatus, EntryKind, ExistingResourcePolicy, Feature,
    InventoryItem, InventoryPage, InventoryRequest, Observation, Operation, Outcome, PreviewAction,
    PreviewEntry, RecordRef, RestorePreview, RestoreResult, RestoreTarget, RestoreWork, VerifyResult,
    VerifyWork, Work, WorkKind, WorkResult,
};
pub use error::{ErrorClass, Source, report};
pub use object_storage::{
    CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectKeyError, ObjectMeta, ObjectPage,
    ObjectStorage, ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe,
    StorageUsage,
};
