//! The seams: what Aegis asks of the systems around it.

mod clock;
mod dr_check;
mod driver;
mod error;
#[cfg(feature = "mocks")]
#[expect(missing_docs, reason = "the trait documents its methods")]
mod mocks;
mod notifier;
mod object_lease;
mod object_storage;
mod store;

pub use clock::{Clock, Monotonic};
pub use dr_check::{DrCheck, DrVerdict, RestoredCopy};
pub use driver::{
    BackupDriver, BackupResult, BackupWork, BrowseEntry, BrowsePage, BrowseRequest, Capabilities,
    CleanUpResult, CleanUpWork, DeleteWork, DriverError, DriverErrorDetail, EndStatus, EntryKind, Feature,
    InventoryItem, InventoryPage, InventoryRequest, Observation, Operation, Outcome, PreviewAction,
    PreviewEntry, RestorePreview, RestorePurpose, RestoreResult, RestoreWork, VerifyResult, VerifyWork, Work,
    WorkKind, WorkResult,
};
pub use error::{ErrorClass, Source, report};
pub use notifier::{Notifier, NotifyError};
pub use object_lease::{HeldLease, LeaseClaim, ObjectLease, ObjectLeaseError};
pub use object_storage::{
    CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectKeyError, ObjectMeta, ObjectPage,
    ObjectStorage, ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe,
    StorageUsage,
};
pub use store::{
    Change, Changeset, Claim, Column, ColumnType, Committed, Conflict, Cursor, Cut, Derived, DerivedKeys,
    DerivedQuery, DerivedRow, DrTestQuery, ExecutionQuery, Expect, Fence, Generation, Grant, HintBoard,
    HolderId, JobOrder, JobQuery, Lease, LeaseName, LogEnd, LogStart, Narrowing, NoHint, Page, PlanQuery,
    PolicyQuery, PolicyStateQuery, ProgressReport, ReaderStep, RecordQuery, RecordTotals, RetentionRunQuery,
    Scope, Sealed, SlotQuery, Store, StoreError, StoreExt, StoreHint, Stretches, TallyLevel, Turn, Value,
    VerificationQuery, Window, Write,
};

#[cfg(feature = "mocks")]
pub use {
    clock::MockClock, driver::MockBackupDriver, mocks::MockObjectStorage, notifier::MockNotifier,
    store::MockStore,
};
