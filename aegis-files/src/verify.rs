//! Checking one record, level by level.
//!
//! - **L1** its snapshot and every pack it needs are there, with the right sizes;
//! - **L2** every byte of those packs has the checksum that is its name;
//! - **L3** every directory can be read, and every part of every file is in the index;
//! - **L4** it is restored into a scratch place and compared: kinds, modes, times, content.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    model::{Bytes, ExistingResourcePolicy, IssueGroup, VerificationLevel},
    seams::{DriverError, VerifyResult},
};
use rustic_core::{
    FileType, PackedId,
    repofile::{IndexFile, PackId, SnapshotFile},
};

use crate::{
    control::{Control, Findings, Stop},
    repository::{Location, attempt, file_key, session::Session},
    restore::{IndexedRepository, Mapped, Restore},
    snapshot,
    tree::{self, Met},
};

/// What to check.
#[derive(Debug)]
pub(crate) struct VerifyPlan {
    pub(crate) handle: String,
    pub(crate) level: VerificationLevel,
    /// A directory of our own in which L4 restores, and cleans up after itself.
    pub(crate) scratch: PathBuf,
    /// The operation's id, for the names of what is restored.
    pub(crate) operation: String,
}

/// What a check found, with the findings.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) result: VerifyResult,
    pub(crate) errors: Vec<IssueGroup>,
}

/// Checks the record. Blocks.
pub(crate) fn verify(
    location: &Location,
    plan: &VerifyPlan,
    control: &Arc<Control>,
) -> Result<Verified, Stop> {
    let session = Session::new(Arc::clone(control));
    let repository = match location.open(&session) {
        Ok(repository) => repository,
        Err(error) if tree::is_damage(&error) => return Ok(Verified::missing(&error)),
        Err(error) => return Err(error.into()),
    };
    let found = match snapshot::find(&repository, &session, &plan.handle) {
        Ok(found) => found,
        Err(error) if tree::is_damage(&error) => return Ok(Verified::missing(&error)),
        Err(error) => return Err(error.into()),
    };
    let Some(snapshot) = found else {
        return Ok(Verified::missing(&DriverError::not_found(format!(
            "the snapshot {} is gone",
            plan.handle
        ))));
    };
    let sizes = match pack_sizes(&repository, &session) {
        Ok(sizes) => sizes,
        Err(Stop::Failed(error)) if tree::is_damage(&error) => return Ok(Verified::missing(&error)),
        Err(stop) => return Err(stop),
    };
    let repository = attempt(&session, "read the repository's index", || repository.to_indexed())?;
    let check = Check { location, plan, session: &session, repository: &repository, snapshot: &snapshot };
    check.run(&sizes)
}

type PackSizes = BTreeMap<PackId, u32>;

/// The sizes that packs should have, by the index.
fn pack_sizes(repository: &crate::repository::OpenRepository, session: &Session) -> Result<PackSizes, Stop> {
    attempt(session, "read the repository's index", || {
        let mut sizes = PackSizes::new();
        for file in repository.stream_files::<IndexFile>()? {
            sizes.extend(file?.1.packs.iter().map(|pack| (pack.id, pack.pack_size())));
        }
        Ok(sizes)
    })
}

struct Check<'a> {
    location: &'a Location,
    plan: &'a VerifyPlan,
    session: &'a Arc<Session>,
    repository: &'a IndexedRepository,
    snapshot: &'a SnapshotFile,
}

/// What checking one level came to.
enum Level {
    Passed,
    Failed,
    NotRun(String),
}

