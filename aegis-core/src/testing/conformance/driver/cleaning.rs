//! What a clean-up after a trial restore removes, and what it keeps.

use super::{
    DriverHarness,
    session::{CHANGED, CONTENT, ENTRY, NEIGHBOUR, Session, in_place},
};
use crate::{
    model::{ExistingResourcePolicy, RestoreTarget},
    seams::{EndStatus, ErrorClass, Feature, Operation, Outcome, RestorePurpose, Work, WorkResult},
};

/// An entry that no backup has.
const OWN: &str = "a/put-there-since.txt";

/// A driver that cleans up, after a trial restore to somewhere else.
async fn after_trial<H: DriverHarness>(harness: &H) -> Option<(Session, RestoreTarget, Operation)> {
    let session = Session::open_with(harness, &[Feature::CleanUp]).await?;
    if !session.has(Feature::MapToPaths) && !session.has(Feature::MapNamespaces) {
        return None;
    }
    let record = session.back_up().await;
    let target = session.elsewhere();
    let trial = session.trial(&record, &target);
    session.complete(&trial).await;
    assert_eq!(session.bench.read(&target, ENTRY).await.as_deref(), Some(CONTENT), "at {target:?}");
    Some((session, target, trial))
}

/// What a trial restore made is gone after its clean-up, and what was backed up is as it was.
pub async fn a_clean_up_removes_what_its_trial_made<H: DriverHarness>(harness: &H) {
    let Some((session, target, trial)) = after_trial(harness).await else { return };
    session.complete(&session.clean_up(&trial)).await;
    for path in [ENTRY, NEIGHBOUR] {
        assert_eq!(session.bench.read(&target, path).await, None, "`{path}` is still there");
        assert!(session.read(path).await.is_some(), "`{path}` is gone from where it was backed up");
    }
}

/// What was put or changed at the target since stays there, and the clean-up says so.
pub async fn a_clean_up_leaves_what_others_put_there<H: DriverHarness>(harness: &H) {
    let Some((session, target, trial)) = after_trial(harness).await else { return };
    session.bench.write(&target, OWN, b"mine").await;
    let outcome = session.run(&session.clean_up(&trial)).await;
    assert_eq!(session.bench.read(&target, OWN).await.as_deref(), Some(&b"mine"[..]));
    assert_eq!(session.bench.read(&target, ENTRY).await, None, "what the trial made is gone");
    if let RestoreTarget::Path(_) = &target {
        must_name(&outcome, &target);
    }
}

#[track_caller]
fn must_name(outcome: &Outcome, target: &RestoreTarget) {
    let WorkResult::CleanUp(result) = &outcome.result else { panic!("the clean-up ended with {outcome:?}") };
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "something was left: {outcome:?}");
    assert_eq!(result.left, std::slice::from_ref(target), "it says where: {outcome:?}");
}

/// A clean-up that comes after another takes nothing that lies there by then.
pub async fn a_clean_up_done_again_takes_nothing<H: DriverHarness>(harness: &H) {
    let Some((session, target, trial)) = after_trial(harness).await else { return };
    session.complete(&session.clean_up(&trial)).await;
    session.bench.write(&target, ENTRY, CHANGED).await;
    let again = session.clean_up(&trial);
    if session.driver.start(&again).await.is_ok() {
        session.end_of(&again).await;
    }
    assert_eq!(session.bench.read(&target, ENTRY).await.as_deref(), Some(CHANGED));
}

/// Another process cleans up after a trial restore, since what it made is noted down.
pub async fn another_process_cleans_up<H: DriverHarness>(harness: &H) {
    let Some((session, target, trial)) = after_trial(harness).await else { return };
    let Some(other) = session.bench.restart().await else { return };
    let operation = session.clean_up(&trial);
    super::session::must(other.start(&operation).await, "clean up after another process");
    let outcome = session.end_as_told_by(&*other, &operation).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(session.bench.read(&target, ENTRY).await, None);
}

/// What was restored to stay is not cleaned up, whoever asks.
pub async fn what_was_restored_to_stay_is_never_removed<H: DriverHarness>(harness: &H) {
    let Some((session, target, trial)) = after_trial(harness).await else { return };
    session.complete(&session.clean_up(&trial)).await;
    let mut restore = session.operation(trial.work.clone());
    if let Work::Restore(work) = &mut restore.work {
        work.options = in_place(ExistingResourcePolicy::None);
        work.options.mapping.insert(session.namespace(), target.clone());
        work.purpose = RestorePurpose::Recovery;
    }
    session.complete(&restore).await;
    let operation = session.clean_up(&restore);
    match session.driver.start(&operation).await {
        Err(error) => assert_eq!(error.class(), ErrorClass::InvalidInput, "{error}"),
        Ok(()) => assert_eq!(session.end_of(&operation).await.status, EndStatus::Failed),
    }
    assert_eq!(session.bench.read(&target, ENTRY).await.as_deref(), Some(CONTENT));
}
