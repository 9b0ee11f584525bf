//! How a store is opened.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

/// Which file, and how it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    pub(crate) file: PathBuf,
    pub(crate) readers: NonZeroU32,
    pub(crate) queue: NonZeroUsize,
    pub(crate) busy_timeout: Duration,
    pub(crate) checked_up_to: u64,
}

impl SqliteOptions {
    /// The file at this path, made if it is not there; its folder must be.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        const READERS: NonZeroU32 = NonZeroU32::new(4).unwrap();
        const QUEUE: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
        Self {
            file: file.into(),
            readers: READERS,
            queue: QUEUE,
            busy_timeout: Duration::from_secs(5),
            checked_up_to: 256 << 20,
        }
    }

    /// With so many connections that read. The default is 4.
    #[must_use]
    pub const fn with_readers(mut self, readers: NonZeroU32) -> Self {
        self.readers = readers;
        self
    }

    /// With so many changes that may wait for the writer; who asks for more waits for a place. The
    /// default is 1,024.
    #[must_use]
    pub const fn with_queue(mut self, queue: NonZeroUsize) -> Self {
        self.queue = queue;
        self
    }

    /// Waits so long where another program, say the `sqlite3` shell, holds SQLite's own lock, before
    /// it is `Unavailable`. The default is 5 seconds.
    #[must_use]
    pub const fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Reads the file whole when it is opened, looking for damage, if it has at most so many bytes.
    /// The default is 256 MiB, about a second; a larger file can be checked with
    /// [`SqliteStore::check`](crate::SqliteStore::check).
    #[must_use]
    pub const fn checked_up_to(mut self, bytes: u64) -> Self {
        self.checked_up_to = bytes;
        self
    }
}
