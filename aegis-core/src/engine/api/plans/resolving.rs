//! What an execution of a plan would do, and whether it may.

use sha2::{Digest, Sha256};

use super::super::Tenant;
use crate::{
    engine::EngineError,
    model::{
        BackupRecord, ExistingResourcePolicy, NamespaceName, NamespaceSelection, PlanHash, RecordRef,
        RecoveryPlan, RestoreOptions, RestoreTarget, Versioned,
    },
    seams::{Capabilities, Feature},
};

/// Everything that an execution of a plan would do, resolved now.
pub(super) struct Resolved {
    pub(super) record: Versioned<BackupRecord>,
    pub(super) reference: RecordRef,
    pub(super) namespaces: Vec<NamespaceName>,
    pub(super) hash: PlanHash,
}

impl Tenant {
    pub(super) async fn resolve(&self, plan: &RecoveryPlan) -> Result<Resolved, EngineError> {
        let record = self.find::<BackupRecord>(plan.record).await?;
        let reference = record.reference().ok_or_else(|| {
            EngineError::Blocked(format!("record `{}` has no copy that is there", record.id))
        })?;
        let resolved = plan.namespaces.resolve(&record.namespaces);
        let hash = plan_hash(plan, &record, &reference, &resolved.selected)?;
        Ok(Resolved { reference, namespaces: resolved.selected, hash, record })
    }
}

/// The fingerprint over everything that an execution would do.
fn plan_hash(
    plan: &RecoveryPlan,
    record: &BackupRecord,
    reference: &RecordRef,
    namespaces: &[NamespaceName],
) -> Result<PlanHash, EngineError> {
    let what = (
        (record.id, &record.checksum, record.chain, record.parent, &reference.handle, &reference.location),
        (namespaces, &plan.target_cluster, &plan.options),
    );
    let bytes = serde_json::to_vec(&what).map_err(|error| EngineError::Internal(error.to_string()))?;
    let digest = Sha256::digest(bytes);
    Ok(PlanHash(digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

pub(super) fn check_options(
    options: &RestoreOptions,
    capabilities: &Capabilities,
) -> Result<(), EngineError> {
    let driver = capabilities.driver;
    let lacks = |feature: Feature, what: &str| {
        if capabilities.has(feature) {
            Ok(())
        } else {
            Err(EngineError::Unsupported(format!("the {driver} driver can't {what}")))
        }
    };
    if !options.paths.is_empty() {
        lacks(Feature::SelectPaths, "restore chosen paths")?;
    }
    for target in options.mapping.values() {
        match target {
            RestoreTarget::Namespace(_) => lacks(Feature::MapNamespaces, "restore into another namespace")?,
            RestoreTarget::Path(_) => lacks(Feature::MapToPaths, "restore to a path")?,
        }
    }
    if options.existing == ExistingResourcePolicy::Update {
        lacks(Feature::UpdateExisting, "overwrite what is there")?;
    }
    Ok(())
}

pub(super) fn check_namespaces(
    namespaces: &NamespaceSelection,
    options: &RestoreOptions,
    record: &BackupRecord,
) -> Result<(), EngineError> {
    let covered = record.namespaces.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let resolved = namespaces.resolve(&record.namespaces);
    if let Some(unknown) = resolved.unknown.first() {
        let message = format!("the record does not have `{unknown}`: it has {covered}");
        return Err(EngineError::field("target_namespaces", message));
    }
    if resolved.selected.is_empty() {
        let message = format!("nothing of the record is selected: it has {covered}");
        return Err(EngineError::field("target_namespaces", message));
    }
    if let Some(stray) = options.mapping.keys().find(|name| !resolved.selected.contains(name)) {
        let message = format!("`{stray}` is mapped but not restored: it must be one of {covered}");
        return Err(EngineError::field("namespace_mapping", message));
    }
    Ok(())
}
