//! What a restore comes to: one plan for the preview and for the restore itself.

use bytes::Bytes;

use super::{
    refusal::{unknown_namespace, unknown_record},
    world::{Trial, World, length},
};
use crate::{
    model::{
        Bytes as ByteCount, ExistingResourcePolicy, NamespaceName, ResourceCounts, RestoreOptions,
        RestoreTarget,
    },
    seams::{DriverError, PreviewAction, PreviewEntry, RestorePreview, RestoreResult, RestoreWork},
};

/// One entry of a restore.
#[derive(Debug)]
struct Step {
    target: RestoreTarget,
    path: String,
    bytes: Bytes,
    found: Found,
}

/// What is at an entry's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    TheSame,
    SomethingElse,
}

/// What a restore would do.
#[derive(Debug)]
pub(super) struct RestorePlan {
    steps: Vec<Step>,
    existing: ExistingResourcePolicy,
}

/// What a restore did.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) result: RestoreResult,
    /// Entries that differ and were left.
    pub(super) differing: Vec<String>,
    /// What was made.
    pub(super) made: Trial,
}

impl RestorePlan {
    /// Looks at the record and at the target.
    ///
    /// # Errors
    /// `NotFound` for the record, or a namespace that it lacks.
    pub(super) fn new(world: &World, restore: &RestoreWork) -> Result<Self, DriverError> {
        let artifact = world
            .artifact(&restore.record)
            .filter(|artifact| world.chain_is_whole(artifact))
            .ok_or_else(|| unknown_record(&restore.record))?;
        let mut steps = Vec::new();
        for name in &restore.namespaces {
            let files =
                artifact.files.get(name).ok_or_else(|| unknown_namespace(name, artifact.files.keys()))?;
            let target = target_of(name, &restore.options);
            let there = world.files_at(&target);
            steps.extend(files.iter().filter(|(path, _)| is_chosen(path, &restore.options)).map(
                |(path, bytes)| Step {
                    target: target.clone(),
                    path: path.clone(),
                    bytes: bytes.clone(),
                    found: match there.and_then(|files| files.get(path)) {
                        None => Found::Nothing,
                        Some(found) if found == bytes => Found::TheSame,
                        Some(_) => Found::SomethingElse,
                    },
                },
            ));
        }
        Ok(Self { steps, existing: restore.options.existing })
    }

    /// Leaves out the last entry, as if it had failed.
    pub(super) fn without_last(mut self) -> Self {
        self.steps.pop();
        self
    }

    fn touches_nothing(&self) -> bool {
        self.existing == ExistingResourcePolicy::Fail
            && self.steps.iter().any(|step| step.found == Found::SomethingElse)
    }

    fn action(&self, step: &Step) -> PreviewAction {
        match step.found {
            _ if self.touches_nothing() => PreviewAction::Skip,
            Found::Nothing => PreviewAction::Create,
            Found::SomethingElse if self.existing == ExistingResourcePolicy::Update => {
                PreviewAction::Overwrite
            }
            Found::TheSame | Found::SomethingElse => PreviewAction::Skip,
        }
    }

    pub(super) fn preview(&self) -> RestorePreview {
        let mut preview = RestorePreview::default();
        for step in &self.steps {
            let action = self.action(step);
            match action {
                PreviewAction::Create => preview.create += 1,
                PreviewAction::Overwrite => preview.overwrite += 1,
                PreviewAction::Skip => {
                    preview.skip += 1;
                    preview.differing += u64::from(step.found == Found::SomethingElse);
                }
            }
            if action != PreviewAction::Skip {
                preview.bytes.0 += length(&step.bytes);
            }
            if preview.examples.len() < 100 {
                preview.examples.push(PreviewEntry { path: step.path.clone(), action });
            }
        }
        if self.touches_nothing() {
            preview.obstacles.push("entries at the target differ, and none may be touched".to_owned());
        }
        preview
    }

    /// Writes what is to be written.
    pub(super) fn carry_out(self, world: &mut World) -> Restored {
        let mut restored =
            Restored { result: RestoreResult::default(), differing: Vec::new(), made: Trial::default() };
        let actions: Vec<PreviewAction> = self.steps.iter().map(|step| self.action(step)).collect();
        let mut written = 0;
        for (step, action) in self.steps.into_iter().zip(actions) {
            match (action, step.found) {
                (PreviewAction::Skip, Found::TheSame) => restored.result.unchanged += 1,
                (PreviewAction::Skip, Found::SomethingElse) => restored.differing.push(step.path),
                (PreviewAction::Skip, Found::Nothing) => {}
                (PreviewAction::Create | PreviewAction::Overwrite, _) => {
                    written += 1;
                    restored.result.bytes.0 += length(&step.bytes);
                    if world.files_at(&step.target).is_none() {
                        restored.made.targets.push(step.target.clone());
                    }
                    let files = world.files_at_mut(&step.target);
                    files.insert(step.path.clone(), step.bytes.clone());
                    restored.made.entries.push((step.target, step.path, step.bytes));
                }
            }
        }
        restored.result.restored = ResourceCounts::from_iter([("files", written)]);
        restored
    }

    /// The bytes of all its entries.
    pub(super) fn size(&self) -> ByteCount {
        ByteCount(self.steps.iter().map(|step| length(&step.bytes)).sum())
    }
}

/// Where a namespace goes: where it is mapped to, else where it came from.
pub(super) fn target_of(name: &NamespaceName, options: &RestoreOptions) -> RestoreTarget {
    options.mapping.get(name).cloned().unwrap_or_else(|| RestoreTarget::Namespace(name.clone()))
}

fn is_chosen(path: &str, options: &RestoreOptions) -> bool {
    options.paths.is_empty()
        || options.paths.iter().any(|chosen| {
            path.strip_prefix(chosen.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}
