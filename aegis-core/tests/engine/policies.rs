//! Policies and their slots.

use std::time::Duration;

use aegis_core::{
    engine::{EngineError, PolicyChange},
    model::{JobStatus, SlotOutcome},
    seams::{ErrorClass, JobQuery, RecordQuery, Scope, WorkKind},
    testing::Script,
};

use crate::world::{World, every, name, new_policy, tenant};

#[tokio::test]
async fn a_policy_runs_at_its_slots_and_each_slot_yields_one_job() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap();
    assert_eq!(
        policy.state.as_ref().unwrap().next_run_at,
        Some(crate::world::START.saturating_add(Duration::from_secs(3600)))
    );
    world.run(&aegis, Duration::from_secs(5 * 3600 + 300)).await;
    let slots = me.slots(policy.policy.id, 100).await.unwrap();
    assert_eq!(slots.len(), 5);
    assert!(slots.iter().all(|slot| matches!(slot.outcome, SlotOutcome::Ran { .. })));
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    assert_eq!(records.items.len(), 5);
    let state = me.policy(policy.policy.id).await.unwrap().state.unwrap();
    assert_eq!(state.last_run_status, Some(JobStatus::Completed));
    let newest = records.items.iter().max_by_key(|view| view.record.recovery_point.at).unwrap();
    assert_eq!(state.newest_usable.unwrap().record, newest.record.id);
}

#[tokio::test]
async fn making_or_enabling_a_policy_never_fires_a_past_slot() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let mut new = new_policy("hourly", 3600);
    new.enabled = false;
    let policy = me.create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(10 * 3600 + 60)).await;
    let change = |enabled| {
        let mut change = PolicyChange::default();
        change.enabled = Some(enabled);
        change
    };
    me.update_policy(policy, change(true)).await.unwrap();
    aegis.pass().await;
    assert!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.is_empty());
    world.run(&aegis, Duration::from_secs(3600)).await;
    assert_eq!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn after_downtime_the_latest_slot_runs_once_and_the_others_are_coalesced() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    aegis.pass().await;
    world.clock.advance(Duration::from_secs(48 * 3600 + 10));
    world.run(&aegis, Duration::from_secs(300)).await;
    assert_eq!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
    let slots = me.slots(policy, 100).await.unwrap();
    assert_eq!(slots.iter().map(|slot| slot.count).sum::<u64>(), 48);
}

#[tokio::test]
async fn a_failing_policy_counts_its_failures_and_a_success_ends_the_count() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.driver.script_usual(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, Duration::from_secs(2 * 3600 + 300)).await;
    let state = me.policy(policy).await.unwrap().state.unwrap();
    assert_eq!((state.failures_in_a_row, state.last_run_status), (2, Some(JobStatus::Failed)));
    world.driver.script_usual(WorkKind::Backup, Script::completing());
    world.run(&aegis, Duration::from_secs(3600)).await;
    assert_eq!(me.policy(policy).await.unwrap().state.unwrap().failures_in_a_row, 0);
}

#[tokio::test]
async fn two_policies_of_one_name_are_refused_and_a_deleted_name_is_free_again() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let first = me.create_policy(new_policy("nightly", 3600)).await.unwrap().policy.id;
    let error = me.create_policy(new_policy("nightly", 60)).await.unwrap_err();
    assert!(matches!(error, EngineError::AlreadyExists { what: "policy", .. }), "{error}");
    let mut rename = PolicyChange::default();
    rename.name = Some(name("daily"));
    me.update_policy(first, rename).await.unwrap();
    let second = me.create_policy(new_policy("nightly", 60)).await.unwrap().policy.id;
    me.delete_policy(second).await.unwrap();
    me.create_policy(new_policy("nightly", 60)).await.unwrap();
}

#[tokio::test]
async fn deleting_a_policy_keeps_its_records() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    me.delete_policy(policy).await.unwrap();
    world.run(&aegis, Duration::from_secs(30 * 24 * 3600)).await;
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    assert!(records.items.iter().any(|view| view.is_restorable));
}

#[tokio::test]
async fn an_edit_that_lost_a_race_is_refused_when_it_asked_for_a_version() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy;
    let mut change = PolicyChange::default();
    change.schedule = Some(every(60));
    change.if_version = Some(policy.version);
    me.update_policy(policy.id, change.clone()).await.unwrap();
    let error = me.update_policy(policy.id, change).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::VersionConflict);
}
