//! Writing and deleting: a temporary file, a flush, and one step that puts it in place.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use aegis_core::seams::{ObjectKey, ObjectStorageError, ObjectVersion, PutMode};
use cap_std::fs::{Metadata, OpenOptions};

use super::root::{PRIVATE, Root, now, parent, version};
use crate::{attempt::Attempt, options::Durability};

/// How often a write starts again because a delete took its folder away.
const FOLDER_RACES: usize = 16;

pub(super) fn put(
    root: &Root,
    key: &ObjectKey,
    bytes: &[u8],
    mode: &PutMode,
    attempt: &Attempt<'_>,
) -> Result<ObjectVersion, ObjectStorageError> {
    let io = |error| attempt.io(error);
    let path = Root::path(key).map_err(io)?;
    // Known losers are told before their bytes are written.
    match mode {
        PutMode::Overwrite => {}
        PutMode::Create => {
            if root.dir.symlink_metadata(&path).is_ok() {
                return Err(attempt.already_exists());
            }
        }
        PutMode::Update(expected) => expect_version(root, key, expected, attempt)?,
    }
    let staged = Staged::write(root, bytes).map_err(io)?;
    match mode {
        PutMode::Overwrite => {
            let _lock = root.lock_shared().map_err(io)?;
            staged.replace(&path).map_err(io)?;
        }
        PutMode::Create => staged.create(&path).map_err(io)?,
        PutMode::Update(expected) => {
            let _lock = root.lock_alone().map_err(io)?;
            expect_version(root, key, expected, attempt)?;
            staged.replace(&path).map_err(io)?;
        }
    }
    root.flush_folder(parent(&path)).map_err(|error| attempt.in_doubt(error.into()))?;
    Ok(staged.version())
}

pub(super) fn delete(root: &Root, key: &ObjectKey, attempt: &Attempt<'_>) -> Result<(), ObjectStorageError> {
    let path = Root::path(key).map_err(|error| attempt.io(error))?;
    match root.meta(key) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(attempt.io(error)),
    }
    let lock = root.lock_shared().map_err(|error| attempt.io(error))?;
    match root.dir.remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(attempt.io(error)),
    }
    drop(lock);
    flush_deletion(root, &path).map_err(|error| attempt.in_doubt(error.into()))
}

/// Removes the folders that the deletion left empty, and flushes the one that remains.
fn flush_deletion(root: &Root, path: &Path) -> io::Result<()> {
    let mut folder = parent(path);
    while !folder.as_os_str().is_empty() && root.dir.remove_dir(folder).is_ok() {
        folder = parent(folder);
    }
    root.flush_folder(folder)
}

fn expect_version(
    root: &Root,
    key: &ObjectKey,
    expected: &ObjectVersion,
    attempt: &Attempt<'_>,
) -> Result<(), ObjectStorageError> {
    match root.meta(key) {
        Ok(found) if found.version == *expected => Ok(()),
        Ok(_) => Err(attempt.conflict()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(attempt.conflict())
        }
        Err(error) => Err(attempt.io(error)),
    }
}

/// A written and flushed file that is not in place yet; removed when it is dropped before.
struct Staged<'a> {
    root: &'a Root,
    path: PathBuf,
    meta: Metadata,
    /// Held while the file is unfinished, so that a sweep can tell it from a dead process' one.
    _file: fs::File,
}

impl<'a> Staged<'a> {
    fn write(root: &'a Root, bytes: &[u8]) -> io::Result<Self> {
        let (mut file, path) = create_unique(root)?;
        let written = fill(&mut file, bytes, root.durability);
        match written {
            Ok(meta) => Ok(Self { root, path, meta, _file: file }),
            Err(error) => {
                // Best effort: the sweep at the next opening takes what stays.
                let _ = root.dir.remove_file(&path);
                Err(error)
            }
        }
    }

    fn version(&self) -> ObjectVersion {
        version(&self.meta)
    }

    /// Puts the file in place of whatever is there.
    fn replace(&self, path: &Path) -> io::Result<()> {
        self.place(path, || self.root.dir.rename(&self.path, &self.root.dir, path))
    }

    /// Puts the file in place if nothing is there.
    fn create(&self, path: &Path) -> io::Result<()> {
        match self.place(path, || self.root.dir.hard_link(&self.path, &self.root.dir, path)) {
            Err(error) if lacks_links(&error) => self.create_locked(path),
            placed => placed,
        }
    }

    /// For file systems without hard links: exact by the lock that every writer here takes.
    fn create_locked(&self, path: &Path) -> io::Result<()> {
        let _lock = self.root.lock_alone()?;
        if self.root.dir.symlink_metadata(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.replace(path)
    }

    fn place(&self, path: &Path, step: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut last = step();
        for _ in 0..FOLDER_RACES {
            match &last {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.root.make_folder(parent(path))?;
                    last = step();
                }
                _ => break,
            }
        }
        last
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // After a rename it is gone already; after a link the name is one too many.
        let _ = self.root.dir.remove_file(&self.path);
    }
}

fn fill(file: &mut fs::File, bytes: &[u8], durability: Durability) -> io::Result<Metadata> {
    file.write_all(bytes)?;
    file.set_modified(now())?;
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    Metadata::from_file(file)
}

/// A new locked file among the unfinished ones, under a name that no process of this machine uses.
fn create_unique(root: &Root) -> io::Result<(fs::File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    loop {
        let name = format!("{:x}-{:x}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(PRIVATE).join(name);
        match root.dir.open_with(&path, &options) {
            Ok(file) => {
                let file = file.into_std();
                file.lock_shared()?;
                return Ok((file, path));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                root.make_folder(Path::new(PRIVATE))?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn lacks_links(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
