//! What a scripted driver refuses to start, and in which words.

use super::world::World;
use crate::{
    model::{ExistingResourcePolicy, NamespaceName, RecordRef, RestoreTarget},
    seams::{
        BackupWork, Capabilities, DeleteWork, DriverError, ErrorClass, Feature, RestoreWork, VerifyWork,
        Work, WorkKind,
    },
};

/// An error of `class`; those that no driver answers with become `Internal`.
pub(in crate::testing) fn error_of(class: ErrorClass, message: impl Into<String>) -> DriverError {
    match class {
        ErrorClass::InvalidInput => DriverError::invalid_input(message),
        ErrorClass::NotFound => DriverError::not_found(message),
        ErrorClass::Unsupported => DriverError::unsupported(message),
        ErrorClass::Unauthenticated => DriverError::unauthenticated(message),
        ErrorClass::Forbidden => DriverError::forbidden(message),
        ErrorClass::Unavailable => DriverError::unavailable(message),
        ErrorClass::Indeterminate => DriverError::indeterminate(message),
        ErrorClass::RateLimited => DriverError::rate_limited(message),
        ErrorClass::AlreadyExists
        | ErrorClass::VersionConflict
        | ErrorClass::InvalidTransition
        | ErrorClass::Internal => DriverError::internal(message),
    }
}

/// Refuses what is not declared.
pub(super) fn require(capabilities: &Capabilities, feature: Feature) -> Result<(), DriverError> {
    if capabilities.has(feature) {
        return Ok(());
    }
    Err(DriverError::unsupported(format!("the {} driver can't do `{feature}`", capabilities.driver)))
}

/// Refuses to cancel work of a kind that can't be cancelled.
pub(super) fn require_cancel(capabilities: &Capabilities, kind: WorkKind) -> Result<(), DriverError> {
    match kind {
        WorkKind::Backup => require(capabilities, Feature::CancelBackup),
        WorkKind::Restore => require(capabilities, Feature::CancelRestore),
        WorkKind::Verify | WorkKind::Delete | WorkKind::CleanUp => Err(DriverError::unsupported(format!(
            "the {} driver can't cancel work of the kind `{kind}`",
            capabilities.driver
        ))),
    }
}

/// Refuses work that can't be started.
pub(super) fn check(world: &World, capabilities: &Capabilities, work: &Work) -> Result<(), DriverError> {
    match work {
        Work::Backup(backup) => check_backup(world, capabilities, backup),
        Work::Restore(restore) => check_restore(world, capabilities, restore),
        Work::Verify(verify) => check_verify(capabilities, verify),
        Work::Delete(delete) => check_delete(world, delete),
        Work::CleanUp(_) => require(capabilities, Feature::CleanUp),
    }
}

fn check_backup(world: &World, capabilities: &Capabilities, work: &BackupWork) -> Result<(), DriverError> {
    if !capabilities.kinds.contains(&work.kind) {
        return Err(DriverError::unsupported(format!(
            "the {} driver makes no backups of the kind `{}`",
            capabilities.driver, work.kind
        )));
    }
    match work.namespaces.iter().find(|name| !world.namespaces.contains_key(*name)) {
        Some(unknown) => Err(unknown_namespace(unknown, world.namespaces.keys())),
        None => Ok(()),
    }
}

/// Refuses a restore that can't be done, whether for real or as a preview.
pub(super) fn check_restore(
    world: &World,
    capabilities: &Capabilities,
    work: &RestoreWork,
) -> Result<(), DriverError> {
    let options = &work.options;
    if !options.paths.is_empty() {
        require(capabilities, Feature::SelectPaths)?;
    }
    if options.existing == ExistingResourcePolicy::Update {
        require(capabilities, Feature::UpdateExisting)?;
    }
    for target in options.mapping.values() {
        match target {
            RestoreTarget::Namespace(_) => require(capabilities, Feature::MapNamespaces)?,
            RestoreTarget::Path(path) => {
                require(capabilities, Feature::MapToPaths)?;
                check_path(world, path)?;
            }
        }
    }
    super::restore::RestorePlan::new(world, work).map(|_| ())
}

fn check_path(world: &World, path: &str) -> Result<(), DriverError> {
    let below = |root: &String| path.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if world.restore_roots.iter().any(below) && !path.split('/').any(|segment| segment == "..") {
        return Ok(());
    }
    Err(DriverError::invalid_input(format!("`{path}` does not lie below a restore root"))
        .with_suggestion(format!("choose a folder below one of: {}", world.restore_roots.join(", "))))
}

fn check_verify(capabilities: &Capabilities, work: &VerifyWork) -> Result<(), DriverError> {
    if capabilities.verification.contains(&work.level) {
        return Ok(());
    }
    Err(DriverError::unsupported(format!(
        "the {} driver can't verify at level {}",
        capabilities.driver, work.level
    )))
}

fn check_delete(world: &World, work: &DeleteWork) -> Result<(), DriverError> {
    let needs_it = |handle: &Option<String>| handle.as_ref() == Some(&work.record.handle);
    match world.artifacts.values().find(|artifact| needs_it(&artifact.parent)) {
        None => Ok(()),
        Some(child) => Err(DriverError::invalid_input(format!(
            "`{}` can't be deleted, since `{}` builds on it",
            work.record.handle, child.handle
        ))
        .with_suggestion("delete the backups that build on it first")),
    }
}

pub(super) fn unknown_record(record: &RecordRef) -> DriverError {
    DriverError::not_found(format!("there is no backup `{}` in {}", record.handle, record.location))
        .with_suggestion("choose another record; this one's data is gone")
}

pub(super) fn unknown_namespace<'a>(
    unknown: &NamespaceName,
    known: impl Iterator<Item = &'a NamespaceName>,
) -> DriverError {
    let known: Vec<&str> = known.map(NamespaceName::as_str).collect();
    DriverError::not_found(format!("there is no namespace `{unknown}`"))
        .with_suggestion(format!("choose among: {}", known.join(", ")))
}
