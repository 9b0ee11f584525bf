//! The directory itself: paths, locks, metadata and reading.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aegis_core::{
    model::Timestamp,
    seams::{ObjectKey, ObjectMeta, ObjectVersion},
};
use bytes::Bytes;
use cap_std::{
    ambient_authority,
    fs::{Dir, Metadata, MetadataExt, OpenOptions},
};

use crate::options::Durability;

/// Where the lock and unfinished writes lie; hidden from listings, refused in keys.
pub(super) const PRIVATE: &str = ".aegis-local";

/// How old an unfinished write must be before it may be taken for abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);

/// An open directory that nothing is resolved out of.
pub(super) struct Root {
    pub(super) dir: Dir,
    pub(super) durability: Durability,
}

impl Root {
    pub(super) fn open(path: &Path, durability: Durability) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        let root = Self { dir: Dir::open_ambient_dir(path, ambient_authority())?, durability };
        root.sweep();
        Ok(root)
    }

    /// The file of a key, relative to the root.
    pub(super) fn path(key: &ObjectKey) -> io::Result<PathBuf> {
        if key.as_str().split('/').next() == Some(PRIVATE) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "keys below .aegis-local are Aegis' own",
            ));
        }
        Ok(PathBuf::from(key.as_str()))
    }

    /// Removes what dead processes left unfinished. Best effort: what stays is seen by nobody.
    fn sweep(&self) {
        let Ok(entries) = self.dir.read_dir(PRIVATE) else { return };
        for entry in entries.flatten() {
            let path = Path::new(PRIVATE).join(entry.file_name());
            if path.extension().is_some_and(|extension| extension == "tmp") && self.is_abandoned(&path) {
                let _ = self.dir.remove_file(&path);
            }
        }
    }

    /// A writer locks its file right after it made it; the age covers the moment between.
    fn is_abandoned(&self, path: &Path) -> bool {
        let Ok(file) = self.dir.open(path).map(cap_std::fs::File::into_std) else { return false };
        let age = file.metadata().and_then(|found| found.modified()).map(|at| now().duration_since(at));
        matches!(age, Ok(Ok(age)) if age > ABANDONED_AFTER) && file.try_lock().is_ok()
    }

    /// Waits for the lock that excludes every other writer.
    pub(super) fn lock_alone(&self) -> io::Result<Lock> {
        let file = self.lock_file()?;
        file.lock()?;
        Ok(Lock { _file: file })
    }

    /// Waits for the lock that excludes compare-and-swaps only.
    pub(super) fn lock_shared(&self) -> io::Result<Lock> {
        let file = self.lock_file()?;
        file.lock_shared()?;
        Ok(Lock { _file: file })
    }

    fn lock_file(&self) -> io::Result<fs::File> {
        let path = Path::new(PRIVATE).join("lock");
        let open = || {
            self.dir.open_with(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
        };
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(Path::new(PRIVATE))?;
                open().map(cap_std::fs::File::into_std)
            }
            opened => opened.map(cap_std::fs::File::into_std),
        }
    }

    /// Makes a folder and those above it; each new name is flushed into its parent.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.as_os_str().is_empty() {
            return Ok(());
        }
        match self.dir.create_dir(folder) {
            Ok(()) => self.flush_folder(parent(folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = self.dir.symlink_metadata(folder)?;
                let usable = found.is_dir() || (found.is_symlink() && self.dir.metadata(folder)?.is_dir());
                if usable { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
            }
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && !parent(folder).as_os_str().is_empty() =>
            {
                self.make_folder(parent(folder))?;
                self.make_folder(folder)
            }
            Err(error) => Err(self.absence(error)),
        }
    }

    /// Flushes the names in a folder to the disk. One that is gone was emptied by a deletion, which
    /// flushes the folder above it.
    pub(super) fn flush_folder(&self, folder: &Path) -> io::Result<()> {
        if self.durability == Durability::Buffered {
            return Ok(());
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // Opened as a file: a handle of `open_dir` is too weak to be flushed.
        match self.dir.open(folder) {
            Ok(folder) => folder.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fails if the root itself was removed: nothing in it is absent then, all of it is unavailable.
    pub(super) fn must_exist(&self) -> io::Result<()> {
        if self.dir.dir_metadata()?.nlink() == 0 {
            let gone = "the directory of the location was removed";
            return Err(io::Error::new(io::ErrorKind::StaleNetworkFileHandle, gone));
        }
        Ok(())
    }

    /// Tells what is absent from what can't be found because the root is gone.
    fn absence(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::NotFound => self.must_exist().err().unwrap_or(error),
            _ => error,
        }
    }

    /// What is known of the object; what is no regular file is no object.
    pub(super) fn meta(&self, key: &ObjectKey) -> io::Result<ObjectMeta> {
        let found = self.dir.symlink_metadata(Self::path(key)?).map_err(|error| self.absence(error))?;
        if found.is_file() {
            Ok(object_meta(key.clone(), &found))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn read(&self, key: &ObjectKey) -> io::Result<(ObjectMeta, Bytes)> {
        let (mut file, meta) = self.open_object(key)?;
        let mut bytes = Vec::with_capacity(usize::try_from(meta.size).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        Ok((meta, bytes.into()))
    }

    /// The bytes of a range, or `None` if it is no range of the object.
    pub(super) fn read_range(&self, key: &ObjectKey, range: &Range<u64>) -> io::Result<Option<Bytes>> {
        let (mut file, meta) = self.open_object(key)?;
        if range.start > range.end || range.end > meta.size {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(range.end - range.start) else { return Ok(None) };
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    /// Looks before it opens: to open a pipe would wait for its writer.
    fn open_object(&self, key: &ObjectKey) -> io::Result<(cap_std::fs::File, ObjectMeta)> {
        self.meta(key)?;
        let file = self.dir.open(Self::path(key)?)?;
        let meta = object_meta(key.clone(), &file.metadata()?);
        Ok((file, meta))
    }

    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::fstatvfs(&self.dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// A held file lock; released when it is dropped or its process ends.
pub(super) struct Lock {
    _file: fs::File,
}

#[expect(clippy::disallowed_methods, reason = "a file's own time is the operating system's, not the model's")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// The folder of a relative path; empty for the root.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

pub(super) fn object_meta(key: ObjectKey, found: &Metadata) -> ObjectMeta {
    let micros = found.mtime().saturating_mul(1_000_000).saturating_add(found.mtime_nsec() / 1_000);
    ObjectMeta {
        key,
        size: found.size(),
        modified_at: Timestamp::from_micros(micros),
        version: version(found),
    }
}

/// Every write is a new file with its own time to the nanosecond, so that two writes differ even
/// where the file system hands out the same inode again.
pub(super) fn version(found: &Metadata) -> ObjectVersion {
    let tag = format!("{:x}.{:x}-{:x}-{:x}", found.mtime(), found.mtime_nsec(), found.ino(), found.size());
    ObjectVersion { e_tag: Some(tag), version: None }
}
