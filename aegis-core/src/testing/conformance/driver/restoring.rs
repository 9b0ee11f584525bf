//! What a restore does, and what it leaves alone.

use super::{
    DriverHarness,
    session::{CHANGED, CONTENT, ENTRY, NEIGHBOUR, Session, in_place, must, must_refuse},
};
use crate::{
    model::{ExistingResourcePolicy as Existing, RecordRef, RestoreOptions, RestoreTarget},
    seams::{EndStatus, ErrorClass, Feature, Observation, Operation},
};

/// What was removed after the backup is there again.
pub async fn a_restore_brings_back_what_was_there<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    session.remove(ENTRY).await;
    session.complete(&session.restore(&record, in_place(Existing::None))).await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CONTENT));
}

fn mapped(session: &Session, target: RestoreTarget) -> RestoreOptions {
    let mut options = in_place(Existing::None);
    options.mapping.insert(session.namespace(), target);
    options
}

async fn restores_elsewhere(session: &Session, target: RestoreTarget) {
    let record = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    session.complete(&session.restore(&record, mapped(session, target.clone()))).await;
    assert_eq!(session.bench.read(&target, ENTRY).await.as_deref(), Some(CONTENT), "at {target:?}");
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CHANGED), "where it came from");
}

/// A namespace that is mapped to another goes there, and the first stays as it is.
pub async fn a_restore_goes_to_another_namespace<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::MapNamespaces]).await else { return };
    restores_elsewhere(&session, RestoreTarget::Namespace(session.second())).await;
}

/// A namespace that is mapped to a folder goes there, and the first stays as it is.
pub async fn a_restore_goes_to_a_folder<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::MapToPaths]).await else { return };
    let Some(folder) = session.bench.restore_folder() else {
        panic!("a driver that declares `map_to_paths` has a restore root")
    };
    restores_elsewhere(&session, RestoreTarget::Path(folder)).await;
}

/// A folder that does not lie below a restore root is refused.
pub async fn a_folder_outside_of_the_restore_roots_is_refused<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::MapToPaths]).await else { return };
    let record = session.back_up().await;
    let inside = session.bench.restore_folder().unwrap_or_default();
    let escape = format!("{inside}/../../../../../../../../aegis-outside");
    for folder in ["/aegis-outside", "relative/folder", &escape] {
        let operation = session.restore(&record, mapped(&session, RestoreTarget::Path(folder.to_owned())));
        let classes = [ErrorClass::InvalidInput, ErrorClass::Forbidden];
        must_refuse(session.driver.start(&operation).await, &classes, &format!("restore to `{folder}`"));
    }
}

/// What is there and differs stays as it is, and the restore says that it is not complete.
pub async fn what_differs_stays_unless_told<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    session.remove(NEIGHBOUR).await;
    let outcome = session.run(&session.restore(&record, in_place(Existing::None))).await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CHANGED));
    assert!(session.read(NEIGHBOUR).await.is_some(), "what is missing is restored");
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
}

/// What is there and differs is overwritten where that is asked for.
pub async fn what_differs_is_overwritten_on_update<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::UpdateExisting]).await else { return };
    let record = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    session.complete(&session.restore(&record, in_place(Existing::Update))).await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CONTENT));
}

/// If anything differs and the restore is to fail then, it fails, and nothing is touched.
pub async fn nothing_is_touched_on_fail<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    session.remove(NEIGHBOUR).await;
    let outcome = session.run(&session.restore(&record, in_place(Existing::Fail))).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CHANGED));
    assert_eq!(session.read(NEIGHBOUR).await, None, "not even what is missing is restored");
}

/// Only the chosen paths are restored.
pub async fn only_chosen_paths_are_restored<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::SelectPaths]).await else { return };
    let record = session.back_up().await;
    session.remove(ENTRY).await;
    session.remove(NEIGHBOUR).await;
    let mut options = in_place(Existing::None);
    options.paths.push(ENTRY.to_owned());
    session.complete(&session.restore(&record, options)).await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CONTENT));
    assert_eq!(session.read(NEIGHBOUR).await, None, "it was not chosen");
}

/// A restore of a record that is not there is refused, or fails; it never completes.
pub async fn restoring_what_is_not_there_is_refused<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let deleted = session.back_up().await;
    session.complete(&session.delete(&deleted)).await;
    let unknown = RecordRef { handle: "0".repeat(64), ..session.back_up().await };
    for record in [deleted, unknown] {
        let operation = session.restore(&record, in_place(Existing::None));
        match session.driver.start(&operation).await {
            Err(error) => assert_eq!(error.class(), ErrorClass::NotFound, "{error}"),
            Ok(()) => {
                let outcome = session.end_of(&operation).await;
                assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
            }
        }
    }
}

/// A restore that was started again after it ended does not restore again.
pub async fn a_restore_takes_effect_once<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    session.remove(ENTRY).await;
    let operation = session.restore(&record, in_place(Existing::None));
    session.complete(&operation).await;
    session.remove(ENTRY).await;
    session.start(&operation).await;
    session.wait_a_while().await;
    assert_eq!(session.read(ENTRY).await, None, "it was restored a second time");
}

/// A backup with one entry changed, one removed and one as it was.
async fn with_differences(session: &Session) -> RecordRef {
    session.write("d/same.txt", b"the same").await;
    let record = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    session.remove(NEIGHBOUR).await;
    record
}

/// A preview changes nothing at the target.
pub async fn a_preview_changes_nothing<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Preview]).await else { return };
    let record = with_differences(&session).await;
    let existing = if session.has(Feature::UpdateExisting) { Existing::Update } else { Existing::None };
    let restore = session.restore_work(&record, in_place(existing));
    must(session.driver.preview(&session.bench.tenant(), &restore).await, "preview");
    session.wait_a_while().await;
    assert_eq!(session.read(ENTRY).await.as_deref(), Some(CHANGED));
    assert_eq!(session.read(NEIGHBOUR).await, None);
    let unstarted: Operation = session.restore(&record, in_place(existing));
    assert_eq!(session.observe(&unstarted).await, Observation::Absent);
}

/// A preview tells what a restore would create, overwrite and skip.
pub async fn a_preview_tells_what_would_happen<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Preview]).await else { return };
    let record = with_differences(&session).await;
    let restore = session.restore_work(&record, in_place(Existing::None));
    let told = must(session.driver.preview(&session.bench.tenant(), &restore).await, "preview");
    assert!(told.create >= 1, "one entry is missing: {told:?}");
    assert_eq!((told.overwrite, told.differing), (0, 1), "one entry differs and stays: {told:?}");
    assert!(told.skip >= 2, "what differs and what is the same is skipped: {told:?}");
    assert!(told.examples.len() <= 100, "there are {} examples", told.examples.len());
    if session.has(Feature::UpdateExisting) {
        let restore = session.restore_work(&record, in_place(Existing::Update));
        let told = must(session.driver.preview(&session.bench.tenant(), &restore).await, "preview");
        assert!(told.overwrite >= 1 && told.differing == 0, "what differs would be overwritten: {told:?}");
    }
}
