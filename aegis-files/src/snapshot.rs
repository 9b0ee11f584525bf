//! Our snapshots among those of a repository: how they are marked, found and read.

use aegis_core::{
    model::{ArtifactName, BackupKind, ClusterName, NamespaceName, OperationId, TenantId, Timestamp},
    seams::DriverError,
};
use rustic_core::{
    Repository,
    repofile::{SnapshotFile, SnapshotId},
};
use std::path::Path;

use crate::naming;

/// The tag of every snapshot that Aegis made.
const OURS: &str = "aegis";
const OPERATION: &str = "aegis-operation=";
const TENANT: &str = "aegis-tenant=";
const ARTIFACT: &str = "aegis-artifact=";
const KIND: &str = "aegis-kind=";

/// What a snapshot's tags say. Tags hold no comma, at which restic would split them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) operation: OperationId,
    pub(crate) tenant: TenantId,
    pub(crate) artifact: ArtifactName,
    pub(crate) kind: BackupKind,
}

impl Marks {
    /// The tags that say it.
    pub(crate) fn tags(&self) -> [String; 5] {
        [
            OURS.to_owned(),
            operation_tag(self.operation),
            format!("{TENANT}{}", self.tenant),
            format!("{ARTIFACT}{}", self.artifact.as_str()),
            format!("{KIND}{}", self.kind),
        ]
    }

    /// What the tags of `snapshot` say; `None` if Aegis did not make it.
    pub(crate) fn of(snapshot: &SnapshotFile) -> Option<Self> {
        let value = |prefix: &str| snapshot.tags.iter().find_map(|tag| tag.strip_prefix(prefix));
        Some(Self {
            operation: value(OPERATION)?.parse().ok()?,
            tenant: TenantId::new(value(TENANT)?).ok()?,
            artifact: ArtifactName::try_from(value(ARTIFACT)?).ok()?,
            kind: value(KIND)?.parse().ok()?,
        })
    }
}

fn operation_tag(operation: OperationId) -> String {
    format!("{OPERATION}{operation}")
}

/// Whether `snapshot` was made by `operation`.
pub(crate) fn is_of(snapshot: &SnapshotFile, operation: OperationId) -> bool {
    snapshot.tags.contains(&operation_tag(operation))
}

/// The cluster that `snapshot` says it comes from: restic's host name.
pub(crate) fn cluster(snapshot: &SnapshotFile) -> Option<ClusterName> {
    ClusterName::new(&snapshot.hostname).ok()
}

/// The namespaces of `snapshot`, sorted.
pub(crate) fn namespaces(snapshot: &SnapshotFile) -> Vec<NamespaceName> {
    let roots = snapshot.paths.iter().filter_map(|path| naming::split(Path::new(path)));
    let mut namespaces: Vec<_> = roots.map(|(namespace, _)| namespace).collect();
    namespaces.sort();
    namespaces.dedup();
    namespaces
}

/// When `snapshot` was begun.
pub(crate) fn started_at(snapshot: &SnapshotFile) -> Timestamp {
    Timestamp::from_micros(snapshot.time.timestamp().as_microsecond())
}

/// When `snapshot` was finished, as far as it says.
pub(crate) fn ended_at(snapshot: &SnapshotFile) -> Timestamp {
    let end = snapshot.summary.as_ref().map(|summary| summary.backup_end.timestamp());
    end.map_or_else(|| started_at(snapshot), |end| Timestamp::from_micros(end.as_microsecond()))
}

/// The driver's handle for `snapshot`: its id in full.
pub(crate) fn handle(snapshot: &SnapshotFile) -> String {
    snapshot.id.to_hex().as_str().to_owned()
}

/// The id that `handle` stands for.
///
/// # Errors
/// `InvalidInput` if it is none.
pub(crate) fn id(handle: &str) -> Result<SnapshotId, DriverError> {
    handle.parse().map_err(|cause: Box<rustic_core::RusticError>| {
        DriverError::invalid_input(format!("`{handle}` is not a snapshot's id"))
            .with_suggestion("use the handle with which the backup was recorded")
            .with_source(cause)
    })
}

/// The snapshot that `handle` stands for; `None` if it is gone.
///
/// # Errors
/// `InvalidInput` for what is no handle, and what rustic reports.
pub(crate) fn find<S: rustic_core::Open>(
    repository: &Repository<S>,
    session: &crate::repository::session::Session,
    handle: &str,
) -> Result<Option<SnapshotFile>, DriverError> {
    let id = id(handle)?;
    let action = format!("read the snapshot {handle}");
    let mut ids = repository.list::<SnapshotId>().map_err(|cause| session.error(&action, cause))?;
    if !ids.any(|found| found == id) {
        return Ok(None);
    }
    let mut snapshot: SnapshotFile =
        repository.get_file(&id).map_err(|cause| session.error(&action, cause))?;
    snapshot.id = id;
    Ok(Some(snapshot))
}

/// As [`find`], for what must be there.
///
/// # Errors
/// `NotFound` if it is gone, and those of [`find`].
pub(crate) fn require<S: rustic_core::Open>(
    repository: &Repository<S>,
    session: &crate::repository::session::Session,
    handle: &str,
) -> Result<SnapshotFile, DriverError> {
    find(repository, session, handle)?.ok_or_else(|| {
        DriverError::not_found(format!("the snapshot {handle} is not in the repository")).with_suggestion(
            "it was deleted, or the repository is not the one it was made in; restore another record",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_what_they_were_made_from_and_hold_no_comma() {
        let marks = Marks {
            operation: OperationId::from_uuid(uuid::Uuid::from_u128(7)),
            tenant: TenantId::new("default").unwrap(),
            artifact: ArtifactName::try_from("oco-nightly-1760000000").unwrap(),
            kind: BackupKind::Incremental,
        };
        let mut snapshot = SnapshotFile::default();
        for tag in marks.tags() {
            assert!(!tag.contains(','), "{tag}");
            snapshot.tags.add(tag);
        }
        assert_eq!(Marks::of(&snapshot), Some(marks.clone()));
        assert!(is_of(&snapshot, marks.operation));
        assert_eq!(Marks::of(&SnapshotFile::default()), None);
    }
}
