//! Removing what a trial restore made: what its journal names and is still as it was made.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    model::{IssueGroup, OperationId, ResourceCounts, RestoreTarget},
    seams::{CleanUpResult, DriverError},
};
use rustix::{
    fs::{AtFlags, FileType, Mode, Stat},
    io::Errno,
};

use crate::{
    control::{Control, Findings, Stop},
    restore::place::{Place, is_directory, unfinished_of},
    trial::{Journal, Made},
};

/// What to do about what stays.
const BY_HAND: &str = "look into it, and remove by hand what is to go";

/// One place that a trial restore wrote to, by configuration.
#[derive(Clone, Debug)]
pub(crate) struct Territory {
    pub(crate) target: RestoreTarget,
    /// The directory that the configuration trusts.
    pub(crate) trusted: PathBuf,
    /// The names below it that lead to the target; no link among them is followed.
    pub(crate) below: Vec<OsString>,
}

impl Territory {
    fn path(&self) -> PathBuf {
        self.below.iter().fold(self.trusted.clone(), |path, name| path.join(name))
    }

    /// Whether the entry lies at or below it, or is a directory that was made to lead there.
    fn has(&self, made: &Made) -> bool {
        let path = self.path();
        made.path.starts_with(&path)
            || (made.is_directory() && made.path != self.trusted && made.path.starts_with(&self.trusted))
                && path.starts_with(&made.path)
    }
}

/// A clean-up to carry out.
#[derive(Debug)]
pub(crate) struct CleanUp<'a> {
    /// Where journals lie.
    pub(crate) home: &'a Path,
    /// The trial restore.
    pub(crate) restore: OperationId,
    pub(crate) territories: &'a [Territory],
    pub(crate) control: &'a Control,
}

/// What a clean-up did.
#[derive(Debug)]
pub(crate) struct CleanedUp {
    pub(crate) result: CleanUpResult,
    /// What stays, and why; none if nothing does.
    pub(crate) errors: Vec<IssueGroup>,
}

impl CleanUp<'_> {
    /// Removes. Blocks; goes on where an earlier one left off.
    pub(crate) fn run(&self) -> Result<CleanedUp, Stop> {
        let Some(journal) = Journal::read(self.home, self.restore)? else {
            return self.without_journal();
        };
        let directories = journal.entries.iter().filter(|made| made.is_directory());
        let mut removal = Removal {
            clean_up: self,
            directories: directories.map(|made| (&*made.path, made)).collect(),
            findings: Findings::default(),
            removed: HashMap::new(),
            last: None,
        };
        self.territories.iter().for_each(|territory| self.sweep(territory));
        let kept = removal.run(&journal.entries)?;
        let left = self.left(&kept, &removal.findings);
        let removed: ResourceCounts = removal.removed.into_iter().collect();
        let errors = removal.findings.groups();
        if kept.is_empty() {
            journal.remove()?;
        }
        Ok(CleanedUp { result: CleanUpResult { removed, left }, errors })
    }

    /// Removes what a killed restore left unfinished on the way to a target. What can't be reached
    /// is no worse than what stays.
    fn sweep(&self, territory: &Territory) {
        let unfinished = unfinished_of(&self.restore.to_string());
        let mut next = Place::trusted(&territory.trusted).map(Arc::new);
        let mut names = territory.below.iter();
        while let Ok(place) = next {
            let _ = place.sweep(&unfinished);
            let Some(name) = names.next() else { return };
            next = place.enter(name, None).map(Arc::new);
        }
    }

    /// Without a journal nothing was restored, or all of it is gone.
    fn without_journal(&self) -> Result<CleanedUp, Stop> {
        match self.territories.iter().find(|territory| !is_bare(territory)) {
            None => Ok(CleanedUp { result: CleanUpResult::default(), errors: Vec::new() }),
            Some(territory) => {
                let message = format!(
                    "what lies at {} was not noted down when it was restored: nothing was removed",
                    territory.path().display()
                );
                Err(DriverError::invalid_input(message).with_suggestion(BY_HAND).into())
            }
        }
    }

    /// The targets at which something lies that is not ours to remove.
    fn left(&self, kept: &[&Made], findings: &Findings) -> Vec<RestoreTarget> {
        let mut left = BTreeSet::new();
        for territory in self.territories {
            let path = territory.path();
            let is_kept = kept.iter().any(|made| made.path.starts_with(&path));
            let is_ours = matches!(territory.target, RestoreTarget::Path(_));
            if is_kept {
                left.insert(territory.target.clone());
            } else if is_ours && !is_bare(territory) {
                findings.add(OTHERS, path.display().to_string(), BY_HAND);
                left.insert(territory.target.clone());
            }
        }
        left.into_iter().collect()
    }
}

/// The cause that groups directories which can't go.
const OTHERS: &str = "holds something that the restore did not make";

