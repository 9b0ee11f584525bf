//! The seam to object storage: where manifests, repositories and leases beside data lie.

use std::{fmt, ops::Range, str::FromStr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::error::{ErrorClass, Source};
use crate::model::{StorageUri, Timestamp};

/// The key of an object below its location: relative, `/` between segments, no empty, `.` or `..`
/// segments, at most 1,024 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// The text can't be an object's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object key: use non-empty segments other than `.` and `..`, joined by `/`")]
pub struct ObjectKeyError(String);

impl ObjectKey {
    /// Validates `text`.
    ///
    /// # Errors
    /// [`ObjectKeyError`] (invalid input).
    pub fn new(text: impl Into<String>) -> Result<Self, ObjectKeyError> {
        let text = text.into();
        let sound = text.len() <= 1024
            && !text.chars().any(char::is_control)
            && text.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
        if sound { Ok(Self(text)) } else { Err(ObjectKeyError(text.chars().take(128).collect())) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// The backend's own mark of one version of an object; opaque, compared for equality only.
///
/// Writes of different bytes differ in it. Writes of the same bytes may not (some backends hash), so
/// what is compared and swapped should hold a counter. In a listing it may be incomplete: swap with
/// what `put`, `get` or `head` answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectVersion {
    /// The entity tag, where the backend gives one.
    pub e_tag: Option<String>,
    /// The version or generation, where the backend gives one.
    pub version: Option<String>,
}

/// What [`ObjectStorage::put`] does about what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Replace whatever is there.
    Overwrite,
    /// Create; refuse with `AlreadyExists` if the key exists.
    Create,
    /// Replace exactly this version; refuse with `VersionConflict` if it is another or gone.
    Update(ObjectVersion),
}

/// What is known of an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, by the storage's clock.
    pub modified_at: Timestamp,
    /// Which version this is.
    pub version: ObjectVersion,
}

/// One page of keys in lexicographic order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ObjectPage {
    /// The objects of this page.
    pub objects: Vec<ObjectMeta>,
    /// Pass as [`ListOptions::after`] for the next page, which may be empty; `None` at the end.
    pub next: Option<ObjectKey>,
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOptions {
    /// Only keys below this folder; all when `None`.
    pub prefix: Option<ObjectKey>,
    /// Only keys after this one.
    pub after: Option<ObjectKey>,
    /// At most this many; at least 1.
    pub limit: usize,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self { prefix: None, after: None, limit: 1000 }
    }
}

/// How a compare-and-swap is made atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareAndSwap {
    /// By the backend itself.
    Native,
    /// By a file lock beside the data: exact among processes that see the same file system.
    FileLock,
    /// Not at all: [`PutMode::Update`] answers `Unsupported`.
    Unsupported,
}

/// What a storage can do, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageCapabilities {
    /// Whether [`PutMode::Create`] is atomic; without it nothing can be committed here.
    pub conditional_create: bool,
    /// How [`PutMode::Update`] is done.
    pub compare_and_swap: CompareAndSwap,
    /// Whether [`ObjectStorage::immutability`] can tell the truth.
    pub reports_immutability: bool,
}

/// How full a storage is; `None` is unknown, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StorageUsage {
    /// Bytes that the objects of this location take.
    pub used_bytes: Option<u64>,
    /// Bytes that can still be written.
    pub free_bytes: Option<u64>,
}

/// What a probe of a storage found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageProbe {
    /// What it really can do, tried and not assumed.
    pub capabilities: StorageCapabilities,
    /// How long a small write and read took.
    pub round_trip: Duration,
}

/// Whether an object can be deleted or changed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Immutability {
    /// It can.
    None,
    /// It can't before this instant.
    Until(Timestamp),
    /// It can't, with no end set.
    Indefinite,
    /// The backend does not say.
    Unknown,
}