impl Check<'_> {
    fn run(&self, sizes: &PackSizes) -> Result<Verified, Stop> {
        let structure = Findings::default();
        let packs = self.needed_packs(&structure)?;
        let total = packs.iter().filter_map(|id| sizes.get(id)).map(|size| u64::from(*size)).sum();
        self.session.control.set_totals(total, u64::try_from(packs.len()).unwrap_or(u64::MAX));

        let findings = Findings::default();
        let mut verified = Verified { result: empty(), errors: Vec::new() };
        for level in [
            VerificationLevel::Present,
            VerificationLevel::Checksummed,
            VerificationLevel::Structured,
            VerificationLevel::Restored,
        ] {
            if level > self.plan.level {
                break;
            }
            let came_to = match level {
                VerificationLevel::Present => self.present(&packs, sizes, &findings)?,
                VerificationLevel::Checksummed => {
                    self.checksummed(&packs, &findings, &mut verified.result.bytes_read)?
                }
                VerificationLevel::Structured if structure.is_empty() => Level::Passed,
                VerificationLevel::Structured => Level::Failed,
                _ => self.restored(&findings)?,
            };
            match came_to {
                Level::Passed => verified.result.passed = Some(level),
                Level::Failed => {
                    verified.result.failed = Some(level);
                    break;
                }
                Level::NotRun(reason) => {
                    verified.result.not_run = Some((level, reason));
                    break;
                }
            }
        }
        if verified.result.failed.is_some() {
            verified.errors = findings.groups();
            verified.errors.extend(structure.groups());
        }
        Ok(verified)
    }

    /// The packs that the snapshot's directories and files lie in.
    fn needed_packs(&self, structure: &Findings) -> Result<BTreeSet<PackId>, Stop> {
        let mut packs = BTreeSet::new();
        let mut need = |pack: Option<PackId>, name: &str| match pack {
            Some(pack) => {
                packs.insert(pack);
            }
            None => structure.add(tree::MISSING, name, tree::BROKEN),
        };
        need(self.pack_of(&self.snapshot.tree), "the record's root");
        tree::visit(self.repository, self.session, self.snapshot, structure, |met| match met {
            Met::Tree(id) => need(self.pack_of(&id), "a directory"),
            Met::Entry(node) => {
                for id in node.content.iter().flatten() {
                    need(self.pack_of(id), &node.name);
                }
                if let Some(subtree) = &node.subtree {
                    need(self.pack_of(subtree), &node.name);
                }
            }
        })?;
        Ok(packs)
    }

    fn pack_of<T: PackedId>(&self, id: &T) -> Option<PackId> {
        self.repository.get_index_entry(id).ok().map(|entry| entry.pack)
    }

    fn present(
        &self,
        packs: &BTreeSet<PackId>,
        sizes: &PackSizes,
        findings: &Findings,
    ) -> Result<Level, Stop> {
        for id in packs {
            self.session.control.check()?;
            let key = key(id)?;
            let head = self.location.runtime.block_on(self.location.storage.head(&key));
            match head {
                Ok(meta) if sizes.get(id).is_none_or(|size| u64::from(*size) == meta.size) => {}
                Ok(_) => {
                    findings.add("a pack of the repository has the wrong size", key.as_str(), tree::BROKEN)
                }
                Err(cause) => missing_or_stop(cause, key.as_str(), findings)?,
            }
        }
        Ok(if findings.is_empty() { Level::Passed } else { Level::Failed })
    }

    fn checksummed(
        &self,
        packs: &BTreeSet<PackId>,
        findings: &Findings,
        bytes_read: &mut Bytes,
    ) -> Result<Level, Stop> {
        use sha2::{Digest, Sha256};
        for id in packs {
            self.session.control.check()?;
            let key = key(id)?;
            let read = self.location.runtime.block_on(self.location.storage.get(&key));
            let bytes = match read {
                Ok((_, bytes)) => bytes,
                Err(cause) => {
                    missing_or_stop(cause, key.as_str(), findings)?;
                    continue;
                }
            };
            let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if found != id.to_hex().as_str() {
                findings.add("a pack of the repository has the wrong checksum", key.as_str(), tree::BROKEN);
            }
            let size = u64::try_from(bytes.len()).unwrap_or_default();
            bytes_read.0 = bytes_read.0.saturating_add(size);
            self.session.control.add_bytes(size);
            self.session.control.add_item();
        }
        Ok(if findings.is_empty() { Level::Passed } else { Level::Failed })
    }

    /// Restores into a directory of its own below the scratch place, compares, and removes it.
    fn restored(&self, findings: &Findings) -> Result<Level, Stop> {
        let made = std::fs::create_dir_all(&self.plan.scratch)
            .and_then(|()| tempfile::Builder::new().prefix("aegis-verify-").tempdir_in(&self.plan.scratch));
        let scratch = match made {
            Ok(scratch) => scratch,
            Err(cause) => {
                let place = self.plan.scratch.display();
                return Ok(Level::NotRun(format!("the scratch place {place} can't be used: {cause}")));
            }
        };
        let mapped = self.mapped_to(scratch.path());
        let restore = Restore {
            repository: self.repository,
            session: self.session,
            snapshot: self.snapshot,
            mapped: &mapped,
            existing: ExistingResourcePolicy::None,
            operation: self.plan.operation.clone(),
            trial: None,
        };
        let look = restore.preview()?;
        if let Some(free) = look.free
            && look.bytes > free
        {
            let (needed, free) = (look.bytes.0, free.0);
            return Ok(Level::NotRun(format!(
                "the scratch place has {free} bytes free and {needed} are needed"
            )));
        }
        let restored = restore.run()?;
        let again = restore.preview()?;
        for group in &restored.errors {
            for example in &group.examples {
                findings.add(&group.cause, example.clone(), tree::BROKEN);
            }
        }
        if again.create + again.differing > 0 {
            let count = again.create + again.differing;
            findings.add("was not restored as it is in the record", format!("{count} entries"), tree::BROKEN);
        }
        Ok(if findings.is_empty() { Level::Passed } else { Level::Failed })
    }

    fn mapped_to(&self, scratch: &Path) -> Vec<Mapped> {
        let paths = self.snapshot.paths.iter().enumerate();
        let mapped = paths.map(|(number, path)| Mapped {
            snapshot_path: PathBuf::from(path),
            trusted: scratch.to_owned(),
            below: vec![OsString::from(number.to_string())],
            only: Vec::new(),
        });
        mapped.collect()
    }
}

impl Verified {
    /// Not even the first level passed.
    fn missing(error: &DriverError) -> Self {
        let result = VerifyResult { failed: Some(VerificationLevel::Present), ..empty() };
        Self { result, errors: vec![crate::control::issue(error)] }
    }
}

const fn empty() -> VerifyResult {
    VerifyResult { passed: None, failed: None, not_run: None, bytes_read: Bytes(0) }
}

fn key(id: &PackId) -> Result<aegis_core::seams::ObjectKey, DriverError> {
    file_key(FileType::Pack, id).map_err(|cause| crate::repository::error::rustic("name a pack", cause))
}

/// A missing object is a finding; a storage that does not answer ends the check.
fn missing_or_stop(
    cause: aegis_core::seams::ObjectStorageError,
    key: &str,
    findings: &Findings,
) -> Result<(), Stop> {
    use aegis_core::seams::ObjectStorageError;
    if let ObjectStorageError::NotFound { .. } = cause {
        findings.add("a pack of the repository is missing", key, tree::BROKEN);
        return Ok(());
    }
    Err(crate::repository::error::storage("read the repository's packs", &Arc::new(cause)).into())
}
