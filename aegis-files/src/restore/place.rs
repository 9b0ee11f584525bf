//! A directory at the target, held open: everything is done relative to it, one name at a time.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use cap_std::{ambient_authority, fs::Dir};
use rustic_core::repofile::Metadata;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use super::meta;
use crate::{control::Findings, trial::Trial};

/// What unfinished entries are called; what a killed restore left is removed by the next.
pub(crate) const UNFINISHED: &str = ".aegis-restore-";

/// An open directory below a target's root. No link is ever followed to get there.
#[derive(Debug)]
pub(crate) struct Place {
    dir: Dir,
    path: PathBuf,
    parent: Option<Arc<Self>>,
    /// Applied once everything in it is done, since writing into it changes its times.
    finish: Option<Metadata>,
}

impl Place {
    /// Opens the trusted directory `path`, which the configuration names.
    pub(crate) fn trusted(path: &Path) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir, path: path.to_owned(), parent: None, finish: None })
    }

    /// As [`trusted`](Self::trusted), making what is missing.
    pub(crate) fn make_trusted(path: &Path) -> io::Result<Self> {
        Dir::create_ambient_dir_all(path, ambient_authority())?;
        Self::trusted(path)
    }

    /// The directory `name` in this one; a link there is refused.
    pub(crate) fn enter(self: &Arc<Self>, name: &OsStr, finish: Option<Metadata>) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd = rustix::fs::openat(&self.dir, name, flags, Mode::empty())?;
        Ok(Self {
            dir: Dir::from_std_file(fd.into()),
            path: self.path.join(name),
            parent: Some(Arc::clone(self)),
            finish,
        })
    }

    /// Makes the directory `name`, closed to others until it is finished, and opens it. Of a trial
    /// it is noted down before it is there.
    pub(crate) fn make(
        self: &Arc<Self>,
        name: &OsStr,
        finish: Option<Metadata>,
        trial: Option<&Trial>,
    ) -> io::Result<Self> {
        let Some(trial) = trial else {
            rustix::fs::mkdirat(&self.dir, name, Mode::RWXU)?;
            return self.enter(name, finish);
        };
        let unfinished = trial.unfinished();
        rustix::fs::mkdirat(&self.dir, &unfinished, Mode::RWXU)?;
        let made = rustix::fs::statat(&self.dir, &unfinished, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(io::Error::from)
            .and_then(|stat| trial.note(self.path_of(name), &stat))
            .and_then(|()| self.put(&unfinished, name, false));
        if let Err(error) = made {
            let _ = rustix::fs::unlinkat(&self.dir, &unfinished, AtFlags::REMOVEDIR);
            return Err(error);
        }
        self.enter(name, finish)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.dir.entries()?.next().is_none())
    }

    /// The open directory.
    pub(crate) const fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Where `name` in it lies, for messages.
    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// What is at `name`, links not followed.
    pub(crate) fn look(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes that can still be written here.
    pub(crate) fn free(&self) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(&self.dir).ok()?;
        stat.f_bavail.checked_mul(stat.f_frsize)
    }

    /// Removes what a killed restore left unfinished here: what has a name that begins with `prefix`.
    pub(crate) fn sweep(&self, prefix: &str) -> io::Result<()> {
        for entry in self.dir.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| name.starts_with(prefix)) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.dir.remove_dir(&name)?;
            } else {
                self.dir.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// Puts what lies at the name `unfinished` in place at `name`, whole.
    ///
    /// Without `replace` nothing that is there is overwritten: `AlreadyExists`.
    pub(crate) fn put(&self, unfinished: &OsStr, name: &OsStr, replace: bool) -> io::Result<()> {
        if replace {
            return Ok(rustix::fs::renameat(&self.dir, unfinished, &self.dir, name)?);
        }
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.dir, unfinished, &self.dir, name, flags) {
            // Some file systems know no such flag.
            Err(Errno::INVAL | Errno::NOSYS) if self.look(name)?.is_none() => {
                Ok(rustix::fs::renameat(&self.dir, unfinished, &self.dir, name)?)
            }
            result => Ok(result?),
        }
    }

    /// Removes `name`, which is no directory.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.dir, name, AtFlags::empty())?)
    }

    /// Gives up one hold on `place`. The last one applies its metadata, and then its parent's turn
    /// comes: so a directory's times are set when nothing in it changes any more.
    pub(crate) fn done(place: Arc<Self>, findings: &Findings) {
        let mut next = Some(place);
        while let Some(place) = next.and_then(Arc::into_inner) {
            if let Some(metadata) = &place.finish
                && let Err(error) = meta::apply_to_directory(&place.dir, metadata)
            {
                let cause = format!("the directory's metadata could not be restored: {error}");
                findings.add(&cause, place.path.display().to_string(), "set its mode and times by hand");
            }
            next = place.parent;
        }
    }
}

/// The name for the unfinished form of an entry: `number` is unique among one restore's.
pub(crate) fn unfinished(operation: &str, number: impl fmt::Display) -> OsString {
    OsString::from(format!("{}{number}", unfinished_of(operation)))
}

/// How the names of all the unfinished entries of one restore begin.
pub(crate) fn unfinished_of(operation: &str) -> String {
    format!("{UNFINISHED}{operation}-")
}

/// Whether an entry is a directory.
pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether `name`, from a snapshot, can be the name of one entry in a directory.
pub(crate) fn is_plain(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !matches!(bytes, b"" | b"." | b"..") && !bytes.contains(&b'/') && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn root() -> (tempfile::TempDir, Arc<Place>) {
        let temp = tempfile::tempdir().unwrap();
        let place = Arc::new(Place::trusted(temp.path()).unwrap());
        (temp, place)
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_plain() {
        for name in ["", ".", "..", "a/b", "/etc", "a\0b"] {
            assert!(!is_plain(OsStr::new(name)), "{name:?}");
        }
        assert!(is_plain(OsStr::new("..a")));
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_not_entered() {
        let (temp, place) = root();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), temp.path().join("link")).unwrap();
        assert!(place.enter(OsStr::new("link"), None).is_err());
    }

    #[test]
    fn putting_in_place_overwrites_only_when_told_to() {
        let (temp, place) = root();
        fs::write(temp.path().join("there"), "old").unwrap();
        fs::write(temp.path().join("new"), "new").unwrap();
        let error = place.put(OsStr::new("new"), OsStr::new("there"), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(temp.path().join("there")).unwrap(), "old");
        place.put(OsStr::new("new"), OsStr::new("there"), true).unwrap();
        assert_eq!(fs::read_to_string(temp.path().join("there")).unwrap(), "new");
    }

    #[test]
    fn what_a_killed_restore_left_is_swept() {
        let (temp, place) = root();
        let left = unfinished("0123456789", 1);
        fs::write(temp.path().join(&left), "half").unwrap();
        fs::write(temp.path().join("kept"), "whole").unwrap();
        place.sweep(UNFINISHED).unwrap();
        assert!(!temp.path().join(&left).exists() && temp.path().join("kept").exists());
    }
}
