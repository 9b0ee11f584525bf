use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};

use super::*;
use crate::{
    model::Labels,
    seams::{BackupWork, DeleteWork, EndStatus, ErrorClass, Outcome, Work, WorkResult},
    testing::{ManualClock, fixtures},
};

struct Case {
    clock: ManualClock,
    driver: ScriptedDriver,
}

impl Case {
    fn new() -> Self {
        let clock = ManualClock::starting_at(fixtures::START);
        let driver = ScriptedDriver::new(Arc::new(clock.clone()))
            .with_namespace(fixtures::namespace("app"), [("a", "one"), ("b", "two")]);
        Self { clock, driver }
    }

    async fn observe(&self, operation: &Operation) -> Observation {
        self.driver.observe(operation).await.unwrap()
    }

    /// Starts a backup that follows `script` and looks at it once it should have ended.
    async fn run(&self, operation: &Operation, script: Script) -> Observation {
        self.driver.script(operation.id, script);
        self.driver.start(operation).await.unwrap();
        self.clock.advance(ScriptedDriver::USUAL_DURATION);
        self.observe(operation).await
    }
}

fn operation(number: u64, work: Work) -> Operation {
    Operation {
        id: fixtures::id(number),
        tenant: fixtures::tenant(),
        cluster: fixtures::cluster(),
        name: fixtures::artifact(number),
        started_at: fixtures::START,
        work,
    }
}

fn backup(number: u64) -> Operation {
    let work = BackupWork {
        namespaces: vec![fixtures::namespace("app")],
        include_volumes: false,
        location: fixtures::location(),
        kind: BackupKind::Full,
        base: None,
        keep_at_least: Duration::ZERO,
        labels: Labels::default(),
    };
    operation(number, Work::Backup(work))
}

/// The deletion of what [`backup`] of `made` made.
fn delete(number: u64, made: u64) -> Operation {
    let mut record = fixtures::record_ref(made);
    record.handle = record.artifact.to_string();
    operation(number, Work::Delete(DeleteWork { record }))
}

fn outcome(observation: Observation) -> Outcome {
    match observation {
        Observation::Ended(outcome) => *outcome,
        other => panic!("it should have ended and is {other:?}"),
    }
}

#[tokio::test]
async fn a_backup_takes_its_time_by_the_clock_and_holds_what_was_there_at_its_start() {
    let case = Case::new();
    let operation = backup(1);
    case.driver.start(&operation).await.unwrap();
    case.driver.write(&RestoreTarget::Namespace(fixtures::namespace("app")), "a", "changed");
    case.clock.advance(Duration::from_secs(30));
    let Observation::Running(progress) = case.observe(&operation).await else { panic!("it runs") };
    assert_eq!((progress.bytes_done, progress.bytes_total), (3, Some(6)));
    assert!(case.driver.backups().is_empty(), "nothing counts before the end");
    case.clock.advance(Duration::from_secs(300));
    let outcome = outcome(case.observe(&operation).await);
    assert_eq!(outcome.ended_at, fixtures::at(60), "however late it is looked at");
    assert_eq!(case.driver.backups().len(), 1);
}

#[tokio::test]
async fn scripts_decide_how_it_ends() {
    let statuses = [
        (Script::completing(), EndStatus::Completed, 1),
        (Script::failing("full"), EndStatus::Failed, 0),
        (Script::partially_failing("unreadable"), EndStatus::PartiallyFailed, 1),
        (Script::completing_without_effect(), EndStatus::Completed, 0),
    ];
    for (script, status, backups) in statuses {
        let case = Case::new();
        let outcome = outcome(case.run(&backup(1), script.clone()).await);
        assert_eq!(outcome.status, status, "{script:?}");
        assert_eq!(case.driver.backups().len(), backups, "{script:?}");
    }
}

#[tokio::test]
async fn scripts_may_lose_forget_hang_and_say_what_nobody_knows() {
    let lost = Case::new().run(&backup(1), Script::losing("gone")).await;
    assert_eq!(lost, Observation::Lost { reason: "gone".to_owned() });
    assert_eq!(Case::new().run(&backup(1), Script::vanishing()).await, Observation::Absent);
    assert!(matches!(Case::new().run(&backup(1), Script::hanging()).await, Observation::Running(_)));
    let unknown = Case::new().run(&backup(1), Script::hanging().saying("Finalizing")).await;
    assert_eq!(unknown, Observation::Unknown { state: "Finalizing".to_owned() });
    let queued = Script::completing().queued_for(Duration::from_secs(600));
    assert_eq!(Case::new().run(&backup(1), queued).await, Observation::Queued { position: None });
    let late = Script::completing().taking(Duration::from_secs(600));
    assert!(matches!(Case::new().run(&backup(1), late).await, Observation::Running(_)));
}

#[tokio::test]
async fn an_empty_backup_says_that_it_is_full_until_it_is_verified() {
    let case = Case::new();
    let outcome = outcome(case.run(&backup(1), Script::completing_empty()).await);
    let WorkResult::Backup(result) = outcome.result else { panic!("it is a backup") };
    assert_eq!(result.sizes.logical.map(|size| size.0), Some(6));
    let Work::Delete(DeleteWork { record }) = delete(2, 1).work else { panic!("it is a deletion") };
    let level = VerificationLevel::Present;
    let verify = operation(2, Work::Verify(crate::seams::VerifyWork { record, level }));
    let WorkResult::Verify(found) = self::outcome(case.run(&verify, Script::completing()).await).result
    else {
        panic!("it is a verification")
    };
    assert_eq!(found.failed, Some(VerificationLevel::Present));
}

