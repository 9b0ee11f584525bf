//! What checks and drills find out about a record, and what follows from it.

use std::time::Duration;

use aegis_core::{
    engine::{Aegis, Execute, Executed, NewPlan},
    model::{
        CheckStatus, NamespaceSelection, PolicyId, RecordId, RestoreTarget, RetentionRules, Rpo,
        VerificationLevel,
    },
    rules::exposure::RpoStatus,
    seams::{ErrorClass, RecordQuery, Scope, WorkKind},
    testing::Script,
};

use crate::{
    dr_tests::{folder, into, of, record, run},
    world::{World, name, namespace, new_job, new_policy, tenant},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An hourly policy that may lose 90 minutes, and its two records, the newest first.
async fn two_records(world: &World, aegis: &Aegis) -> (PolicyId, [RecordId; 2]) {
    let mut new = new_policy("hourly", 3600);
    new.rpo = Some(Rpo(90 * MINUTE));
    let policy = tenant(aegis).create_policy(new).await.unwrap().policy.id;
    world.run(aegis, 2 * HOUR + 20 * MINUTE).await;
    let records = tenant(aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    (policy, [records[0].record.id, records[1].record.id])
}

async fn verify(world: &World, aegis: &Aegis, record: RecordId, level: VerificationLevel) -> CheckStatus {
    let check = tenant(aegis).verify_record(record, level).await.unwrap();
    world.run(aegis, 5 * MINUTE).await;
    tenant(aegis).verification(check.id).await.unwrap().status
}

/// Why retention would keep a record if it kept no more than the newest.
async fn kept_for(aegis: &Aegis, policy: PolicyId, record: RecordId) -> String {
    let preview = tenant(aegis).preview_retention(policy, Some(RetentionRules::last(1))).await.unwrap();
    let decision = preview.decisions.into_iter().find(|decision| decision.record == record).unwrap();
    decision.reasons.join("; ")
}

/// That `gone` carries nothing any more, and `left` all.
async fn is_gone(aegis: &Aegis, policy: PolicyId, [gone, left]: [RecordId; 2]) {
    let gone = tenant(aegis).record(gone).await.unwrap();
    assert!(gone.record.found_bad.is_some(), "it was found out");
    assert!(!gone.is_restorable && gone.record.uses.is_empty());
    let left = tenant(aegis).record(left).await.unwrap().record;
    let compliance = tenant(aegis).compliance(None).await.unwrap().policies.remove(0);
    assert_eq!(compliance.recovery_point_at, Some(left.recovery_point.at));
    assert_eq!(compliance.last_successful_backup, Some(left.created_at));
    assert_eq!(compliance.rpo_status(), RpoStatus::Missed, "what is left is too old");
    let reasons = kept_for(aegis, policy, left.id).await;
    assert!(reasons.contains("newest usable record of its group"), "{reasons}");
}

#[tokio::test]
async fn data_that_a_verification_does_not_find_carries_neither_rpo_nor_floor() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, records) = two_records(&world, &aegis).await;
    world.run(&aegis, 20 * MINUTE).await;
    world.driver.script_next(WorkKind::Verify, Script::completing().refused(ErrorClass::NotFound));
    let status = verify(&world, &aegis, records[0], VerificationLevel::Checksummed).await;
    assert_eq!(status, CheckStatus::Failed);
    is_gone(&aegis, policy, records).await;
}

#[tokio::test]
async fn data_that_a_drill_does_not_find_is_looked_for_and_then_carries_neither_rpo_nor_floor() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, records) = two_records(&world, &aegis).await;
    world.run(&aegis, 20 * MINUTE).await;
    let handle = tenant(&aegis).record(records[0]).await.unwrap().record.handle.clone();
    assert!(world.driver.vanish(&handle));
    assert_eq!(run(&world, &aegis, of(records[0], folder())).await.status, CheckStatus::Failed);
    is_gone(&aegis, policy, records).await;
}

