//! Going through a snapshot and its target side by side.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{model::ExistingResourcePolicy, seams::DriverError};
use rustic_core::{
    TreeId,
    repofile::{Metadata, Node, NodeType, SnapshotFile},
};

use super::{
    IndexedRepository, compare,
    place::{self, Place},
    target::Mapped,
};
use crate::{
    control::{Findings, Stop},
    repository::{attempt, error, session::Session},
    tree,
    trial::Trial,
};

/// What becomes of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is there yet.
    Create,
    /// It is there as it should be. A directory that is there counts as this, too.
    Same,
    /// It differs and is replaced.
    Replace,
    /// It differs and stays.
    Keep,
}

/// One entry of the snapshot at its target.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) node: &'a Node,
    /// The open directory; `None` if it is not there, which happens only where nothing is written.
    pub(super) place: Option<&'a Arc<Place>>,
    pub(super) name: &'a OsStr,
    pub(super) path: PathBuf,
    pub(super) verdict: Verdict,
    /// Bytes of its content.
    pub(super) bytes: u64,
}

/// What is done on the way.
pub(super) trait Visit {
    /// Whether directories are made on the way.
    fn writes(&self) -> bool;
    /// Where to note what can't be done.
    fn findings(&self) -> &Findings;
    /// How many bytes a target has free.
    fn free(&mut self, free: Option<u64>);
    /// Sees an entry; a directory before it is made or entered.
    fn entry(&mut self, entry: Entry<'_>) -> Result<(), Stop>;
}

/// The way through one snapshot.
pub(super) struct Traverse<'a> {
    pub(super) repository: &'a IndexedRepository,
    pub(super) session: &'a Session,
    pub(super) existing: ExistingResourcePolicy,
    pub(super) trial: Option<&'a Trial>,
}

/// A directory that is being gone through.
struct Level {
    nodes: std::vec::IntoIter<Node>,
    place: Option<Arc<Place>>,
    /// At the target, for messages.
    path: PathBuf,
    /// Below the mapped path, for the selection.
    relative: PathBuf,
}

