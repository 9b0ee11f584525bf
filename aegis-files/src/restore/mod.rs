//! Restoring a record with a writer of our own, which never leaves its root.
//!
//! - Everything is done relative to open directories, one name at a time, and no link at the target
//!   is followed. Names that lead elsewhere are refused.
//! - A file is written under a name of its own and put in place whole; what is there and may not be
//!   touched is never overwritten, even if it appears meanwhile.
//! - Hard links are restored as such, runs of zeros become holes, attributes and owners follow where
//!   the target keeps them and we may set them. Devices need root. Sockets have no content and are
//!   made by who listens, so they are left out.

mod compare;
mod engine;
mod meta;
pub(crate) mod place;
pub(crate) mod target;
mod traverse;
mod write;

use std::{collections::BTreeSet, sync::Arc};

use aegis_core::{
    model::{Bytes, ExistingResourcePolicy, IssueGroup},
    seams::{DriverError, PreviewAction, PreviewEntry, RestorePreview, RestoreResult},
};
use rustic_core::{IndexedFullStatus, Repository, repofile::SnapshotFile};

use crate::{
    control::{Control, Findings, Stop},
    repository::session::Session,
    tree,
    trial::Trial,
};
use engine::Engine;
pub(crate) use target::Mapped;
use traverse::{Traverse, Verdict, Visit};

/// A repository whose whole index is loaded.
pub(crate) type IndexedRepository = Repository<IndexedFullStatus>;

/// What to restore and how.
pub(crate) struct Restore<'a> {
    pub(crate) repository: &'a IndexedRepository,
    pub(crate) session: &'a Arc<Session>,
    pub(crate) snapshot: &'a SnapshotFile,
    pub(crate) mapped: &'a [Mapped],
    pub(crate) existing: ExistingResourcePolicy,
    /// The operation's id, for the names of unfinished files.
    pub(crate) operation: String,
    /// Where to note down what is made, if it is to be removed again.
    pub(crate) trial: Option<&'a Trial>,
}

/// What a restore did.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) result: RestoreResult,
    pub(crate) errors: Vec<IssueGroup>,
    pub(crate) warnings: Vec<IssueGroup>,
}

/// The cause that groups what stays because it differs.
const DIFFERS: &str = "is there already and differs from the record";

impl Restore<'_> {
    /// What [`run`](Self::run) would do, changing nothing. Blocks.
    pub(crate) fn preview(&self) -> Result<RestorePreview, Stop> {
        self.check_chosen()?;
        let mut look = Look::default();
        self.traverse(&mut look)?;
        let mut preview = look.preview;
        if let Some(Bytes(free)) = preview.free
            && preview.bytes.0 > free
        {
            let obstacle = format!("the target has {free} bytes free and {} are needed", preview.bytes.0);
            preview.obstacles.push(obstacle);
        }
        preview.obstacles.extend(
            look.findings.groups().into_iter().map(|group| {
                format!("{}: {} ({} in all)", group.cause, group.examples.join(", "), group.count)
            }),
        );
        Ok(preview)
    }

    /// Restores. Blocks; may be stopped between any two pieces of files.
    pub(crate) fn run(&self) -> Result<Restored, Stop> {
        let look = self.preview()?;
        if self.existing == ExistingResourcePolicy::Fail && look.differing > 0 {
            let error = format!(
                "{} entries at the target differ from the record; nothing was touched",
                look.differing
            );
            return Err(Stop::Failed(DriverError::invalid_input(error).with_suggestion(
                "choose `update` to overwrite them, `none` to leave them, or restore somewhere else",
            )));
        }
        if self.existing == ExistingResourcePolicy::Fail
            && let Some(obstacle) = look.obstacles.first()
        {
            let error = format!("not all can be restored, and nothing was touched: {obstacle}");
            return Err(Stop::Failed(
                DriverError::invalid_input(error)
                    .with_suggestion("clear the target, or restore somewhere else"),
            ));
        }
        let control: &Control = &self.session.control;
        control.set_totals(look.bytes.0, look.create + look.overwrite + look.skip);
        let engine = Engine::new(self);
        engine.run(|visit| self.traverse(visit))
    }

    /// Refuses chosen paths that the record has nowhere: to restore nothing is not to be done.
    fn check_chosen(&self) -> Result<(), Stop> {
        let chosen: BTreeSet<_> = self.mapped.iter().flat_map(|mapped| &mapped.only).collect();
        for path in chosen {
            let mut is_there = false;
            for mapped in self.mapped.iter().filter(|mapped| mapped.only.contains(path)) {
                let whole = mapped.snapshot_path.join(path);
                is_there |= tree::find(self.repository, self.session, self.snapshot, &whole)?.is_some();
            }
            if !is_there {
                let error = DriverError::not_found(format!("the record has no `{}`", path.display()));
                return Err(error.with_suggestion("browse the record for the paths that it has").into());
            }
        }
        Ok(())
    }

    fn traverse(&self, visit: &mut dyn Visit) -> Result<(), Stop> {
        let traverse = Traverse {
            repository: self.repository,
            session: self.session,
            existing: self.existing,
            trial: self.trial,
        };
        self.mapped.iter().try_for_each(|mapped| traverse.run(self.snapshot, mapped, visit))
    }
}

/// Counts what a restore would do.
#[derive(Default)]
struct Look {
    preview: RestorePreview,
    findings: Findings,
}

impl Visit for Look {
    fn writes(&self) -> bool {
        false
    }

    fn findings(&self) -> &Findings {
        &self.findings
    }

    fn free(&mut self, free: Option<u64>) {
        self.preview.free = match (self.preview.free, free) {
            (Some(Bytes(least)), Some(free)) => Some(Bytes(least.min(free))),
            (known, free) => known.or(free.map(Bytes)),
        };
    }

    fn entry(&mut self, entry: traverse::Entry<'_>) -> Result<(), Stop> {
        let action = match entry.verdict {
            Verdict::Create => PreviewAction::Create,
            Verdict::Replace => PreviewAction::Overwrite,
            Verdict::Same | Verdict::Keep => PreviewAction::Skip,
        };
        let preview = &mut self.preview;
        match action {
            PreviewAction::Create => preview.create += 1,
            PreviewAction::Overwrite => preview.overwrite += 1,
            PreviewAction::Skip => preview.skip += 1,
        }
        if entry.verdict == Verdict::Keep {
            preview.differing += 1;
        }
        if matches!(entry.verdict, Verdict::Create | Verdict::Replace) {
            preview.bytes.0 = preview.bytes.0.saturating_add(entry.bytes);
        }
        if preview.examples.len() < 100 {
            preview.examples.push(PreviewEntry { path: entry.path.display().to_string(), action });
        }
        Ok(())
    }
}
