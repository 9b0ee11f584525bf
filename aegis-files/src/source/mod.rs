//! What a backup reads: sets of paths, walked in rustic's order, with everything that could not be
//! read counted.

mod node;
mod open;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aegis_core::model::{NamespaceName, ResourceCounts};
use rustic_core::{ReadSource, ReadSourceEntry, RusticResult};

use crate::{
    control::{Control, Findings},
    fileset::FileSet,
    naming,
};
use open::OpenSource;
use walk::Walk;

/// What a backup counts while it reads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What could not be read: the backup lacks it.
    pub(crate) errors: Findings,
    /// What was left out on purpose.
    pub(crate) warnings: Findings,
    files: AtomicU64,
    directories: AtomicU64,
    symlinks: AtomicU64,
    other: AtomicU64,
    /// Files that were listed and then could not be read.
    failed: AtomicU64,
}

/// What kind of entry was met.
#[derive(Clone, Copy, Debug)]
enum Kind {
    File,
    Directory,
    Symlink,
    Other,
}

impl Tally {
    fn count(&self, kind: Kind) {
        let counter = match kind {
            Kind::File => &self.files,
            Kind::Directory => &self.directories,
            Kind::Symlink => &self.symlinks,
            Kind::Other => &self.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A listed file could not be read to its end.
    fn fail(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many entries other than directories the snapshot must have.
    pub(crate) fn expected_files(&self) -> u64 {
        let listed = [&self.files, &self.symlinks, &self.other].map(|n| n.load(Ordering::Relaxed));
        listed.iter().sum::<u64>().saturating_sub(self.failed.load(Ordering::Relaxed))
    }

    /// What was backed up, by kind.
    pub(crate) fn counts(&self) -> ResourceCounts {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        [
            ("files", load(&self.files).saturating_sub(load(&self.failed))),
            ("directories", load(&self.directories)),
            ("symlinks", load(&self.symlinks)),
            ("other", load(&self.other)),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }
}

/// One path to read, of one namespace.
#[derive(Clone, Debug)]
struct Root {
    namespace: NamespaceName,
    path: PathBuf,
    set: FileSet,
}

/// The paths of some namespaces, as rustic reads them.
#[derive(Debug)]
pub(crate) struct FileSource {
    roots: Vec<Root>,
    /// Directories that are never entered: where our own storage lies.
    never: Arc<[PathBuf]>,
    tally: Arc<Tally>,
    control: Arc<Control>,
}

impl FileSource {
    pub(crate) fn new(
        namespaces: impl IntoIterator<Item = (NamespaceName, FileSet)>,
        never: Arc<[PathBuf]>,
        control: Arc<Control>,
    ) -> Self {
        let mut roots: Vec<_> = namespaces
            .into_iter()
            .flat_map(|(namespace, set)| {
                let paths = set.paths().to_vec();
                paths.into_iter().map(move |path| Root {
                    namespace: namespace.clone(),
                    path,
                    set: set.clone(),
                })
            })
            .collect();
        // rustic compares with the parent's trees in this order.
        roots.sort_by_cached_key(|root| naming::snapshot_path(&root.namespace, &root.path));
        Self { roots, never, tally: Arc::default(), control }
    }

    /// What was and is being counted.
    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// The paths in the snapshot.
    pub(crate) fn snapshot_paths(&self) -> Vec<PathBuf> {
        self.roots.iter().map(|root| naming::snapshot_path(&root.namespace, &root.path)).collect()
    }

    fn walk(&self, tally: Arc<Tally>) -> Walk {
        Walk::new(self.roots.clone(), Arc::clone(&self.never), tally, Arc::clone(&self.control))
    }
}

impl ReadSource for FileSource {
    type Open = OpenSource;
    type Iter = Entries;

    /// Sets the control's totals. Runs beside the backup, in a thread of rustic's.
    fn size(&self) -> RusticResult<Option<u64>> {
        let (mut bytes, mut items) = (0_u64, 0_u64);
        for met in self.walk(Arc::default()) {
            bytes = bytes.saturating_add(met.size());
            items += 1;
        }
        if !self.control.is_cancelled() {
            self.control.set_totals(bytes, items);
        }
        Ok(Some(bytes))
    }

    fn entries(&self) -> Self::Iter {
        Entries { walk: self.walk(Arc::clone(&self.tally)), tally: Arc::clone(&self.tally) }
    }
}

/// The walk with its entries made into rustic's.
pub(crate) struct Entries {
    walk: Walk,
    tally: Arc<Tally>,
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<OpenSource>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let met = self.walk.next()?;
            // What has become unreadable since it was listed is in the tally, and not in the tree.
            if let Some(entry) = node::entry(met, &self.tally) {
                return Some(Ok(entry));
            }
        }
    }
}

/// Notes why `path` could not be read.
fn note_unreadable(tally: &Tally, path: &std::path::Path, error: &std::io::Error) {
    let (cause, suggestion) = match error.kind() {
        std::io::ErrorKind::NotFound => (
            "vanished between being listed and being read".to_owned(),
            "exclude what changes all the time, or back up when it is quiet",
        ),
        std::io::ErrorKind::PermissionDenied => (
            "could not be read: permission denied".to_owned(),
            "let this process read it, or exclude it from the namespace",
        ),
        _ => (format!("could not be read: {error}"), "look into it, or exclude it from the namespace"),
    };
    tally.errors.add(&cause, path.display().to_string(), suggestion);
}
