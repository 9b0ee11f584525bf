//! Every group of records can be previewed, run and acknowledged, and is guarded by itself.

use std::time::Duration;

use aegis_core::{
    engine::{Aegis, PolicyChange},
    model::{
        BackupKind, BackupRecord, CheckStatus, EventFacts, EventKind, Principal, RecordCopy, RecordLifecycle,
        RecordState, RetentionGroup, RetentionRules, RetentionRun, Rpo, StorageUri, VerificationLevel,
    },
    rules::retention::Acknowledgement,
    seams::{BackupDriver, Changeset, ErrorClass, Feature, JobQuery, RecordQuery, RetentionRunQuery, Scope},
    testing::fixtures,
};

use crate::world::{START, World, local, location, new_job, new_policy, tenant};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn elsewhere() -> StorageUri {
    "s3://backups/local/elsewhere/".parse().unwrap()
}

fn of_no_policy() -> RetentionGroup {
    RetentionGroup { cluster: local(), policy: None, location: location() }
}

/// Manual backups, an hour apart, each to be kept for `ttl`.
async fn manual(world: &World, aegis: &Aegis, count: u32, ttl: Duration) {
    for number in 0..count {
        let mut new = new_job(&format!("manual-{number}"));
        new.ttl = ttl;
        let job = tenant(aegis).create_job(new).await.unwrap();
        world.end(aegis, job.job.id).await;
        world.run(aegis, HOUR).await;
    }
}

async fn expired(aegis: &Aegis) -> usize {
    let mut query = RecordQuery::new(Scope::Everyone);
    query.states = vec![RecordState::Expired];
    tenant(aegis).records(query).await.unwrap().items.len()
}

#[tokio::test]
async fn groups_are_found_however_many_records_there_are() {
    let world = World::new();
    let aegis = world.engine();
    let mut changeset = Changeset::new(fixtures::id(1), Principal::engine(), START);
    for number in 1..=1_001 {
        let there = if number == 1 { elsewhere() } else { location() };
        let record = BackupRecord {
            tenant: tenant(&aegis).id().clone(),
            cluster: local(),
            policy: None,
            copies: vec![RecordCopy { location: there, ..fixtures::copy() }],
            created_at: START.saturating_add(Duration::from_secs(number)),
            ..fixtures::record(number)
        };
        changeset.insert(record, EventKind::RecordCreated, EventFacts::default());
    }
    world.store.commit(changeset).await.unwrap();
    let oldest = RetentionGroup { location: elsewhere(), ..of_no_policy() };
    assert_eq!(tenant(&aegis).retention_groups(None).await.unwrap(), [of_no_policy(), oldest]);
}

#[tokio::test]
async fn the_records_that_a_policy_left_behind_elsewhere_are_a_group_like_any() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, 4 * HOUR + HOUR / 2).await;
    let mut moved = PolicyChange::default();
    moved.location = Some(elsewhere());
    me.update_policy(policy, moved).await.unwrap();
    world.run(&aegis, 2 * HOUR).await;
    let group = |location| RetentionGroup { cluster: local(), policy: Some(policy), location };
    let (old, new) = (group(location()), group(elsewhere()));
    assert_eq!(me.retention_groups(None).await.unwrap(), [old.clone(), new.clone()]);
    let preview = me.preview_group(&old, Some(RetentionRules::last(1))).await.unwrap();
    assert_eq!(preview.location, location());
    assert_eq!(preview.decisions.iter().filter(|decision| decision.kept).count(), 1);
    let run = me.run_group(&old, Acknowledgement::Given).await.unwrap();
    assert_eq!((run.group(), run.status, run.decisions.len()), (old.clone(), CheckStatus::Passed, 4));
    let present = me.run_retention(policy, Acknowledgement::None).await.unwrap();
    assert_eq!((present.group(), present.decisions.len()), (new, 2));
    me.delete_policy(policy).await.unwrap();
    let after = me.preview_group(&old, None).await.unwrap();
    assert!(
        after.decisions.iter().all(|decision| decision.kept),
        "no rule holds, so nothing goes: {after:?}"
    );
    let error = me.preview_group(&old, Some(RetentionRules::last(1))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert_eq!(me.run_group(&old, Acknowledgement::None).await.unwrap().group(), old);
}

