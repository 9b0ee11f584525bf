//! DR tests: what was restored is removed again, whatever comes in between, and tests are cancelled.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, NewDrTest},
    model::{
        CheckStatus, DisplayName, DrKeep, DrPhase, DrTest, DrTestId, EventKind, Position, Principal,
        RestoreTarget, SealedEvent, VerificationLevel, Versioned,
    },
    rules::rto::RtoBasis,
    seams::{BackupDriver, DrCheck, DrVerdict, ErrorClass, Feature, RestoredCopy, WorkKind},
    testing::Script,
};

use crate::{
    dr_tests::{finish, folder, into, of, record, run, target_of},
    world::{World, name, namespace, new_policy, tenant},
};

/// A check that fails while the file that it looks for is there.
#[derive(Debug)]
struct Failing(DisplayName);

#[async_trait::async_trait]
impl DrCheck for Failing {
    fn name(&self) -> &DisplayName {
        &self.0
    }

    async fn check(&self, _restored: &RestoredCopy) -> DrVerdict {
        DrVerdict::Failed { reason: "rows are missing".to_owned() }
    }
}

fn failing(world: &World) -> Aegis {
    world.builder().dr_check(Arc::new(Failing(name("failing")))).build().unwrap()
}

async fn failing_test(world: &World, aegis: &Aegis, keep: DrKeep) -> NewDrTest {
    let mut new = of(record(world, aegis).await, folder());
    new.checks = vec![name("failing")];
    new.keep = keep;
    new
}

/// Passes until the test is at a phase that `wanted` wants.
async fn until(
    world: &World,
    aegis: &Aegis,
    test: DrTestId,
    wanted: fn(&DrTest) -> bool,
) -> Versioned<DrTest> {
    for _ in 0..1000 {
        let found = tenant(aegis).dr_test(test).await.unwrap();
        if wanted(&found) {
            return found;
        }
        assert_eq!(found.status, CheckStatus::Running, "it ended before: {found:?}");
        aegis.pass().await;
        world.clock.advance(Duration::from_secs(1));
    }
    panic!("test {test} never came so far")
}

fn phase(test: &DrTest) -> DrPhase {
    test.run.as_ref().unwrap().phase
}

fn is_cleaning(test: &DrTest) -> bool {
    matches!(phase(test), DrPhase::CleaningUp(_))
}

fn reason(test: &DrTest) -> &str {
    test.clean_up.as_ref().unwrap().reason.as_deref().unwrap()
}

fn restored_file(world: &World, test: &DrTest) -> Option<bytes::Bytes> {
    world.driver.read(&target_of(test), "a.txt")
}

#[tokio::test]
async fn what_a_test_that_failed_restored_is_removed_too() {
    let world = World::new();
    let aegis = failing(&world);
    let new = failing_test(&world, &aegis, DrKeep::Nothing).await;
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.status, CheckStatus::Failed);
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed);
    assert_eq!(restored_file(&world, &test), None);
}

#[tokio::test]
async fn what_a_test_that_failed_restored_stays_to_be_looked_into_if_asked_for() {
    let world = World::new();
    let aegis = failing(&world);
    let new = failing_test(&world, &aegis, DrKeep::IfFailed).await;
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.status, CheckStatus::Failed);
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::NotRun);
    assert!(reason(&test).contains("kept to be looked into"), "{}", reason(&test));
    assert_eq!(test.left_behind, [target_of(&test)]);
    assert_eq!(restored_file(&world, &test).unwrap(), "one");
    let mut passes = of(record(&world, &aegis).await, folder());
    passes.keep = DrKeep::IfFailed;
    let test = run(&world, &aegis, passes).await;
    assert_eq!((test.status, restored_file(&world, &test)), (CheckStatus::Passed, None));
}

#[tokio::test]
async fn what_is_to_be_kept_is_kept_although_the_test_passed() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = of(record(&world, &aegis).await, folder());
    new.keep = DrKeep::Always;
    let test = run(&world, &aegis, new).await;
    assert_eq!(test.status, CheckStatus::Passed);
    assert_eq!(test.left_behind, [target_of(&test)]);
    assert!(restored_file(&world, &test).is_some());
}

