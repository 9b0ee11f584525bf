//! Whether two trees are the same: names, kinds, bytes, modes, times, links.
//!
//! Written apart from the driver on purpose: what restores must not be what says that it is right.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, ErrorKind, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use aegis::model::Timestamp;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;
/// How many findings are kept in words.
const SHOWN: usize = 5;

/// What was compared, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) links: u64,
    pub(crate) others: u64,
    pub(crate) bytes: u64,
    /// Differences that nothing explains.
    pub(crate) differences: Findings,
    /// What changed after the recovery point.
    pub(crate) changed_since: Findings,
    /// What can't be read here, and so was not backed up either.
    pub(crate) unreadable: Findings,
}

/// Findings, some of them in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) count: u64,
    pub(crate) shown: Vec<String>,
}

impl Findings {
    fn add(&mut self, path: &Path, what: &str) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{}: {what}", crate::text::shown(path)));
        }
    }
}

/// What to compare, and how strictly.
pub(crate) struct Question<'a> {
    /// What it should be.
    pub(crate) original: &'a Path,
    /// What came back.
    pub(crate) restored: &'a Path,
    /// What is no part of it, relative to the original.
    pub(crate) left_out: &'a [PathBuf],
    /// The recovery point, if others may have changed the original since.
    pub(crate) as_of: Option<Timestamp>,
    /// Is told the bytes compared so far.
    pub(crate) progress: &'a dyn Fn(u64),
}

/// Compares every entry of two trees.
pub(crate) fn compare(question: &Question<'_>) -> Comparison {
    let mut walk = Walk { question, found: Comparison::default(), buffers: [vec![0; CHUNK], vec![0; CHUNK]] };
    walk.entry(Path::new(""));
    walk.found
}

struct Walk<'a> {
    question: &'a Question<'a>,
    found: Comparison,
    buffers: [Vec<u8>; 2],
}

impl Walk<'_> {
    fn original(&self, relative: &Path) -> PathBuf {
        self.question.original.join(relative)
    }

    fn restored(&self, relative: &Path) -> PathBuf {
        self.question.restored.join(relative)
    }

    /// Notes a difference, unless the original changed after the recovery point.
    fn differs(&mut self, relative: &Path, what: &str) {
        let path = self.original(relative);
        let entry = changed_at(&path);
        // An entry that is there no more changed its directory when it went.
        let last = entry.or_else(|| path.parent().and_then(changed_at));
        let later = self.question.as_of.zip(last).is_some_and(|(as_of, last)| last >= as_of);
        if later {
            self.found.changed_since.add(relative, what);
        } else {
            self.found.differences.add(relative, what);
        }
    }

    fn entry(&mut self, relative: &Path) {
        if self.question.left_out.iter().any(|out| out == relative) {
            return;
        }
        let original = fs::symlink_metadata(self.original(relative));
        let restored = fs::symlink_metadata(self.restored(relative));
        let (original, restored) = match (original, restored) {
            (Ok(original), Ok(restored)) => (original, restored),
            (Ok(metadata), Err(error)) if error.kind() == ErrorKind::NotFound => {
                return self.missing(relative, &metadata);
            }
            (Err(error), Ok(_)) if error.kind() == ErrorKind::NotFound => {
                return self.differs(relative, "came back, but is not in the original");
            }
            (Err(error), _) => return self.found.unreadable.add(relative, &error.to_string()),
            (_, Err(error)) => return self.differs(relative, &format!("can't be read back: {error}")),
        };
        if original.file_type() != restored.file_type() {
            return self.differs(relative, "came back as another kind of entry");
        }
        self.attributes(relative, &original, &restored);
        if original.is_dir() {
            self.found.directories += 1;
            self.directory(relative);
        } else if original.is_symlink() {
            self.found.links += 1;
            self.link(relative);
        } else if original.is_file() {
            self.found.files += 1;
            self.content(relative, &original, &restored);
        } else {
            self.found.others += 1;
        }
    }

    fn missing(&mut self, relative: &Path, metadata: &Metadata) {
        let path = self.original(relative);
        let kind = metadata.file_type();
        let readable = match () {
            () if metadata.is_file() => File::open(&path).map(drop),
            () if metadata.is_dir() => fs::read_dir(&path).map(drop),
            () => Ok(()),
        };
        match readable {
            Err(error) => self.found.unreadable.add(relative, &error.to_string()),
            Ok(()) if kind.is_socket() => self.found.others += 1,
            Ok(()) => self.differs(relative, "did not come back"),
        }
    }

    fn attributes(&mut self, relative: &Path, original: &Metadata, restored: &Metadata) {
        // What a link may do is nobody's to set.
        if !original.is_symlink() && original.mode() & 0o7777 != restored.mode() & 0o7777 {
            let modes = (original.mode() & 0o7777, restored.mode() & 0o7777);
            self.differs(relative, &format!("has mode {:o} instead of {:o}", modes.1, modes.0));
        }
        let times = [original, restored].map(|metadata| (metadata.mtime(), metadata.mtime_nsec()));
        if times[0] != times[1] {
            self.differs(relative, "has another modification time");
        }
    }

    fn directory(&mut self, relative: &Path) {
        let mut names = BTreeSet::new();
        match names_in(&self.original(relative)) {
            Ok(found) => names.extend(found),
            Err(error) => self.found.unreadable.add(relative, &error.to_string()),
        }
        match names_in(&self.restored(relative)) {
            Ok(found) => names.extend(found),
            Err(error) => self.differs(relative, &format!("can't be read back: {error}")),
        }
        for name in names {
            self.entry(&relative.join(name));
        }
    }

    fn link(&mut self, relative: &Path) {
        let targets = [self.original(relative), self.restored(relative)].map(fs::read_link);
        if let [Ok(original), Ok(restored)] = &targets
            && original == restored
        {
            return;
        }
        self.differs(relative, "points somewhere else");
    }

    fn content(&mut self, relative: &Path, original: &Metadata, restored: &Metadata) {
        if original.len() != restored.len() {
            let what = format!("has {} bytes instead of {}", restored.len(), original.len());
            return self.differs(relative, &what);
        }
        let original = match File::open(self.original(relative)) {
            Ok(file) => file,
            Err(error) => return self.found.unreadable.add(relative, &error.to_string()),
        };
        let same = File::open(self.restored(relative)).and_then(|restored| self.same(original, restored));
        match same {
            Ok(true) => {}
            Ok(false) => self.differs(relative, "has other bytes"),
            Err(error) => self.differs(relative, &format!("can't be read: {error}")),
        }
    }

    fn same(&mut self, mut original: File, mut restored: File) -> io::Result<bool> {
        let [left, right] = &mut self.buffers;
        loop {
            let read = (fill(&mut original, left)?, fill(&mut restored, right)?);
            if left.get(..read.0) != right.get(..read.1) {
                return Ok(false);
            }
            if read.0 == 0 {
                return Ok(true);
            }
            self.found.bytes += u64::try_from(read.0).unwrap_or(u64::MAX);
            (self.question.progress)(self.found.bytes);
        }
    }
}

fn names_in(directory: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// When the entry or its content last changed, by a time that nobody can set.
fn changed_at(path: &Path) -> Option<Timestamp> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let micros = metadata.ctime().saturating_mul(1_000_000).saturating_add(metadata.ctime_nsec() / 1_000);
    Some(Timestamp::from_micros(micros))
}
