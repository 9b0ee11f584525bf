//! Opening and reading one file, noting what goes wrong.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Arc,
};

use rustic_core::{ErrorKind, ReadSourceOpen, RusticError, RusticResult};
use rustix::fs::OFlags;

use super::{Tally, note_unreadable};

/// A file to read.
#[derive(Debug)]
pub(crate) struct OpenSource {
    pub(super) path: PathBuf,
    pub(super) tally: Arc<Tally>,
}

/// A file being read. A read that fails is noted once; rustic then leaves the file out.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    path: PathBuf,
    tally: Arc<Tally>,
}

impl ReadSourceOpen for OpenSource {
    type Reader = Reader;

    fn open(self) -> RusticResult<Reader> {
        match open_file(&self.path) {
            Ok(file) => Ok(Reader { file, path: self.path, tally: self.tally }),
            Err(error) => {
                self.tally.fail();
                note_unreadable(&self.tally, &self.path, &error);
                Err(RusticError::with_source(ErrorKind::InputOutput, "Could not open the file.", error))
            }
        }
    }
}

/// Opens what was listed as a file, and nothing that took its place: no link is followed, and no
/// pipe or device is waited for.
fn open_file(path: &std::path::Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file any more")) }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.tally.fail();
            note_unreadable(&self.tally, &self.path, error);
        }
        read
    }
}
