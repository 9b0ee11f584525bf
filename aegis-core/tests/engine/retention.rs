//! Retention from expiry to deletion.

use std::time::Duration;

use aegis_core::{
    engine::{Aegis, HoldRequest, PolicyChange},
    model::{CheckStatus, PolicyId, RecordId, RecordState, RetentionRules, Timestamp, VerificationLevel},
    rules::retention::Acknowledgement,
    seams::{ErrorClass, RecordQuery, Scope, WorkKind},
    testing::Script,
};

use crate::world::{World, name, new_job, new_policy, tenant};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn six_records(world: &World, aegis: &Aegis) -> PolicyId {
    let policy = tenant(aegis).create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(aegis, 6 * HOUR + Duration::from_secs(600)).await;
    policy
}

async fn in_state(aegis: &Aegis, state: RecordState) -> Vec<RecordId> {
    let mut query = RecordQuery::new(Scope::Everyone);
    query.states = vec![state];
    let records = tenant(aegis).records(query).await.unwrap();
    records.items.iter().map(|view| view.record.id).collect()
}

#[tokio::test]
async fn what_falls_out_of_the_rules_expires_waits_its_grace_and_goes() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    let expired = in_state(&aegis, RecordState::Expired).await;
    assert!(!expired.is_empty());
    let handle = tenant(&aegis).record(expired[0]).await.unwrap().record.handle.clone();
    world.run(&aegis, DAY + 2 * HOUR).await;
    assert_eq!(tenant(&aegis).record(expired[0]).await.unwrap().record.state(), RecordState::Deleted);
    assert!(world.driver.backups().iter().all(|item| item.handle != handle));
    assert!(in_state(&aegis, RecordState::Available).await.len() >= 3);
}

#[tokio::test]
async fn a_hold_within_the_grace_time_brings_a_record_back() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    let held = in_state(&aegis, RecordState::Expired).await[0];
    let hold = HoldRequest { name: name("audit"), reason: "asked for".to_owned(), until: None };
    let view = tenant(&aegis).hold_record(held, hold).await.unwrap();
    assert_eq!(view.record.state(), RecordState::Available);
    assert_eq!(view.expires_at, None);
    world.run(&aegis, 3 * DAY).await;
    assert_eq!(tenant(&aegis).record(held).await.unwrap().record.state(), RecordState::Available);
    tenant(&aegis).release_record(held, &name("audit")).await.unwrap();
    world.run(&aegis, 3 * DAY).await;
    assert_eq!(tenant(&aegis).record(held).await.unwrap().record.state(), RecordState::Deleted);
}

#[tokio::test]
async fn a_hold_that_comes_after_deletion_began_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    let going = in_state(&aegis, RecordState::Expired).await[0];
    world.driver.script_usual(WorkKind::Delete, Script::hanging());
    world.run(&aegis, DAY + 2 * HOUR).await;
    assert_eq!(tenant(&aegis).record(going).await.unwrap().record.state(), RecordState::Deleting);
    let hold = HoldRequest { name: name("late"), reason: String::new(), until: None };
    let error = tenant(&aegis).hold_record(going, hold).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
}

#[tokio::test]
async fn a_deferred_deletion_waits_for_its_date_and_then_happens() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    let locked = in_state(&aegis, RecordState::Expired).await;
    let until: Timestamp = crate::world::START.saturating_add(5 * DAY);
    for _ in &locked {
        world.driver.script_next(WorkKind::Delete, Script::deferred_until(until));
    }
    world.run(&aegis, 2 * DAY).await;
    assert_eq!(tenant(&aegis).record(locked[0]).await.unwrap().record.state(), RecordState::Deleting);
    world.run(&aegis, 4 * DAY).await;
    assert_eq!(tenant(&aegis).record(locked[0]).await.unwrap().record.state(), RecordState::Deleted);
}

#[tokio::test]
async fn the_last_good_record_never_goes_when_backups_stop() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    world.driver.script_usual(WorkKind::Backup, Script::failing("broken"));
    world.run(&aegis, 30 * DAY).await;
    assert!(!in_state(&aegis, RecordState::Available).await.is_empty());
}

#[tokio::test]
async fn a_preview_decides_as_the_run_does_and_changes_nothing() {
    let world = World::new();
    let aegis = world.engine();
    let policy = six_records(&world, &aegis).await;
    let before = in_state(&aegis, RecordState::Expired).await;
    let preview = tenant(&aegis).preview_retention(policy, None).await.unwrap();
    assert_eq!(in_state(&aegis, RecordState::Expired).await, before);
    assert!(preview.decisions.iter().all(|decision| !decision.reasons.is_empty()));
    let run = tenant(&aegis).run_retention(policy, Acknowledgement::Given).await.unwrap();
    assert_eq!(run.decisions, preview.decisions);
}

