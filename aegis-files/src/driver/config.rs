//! What a files driver is made of.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aegis_core::{
    model::{BackupKind, Consistency, NamespaceName, StorageBackend, VerificationLevel},
    seams::{Capabilities, Clock, DriverError, Feature, ObjectStorage},
};

use super::{FilesDriver, Inner};
use crate::{fileset::FileSet, lease::RepositoryLease, secret::PasswordSource};

/// A storage location, as it was configured.
#[derive(Clone, Debug)]
pub(super) struct ConfiguredStorage {
    pub(super) storage: Arc<dyn ObjectStorage>,
    pub(super) password: PasswordSource,
    pub(super) lease: Arc<RepositoryLease>,
}

/// Makes a [`FilesDriver`]. What is wrong is told by [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct FilesDriverBuilder {
    clock: Arc<dyn Clock>,
    namespaces: BTreeMap<NamespaceName, FileSet>,
    storages: Vec<(Arc<dyn ObjectStorage>, PasswordSource)>,
    restore_roots: Vec<PathBuf>,
    scratch: PathBuf,
    longest_job: Duration,
}

impl FilesDriverBuilder {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            namespaces: BTreeMap::new(),
            storages: Vec::new(),
            restore_roots: Vec::new(),
            scratch: std::env::temp_dir(),
            longest_job: Duration::from_secs(24 * 3600),
        }
    }

    /// Protects `set` as the namespace `name`; a later one of the same name replaces it.
    pub fn namespace(mut self, name: NamespaceName, set: FileSet) -> Self {
        self.namespaces.insert(name, set);
        self
    }

    /// Lets backups lie in `storage`, encrypted with the password that `password` tells.
    pub fn storage(mut self, storage: Arc<dyn ObjectStorage>, password: PasswordSource) -> Self {
        self.storages.push((storage, password));
        self
    }

    /// Lets restores be mapped to paths below this directory. It is made when it is first needed.
    pub fn restore_root(mut self, path: impl Into<PathBuf>) -> Self {
        self.restore_roots.push(path.into());
        self
    }

    /// Where verification restores to, and cleans up after itself. The system's directory for
    /// temporary files unless set.
    pub fn scratch(mut self, path: impl Into<PathBuf>) -> Self {
        self.scratch = path.into();
        self
    }

    /// The longest that a backup may take: data that is needed no more stays for that long and a
    /// day. 24 hours unless set.
    pub const fn longest_job(mut self, longest: Duration) -> Self {
        self.longest_job = longest;
        self
    }

    /// The driver.
    ///
    /// # Errors
    /// `InvalidInput` if a restore root is not an absolute path without `..`, or is `/`.
    pub fn build(self) -> Result<FilesDriver, DriverError> {
        for root in &self.restore_roots {
            check_root(root)?;
        }
        let clock = self.clock;
        // A repository that backs itself up would never end.
        let never = self.storages.iter().filter_map(|(storage, _)| local_path(&**storage)).collect();
        let storages = self.storages.into_iter().map(|(storage, password)| {
            let lease = RepositoryLease::new(Arc::clone(&storage), Arc::clone(&clock))?;
            Ok(ConfiguredStorage { storage, password, lease: Arc::new(lease) })
        });
        let storages = storages.collect::<Result<Vec<_>, DriverError>>()?;
        Ok(FilesDriver(Arc::new(Inner::new(super::Parts {
            capabilities: capabilities(),
            clock,
            namespaces: self.namespaces,
            storages,
            restore_roots: self.restore_roots,
            scratch: self.scratch,
            never,
            longest_job: self.longest_job,
        }))))
    }
}

fn local_path(storage: &dyn ObjectStorage) -> Option<PathBuf> {
    let uri = storage.uri();
    (uri.backend() == StorageBackend::Local).then(|| Path::new("/").join(uri.path().trim_matches('/')))
}

fn check_root(root: &Path) -> Result<(), DriverError> {
    let plain = root.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    if root.is_absolute() && plain && root.parent().is_some() {
        return Ok(());
    }
    Err(DriverError::invalid_input(format!("{} can't be a restore root", root.display()))
        .with_suggestion("name a directory other than `/` by its absolute path, without `..`"))
}

fn capabilities() -> Capabilities {
    Capabilities::new("files", Consistency::FuzzyCopy)
        .with_kinds([
            BackupKind::Full,
            BackupKind::Incremental,
            BackupKind::Differential,
            BackupKind::Snapshot,
        ])
        .with_verification([
            VerificationLevel::Present,
            VerificationLevel::Checksummed,
            VerificationLevel::Structured,
            VerificationLevel::Restored,
        ])
        .with_features([
            Feature::CancelBackup,
            Feature::CancelRestore,
            Feature::Preview,
            Feature::Browse,
            Feature::Inventory,
            Feature::SelectPaths,
            Feature::MapNamespaces,
            Feature::MapToPaths,
            Feature::UpdateExisting,
            Feature::CleanUp,
        ])
}
