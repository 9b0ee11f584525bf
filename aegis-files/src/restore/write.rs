//! Writing one entry: under a name of its own first, then put in place whole.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use rustic_core::{
    BlobId, IndexedFull, Repository,
    repofile::{BlobType, Node, NodeType},
};
use rustix::fs::{FileType, Mode, OFlags};

use super::{
    meta,
    place::{Place, unfinished},
};
use crate::{
    control::{Control, Stop},
    repository::{attempt, session::Session},
    trial::Trial,
};

/// The smallest run of zeros that is left out as a hole; the block size of most file systems.
const HOLE: usize = 4096;

/// Why one entry was not restored.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The target's file system said no.
    Target(io::Error),
    /// Its content could not be read, or the work ended.
    Source(Stop),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Target(error)
    }
}

impl From<rustix::io::Errno> for WriteError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Target(error.into())
    }
}

impl From<Stop> for WriteError {
    fn from(stop: Stop) -> Self {
        Self::Source(stop)
    }
}

/// Writes entries of one restore.
#[derive(Debug)]
pub(crate) struct Writer<'a, S> {
    repository: &'a Repository<S>,
    session: &'a Session,
    operation: String,
    trial: Option<&'a Trial>,
    number: AtomicU64,
}

impl<'a, S: IndexedFull> Writer<'a, S> {
    pub(crate) fn new(
        repository: &'a Repository<S>,
        session: &'a Session,
        operation: String,
        trial: Option<&'a Trial>,
    ) -> Self {
        Self { repository, session, operation, trial, number: AtomicU64::new(0) }
    }

    /// Writes `node` at `name`, over what is there only with `replace`. Whole or not at all.
    pub(crate) fn write(
        &self,
        place: &Place,
        name: &OsStr,
        node: &Node,
        replace: bool,
    ) -> Result<(), WriteError> {
        let temporary = unfinished(&self.operation, self.number.fetch_add(1, Ordering::Relaxed));
        let written =
            self.make(place, &temporary, node).and_then(|()| Ok(self.put(place, &temporary, name, replace)?));
        if written.is_err() {
            // Nothing half-made stays; what can't be removed is swept by the next restore.
            let _ = place.remove(&temporary);
        }
        written
    }

    /// Links `name` to the file that `first` names, which was restored before.
    pub(crate) fn link(
        &self,
        first: (&Place, &OsStr),
        place: &Place,
        name: &OsStr,
        replace: bool,
    ) -> io::Result<()> {
        let temporary = unfinished(&self.operation, self.number.fetch_add(1, Ordering::Relaxed));
        let flags = rustix::fs::AtFlags::empty();
        rustix::fs::linkat(first.0.dir(), first.1, place.dir(), &temporary, flags)?;
        self.put(place, &temporary, name, replace).inspect_err(|_| {
            let _ = place.remove(&temporary);
        })
    }

    /// Puts what is finished in place; of a trial it is noted down first.
    fn put(&self, place: &Place, finished: &OsStr, name: &OsStr, replace: bool) -> io::Result<()> {
        if let Some(trial) = self.trial {
            let stat = rustix::fs::statat(place.dir(), finished, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
            trial.note(place.path_of(name), &stat)?;
        }
        place.put(finished, name, replace)
    }

    fn make(&self, place: &Place, name: &OsStr, node: &Node) -> Result<(), WriteError> {
        let dir = place.dir();
        match &node.node_type {
            NodeType::File => return self.make_file(place, name, node),
            NodeType::Symlink { .. } => {
                rustix::fs::symlinkat(node.node_type.to_link(), dir, name)?;
            }
            NodeType::Fifo => rustix::fs::mknodat(dir, name, FileType::Fifo, Mode::RUSR, 0)?,
            NodeType::Dev { device } => {
                rustix::fs::mknodat(dir, name, FileType::BlockDevice, Mode::RUSR, *device)?;
            }
            NodeType::Chardev { device } => {
                rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::RUSR, *device)?;
            }
            NodeType::Dir | NodeType::Socket => {
                return Err(io::Error::from(io::ErrorKind::Unsupported).into());
            }
        }
        Ok(meta::apply_at(dir, name, &node.meta, node.is_symlink())?)
    }

    fn make_file(&self, place: &Place, name: &OsStr, node: &Node) -> Result<(), WriteError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(place.dir(), name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = Sparse::new(File::from(file));
        for id in node.content.iter().flatten() {
            let blob = attempt(self.session, "read a file from the repository", || {
                self.repository.get_blob_cached(&BlobId::from(*id), BlobType::Data)
            })?;
            file.write(&blob)?;
            self.control().add_bytes(u64::try_from(blob.len()).unwrap_or_default());
        }
        Ok(meta::apply(file.finish()?, &node.meta)?)
    }

    fn control(&self) -> &Control {
        &self.session.control
    }
}

/// A file in which zeros are holes.
struct Sparse {
    file: File,
    length: u64,
    /// Where the file's own position is.
    at: u64,
}

impl Sparse {
    const fn new(file: File) -> Self {
        Self { file, length: 0, at: 0 }
    }

    /// Appends `data`, leaving out runs of whole zero blocks.
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let zeros = blocks(rest, true);
            self.length += u64::try_from(zeros).unwrap_or_default();
            rest = rest.get(zeros..).unwrap_or_default();
            let bytes = blocks(rest, false);
            if bytes > 0 {
                self.append(rest.get(..bytes).unwrap_or_default())?;
                rest = rest.get(bytes..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.at != self.length {
            self.at = self.file.seek(SeekFrom::Start(self.length))?;
        }
        self.file.write_all(bytes)?;
        self.length += u64::try_from(bytes.len()).unwrap_or_default();
        self.at = self.length;
        Ok(())
    }

    fn finish(self) -> io::Result<File> {
        if self.at != self.length {
            self.file.set_len(self.length)?;
        }
        Ok(self.file)
    }
}

/// How many bytes at the front of `data` are blocks of zeros, or else blocks with something in
/// them. A last block that is not whole counts as something, unless it is all there is to skip.
fn blocks(data: &[u8], zero: bool) -> usize {
    let is_hole = |block: &&[u8]| block.len() == HOLE && block.iter().all(|byte| *byte == 0);
    data.chunks(HOLE).take_while(|block| is_hole(block) == zero).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn zeros_become_holes_and_read_back_the_same() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let mut content = vec![0; 1 << 20];
        content.extend([7; 5000]);
        content.extend(vec![0; 1 << 20]);
        let mut file = Sparse::new(temp.reopen().unwrap());
        for piece in content.chunks(300_000) {
            file.write(piece).unwrap();
        }
        file.finish().unwrap();
        assert_eq!(std::fs::read(temp.path()).unwrap(), content);
        assert!(temp.path().metadata().unwrap().blocks() * 512 < 1 << 20);
    }
}
