//! Walking directories depth first, in byte order of names, as restic's trees are ordered.

use std::{
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Root, Tally, note_unreadable};
use crate::{control::Control, fileset::FileSet, naming};

/// An entry that was met.
#[derive(Debug)]
pub(super) struct Met {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Where it goes in the snapshot.
    pub(super) snapshot_path: PathBuf,
    /// What it is, links not followed.
    pub(super) metadata: Metadata,
}

impl Met {
    /// Bytes that reading it gives.
    pub(super) fn size(&self) -> u64 {
        if self.metadata.is_file() { self.metadata.len() } else { 0 }
    }
}

/// A directory that is being gone through.
#[derive(Debug)]
struct Level {
    directory: PathBuf,
    snapshot: PathBuf,
    /// Names still to come, last first.
    names: Vec<OsString>,
}

/// Walks roots one after another. Ends early when the work is cancelled.
#[derive(Debug)]
pub(super) struct Walk {
    /// Roots still to come, last first.
    roots: Vec<Root>,
    current: Option<(PathBuf, FileSet)>,
    levels: Vec<Level>,
    never: Arc<[PathBuf]>,
    tally: Arc<Tally>,
    control: Arc<Control>,
}

impl Walk {
    pub(super) fn new(
        mut roots: Vec<Root>,
        never: Arc<[PathBuf]>,
        tally: Arc<Tally>,
        control: Arc<Control>,
    ) -> Self {
        roots.reverse();
        Self { roots, current: None, levels: Vec::new(), never, tally, control }
    }

    /// The entry at `path`, having entered it if it is a directory; `None` if it is left out.
    fn meet(&mut self, path: PathBuf, snapshot_path: PathBuf) -> Option<Met> {
        if self.is_left_out(&path) {
            return None;
        }
        let metadata = self.readable(&path, fs::symlink_metadata(&path))?;
        if metadata.is_dir() {
            // A directory that can't be listed is still there, empty, and counted.
            let names = self.readable(&path, names(&path)).unwrap_or_default();
            self.levels.push(Level { directory: path.clone(), snapshot: snapshot_path.clone(), names });
        }
        Some(Met { path, snapshot_path, metadata })
    }

    fn is_left_out(&self, path: &Path) -> bool {
        let excluded = self.current.as_ref().is_some_and(|(root, set)| {
            path.strip_prefix(root).is_ok_and(|relative| relative != Path::new("") && set.excludes(relative))
        });
        excluded || self.never.iter().any(|never| never == path)
    }

    fn readable<T>(&self, path: &Path, result: io::Result<T>) -> Option<T> {
        result.inspect_err(|error| note_unreadable(&self.tally, path, error)).ok()
    }
}

/// The names in a directory, last first.
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| b.as_bytes().cmp(a.as_bytes()));
    Ok(names)
}

impl Iterator for Walk {
    type Item = Met;

    fn next(&mut self) -> Option<Met> {
        while !self.control.is_cancelled() {
            let (path, snapshot_path) = match self.levels.last_mut() {
                Some(level) => match level.names.pop() {
                    Some(name) => (level.directory.join(&name), level.snapshot.join(&name)),
                    None => {
                        self.levels.pop();
                        continue;
                    }
                },
                None => {
                    let root = self.roots.pop()?;
                    let snapshot_path = naming::snapshot_path(&root.namespace, &root.path);
                    self.current = Some((root.path.clone(), root.set));
                    (root.path, snapshot_path)
                }
            };
            if let Some(met) = self.meet(path, snapshot_path) {
                return Some(met);
            }
        }
        None
    }
}
