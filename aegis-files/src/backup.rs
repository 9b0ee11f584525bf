//! Making a backup: one snapshot of what a [`FileSource`] reads.

use std::{path::PathBuf, sync::Arc};

use aegis_core::{
    model::{BackupKind, Bytes, Encryption, IssueGroup, NamespaceName, ResourceCounts, Sizes, Timestamp},
    seams::{BackupResult, DriverError, Operation},
};
use jiff::tz::TimeZone;
use rustic_core::{
    BackupOptions, ParentOptions, SnapshotOptions,
    repofile::{SnapshotFile, SnapshotId},
};

use crate::{
    control::{Control, Findings, Stop},
    fileset::FileSet,
    operations::{Made, Operations, Settled},
    repository::{Location, OpenRepository, attempt, session::Session},
    snapshot::{self, Marks},
    source::{FileSource, Tally},
    tree,
};

/// What a backup is made of.
#[derive(Debug)]
pub(crate) struct BackupPlan {
    pub(crate) namespaces: Vec<(NamespaceName, FileSet)>,
    pub(crate) kind: BackupKind,
    /// The snapshot to compare with, if the catalogue named one.
    pub(crate) base: Option<String>,
    /// Directories that are never read.
    pub(crate) never: Arc<[PathBuf]>,
}

/// A backup that was made, with what it lacks.
#[derive(Debug)]
pub(crate) struct BackupMade {
    pub(crate) result: BackupResult,
    pub(crate) errors: Vec<IssueGroup>,
    pub(crate) warnings: Vec<IssueGroup>,
    pub(crate) ended_at: Timestamp,
}

/// Makes the backup. Blocks; leaves a snapshot exactly if it answers `Ok`.
pub(crate) fn back_up(
    location: &Location,
    operation: &Operation,
    plan: BackupPlan,
    control: &Arc<Control>,
) -> Result<BackupMade, Stop> {
    let session = Session::new(Arc::clone(control));
    let repository = location.open_or_init(&session)?;
    let (kind, parent) = choose_parent(&repository, &session, operation, &plan)?;
    let marks = Marks {
        operation: operation.id,
        tenant: operation.tenant.clone(),
        artifact: operation.name.clone(),
        kind,
    };
    let source = FileSource::new(plan.namespaces, plan.never, Arc::clone(control));
    settle_before_snapshot(location, &session, operation, source.tally());

    let action = format!("back up to {}", location.uri());
    let paths = source.snapshot_paths();
    let (repository, made) = attempt(&session, &action, || {
        let repository = repository.to_indexed_ids()?;
        let snapshot = new_snapshot(operation, &marks)?;
        let made = repository.archive(&options(parent), &source, snapshot, &paths)?;
        Ok((repository.drop_index(), made))
    })?;
    describe(repository, &session, &made, source.tally())
}

/// Which snapshot to compare with. A backup without one is a full, whatever was asked for.
fn choose_parent(
    repository: &OpenRepository,
    session: &Session,
    operation: &Operation,
    plan: &BackupPlan,
) -> Result<(BackupKind, Option<SnapshotId>), Stop> {
    if plan.kind == BackupKind::Full {
        return Ok((BackupKind::Full, None));
    }
    if let Some(handle) = &plan.base
        && let Some(base) = snapshot::find(repository, session, handle)?
    {
        return Ok((plan.kind, Some(base.id)));
    }
    let mut namespaces: Vec<_> = plan.namespaces.iter().map(|(name, _)| name.clone()).collect();
    namespaces.sort();
    let fits = |candidate: &SnapshotFile| {
        Marks::of(candidate).is_some_and(|marks| {
            marks.tenant == operation.tenant
                && (plan.kind != BackupKind::Differential || marks.kind == BackupKind::Full)
        }) && candidate.hostname == operation.cluster.as_str()
            && snapshot::namespaces(candidate) == namespaces
    };
    let found = attempt(session, "look for the snapshot to compare with", || {
        repository.get_matching_snapshots(fits)
    })?;
    let newest = found.into_iter().max_by(|a, b| a.time.cmp(&b.time));
    Ok(newest.map_or((BackupKind::Full, None), |base| (plan.kind, Some(base.id))))
}