impl Traverse<'_> {
    /// Goes through what `mapped` says.
    pub(super) fn run(
        &self,
        snapshot: &SnapshotFile,
        mapped: &Mapped,
        visit: &mut dyn Visit,
    ) -> Result<(), Stop> {
        let found = tree::find(self.repository, self.session, snapshot, &mapped.snapshot_path)?;
        let Some(root) = found else {
            // It had vanished before it could be backed up; the record says so.
            return Ok(());
        };
        let Some((last, ancestors)) = mapped.below.split_last() else {
            return self.run_trusted(mapped, &root, visit);
        };
        let parent = self.descend(mapped, ancestors, visit)?;
        let path = mapped.below.iter().fold(mapped.trusted.clone(), |path, name| path.join(name));
        let level =
            self.meet(root, last.clone(), parent.as_ref(), path, PathBuf::new(), &mapped.only, visit)?;
        self.walk(level, &mapped.only, visit)?;
        finish(parent, visit);
        Ok(())
    }

    /// The mapped path is the trusted directory itself.
    fn run_trusted(&self, mapped: &Mapped, root: &Node, visit: &mut dyn Visit) -> Result<(), Stop> {
        let Some(tree) = root.subtree else {
            let error = DriverError::invalid_input("a single file can't take the place of a restore root");
            return Err(error.with_suggestion("name a path below the restore root").into());
        };
        let place = self.descend(mapped, &[], visit)?;
        let level = self.level(tree, place, mapped.trusted.clone(), PathBuf::new(), visit)?;
        self.walk(level, &mapped.only, visit)
    }

    /// Opens the directory that holds the mapped path, making it where things are written.
    fn descend(
        &self,
        mapped: &Mapped,
        names: &[OsString],
        visit: &mut dyn Visit,
    ) -> Result<Option<Arc<Place>>, Stop> {
        let mut tries = 3;
        loop {
            match self.try_to_descend(mapped, names, visit) {
                Ok(place) => return Ok(place),
                // A directory on the way was just removed by whoever made it and needs it no more.
                Err((_, cause)) if cause.kind() == io::ErrorKind::NotFound && visit.writes() && tries > 1 => {
                    tries -= 1;
                }
                Err((path, cause)) => return Err(error::io("restore to", &path, cause).into()),
            }
        }
    }

    fn try_to_descend(
        &self,
        mapped: &Mapped,
        names: &[OsString],
        visit: &mut dyn Visit,
    ) -> Result<Option<Arc<Place>>, (PathBuf, io::Error)> {
        let fail = |path: &Path, cause| (path.to_owned(), cause);
        let trusted = &mapped.trusted;
        let opened = if visit.writes() { Place::make_trusted(trusted) } else { Place::trusted(trusted) };
        let mut place = match opened {
            Ok(place) => Arc::new(place),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && !visit.writes() => {
                visit.free(nearest_free(trusted));
                return Ok(None);
            }
            Err(cause) => return Err(fail(trusted, cause)),
        };
        for name in names {
            let path = place.path_of(name);
            let next = match place.look(name).map_err(|cause| fail(&path, cause))? {
                None if !visit.writes() => {
                    visit.free(place.free());
                    return Ok(None);
                }
                None => place.make(name, None, self.trial).and_then(|made| open_to_us(&made).map(|()| made)),
                Some(_) => place.enter(name, None),
            };
            place = Arc::new(next.map_err(|cause| fail(&path, cause))?);
        }
        visit.free(place.free());
        Ok(Some(place))
    }

    fn walk(&self, first: Option<Level>, only: &[PathBuf], visit: &mut dyn Visit) -> Result<(), Stop> {
        let mut levels: Vec<Level> = first.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            self.session.control.check()?;
            let Some(node) = level.nodes.next() else {
                if let Some(level) = levels.pop() {
                    finish(level.place, visit);
                }
                continue;
            };
            let name = node.name().into_owned();
            let path = level.path.join(&name);
            if !place::is_plain(&name) {
                let cause = "has a name in the record that no entry can have, and is left out";
                visit.findings().add(cause, path.display().to_string(), tree::BROKEN);
                continue;
            }
            let relative = level.relative.join(&name);
            let place = level.place.clone();
            if let Some(next) = self.meet(node, name, place.as_ref(), path, relative, only, visit)? {
                levels.push(next);
            }
            finish(place, visit);
        }
        Ok(())
    }

    /// Deals with one entry; answers the level to go through if it is a directory to be entered.
    #[expect(clippy::too_many_arguments, reason = "where an entry is, in the record and at the target")]
    fn meet(
        &self,
        node: Node,
        name: OsString,
        place: Option<&Arc<Place>>,
        path: PathBuf,
        relative: PathBuf,
        only: &[PathBuf],
        visit: &mut dyn Visit,
    ) -> Result<Option<Level>, Stop> {
        let wanted = wanted(&relative, only);
        if wanted == Wanted::No {
            return Ok(None);
        }
        if matches!(node.node_type, NodeType::Socket) {
            return Ok(None);
        }
        let verdict = match self.judge(&node, &name, place) {
            Ok(verdict) => verdict,
            Err(cause) => {
                let cause = format!("could not be compared with the record: {cause}");
                visit.findings().add(&cause, path.display().to_string(), "look into the target");
                return Ok(None);
            }
        };
        // A directory on the way to a chosen path is only passed through.
        if wanted == Wanted::Yes || !node.is_dir() {
            let bytes = if node.is_file() { compare::content_size(self.repository, &node) } else { 0 };
            visit.entry(Entry { node: &node, place, name: &name, path: path.clone(), verdict, bytes })?;
        }
        let Some(tree) = node.subtree.filter(|_| node.is_dir() && verdict != Verdict::Keep) else {
            return Ok(None);
        };
        let place = match place {
            Some(parent) if visit.writes() => match self.enter(parent, &name, &node, verdict) {
                Ok(place) => Some(Arc::new(place)),
                Err(cause) if stops(&cause) => return Err(error::io("restore", &path, cause).into()),
                Err(cause) => {
                    let cause = format!("the directory could not be restored: {cause}");
                    visit.findings().add(&cause, path.display().to_string(), "look into the target");
                    return Ok(None);
                }
            },
            Some(parent) if verdict == Verdict::Same => parent.enter(&name, None).ok().map(Arc::new),
            _ => None,
        };
        self.level(tree, place, path, relative, visit)
    }

    fn level(
        &self,
        tree: TreeId,
        place: Option<Arc<Place>>,
        path: PathBuf,
        relative: PathBuf,
        visit: &dyn Visit,
    ) -> Result<Option<Level>, Stop> {
        match attempt(self.session, "read a directory of the record", || self.repository.get_tree(&tree)) {
            Ok(tree) => Ok(Some(Level { nodes: tree.nodes.into_iter(), place, path, relative })),
            Err(Stop::Failed(error)) if tree::is_damage(&error) => {
                let cause =
                    format!("the directory can't be read from the repository: {}", error::line(&error));
                visit.findings().add(&cause, path.display().to_string(), tree::BROKEN);
                finish(place, visit);
                Ok(None)
            }
            Err(stop) => Err(stop),
        }
    }

    fn judge(&self, node: &Node, name: &OsStr, place: Option<&Arc<Place>>) -> io::Result<Verdict> {
        let Some(place) = place else { return Ok(Verdict::Create) };
        let Some(stat) = place.look(name)? else { return Ok(Verdict::Create) };
        if compare::is_same(self.repository, place, name, &stat, node)? {
            return Ok(Verdict::Same);
        }
        // A directory is never removed to make room: what is in it is not the record's to decide on.
        let may_replace = self.existing == ExistingResourcePolicy::Update && !place::is_directory(&stat);
        Ok(if may_replace { Verdict::Replace } else { Verdict::Keep })
    }

    /// Opens the directory `name`, making it or what is in its way into it first.
    fn enter(&self, parent: &Arc<Place>, name: &OsStr, node: &Node, verdict: Verdict) -> io::Result<Place> {
        let finish = Some(node.meta.clone()).filter(|metadata| *metadata != Metadata::default());
        match verdict {
            Verdict::Same => {
                let finish = finish.filter(|_| self.existing == ExistingResourcePolicy::Update);
                let place = parent.enter(name, finish)?;
                place.sweep(place::UNFINISHED)?;
                Ok(place)
            }
            Verdict::Replace => {
                parent.remove(name)?;
                parent.make(name, finish, self.trial)
            }
            Verdict::Create | Verdict::Keep => parent.make(name, finish, self.trial),
        }
    }
}

/// Directories that lead to a target belong to no record; they get what new directories get.
fn open_to_us(place: &Place) -> io::Result<()> {
    Ok(rustix::fs::fchmod(place.dir(), rustix::fs::Mode::from_raw_mode(0o755))?)
}

fn finish(place: Option<Arc<Place>>, visit: &dyn Visit) {
    if let Some(place) = place {
        Place::done(place, visit.findings());
    }
}

/// Whether going on makes no sense: nothing more can be written.
pub(super) fn stops(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// Something below it is.
    Passed,
    No,
}

fn wanted(relative: &Path, only: &[PathBuf]) -> Wanted {
    if only.is_empty() || only.iter().any(|chosen| relative.starts_with(chosen)) {
        Wanted::Yes
    } else if only.iter().any(|chosen| chosen.starts_with(relative)) {
        Wanted::Passed
    } else {
        Wanted::No
    }
}

/// Free bytes of the file system on which `path` would be made.
fn nearest_free(path: &Path) -> Option<u64> {
    path.ancestors().skip(1).find_map(|ancestor| Place::trusted(ancestor).ok()).and_then(|place| place.free())
}
