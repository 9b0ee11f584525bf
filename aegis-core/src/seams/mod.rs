//! The seams: what Aegis asks of the systems around it.

mod error;
mod object_storage;

pub use error::{ErrorClass, Source, report};
pub use object_storage::{
    CompareAndSwap, Immutability, ListOptions, ObjectKey, ObjectKeyError, ObjectMeta, ObjectPage,
    ObjectStorage, ObjectStorageError, ObjectVersion, PutMode, StorageCapabilities, StorageProbe,
    StorageUsage,
};