#[tokio::test]
async fn a_person_can_delete_a_record_but_not_a_guarded_one() {
    let world = World::new();
    let aegis = world.engine();
    six_records(&world, &aegis).await;
    let me = tenant(&aegis);
    let available = in_state(&aegis, RecordState::Available).await;
    me.protect_record(available[0], true).await.unwrap();
    assert_eq!(me.delete_record(available[0]).await.unwrap_err().class(), ErrorClass::InvalidTransition);
    let gone = *available.last().unwrap();
    me.delete_record(gone).await.unwrap();
    world.run(&aegis, Duration::from_secs(600)).await;
    assert_eq!(me.record(gone).await.unwrap().record.state(), RecordState::Deleted);
}

#[tokio::test]
async fn what_the_floors_keep_is_not_deleted_by_a_person_and_says_why() {
    let world = World::new();
    let aegis = world.engine();
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let me = tenant(&aegis);
    let error = me.delete_record(record).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    assert!(error.to_string().contains("newest"), "{error}");
    assert_eq!(me.record(record).await.unwrap().record.state(), RecordState::Available);
}

#[tokio::test]
async fn a_policy_whose_rules_would_keep_nothing_is_refused_when_it_is_saved() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("hourly", 3600);
    new.retention = RetentionRules::default();
    let error = tenant(&aegis).create_policy(new).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("the retention rules are empty"), "{error}");
    let policy = tenant(&aegis).create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    let mut change = PolicyChange::default();
    change.retention = Some(RetentionRules::default());
    let error = tenant(&aegis).update_policy(policy, change).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn records_of_no_policy_are_a_group_of_their_own_by_ttl_and_floors() {
    let world = World::new();
    let aegis = world.engine();
    for name in ["first", "second"] {
        let mut new = new_job(name);
        new.ttl = DAY;
        let job = tenant(&aegis).create_job(new).await.unwrap();
        world.end(&aegis, job.job.id).await;
        world.clock.advance(HOUR);
    }
    let [newer, older] = in_state(&aegis, RecordState::Available).await[..] else { panic!("two records") };
    let view = tenant(&aegis).record(older).await.unwrap();
    assert_eq!(view.expires_at, Some(view.record.created_at.saturating_add(DAY)), "from its completion");
    // Six records of a policy that keeps three: none of them takes a slot of the manual ones, nor they one.
    six_records(&world, &aegis).await;
    let kept = in_state(&aegis, RecordState::Available).await;
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert!(kept.contains(&newer) && kept.contains(&older));
    world.run(&aegis, DAY).await;
    assert_ne!(tenant(&aegis).record(older).await.unwrap().record.state(), RecordState::Available);
    let floor = tenant(&aegis).record(newer).await.unwrap().record.state();
    assert_eq!(floor, RecordState::Available, "its time is over, and it is the newest usable of its group");
}

#[tokio::test]
async fn an_expired_record_in_its_grace_still_counts_for_the_rpo() {
    let world = World::new();
    let aegis = world.engine();
    let policy = six_records(&world, &aegis).await;
    let me = tenant(&aegis);
    let expired = in_state(&aegis, RecordState::Expired).await;
    world.driver.script_usual(WorkKind::Backup, Script::failing("broken"));
    for record in in_state(&aegis, RecordState::Available).await {
        let handle = me.record(record).await.unwrap().record.handle.clone();
        assert!(world.driver.damage(&handle, VerificationLevel::Checksummed));
        me.verify_record(record, VerificationLevel::Checksummed).await.unwrap();
    }
    world.run(&aegis, Duration::from_secs(300)).await;
    let newest = me.policy(policy).await.unwrap().state.unwrap().newest_usable.map(|point| point.record);
    assert_eq!(newest, Some(expired[0]));
}

#[tokio::test]
async fn a_clock_that_was_set_back_expires_nothing() {
    let world = World::new();
    let aegis = world.engine();
    let policy = six_records(&world, &aegis).await;
    world.clock.jump_wall_back(HOUR);
    let run = tenant(&aegis).run_retention(policy, Acknowledgement::Given).await.unwrap();
    assert_eq!(run.status, CheckStatus::NotRun);
    assert!(run.reason.unwrap().contains("before the newest event"));
}