/// Why object storage did not do what was asked. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectStorageError {
    /// No such object. Class `NotFound`.
    #[error("no object `{key}` in {location}")]
    NotFound {
        /// The location.
        location: StorageUri,
        /// The key.
        key: String,
    },
    /// The key exists. Class `AlreadyExists`.
    #[error("object `{key}` in {location} already exists")]
    AlreadyExists {
        /// The location.
        location: StorageUri,
        /// The key.
        key: String,
    },
    /// Another version is there. Class `VersionConflict`.
    #[error("object `{key}` in {location} has changed since it was read")]
    VersionConflict {
        /// The location.
        location: StorageUri,
        /// The key.
        key: String,
    },
    /// The object is locked. Class `Forbidden`.
    #[error("object `{key}` in {location} is locked against deletion")]
    Locked {
        /// The location.
        location: StorageUri,
        /// The key.
        key: String,
        /// Until when, where the storage says.
        until: Option<Timestamp>,
    },
    /// The storage does not know us. Class `Unauthenticated`.
    #[error("{location} refused our credentials while we tried to {action}")]
    Unauthenticated {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
    /// The storage knows us and says no (a read-only target, too). Class `Forbidden`.
    #[error("{location} does not permit us to {action}")]
    Forbidden {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
    /// There is no room left. Class `Unavailable`: it may be tried again once there is.
    #[error("{location} is full: could not {action}; free space or raise the quota")]
    Full {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
    /// The backend can't do it. Class `Unsupported`.
    #[error("{location} can't {action}")]
    Unsupported {
        /// The location.
        location: StorageUri,
        /// What was asked.
        action: String,
    },
    /// Wrong request. Class `InvalidInput`.
    #[error("can't {action} in {location}: {reason}")]
    InvalidInput {
        /// The location.
        location: StorageUri,
        /// What was asked.
        action: String,
        /// What is wrong, and the mend.
        reason: String,
    },
    /// Not reachable; known not to have taken effect. Class `Unavailable`.
    #[error("{location} is unavailable: could not {action}")]
    Unavailable {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
    /// It may have taken effect. Class `Indeterminate`.
    #[error("{location} did not answer when we tried to {action}: it may have happened")]
    Indeterminate {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
    /// Anything else. Class `Internal`.
    #[error("{location}: could not {action}")]
    Internal {
        /// The location.
        location: StorageUri,
        /// What was tried.
        action: String,
        /// The cause.
        source: Source,
    },
}

impl ObjectStorageError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::AlreadyExists { .. } => ErrorClass::AlreadyExists,
            Self::VersionConflict { .. } => ErrorClass::VersionConflict,
            Self::Unauthenticated { .. } => ErrorClass::Unauthenticated,
            Self::Locked { .. } | Self::Forbidden { .. } => ErrorClass::Forbidden,
            Self::Unsupported { .. } => ErrorClass::Unsupported,
            Self::InvalidInput { .. } => ErrorClass::InvalidInput,
            Self::Full { .. } | Self::Unavailable { .. } => ErrorClass::Unavailable,
            Self::Indeterminate { .. } => ErrorClass::Indeterminate,
            Self::Internal { .. } => ErrorClass::Internal,
        }
    }
}

/// One storage location: objects below one [`StorageUri`].
///
/// # Contract for implementors
/// - Reads see the newest acknowledged write (strong consistency), and `put` is all or nothing: a
///   reader sees the old bytes or the new ones, also across a crash of the writer.
/// - An acknowledged write survives a crash of the machine where the backend can promise it.
/// - A timeout after the request left is `Indeterminate`; before, `Unavailable`.
/// - Nothing outside of [`uri`](Self::uri) is ever read or written.
/// - Every method is cancel safe in this sense: a dropped `put` has happened whole or not at all,
///   and a dropped `delete` may have happened.
/// - `Clone`s and `Arc`s are handles to the same data.
/// - Keys are names: nothing in them is decoded, expanded or resolved. Callers make no key that is
///   the folder of another (`a` beside `a/b`), and no segment over 255 bytes: some backends can't
///   hold them, and answer `InvalidInput`.
#[async_trait]
pub trait ObjectStorage: fmt::Debug + Send + Sync + 'static {
    /// The location that this storage serves.
    fn uri(&self) -> &StorageUri;

    /// What it can do; after [`probe`](Self::probe), what it was seen to do.
    fn capabilities(&self) -> StorageCapabilities;

    /// Writes `bytes` at `key` atomically and answers the new version.
    ///
    /// Idempotency: `Overwrite` may be repeated. A `Create` or `Update` whose answer was lost is
    /// settled by reading the object back.
    ///
    /// # Errors
    /// `AlreadyExists` (`Create`), `VersionConflict` (`Update`, also when the object is gone),
    /// `Unsupported` (undeclared mode), `Forbidden`, `Unauthenticated`, `Unavailable` (full, too),
    /// `Indeterminate`, `Internal`.
    async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectVersion, ObjectStorageError>;

    /// Reads a whole object with what is known of it.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Unauthenticated`, `Unavailable`, `Internal`.
    async fn get(&self, key: &ObjectKey) -> Result<(ObjectMeta, Bytes), ObjectStorageError>;

    /// Reads the bytes `range` of an object; a range past its end is `InvalidInput`.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput`.
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, ObjectStorageError>;

    /// What is known of an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectStorageError>;

    /// Lists one page of objects in lexicographic order of their keys; nothing found is an empty page.
    ///
    /// # Errors
    /// `Forbidden`, `Unauthenticated`, `Unavailable`, `Internal`.
    async fn list(&self, options: &ListOptions) -> Result<ObjectPage, ObjectStorageError>;

    /// The names of the folders directly below `prefix` (below the location when `None`), sorted.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn folders(&self, prefix: Option<&ObjectKey>) -> Result<Vec<String>, ObjectStorageError>;

    /// Deletes an object; idempotent, so one that is not there is success.
    ///
    /// # Errors
    /// `Forbidden` (locked, too), `Unauthenticated`, `Unavailable`, `Indeterminate`, `Internal`.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError>;

    /// How full the storage is, as far as it is known.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    async fn usage(&self) -> Result<StorageUsage, ObjectStorageError>;

    /// Tries what the storage can really do with a few small objects under `.aegis-probe/`, and
    /// removes them. Idempotent; updates [`capabilities`](Self::capabilities).
    ///
    /// # Errors
    /// As [`put`](Self::put): a storage that can't be written to fails here, at start-up, and not
    /// in the first backup.
    async fn probe(&self) -> Result<StorageProbe, ObjectStorageError>;

    /// Whether the object can be deleted or changed now, as the storage itself enforces it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn immutability(&self, key: &ObjectKey) -> Result<Immutability, ObjectStorageError>;
}