fn options(parent: Option<SnapshotId>) -> BackupOptions {
    let parents = ParentOptions::default();
    let parents = match parent {
        Some(id) => parents.parents(vec![id.to_hex().as_str().to_owned()]),
        None => parents.force(true),
    };
    BackupOptions::default().parent_opts(parents)
}

fn new_snapshot(operation: &Operation, marks: &Marks) -> rustic_core::RusticResult<SnapshotFile> {
    let at = jiff::Timestamp::from_microsecond(operation.started_at.as_micros())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let options = SnapshotOptions::default()
        .host(operation.cluster.as_str().to_owned())
        .time(at.to_zoned(TimeZone::UTC));
    let mut snapshot = options.to_snapshot()?;
    for tag in marks.tags() {
        snapshot.tags.add(tag);
    }
    Ok(snapshot)
}

/// Writes down what the backup found before its snapshot is written, so that a snapshot never lies
/// there without it; refuses the snapshot if the operation was given up meanwhile.
fn settle_before_snapshot(location: &Location, session: &Session, operation: &Operation, tally: &Arc<Tally>) {
    let operations = Operations::new(Arc::clone(&location.storage));
    let (runtime, tally, id) = (location.runtime.clone(), Arc::clone(tally), operation.id);
    let (clock, started_at, longest) =
        (Arc::clone(&location.clock), operation.started_at, location.longest_job);
    session.before_snapshot(move || {
        if clock.now().since(started_at) > longest {
            return Err(Stop::Failed(
                DriverError::unavailable(format!(
                    "the backup took longer than {} seconds, after which what it refers to may be pruned",
                    longest.as_secs()
                ))
                .with_suggestion("let the driver's `longest_job` be longer, or find out what held it up"),
            ));
        }
        let made =
            Made { counts: tally.counts(), errors: tally.errors.groups(), warnings: tally.warnings.groups() };
        match runtime.block_on(operations.settle(id, Settled::Made(made)))? {
            Settled::Made(_) => Ok(()),
            Settled::Lost => Err(Stop::Failed(
                DriverError::unavailable("another process took this backup for dead and gave it up")
                    .with_suggestion("it is made again under a new id"),
            )),
        }
    });
}

/// What was made, with a look at whether all of it is really there.
fn describe(
    repository: OpenRepository,
    session: &Session,
    made: &SnapshotFile,
    tally: &Tally,
) -> Result<BackupMade, Stop> {
    let written = made.summary.as_ref().map_or(0, |summary| summary.total_files_processed);
    if written != tally.expected_files() {
        let missing = tally.expected_files().saturating_sub(written);
        tally.errors.add("left out without a reason", format!("{missing} entries"), "make a full backup");
    }
    let indexed = attempt(session, "look at what was backed up", || repository.to_indexed())?;
    let missing = Findings::default();
    let stored = tree::stored_size(&indexed, session, made, &missing)?;
    if !missing.is_empty() {
        for group in missing.groups() {
            for example in &group.examples {
                tally.errors.add(&group.cause, example.clone(), "make a full backup");
            }
        }
    }
    Ok(BackupMade {
        result: result(made, tally.counts(), Some(stored)),
        errors: tally.errors.groups(),
        warnings: tally.warnings.groups(),
        ended_at: snapshot::ended_at(made),
    })
}

/// The result that a snapshot itself tells.
pub(crate) fn result(made: &SnapshotFile, counts: ResourceCounts, stored: Option<u64>) -> BackupResult {
    let summary = made.summary.as_ref();
    BackupResult {
        handle: snapshot::handle(made),
        kind: Marks::of(made).map_or(BackupKind::Full, |marks| marks.kind),
        consistent_at: Some(snapshot::started_at(made)),
        sizes: Sizes {
            logical: summary.map(|summary| Bytes(summary.total_bytes_processed)),
            stored: stored.map(Bytes),
            added: summary.map(|summary| Bytes(summary.data_added_packed)),
        },
        counts,
        namespaces: snapshot::namespaces(made),
        checksum: Some(format!("sha256:{}", made.tree.to_hex().as_str())),
        encryption: Some(Encryption { algorithm: "AES-256-CTR-Poly1305-AES".to_owned(), key_id: None }),
        locked_until: None,
    }
}
