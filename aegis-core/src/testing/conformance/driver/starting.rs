//! Starting, observing, and what is left of both after a restart.

use std::mem;

use futures::future::join_all;

use super::{
    DriverHarness,
    session::{Session, backup_result, must, must_refuse},
};
use crate::{
    model::NamespaceName,
    seams::{EndStatus, ErrorClass, Observation, Work},
};

/// What was never started is `Absent`.
pub async fn what_was_never_started_is_absent<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    for operation in [session.some_backup(), session.delete(&record)] {
        assert_eq!(session.observe(&operation).await, Observation::Absent, "{}", operation.work.kind());
    }
}

/// Namespaces are listed by name, those that exist among them.
pub async fn namespaces_are_listed_in_order<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let listed = must(session.driver.namespaces().await, "list namespaces");
    assert!(listed.is_sorted(), "{listed:?} is not sorted");
    for name in session.bench.namespaces() {
        assert!(listed.contains(&name), "{listed:?} lacks {name}");
    }
}

/// The same operation started again, while it runs and after, makes one backup.
pub async fn starting_twice_makes_one_backup<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let operation = session.some_backup();
    session.start(&operation).await;
    let first = backup_result(&session.run(&operation).await);
    let again = backup_result(&session.run(&operation).await);
    session.wait_a_while().await;
    assert_eq!(first, again, "it is the same backup");
    assert_is_alone(&session).await;
}

/// The same operation started several times at once makes one backup.
pub async fn concurrent_starts_make_one_backup<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let operation = session.some_backup();
    for answer in join_all((0..4).map(|_| session.driver.start(&operation))).await {
        must(answer, "start one operation several times at once");
    }
    backup_result(&session.end_of(&operation).await);
    session.wait_a_while().await;
    assert_is_alone(&session).await;
}

async fn assert_is_alone(session: &Session) {
    if session.has(crate::seams::Feature::Inventory) {
        let found = session.inventory(100).await;
        assert_eq!(found.len(), 1, "one operation makes one backup, not {found:?}");
    }
}

/// An end is final: observed again it is the same, and starting again does not change it.
pub async fn an_ended_operation_stays_as_it_ended<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let operation = session.some_backup();
    let ended = session.run(&operation).await;
    for _ in 0..3 {
        session.wait_a_while().await;
        assert_eq!(session.observe(&operation).await, Observation::Ended(Box::new(ended.clone())));
    }
    session.start(&operation).await;
    assert_eq!(session.observe(&operation).await, Observation::Ended(Box::new(ended)));
}

/// A driver that was opened anew finds the backup that an operation made, and makes no other.
pub async fn a_new_instance_finds_what_was_made<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let operation = session.some_backup();
    let made = backup_result(&session.run(&operation).await);
    let Some(driver) = session.bench.restart().await else { return };
    let found = backup_result(&session.end_as_told_by(&*driver, &operation).await);
    assert_eq!((&found.handle, &found.namespaces), (&made.handle, &made.namespaces));
    must(driver.start(&operation).await, "start again what was made before a restart");
    let again = backup_result(&session.end_as_told_by(&*driver, &operation).await);
    assert_eq!(again.handle, made.handle, "nothing is made anew");
}

/// After a restart, work that was under way is absent (and may be started again), lost for good, or
/// comes to its end; it never counts twice.
pub async fn work_of_a_dead_process_is_told_truly<H: DriverHarness>(harness: &H) {
    let Some(mut session) = Session::open(harness).await else { return };
    let operation = session.some_backup();
    session.start(&operation).await;
    let Some(driver) = session.bench.restart().await else { return };
    session.driver = driver;
    match session.observe(&operation).await {
        Observation::Lost { reason } => {
            assert!(!reason.is_empty(), "a loss has a reason");
            session.wait_a_while().await;
            let later = session.observe(&operation).await;
            assert!(matches!(later, Observation::Lost { .. }), "what was lost is {later:?}");
            let made = session.count_made_by(&operation).await;
            assert_eq!(made.unwrap_or(0), 0, "what was lost was made all the same");
        }
        Observation::Absent => {
            backup_result(&session.run(&operation).await);
            assert_eq!(session.count_made_by(&operation).await.unwrap_or(1), 1);
        }
        Observation::Queued { .. }
        | Observation::Running(_)
        | Observation::Unknown { .. }
        | Observation::Deferred { .. }
        | Observation::Ended(_) => {
            let outcome = session.end_of(&operation).await;
            assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
            assert_eq!(session.count_made_by(&operation).await.unwrap_or(1), 1);
        }
    }
}

/// A namespace that is not there is refused, with what a person can do about it, and nothing starts.
pub async fn an_unknown_namespace_is_refused_with_the_mend<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let mut operation = session.some_backup();
    if let Work::Backup(work) = &mut operation.work {
        work.namespaces = vec![must(NamespaceName::new("no-such-namespace"), "make a name")];
    }
    let answer = session.driver.start(&operation).await;
    let classes = [ErrorClass::NotFound, ErrorClass::InvalidInput];
    let error = must_refuse(answer, &classes, "back up a namespace that is not there");
    assert!(error.to_string().contains("no-such-namespace"), "`{error}` does not name it");
    assert!(error.detail().suggestion.is_some(), "`{error}` does not say what to do");
    assert_eq!(session.observe(&operation).await, Observation::Absent);
}

/// Everything works while nobody reads the hints, and after somebody stopped reading them.
pub async fn hints_may_be_ignored<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let unread = session.driver.hints();
    mem::drop(session.driver.hints());
    backup_result(&session.run(&session.some_backup()).await);
    mem::drop(unread);
    backup_result(&session.run(&session.some_backup()).await);
}