#[tokio::test]
async fn the_verdict_is_known_while_the_clean_up_runs_and_the_target_stays_taken() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.driver.script_next(WorkKind::CleanUp, Script::completing().taking(Duration::from_secs(600)));
    let test = tenant(&aegis).run_dr_test(of(record, into("app", "lab"))).await.unwrap().id;
    let seen = until(&world, &aegis, test, is_cleaning).await;
    assert_eq!(seen.status, CheckStatus::Running);
    assert_eq!(seen.conclusion.as_ref().unwrap().reason, None);
    let error = tenant(&aegis).run_dr_test(of(record, into("app", "lab"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    world.run(&aegis, Duration::from_secs(600)).await;
    assert_eq!(finish(&world, &aegis, test).await.status, CheckStatus::Passed);
    let next = run(&world, &aegis, of(record, into("app", "lab"))).await;
    assert_eq!(next.status, CheckStatus::Passed, "{:?}", next.reason);
}

#[tokio::test]
async fn a_clean_up_that_fails_is_named_and_the_test_has_passed_all_the_same() {
    let world = World::new();
    let aegis = world.engine();
    let new = of(record(&world, &aegis).await, folder());
    world.driver.script_next(WorkKind::CleanUp, Script::failing("the share went away"));
    let test = run(&world, &aegis, new).await;
    assert_eq!((test.status, test.reason.as_deref()), (CheckStatus::Passed, None));
    assert_eq!(test.passed_level, Some(VerificationLevel::Restored));
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Failed);
    assert_eq!(reason(&test), "the share went away");
    assert_eq!(test.left_behind, [target_of(&test)]);
    world.run(&aegis, Duration::from_secs(24 * 3600)).await;
    let later = tenant(&aegis).dr_test(test.id).await.unwrap();
    assert_eq!((&later.clean_up, &later.left_behind), (&test.clean_up, &test.left_behind));
}

#[tokio::test]
async fn what_someone_put_beside_it_stays_and_is_named() {
    let world = World::new();
    let aegis = world.engine();
    let test = tenant(&aegis).run_dr_test(of(record(&world, &aegis).await, folder())).await.unwrap();
    until(&world, &aegis, test.id, is_cleaning).await;
    let target = target_of(&test);
    world.driver.write(&target, "notes.txt", "mine");
    let test = finish(&world, &aegis, test.id).await;
    assert_eq!((test.status, &test.left_behind), (CheckStatus::Passed, &vec![target.clone()]));
    assert!(reason(&test).contains("did not make"), "{}", reason(&test));
    assert_eq!(world.driver.read(&target, "notes.txt").unwrap(), "mine");
    assert_eq!(world.driver.read(&target, "a.txt"), None);
}

#[tokio::test]
async fn a_driver_that_can_not_clean_up_says_so_and_the_test_names_what_is_left() {
    let mut world = World::new();
    let mut capabilities = world.driver.capabilities().clone();
    capabilities.features.remove(&Feature::CleanUp);
    world.driver = world.driver.with_capabilities(capabilities);
    let aegis = world.engine();
    let test = run(&world, &aegis, of(record(&world, &aegis).await, folder())).await;
    assert_eq!(test.status, CheckStatus::Passed);
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::NotRun);
    assert!(reason(&test).contains("the scripted driver can't remove"), "{}", reason(&test));
    assert_eq!(test.left_behind, [target_of(&test)]);
}

#[tokio::test]
async fn a_clean_up_that_never_ends_ends_with_the_tests_time() {
    let world = World::new();
    let mut options = crate::world::options();
    options.dr_test_timeout = Duration::from_secs(1200);
    let aegis = world.builder().options(options).build().unwrap();
    let new = of(record(&world, &aegis).await, folder());
    world.driver.script_next(WorkKind::CleanUp, Script::hanging());
    let test = tenant(&aegis).run_dr_test(new).await.unwrap().id;
    world.run(&aegis, Duration::from_secs(1600)).await;
    let test = tenant(&aegis).dr_test(test).await.unwrap();
    assert_eq!(test.status, CheckStatus::Passed);
    assert!(reason(&test).contains("did not end within 1200 seconds"), "{}", reason(&test));
}

