//! Verifications and what they prove.

use std::time::Duration;

use aegis_core::{
    model::{CheckStatus, VerificationLevel},
    seams::{ErrorClass, WorkKind},
    testing::Script,
};

use crate::world::{World, new_policy, tenant};

#[tokio::test]
async fn a_check_that_passes_is_evidence_and_one_that_fails_finds_the_record_bad() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let check = me.verify_record(record, VerificationLevel::Structured).await.unwrap();
    world.run(&aegis, Duration::from_secs(300)).await;
    assert_eq!(me.verification(check.id).await.unwrap().status, CheckStatus::Passed);
    let view = me.record(record).await.unwrap();
    assert_eq!(view.record.verified().unwrap().0, VerificationLevel::Structured);
    assert!(view.record.uses.is_empty());
    assert!(world.driver.damage(&view.record.handle, VerificationLevel::Checksummed));
    let check = me.verify_record(record, VerificationLevel::Checksummed).await.unwrap();
    world.run(&aegis, Duration::from_secs(300)).await;
    assert_eq!(me.verification(check.id).await.unwrap().status, CheckStatus::Failed);
    let view = me.record(record).await.unwrap();
    assert!(view.record.found_bad.is_some() && !view.is_restorable);
}

#[tokio::test]
async fn a_check_that_was_lost_is_not_run_and_proves_nothing() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    world.driver.script_next(WorkKind::Verify, Script::losing("its process died"));
    let check = me.verify_record(record, VerificationLevel::Present).await.unwrap();
    world.run(&aegis, Duration::from_secs(300)).await;
    let check = me.verification(check.id).await.unwrap();
    assert_eq!(check.status, CheckStatus::NotRun);
    assert!(check.reason.as_ref().unwrap().contains("its process died"));
    let view = me.record(record).await.unwrap();
    assert!(view.record.verified().is_none() && view.is_restorable);
}

#[tokio::test]
async fn a_level_that_the_driver_does_not_have_is_unsupported() {
    let world = World::new();
    let aegis = world.engine();
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let error = tenant(&aegis).verify_record(record, VerificationLevel::Proven).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
}

#[tokio::test]
async fn a_policy_that_asks_for_it_has_each_new_record_verified() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.verify = Some(VerificationLevel::Restored);
    let policy = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    let state = me.policy(policy).await.unwrap().state.unwrap();
    let record = me.record(state.newest_usable.unwrap().record).await.unwrap();
    assert_eq!(record.record.verified().unwrap().0, VerificationLevel::Restored);
}
