//! What a scripted driver protects, and what it has made of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    model::{
        ArtifactName, Bytes as ByteCount, ClusterName, NamespaceName, OperationId, RecordRef, RestoreTarget,
        StorageUri, TenantId, Timestamp, VerificationLevel,
    },
    seams::InventoryItem,
};

/// Entries by path.
pub(super) type Files = BTreeMap<String, Bytes>;

/// The protected system with its restore targets, and what lies in storage.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) namespaces: BTreeMap<NamespaceName, Files>,
    pub(super) folders: BTreeMap<String, Files>,
    pub(super) restore_roots: Vec<String>,
    /// By handle.
    pub(super) artifacts: BTreeMap<String, Artifact>,
    /// What trial restores made, by the operation that restored.
    pub(super) trials: BTreeMap<OperationId, Trial>,
}

/// What a trial restore made, as far as it was not removed.
#[derive(Debug, Default)]
pub(super) struct Trial {
    pub(super) entries: Vec<(RestoreTarget, String, Bytes)>,
    /// The targets that were not there before.
    pub(super) targets: Vec<RestoreTarget>,
}

/// One backup that lies in storage.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) handle: String,
    pub(super) name: Option<ArtifactName>,
    pub(super) operation: Option<OperationId>,
    pub(super) tenant: Option<TenantId>,
    pub(super) cluster: Option<ClusterName>,
    pub(super) location: StorageUri,
    pub(super) started_at: Timestamp,
    /// The handle of what it can't be restored without.
    pub(super) parent: Option<String>,
    pub(super) files: BTreeMap<NamespaceName, Files>,
    pub(super) namespaces: Vec<NamespaceName>,
    /// What it says that it holds.
    pub(super) claimed: u64,
    pub(super) locked_until: Option<Timestamp>,
    /// The lowest level of verification that finds fault with it.
    pub(super) damage: Option<VerificationLevel>,
}

impl World {
    /// The files of a target; none if it is not there yet.
    pub(super) fn files_at(&self, target: &RestoreTarget) -> Option<&Files> {
        match target {
            RestoreTarget::Namespace(name) => self.namespaces.get(name),
            RestoreTarget::Path(path) => self.folders.get(path),
        }
    }

    /// The files of a target, which is made if it is not there yet.
    pub(super) fn files_at_mut(&mut self, target: &RestoreTarget) -> &mut Files {
        match target {
            RestoreTarget::Namespace(name) => self.namespaces.entry(name.clone()).or_default(),
            RestoreTarget::Path(path) => self.folders.entry(path.clone()).or_default(),
        }
    }

    /// Takes a target away.
    pub(super) fn remove_target(&mut self, target: &RestoreTarget) {
        match target {
            RestoreTarget::Namespace(name) => drop(self.namespaces.remove(name)),
            RestoreTarget::Path(path) => drop(self.folders.remove(path)),
        }
    }

    /// What a record refers to, if it is there.
    pub(super) fn artifact(&self, record: &RecordRef) -> Option<&Artifact> {
        self.artifacts.get(&record.handle).filter(|artifact| artifact.location == record.location)
    }

    /// What an operation left, if it left something.
    pub(super) fn made_by(&self, operation: OperationId) -> Option<&Artifact> {
        self.artifacts.values().find(|artifact| artifact.operation == Some(operation))
    }

    /// Whether `artifact` and everything that it builds on is there.
    pub(super) fn chain_is_whole(&self, artifact: &Artifact) -> bool {
        let Some(parent) = &artifact.parent else { return true };
        self.artifacts.get(parent).is_some_and(|parent| self.chain_is_whole(parent))
    }
}

impl Artifact {
    /// The lowest level of verification that finds fault with it.
    pub(super) fn fault(&self) -> Option<VerificationLevel> {
        if size(&self.files) == self.claimed { self.damage } else { Some(VerificationLevel::Present) }
    }

    pub(super) fn item(&self) -> InventoryItem {
        InventoryItem {
            handle: self.handle.clone(),
            artifact: self.name.clone(),
            operation: self.operation,
            cluster: self.cluster.clone(),
            namespaces: self.namespaces.clone(),
            started_at: self.started_at,
            logical_size: Some(ByteCount(self.claimed)),
        }
    }
}

/// A length in bytes.
pub(super) fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The bytes of all files together.
pub(super) fn size(files: &BTreeMap<NamespaceName, Files>) -> u64 {
    files.values().flat_map(BTreeMap::values).map(length).sum()
}

/// How many files there are.
pub(super) fn count(files: &BTreeMap<NamespaceName, Files>) -> u64 {
    files.values().map(|files| u64::try_from(files.len()).unwrap_or(u64::MAX)).sum()
}

/// The bytes that `files` has and `base` has not.
pub(super) fn added(
    files: &BTreeMap<NamespaceName, Files>,
    base: Option<&BTreeMap<NamespaceName, Files>>,
) -> u64 {
    let known = |name: &NamespaceName, path: &String| base?.get(name)?.get(path);
    files
        .iter()
        .flat_map(|(name, files)| files.iter().map(move |(path, bytes)| (name, path, bytes)))
        .filter(|(name, path, bytes)| known(name, path) != Some(bytes))
        .map(|(_, _, bytes)| length(bytes))
        .sum()
}

/// A checksum over names and contents.
pub(super) fn checksum(files: &BTreeMap<NamespaceName, Files>) -> String {
    let mut hasher = Sha256::new();
    for (name, files) in files {
        for (path, bytes) in files {
            for part in [name.as_str().as_bytes(), path.as_bytes(), bytes] {
                hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(part);
            }
        }
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