#[tokio::test]
async fn a_drill_whose_target_lacks_something_takes_nothing_from_a_record_whose_data_is_there() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.driver.script_next(WorkKind::Restore, Script::completing().refused(ErrorClass::NotFound));
    assert_eq!(run(&world, &aegis, of(record, folder())).await.status, CheckStatus::Failed);
    let view = tenant(&aegis).record(record).await.unwrap();
    assert!(view.is_restorable && view.record.found_bad.is_none() && view.record.uses.is_empty());
    assert_eq!(view.record.verified().unwrap().0, VerificationLevel::Present, "it was looked for");
}

#[tokio::test]
async fn a_record_whose_drill_failed_leaves_the_verified_floor_to_the_one_before() {
    let world = World::new();
    let aegis = world.engine();
    let (policy, [newest, older]) = two_records(&world, &aegis).await;
    verify(&world, &aegis, older, VerificationLevel::Restored).await;
    verify(&world, &aegis, newest, VerificationLevel::Checksummed).await;
    let floor = "newest verified record of its group";
    assert!(kept_for(&aegis, policy, newest).await.contains(floor));
    world.driver.script_next(WorkKind::Restore, Script::failing("a tree is missing"));
    assert_eq!(run(&world, &aegis, of(newest, folder())).await.status, CheckStatus::Failed);
    let kept = [kept_for(&aegis, policy, newest).await, kept_for(&aegis, policy, older).await];
    assert!(!kept[0].contains(floor) && kept[1].contains(floor), "{kept:?}");
}

#[tokio::test]
async fn a_drill_of_a_part_proves_that_part_and_not_the_record() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_job("both");
    new.namespaces = NamespaceSelection::only([namespace("app"), namespace("db")]).unwrap();
    let job = tenant(&aegis).create_job(new).await.unwrap().job.id;
    let record = world.end(&aegis, job).await.job.result.as_ref().unwrap().record;
    let test = run(&world, &aegis, of(record, into("app", "app-drill"))).await;
    assert_eq!((test.status, test.passed_level), (CheckStatus::Passed, Some(VerificationLevel::Restored)));
    assert!(!test.run.as_ref().unwrap().is_whole());
    let view = tenant(&aegis).record(record).await.unwrap();
    assert!(view.record.evidence.is_empty(), "{:?}", view.record.evidence);
    assert!(view.record.copies.iter().all(|copy| copy.last_verified_at.is_none()));
    let test = run(&world, &aegis, of(record, folder())).await;
    assert!(test.run.as_ref().unwrap().is_whole());
    let view = tenant(&aegis).record(record).await.unwrap();
    assert_eq!(view.record.verified().unwrap().0, VerificationLevel::Restored);
}

#[tokio::test]
async fn how_long_a_restore_takes_is_measured_by_its_end_however_late_that_is_seen() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let late = Duration::from_secs(1800);
    let test = tenant(&aegis).run_dr_test(of(record, folder())).await.unwrap();
    world.pass(&aegis).await;
    world.clock.advance(late);
    world.run(&aegis, 10 * MINUTE).await;
    let test = tenant(&aegis).dr_test(test.id).await.unwrap();
    let taken = test.recovery_time_actual().unwrap();
    assert!(!taken.is_zero() && taken < late, "{taken:?}");

    world.driver.remove(&RestoreTarget::Namespace(namespace("app")), "a.txt");
    let plan = tenant(&aegis).create_plan(NewPlan::new(name("recover"), record)).await.unwrap().plan.id;
    let executed = tenant(&aegis).execute_plan(plan, Execute::Confirmed).await.unwrap();
    let Executed::Started(begun) = executed else { panic!("it was confirmed") };
    world.pass(&aegis).await;
    world.clock.advance(late);
    world.run(&aegis, 10 * MINUTE).await;
    let taken = tenant(&aegis).execution(begun.execution.id).await.unwrap().execution.duration().unwrap();
    assert!(!taken.is_zero() && taken < late, "{taken:?}");
}