#[tokio::test]
async fn a_clean_up_that_was_lost_is_done_by_another_operation() {
    let world = World::new();
    let aegis = world.engine();
    let new = of(record(&world, &aegis).await, folder());
    world.driver.script_next(WorkKind::CleanUp, Script::losing("its process died"));
    let test = tenant(&aegis).run_dr_test(new).await.unwrap();
    let first = test.run.as_ref().unwrap().clean_up;
    let test = finish(&world, &aegis, test.id).await;
    assert_ne!(test.run.as_ref().unwrap().clean_up, first);
    assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed);
    assert_eq!(restored_file(&world, &test), None);
}

#[tokio::test]
async fn whenever_the_engine_dies_the_next_one_ends_the_test_and_leaves_nothing() {
    for seconds in [0, 1, 30, 61, 75, 90, 121, 150, 185] {
        let world = World::new();
        let one = world.engine();
        let mut new = of(record(&world, &one).await, folder());
        new.verify = Some(VerificationLevel::Checksummed);
        let test = tenant(&one).run_dr_test(new).await.unwrap().id;
        world.run(&one, Duration::from_secs(seconds)).await;
        drop(one);
        world.clock.advance(Duration::from_secs(60));
        let test = finish(&world, &world.other_engine(), test).await;
        assert_eq!(test.status, CheckStatus::Passed, "after {seconds} s: {:?}", test.reason);
        assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed, "after {seconds} s");
        assert_eq!(restored_file(&world, &test), None, "after {seconds} s");
        let run = test.run.as_ref().unwrap();
        assert_eq!(world.driver.effects(run.operation).begun, 1, "after {seconds} s");
        assert_eq!(world.driver.effects(run.clean_up).begun, 1, "after {seconds} s");
    }
}

#[tokio::test]
async fn whenever_the_drivers_process_dies_what_it_had_restored_is_removed() {
    for seconds in [5, 30, 61, 75, 90, 121] {
        let world = World::new();
        let aegis = world.engine();
        let new = of(record(&world, &aegis).await, folder());
        let test = tenant(&aegis).run_dr_test(new).await.unwrap().id;
        world.run(&aegis, Duration::from_secs(seconds)).await;
        world.driver.lose_process();
        let test = finish(&world, &aegis, test).await;
        assert_ne!(test.status, CheckStatus::Running, "after {seconds} s");
        assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed, "after {seconds} s");
        assert_eq!(restored_file(&world, &test), None, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_cancelled_test_ends_its_restore_cleans_up_and_was_not_run() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let record = record(&world, &aegis).await;
    let test = me.run_dr_test(of(record, folder())).await.unwrap().id;
    world.run(&aegis, Duration::from_secs(20)).await;
    let asked = me.cancel_dr_test(test).await.unwrap();
    assert_eq!((asked.status, phase(&asked)), (CheckStatus::Running, DrPhase::Stopping));
    assert_eq!(me.cancel_dr_test(test).await.unwrap().version, asked.version);
    let test = finish(&world, &aegis, test).await;
    assert_eq!(test.status, CheckStatus::NotRun);
    assert!(test.reason.as_ref().unwrap().starts_with("it was cancelled by"), "{:?}", test.reason);
    assert!(test.passed_level.is_none() && test.left_behind.is_empty());
    let run = test.run.as_ref().unwrap();
    assert!(world.driver.effects(run.operation).cancels >= 1);
    assert_eq!(world.driver.effects(run.clean_up).begun, 1);
    let view = me.record(record).await.unwrap();
    assert!(view.record.verified().is_none() && view.record.uses.is_empty());
    let error = me.cancel_dr_test(test.id).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
}

#[tokio::test]
async fn a_restore_that_can_not_be_cancelled_is_waited_for_and_cleaned_up() {
    let world = World::new();
    let aegis = world.engine();
    let new = of(record(&world, &aegis).await, folder());
    world.driver.script_next(
        WorkKind::Restore,
        Script::completing().taking(Duration::from_secs(300)).ignoring_cancel(),
    );
    let test = tenant(&aegis).run_dr_test(new).await.unwrap().id;
    world.run(&aegis, Duration::from_secs(20)).await;
    tenant(&aegis).cancel_dr_test(test).await.unwrap();
    world.run(&aegis, Duration::from_secs(100)).await;
    let waits = tenant(&aegis).dr_test(test).await.unwrap();
    assert_eq!((waits.status, phase(&waits)), (CheckStatus::Running, DrPhase::Stopping));
    let test = finish(&world, &aegis, test).await;
    assert_eq!((test.status, restored_file(&world, &test)), (CheckStatus::NotRun, None));
}

#[tokio::test]
async fn a_test_can_be_cancelled_before_its_restore_and_after_it() {
    for wanted in [(|test| phase(test) == DrPhase::Restoring) as fn(&DrTest) -> bool, |test| {
        matches!(phase(test), DrPhase::Verifying(_))
    }] {
        let world = World::new();
        let aegis = world.engine();
        let mut new = of(record(&world, &aegis).await, folder());
        new.verify = Some(VerificationLevel::Checksummed);
        let test = tenant(&aegis).run_dr_test(new).await.unwrap().id;
        until(&world, &aegis, test, wanted).await;
        tenant(&aegis).cancel_dr_test(test).await.unwrap();
        let test = finish(&world, &aegis, test).await;
        assert_eq!(test.status, CheckStatus::NotRun);
        assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed);
        assert_eq!(restored_file(&world, &test), None);
    }
}

