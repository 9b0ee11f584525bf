//! What becomes of work that is cancelled.

use super::{
    DriverHarness,
    session::{ENTRY, Session, in_place, must},
};
use crate::{
    model::ExistingResourcePolicy,
    seams::{EndStatus, Feature, Observation},
};

/// A backup that is cancelled, twice even, ends; if it ends as cancelled, nothing of it counts.
pub async fn a_cancelled_backup_leaves_nothing_that_counts<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::CancelBackup]).await else { return };
    let operation = session.some_backup();
    session.start(&operation).await;
    for _ in 0..2 {
        must(session.driver.cancel(&operation).await, "cancel a running backup");
    }
    let outcome = session.end_of(&operation).await;
    session.wait_a_while().await;
    let expected = match outcome.status {
        EndStatus::Cancelled => 0,
        EndStatus::Completed => 1,
        EndStatus::PartiallyFailed | EndStatus::Failed => panic!("a cancelled backup became {outcome:?}"),
    };
    let made = session.count_made_by(&operation).await;
    assert_eq!(made.unwrap_or(expected), expected, "it ended as {}", outcome.status);
}

/// A restore that is cancelled ends, as cancelled or as what it had become.
pub async fn a_cancelled_restore_ends<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::CancelRestore]).await else { return };
    let record = session.back_up().await;
    session.remove(ENTRY).await;
    let operation = session.restore(&record, in_place(ExistingResourcePolicy::None));
    session.start(&operation).await;
    for _ in 0..2 {
        must(session.driver.cancel(&operation).await, "cancel a running restore");
    }
    let outcome = session.end_of(&operation).await;
    let ended = matches!(outcome.status, EndStatus::Cancelled | EndStatus::Completed);
    assert!(ended, "a cancelled restore became {outcome:?}");
}

/// Cancelling what has ended is answered, and changes nothing.
pub async fn cancelling_what_has_ended_changes_nothing<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::CancelBackup]).await else { return };
    let operation = session.some_backup();
    let ended = session.complete(&operation).await;
    must(session.driver.cancel(&operation).await, "cancel what has ended");
    session.wait_a_while().await;
    assert_eq!(session.observe(&operation).await, Observation::Ended(Box::new(ended)));
    assert_eq!(session.count_made_by(&operation).await.unwrap_or(1), 1);
}

/// Cancelling what was never started is answered, and it stays absent.
pub async fn cancelling_what_was_never_started_is_harmless<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::CancelBackup]).await else { return };
    let operation = session.some_backup();
    must(session.driver.cancel(&operation).await, "cancel what was never started");
    assert_eq!(session.observe(&operation).await, Observation::Absent);
}