/// What becomes of the only record of no policy, told to the store by another engine; then its groups.
async fn groups_after(
    world: &World,
    aegis: &Aegis,
    step: u64,
    change: impl Fn(&mut BackupRecord),
) -> Vec<StorageUri> {
    let record = world.store.records(&RecordQuery::new(Scope::Everyone)).await.unwrap().items.remove(0);
    let mut next = BackupRecord::clone(&record);
    change(&mut next);
    let mut changeset = Changeset::new(fixtures::id(step), Principal::engine(), START);
    changeset.update(record.version, next, EventKind::RecordChecked, EventFacts::default());
    world.store.commit(changeset).await.unwrap();
    let groups = tenant(aegis).retention_groups(Some(local())).await.unwrap();
    groups.into_iter().map(|group| group.location).collect()
}

#[tokio::test]
async fn groups_follow_what_becomes_of_records_between_two_questions() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    assert_eq!(me.retention_groups(None).await.unwrap(), []);
    manual(&world, &aegis, 1, DAY).await;
    assert_eq!(me.retention_groups(None).await.unwrap(), [of_no_policy()]);
    let another = "another".parse().unwrap();
    assert_eq!(me.retention_groups(Some(another)).await.unwrap(), []);

    let copied = groups_after(&world, &aegis, 1, |record| {
        let copy = RecordCopy { location: elsewhere(), ..fixtures::copy() };
        record.copies.push(copy);
    });
    assert_eq!(copied.await, [location(), elsewhere()]);
    let left = groups_after(&world, &aegis, 2, |record| record.copies[0].gone_at = Some(START));
    assert_eq!(left.await, [location(), elsewhere()], "where it has lain it is judged, too");
    let moved = groups_after(&world, &aegis, 3, |record| drop(record.copies.remove(0)));
    assert_eq!(moved.await, [elsewhere()]);
    let told_again = groups_after(&world, &aegis, 4, |_| ());
    assert_eq!(told_again.await, [elsewhere()]);
    let deleted = groups_after(&world, &aegis, 5, |record| {
        record.lifecycle = RecordLifecycle::Deleted { began_at: START, at: START };
    });
    assert_eq!(deleted.await, []);
}

#[tokio::test]
async fn a_group_outlives_the_jobs_and_the_policy_of_its_records() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    manual(&world, &aegis, 2, DAY).await;
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, HOUR + HOUR / 2).await;
    let of_policy = RetentionGroup { policy: Some(policy), ..of_no_policy() };
    assert_eq!(me.retention_groups(None).await.unwrap(), [of_no_policy(), of_policy.clone()]);
    for job in me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items {
        me.delete_job(job.id).await.unwrap();
    }
    me.delete_policy(policy).await.unwrap();
    assert_eq!(me.retention_groups(None).await.unwrap(), [of_no_policy(), of_policy.clone()]);

    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let oldest = records.last().unwrap().record.id;
    me.delete_record(oldest).await.unwrap();
    world.run(&aegis, HOUR).await;
    assert_eq!(me.record(oldest).await.unwrap().record.state(), RecordState::Deleted);
    assert_eq!(me.retention_groups(None).await.unwrap(), [of_no_policy(), of_policy]);
}