#[tokio::test]
async fn a_test_that_has_its_verdict_keeps_it_when_it_is_cancelled() {
    let world = World::new();
    let aegis = world.engine();
    let new = of(record(&world, &aegis).await, folder());
    let test = tenant(&aegis).run_dr_test(new).await.unwrap().id;
    until(&world, &aegis, test, is_cleaning).await;
    tenant(&aegis).cancel_dr_test(test).await.unwrap();
    assert_eq!(finish(&world, &aegis, test).await.status, CheckStatus::Passed);
}

#[tokio::test]
async fn a_cancelled_test_says_nothing_of_the_recovery_time() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.rto = Some(aegis_core::model::Rto(Duration::from_secs(1800)));
    let policy = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    let subject = aegis_core::engine::DrSubject::Policy(policy, aegis_core::model::RecordChoice::Latest);
    let test = me.run_dr_test(NewDrTest::new(subject, folder())).await.unwrap().id;
    world.run(&aegis, Duration::from_secs(20)).await;
    me.cancel_dr_test(test).await.unwrap();
    finish(&world, &aegis, test).await;
    let verdict = me.compliance(None).await.unwrap().policies.remove(0);
    let basis = verdict.rto.unwrap().estimate.map(|estimate| estimate.basis);
    assert!(basis.is_none_or(|basis| basis != RtoBasis::SamePolicy), "{basis:?}");
}

#[tokio::test]
async fn a_restore_that_takes_too_long_is_stopped_before_its_target_is_free() {
    let world = World::new();
    let mut options = crate::world::options();
    options.dr_test_timeout = Duration::from_secs(600);
    let aegis = world.builder().options(options).build().unwrap();
    let record = record(&world, &aegis).await;
    world.driver.script_next(WorkKind::Restore, Script::hanging());
    let test = tenant(&aegis).run_dr_test(of(record, into("app", "lab"))).await.unwrap().id;
    world.run(&aegis, Duration::from_secs(900)).await;
    let test = tenant(&aegis).dr_test(test).await.unwrap();
    assert_eq!(test.status, CheckStatus::Failed);
    assert!(test.reason.as_ref().unwrap().contains("did not end within 600 seconds"));
    assert!(world.driver.effects(test.run.as_ref().unwrap().operation).cancels >= 1);
    let lab = RestoreTarget::Namespace(namespace("lab"));
    assert_eq!(world.driver.read(&lab, "a.txt"), None);
}

#[tokio::test]
async fn cancelling_is_an_event_with_who_did_it() {
    let world = World::new();
    let aegis = world.engine();
    let test = tenant(&aegis).run_dr_test(of(record(&world, &aegis).await, folder())).await.unwrap().id;
    tenant(&aegis).cancel_dr_test(test).await.unwrap();
    finish(&world, &aegis, test).await;
    let events = tenant(&aegis).events(Position::START, 1000).await.unwrap();
    let is_asked = |sealed: &&SealedEvent| sealed.event.kind == EventKind::DrTestCancelRequested;
    let asked: Vec<_> = events.iter().filter(is_asked).map(|sealed| sealed.event.actor.clone()).collect();
    assert_eq!(asked.len(), 1);
    assert_ne!(asked[0], Principal::engine());
}
