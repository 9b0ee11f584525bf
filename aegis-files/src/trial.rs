//! What a trial restore makes, noted down so that it can be removed again, and nothing else.
//!
//! `.aegis-trials/<operation>` below the first restore root (or the scratch place, if there is none)
//! is one line of JSON for each entry. An entry is made under a name of its own, noted down with its
//! inode, and only then put in place: so nothing lies at the target that is not in the journal, and
//! an entry that somebody else put at the same path is told from ours. What a power cut takes from
//! the journal is not removed, and is named as left behind.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use aegis_core::{model::OperationId, seams::DriverError};
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use crate::{
    control::lock,
    repository::error,
    restore::place::{is_directory, unfinished},
};

/// The folder of the journals.
pub(crate) const FOLDER: &str = ".aegis-trials";

/// A trial restore that runs.
#[derive(Debug)]
pub(crate) struct Trial {
    operation: String,
    journal: Mutex<File>,
    number: AtomicU64,
}

/// What a trial restore made, as far as it was not removed.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Held locked, so that nothing writes to it meanwhile.
    _file: File,
    /// In the order in which they were made.
    pub(crate) entries: Vec<Made>,
}

/// One entry, as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    #[serde(with = "text")]
    pub(crate) path: PathBuf,
    inode: u64,
    /// Size and modification time; a directory's change with what is put into it.
    content: Option<(i64, i64, u64)>,
}

impl Made {
    fn new(path: PathBuf, stat: &Stat) -> Self {
        let content = (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        Self { path, inode: stat.st_ino, content: (!is_directory(stat)).then_some(content) }
    }

    pub(crate) const fn is_directory(&self) -> bool {
        self.content.is_none()
    }

    /// Whether what is there now is what was made.
    pub(crate) fn is(&self, stat: &Stat) -> bool {
        *self == Self::new(self.path.clone(), stat)
    }
}

impl Trial {
    /// Opens the journal of `operation` below `home`.
    pub(crate) fn begin(home: &Path, operation: OperationId) -> Result<Self, DriverError> {
        let path = home.join(FOLDER).join(operation.to_string());
        let opened = std::fs::create_dir_all(home.join(FOLDER))
            .and_then(|()| OpenOptions::new().append(true).create(true).open(&path));
        let journal = opened.map_err(|cause| error::io("note down what is restored in", &path, cause))?;
        claim(&journal, &path)?;
        Ok(Self { operation: operation.to_string(), journal: Mutex::new(journal), number: AtomicU64::new(0) })
    }

    /// A name for a directory that is not noted down yet.
    pub(crate) fn unfinished(&self) -> OsString {
        unfinished(&self.operation, format_args!("d{}", self.number.fetch_add(1, Ordering::Relaxed)))
    }

    /// Notes that what has this `stat` will be put at `path`.
    pub(crate) fn note(&self, path: PathBuf, stat: &Stat) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Made::new(path, stat))?;
        line.push(b'\n');
        lock(&self.journal).write_all(&line)
    }
}

impl Journal {
    /// What `operation` noted down below `home`; `None` if there is no journal of it.
    pub(crate) fn read(home: &Path, operation: OperationId) -> Result<Option<Self>, DriverError> {
        let path = home.join(FOLDER).join(operation.to_string());
        let fail = |cause| error::io("read what was restored from", &path, cause);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(fail(cause)),
        };
        claim(&file, &path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(fail)?;
        // A line that a crash cut off is of an entry that was not put in place.
        let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let entries = whole.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok(Some(Self { path, _file: file, entries }))
    }

    /// Forgets it: everything in it is gone.
    pub(crate) fn remove(self) -> Result<(), DriverError> {
        std::fs::remove_file(&self.path).map_err(|cause| error::io("remove", &self.path, cause))
    }
}

/// Makes sure that nobody else uses the journal; the lock goes with the process.
fn claim(journal: &File, path: &Path) -> Result<(), DriverError> {
    match journal.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(DriverError::unavailable("another process is at work on what this trial restored")
                .with_suggestion("wait for it to end, and try again"))
        }
        Err(TryLockError::Error(cause)) => Err(error::io("lock", path, cause)),
    }
}

/// Paths as text, or as bytes where they are none.
mod text {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, OsStr, OsStrExt, OsString, OsStringExt, Path, PathBuf, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Text {
        Plain(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match path.to_str() {
            Some(text) => Text::Plain(text.to_owned()),
            None => Text::Bytes(OsStr::as_bytes(path.as_os_str()).to_vec()),
        };
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(match Text::deserialize(deserializer)? {
            Text::Plain(text) => PathBuf::from(text),
            Text::Bytes(bytes) => OsString::from_vec(bytes).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: OperationId = OperationId::from_uuid(uuid::Uuid::from_u128(7));

    fn stat(path: &Path) -> Stat {
        rustix::fs::lstat(path).unwrap()
    }

    #[test]
    fn what_is_noted_is_read_back_in_its_order_whatever_it_is_called() {
        let home = tempfile::tempdir().unwrap();
        let here = stat(home.path());
        let odd = PathBuf::from(OsString::from_vec(b"/a/\xff\n".to_vec()));
        let trial = Trial::begin(home.path(), ID).unwrap();
        for path in [Path::new("/a"), &odd] {
            trial.note(path.to_owned(), &here).unwrap();
        }
        drop(trial);
        let journal = Journal::read(home.path(), ID).unwrap().unwrap();
        assert_eq!(
            journal.entries.iter().map(|made| &*made.path).collect::<Vec<_>>(),
            [Path::new("/a"), &odd]
        );
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_entry() {
        let home = tempfile::tempdir().unwrap();
        let trial = Trial::begin(home.path(), ID).unwrap();
        trial.note("/a".into(), &stat(home.path())).unwrap();
        lock(&trial.journal).write_all(br#"{"path":"/b","ino"#).unwrap();
        drop(trial);
        assert_eq!(Journal::read(home.path(), ID).unwrap().unwrap().entries.len(), 1);
    }

    #[test]
    fn nothing_is_read_while_the_trial_still_runs() {
        let home = tempfile::tempdir().unwrap();
        let _running = Trial::begin(home.path(), ID).unwrap();
        let error = Journal::read(home.path(), ID).unwrap_err();
        assert_eq!(error.class(), aegis_core::seams::ErrorClass::Unavailable);
    }

    #[test]
    fn a_file_that_was_written_to_or_replaced_is_not_what_was_made() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        std::fs::write(&path, "one").unwrap();
        let made = Made::new(path.clone(), &stat(&path));
        assert!(made.is(&stat(&path)));
        std::fs::write(&path, "longer").unwrap();
        assert!(!made.is(&stat(&path)));
    }
}