#[tokio::test]
async fn a_group_that_nobody_has_records_in_is_not_found() {
    let world = World::new();
    let aegis = world.engine();
    let error = tenant(&aegis).preview_group(&of_no_policy(), None).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    let error = tenant(&aegis).run_group(&of_no_policy(), Acknowledgement::Given).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn the_breaker_of_records_of_no_policy_waits_for_a_person_who_can_answer() {
    let world = World::new();
    let aegis = world.engine();
    manual(&world, &aegis, 8, DAY).await;
    // All but the newest two run out at once, while nobody looks.
    world.clock.advance(DAY - HOUR - HOUR / 2);
    world.run(&aegis, HOUR).await;
    assert_eq!(expired(&aegis).await, 0);
    let preview = tenant(&aegis).preview_group(&of_no_policy(), None).await.unwrap();
    assert!(preview.cautions.unwrap().contains("of 8 records"), "the breaker is said");
    let refused = tenant(&aegis).run_group(&of_no_policy(), Acknowledgement::None).await.unwrap();
    assert_eq!(refused.status, CheckStatus::NotRun);
    let run = tenant(&aegis).run_group(&of_no_policy(), Acknowledgement::Given).await.unwrap();
    assert_eq!(
        (run.status, run.decisions, expired(&aegis).await > 5),
        (CheckStatus::Passed, preview.decisions, true)
    );
}

#[tokio::test]
async fn a_long_pause_holds_the_records_of_no_policy_until_somebody_answers() {
    let world = World::new();
    let aegis = world.engine();
    manual(&world, &aegis, 3, 2 * DAY).await;
    world.clock.advance(8 * DAY);
    world.run(&aegis, 2 * HOUR).await;
    assert_eq!(expired(&aegis).await, 0, "the clock may have jumped");
    let refused = tenant(&aegis).run_group(&of_no_policy(), Acknowledgement::None).await.unwrap();
    assert!(refused.reason.unwrap().contains("so the clock may have jumped"));
    tenant(&aegis).run_group(&of_no_policy(), Acknowledgement::Given).await.unwrap();
    assert_eq!(expired(&aegis).await, 2, "the newest stays by its floor");
}

#[tokio::test]
async fn quiet_runs_over_records_of_no_policy_are_remembered_so_that_no_pause_is_seen_where_none_was() {
    let world = World::new();
    let aegis = world.engine();
    manual(&world, &aegis, 2, 9 * DAY).await;
    world.run(&aegis, 10 * DAY).await;
    assert_eq!(expired(&aegis).await, 0, "its grace is over, too");
    let records = tenant(&aegis).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let states: Vec<_> = records.iter().map(|view| view.record.state()).collect();
    assert_eq!(states, [RecordState::Available, RecordState::Deleted]);
}

#[tokio::test]
async fn the_newest_usable_record_of_a_cluster_is_none_that_rests_on_a_bad_one() {
    let mut world = World::new();
    let chained = world.driver.capabilities().clone().with_features([Feature::Chains]);
    world.driver = world.driver.with_capabilities(chained);
    let aegis = world.engine();
    let me = tenant(&aegis);
    manual(&world, &aegis, 1, DAY).await;
    let mut new = new_policy("hourly", 3600);
    (new.rpo, new.kind) = (Some(Rpo(HOUR)), BackupKind::Incremental);
    me.create_policy(new).await.unwrap();
    world.run(&aegis, 2 * HOUR + HOUR / 4).await;
    let cluster_floor = async || {
        let preview = me.preview_group(&of_no_policy(), None).await.unwrap();
        preview.decisions[0].reasons.iter().any(|reason| reason.contains("of its cluster"))
    };
    assert!(!cluster_floor().await, "the newest of all is the policy's");
    let records = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let [child, base, _manual] = &records[..] else { panic!("three records") };
    assert_eq!(child.record.parent, Some(base.record.id));
    assert!(world.driver.damage(&base.record.handle, VerificationLevel::Present));
    me.verify_record(base.record.id, VerificationLevel::Present).await.unwrap();
    world.run(&aegis, HOUR / 12).await;
    assert!(cluster_floor().await);
}

#[tokio::test]
async fn a_refused_run_is_recorded_once_per_change_with_what_waits_for_a_persons_word() {
    let world = World::new();
    let aegis = world.engine();
    let refused = async || {
        let runs = world.store.retention_runs(&RetentionRunQuery::new(Scope::Everyone)).await.unwrap().items;
        let refused = runs.iter().filter(|run| run.status == CheckStatus::NotRun);
        let would_go = |run: &RetentionRun| run.decisions.iter().filter(|decision| !decision.kept).count();
        refused.map(|run| would_go(run)).collect::<Vec<_>>()
    };
    manual(&world, &aegis, 3, 2 * DAY).await;
    world.clock.advance(8 * DAY);
    world.run(&aegis, 6 * HOUR).await;
    assert_eq!(refused().await, [2], "the newest stays by its floor");
    manual(&world, &aegis, 1, 2 * DAY).await;
    world.run(&aegis, 6 * HOUR).await;
    assert_eq!(refused().await, [3, 2], "the newest first");
}

#[tokio::test]
async fn a_preview_that_cannot_be_made_says_whether_the_rules_or_the_clock_are_wrong() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, HOUR + HOUR / 2).await;
    let nothing = me.preview_retention(policy, Some(RetentionRules::default())).await.unwrap_err();
    assert_eq!(nothing.class(), ErrorClass::InvalidInput, "{nothing}");
    world.clock.jump_wall_back(HOUR);
    let behind = me.preview_retention(policy, None).await.unwrap_err();
    assert_eq!(behind.class(), ErrorClass::Unavailable, "{behind}");
}