/// A removal that is under way.
struct Removal<'a> {
    clean_up: &'a CleanUp<'a>,
    /// The directories that the restore made, by path.
    directories: HashMap<&'a Path, &'a Made>,
    findings: Findings,
    removed: HashMap<&'static str, u64>,
    /// The directory that was opened last: neighbours lie beside one another in the journal.
    last: Option<(PathBuf, Arc<Place>)>,
}

impl Removal<'_> {
    /// Removes what it can of `entries`, the last first, so that what is in a directory goes before
    /// it; answers what stays at a target.
    fn run<'m>(&mut self, entries: &'m [Made]) -> Result<Vec<&'m Made>, Stop> {
        let mut kept = Vec::new();
        let mut seen = HashSet::new();
        for made in entries.iter().rev() {
            self.clean_up.control.check()?;
            if !seen.insert(&made.path) {
                continue;
            }
            let territory = self.clean_up.territories.iter().find(|territory| territory.has(made));
            let Some(territory) = territory else { continue };
            let is_at_target = made.path.starts_with(territory.path());
            match self.remove(made, &territory.trusted) {
                Ok(()) => {}
                // A directory on the way may serve others by now.
                Err(_) if !is_at_target => {}
                Err(why) => {
                    self.findings.add(&why, made.path.display().to_string(), BY_HAND);
                    kept.push(made);
                }
            }
        }
        Ok(kept)
    }

    /// Removes one entry; that it is gone is as good. Otherwise says why it stays.
    fn remove(&mut self, made: &Made, trusted: &Path) -> Result<(), String> {
        let failed = |cause: io::Error| format!("could not be removed: {cause}");
        let (Some(parent), Some(name)) = (made.path.parent(), made.path.file_name()) else { return Ok(()) };
        let place = match self.open(parent, trusted) {
            Ok(place) => place,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(format!("can't be reached any more: {cause}")),
        };
        let Some(stat) = place.look(name).map_err(failed)? else { return Ok(()) };
        if !made.is(&stat) {
            return Err("was changed or replaced since it was restored".to_owned());
        }
        let removed = if made.is_directory() {
            self.last = None;
            self.sweep(&place, name).map_err(failed)?;
            self.unlink(&place, parent, name, AtFlags::REMOVEDIR)
        } else {
            self.unlink(&place, parent, name, AtFlags::empty())
        };
        match removed {
            Ok(()) => {
                *self.removed.entry(kind_of(&stat)).or_default() += 1;
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => Err(OTHERS.to_owned()),
            Err(cause) => Err(failed(cause)),
        }
    }

    fn open(&mut self, path: &Path, trusted: &Path) -> io::Result<Arc<Place>> {
        if let Some((known, place)) = &self.last
            && known == path
        {
            return Ok(Arc::clone(place));
        }
        let mut place = Arc::new(Place::trusted(trusted)?);
        for name in path.strip_prefix(trusted).map_err(io::Error::other)?.iter() {
            place = Arc::new(place.enter(name, None)?);
        }
        self.last = Some((path.to_owned(), Arc::clone(&place)));
        Ok(place)
    }

    /// Removes what a killed restore left unfinished in the directory `name`.
    fn sweep(&self, place: &Arc<Place>, name: &OsStr) -> io::Result<()> {
        place.enter(name, None)?.sweep(&unfinished_of(&self.clean_up.restore.to_string()))
    }

    /// Removes an entry, also from a directory that the restore made with a mode that allows no change.
    fn unlink(&self, place: &Place, parent: &Path, name: &OsStr, flags: AtFlags) -> io::Result<()> {
        match rustix::fs::unlinkat(place.dir(), name, flags) {
            Err(Errno::ACCESS) if self.is_ours(parent, place)? => {
                rustix::fs::fchmod(place.dir(), Mode::RWXU)?;
                Ok(rustix::fs::unlinkat(place.dir(), name, flags)?)
            }
            result => Ok(result?),
        }
    }

    fn is_ours(&self, path: &Path, place: &Place) -> io::Result<bool> {
        let stat = rustix::fs::fstat(place.dir())?;
        Ok(self.directories.get(path).is_some_and(|made| made.is(&stat)))
    }
}

/// Whether nothing lies there.
fn is_bare(territory: &Territory) -> bool {
    let opened = || {
        let root = Arc::new(Place::trusted(&territory.trusted)?);
        territory.below.iter().try_fold(root, |place, name| place.enter(name, None).map(Arc::new))
    };
    match opened().and_then(|place| place.is_empty()) {
        Ok(is_empty) => is_empty,
        Err(cause) => cause.kind() == io::ErrorKind::NotFound,
    }
}

fn kind_of(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "files",
        FileType::Symlink => "symlinks",
        _ if is_directory(stat) => "directories",
        _ => "other",
    }
}
