//! The removal of what a trial restore made.

use std::collections::BTreeSet;

use super::{
    restore::target_of,
    run::has_effect,
    script::Ending,
    world::{Files, Trial, World},
};
use crate::{
    model::{IssueGroup, ResourceCounts, RestoreTarget},
    seams::{CleanUpResult, CleanUpWork, EndStatus, RestoreWork, WorkResult},
};

type Ended = (EndStatus, Vec<IssueGroup>, WorkResult);

pub(super) fn clean_up(world: &mut World, work: &CleanUpWork, ending: &Ending) -> Ended {
    let targets: BTreeSet<RestoreTarget> = targets(&work.work).collect();
    if !has_effect(ending) {
        return completed(0);
    }
    if *ending == Ending::Overreach {
        let taken = targets.iter().filter_map(|target| world.files_at(target)).map(Files::len).sum();
        targets.iter().for_each(|target| world.remove_target(target));
        return completed(taken);
    }
    let Some(trial) = world.trials.remove(&work.restore) else {
        if targets.iter().all(|target| world.files_at(target).is_none_or(Files::is_empty)) {
            return completed(0);
        }
        let cause = IssueGroup::once("nothing is known of a trial restore of that id: nothing was removed")
            .with_suggestion("look into the target, and remove by hand what is to go");
        return (EndStatus::Failed, vec![cause], WorkResult::Nothing);
    };
    let (removed, kept, mut errors) = remove(world, trial, ending);
    let mut left: BTreeSet<RestoreTarget> =
        kept.entries.iter().map(|(target, _, _)| target.clone()).collect();
    for target in &kept.targets {
        match world.files_at(target) {
            Some(files) if files.is_empty() => world.remove_target(target),
            Some(_) => drop(left.insert(target.clone())),
            None => {}
        }
    }
    world.trials.insert(work.restore, kept);
    if left.is_empty() {
        return completed(removed);
    }
    if errors.is_empty() {
        errors.push(IssueGroup::once("something that the restore did not make lies at the target"));
    }
    let left = left.into_iter().collect();
    let result = CleanUpResult { removed: files(removed), left };
    (EndStatus::PartiallyFailed, errors, WorkResult::CleanUp(result))
}

/// Removes what is as it was made; answers how many, and what was not.
fn remove(world: &mut World, mut trial: Trial, ending: &Ending) -> (usize, Trial, Vec<IssueGroup>) {
    let mut errors = Vec::new();
    let mut kept = Vec::new();
    if let Ending::PartiallyFail(cause) = ending {
        kept.extend(trial.entries.pop());
        errors.push(IssueGroup::once(cause));
    }
    let mut removed = 0;
    for (target, path, bytes) in trial.entries {
        match world.files_at(&target).and_then(|files| files.get(&path)) {
            Some(found) if *found == bytes => {
                world.files_at_mut(&target).remove(&path);
                removed += 1;
            }
            Some(_) => {
                errors.push(IssueGroup::once(format!("`{path}` was changed since it was restored")));
                kept.push((target, path, bytes));
            }
            None => {}
        }
    }
    (removed, Trial { entries: kept, targets: trial.targets }, errors)
}

fn targets(work: &RestoreWork) -> impl Iterator<Item = RestoreTarget> {
    work.namespaces.iter().map(|name| target_of(name, &work.options))
}

fn files(count: usize) -> ResourceCounts {
    [("files", u64::try_from(count).unwrap_or(u64::MAX))].into_iter().collect()
}

fn completed(removed: usize) -> Ended {
    let result = CleanUpResult { removed: files(removed), left: Vec::new() };
    (EndStatus::Completed, Vec::new(), WorkResult::CleanUp(result))
}