#[tokio::test]
async fn a_refused_start_has_no_effect_and_an_unanswered_one_has() {
    let case = Case::new();
    case.driver.script_next(WorkKind::Backup, Script::completing().refused(ErrorClass::RateLimited));
    case.driver.script_next(WorkKind::Backup, Script::completing().started_without_answer());
    let classes = [ErrorClass::RateLimited, ErrorClass::Indeterminate];
    for (class, begun) in classes.into_iter().zip([0, 1]) {
        assert_eq!(case.driver.start(&backup(1)).await.unwrap_err().class(), class);
        assert_eq!(case.driver.effects(fixtures::id(1)).begun, begun, "{class:?}");
    }
    case.driver.start(&backup(1)).await.unwrap();
    let effects = case.driver.effects(fixtures::id(1));
    assert_eq!((effects.starts, effects.begun), (3, 1), "the work began once");
}

#[tokio::test]
async fn the_end_of_its_process_loses_what_ran_in_it_and_keeps_what_was_made() {
    let case = Case::new();
    case.run(&backup(1), Script::completing()).await;
    case.driver.start(&backup(2)).await.unwrap();
    case.driver.lose_process();
    assert!(matches!(case.observe(&backup(1)).await, Observation::Ended(_)));
    assert!(matches!(case.observe(&backup(2)).await, Observation::Lost { .. }));
    case.driver.start(&backup(3)).await.unwrap();
    case.driver.lose_process_without_trace();
    assert_eq!(case.observe(&backup(3)).await, Observation::Absent);
    case.clock.advance(Duration::from_secs(600));
    assert_eq!(case.driver.backups().len(), 1);
}

#[tokio::test]
async fn work_that_outlives_its_process_goes_on() {
    let mut case = Case::new();
    case.driver = case.driver.outliving_its_process();
    case.driver.start(&backup(1)).await.unwrap();
    case.driver.lose_process();
    case.clock.advance(Duration::from_secs(60));
    assert!(matches!(case.observe(&backup(1)).await, Observation::Ended(_)));
}

#[tokio::test]
async fn a_locked_backup_is_deleted_once_its_lock_ends() {
    let mut case = Case::new();
    case.driver = case.driver.with_object_lock(Duration::from_secs(3_600));
    case.run(&backup(1), Script::completing()).await;
    let until = fixtures::at(3_600);
    assert!(
        matches!(case.run(&delete(2, 1), Script::completing()).await, Observation::Deferred { until: told, .. } if told == until)
    );
    assert_eq!(case.driver.backups().len(), 1);
    case.clock.advance_to(until);
    assert_eq!(outcome(case.observe(&delete(2, 1)).await).status, EndStatus::Completed);
    assert!(case.driver.backups().is_empty());
}

#[tokio::test]
async fn with_chains_what_others_build_on_is_not_deleted() {
    let mut case = Case::new();
    let capabilities = case.driver.capabilities().clone().with_features([Feature::Chains]);
    case.driver = case.driver.with_capabilities(capabilities);
    case.run(&backup(1), Script::completing()).await;
    let mut incremental = backup(2);
    if let (Work::Backup(work), Work::Delete(base)) = (&mut incremental.work, delete(9, 1).work) {
        work.kind = BackupKind::Incremental;
        work.base = Some(base.record);
    }
    case.run(&incremental, Script::completing()).await;
    let refused = case.driver.start(&delete(3, 1)).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::InvalidInput);
    case.run(&delete(4, 2), Script::completing()).await;
    case.driver.start(&delete(3, 1)).await.unwrap();
}

#[tokio::test]
async fn cancellation_is_obeyed_ignored_or_refused() {
    let case = Case::new();
    let scripts = [
        (Script::completing(), None),
        (Script::completing().ignoring_cancel(), None),
        (Script::completing().refusing_cancel(ErrorClass::Forbidden), Some(ErrorClass::Forbidden)),
    ];
    let ends = [EndStatus::Cancelled, EndStatus::Completed, EndStatus::Completed];
    for (((script, refused), end), number) in scripts.into_iter().zip(ends).zip(1..) {
        let operation = backup(number);
        case.driver.script(operation.id, script.clone());
        case.driver.start(&operation).await.unwrap();
        let answer = case.driver.cancel(&operation).await;
        assert_eq!(answer.err().map(|error| error.class()), refused, "{script:?}");
        case.clock.advance(Duration::from_secs(60));
        assert_eq!(outcome(case.observe(&operation).await).status, end, "{script:?}");
    }
}

#[tokio::test]
async fn a_driver_that_is_cut_off_answers_nothing_and_works_on() {
    let case = Case::new();
    case.driver.start(&backup(1)).await.unwrap();
    case.driver.cut_off();
    assert_eq!(case.driver.observe(&backup(1)).await.unwrap_err().class(), ErrorClass::Unavailable);
    case.clock.advance(Duration::from_secs(60));
    case.driver.reconnect();
    assert!(matches!(case.observe(&backup(1)).await, Observation::Ended(_)));
}

#[tokio::test]
async fn hints_name_what_began_and_what_ended() {
    let case = Case::new();
    let mut hints = case.driver.hints();
    case.run(&backup(1), Script::completing()).await;
    for _ in 0..2 {
        assert_eq!(hints.next().now_or_never().flatten(), Some(fixtures::id(1)));
    }
    assert_eq!(hints.next().now_or_never(), None);
}
