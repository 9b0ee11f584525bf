//! What goes wrong in one place stays there, and nothing waits for it for ever.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ClusterOptions, Execute, NewPlan, PolicyChange, TenantOptions},
    model::{
        ApprovalRule, BackupKind, Consistency, ExecutionStatus, JobId, JobStatus, PlanStatus, PolicyState,
        RecordState, RetentionRules, StorageUri, TenantId,
    },
    seams::{
        BackupDriver, Capabilities, Clock, ErrorClass, Feature, ObjectKey, ObjectStorage, PutMode,
        RecordQuery, Scope, StoreExt, WorkKind,
    },
    testing::{Fault, FaultPlan, FaultPoint, FaultyDriver, FaultyStorage, MemoryObjectStorage, Script},
};

use crate::world::{World, location, name, new_job, new_policy, options, tenant};

const MINUTE: Duration = Duration::from_secs(60);

fn slow() -> Script {
    Script::completing().taking(10 * MINUTE).ignoring_cancel()
}

async fn status(aegis: &Aegis, job: JobId) -> JobStatus {
    tenant(aegis).job(job).await.unwrap().job.status
}

fn manifest_of(artifact: impl std::fmt::Display) -> ObjectKey {
    ObjectKey::new(format!("{artifact}/manifest.json")).unwrap()
}

#[tokio::test]
async fn a_record_that_has_to_stay_does_not_make_the_loop_spin() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(8000)).await;
    let record = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items.pop().unwrap().record.id;
    me.delete_record(record).await.unwrap();
    // Before its data goes, more has to stay.
    let mut rules = RetentionRules::last(3);
    rules.min_keep = 5;
    let mut change = PolicyChange::default();
    change.retention = Some(rules);
    me.update_policy(policy, change).await.unwrap();
    aegis.pass().await;
    assert!(aegis.pass().await >= Duration::from_secs(1));
    assert_eq!(tenant(&aegis).record(record).await.unwrap().record.state(), RecordState::Expired);
}

#[tokio::test]
async fn a_pass_that_takes_longer_than_the_lease_still_comes_to_its_end() {
    let world = World::new();
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let plan = FaultPlan::seeded(1, clock).with_probability_at(
        [FaultPoint::Observe],
        1.0,
        Fault::Delay(Duration::from_secs(3)),
    );
    let driver: Arc<dyn BackupDriver> = Arc::new(FaultyDriver::new(Arc::new(world.driver.clone()), plan));
    let mut paced = options();
    paced.max_running_per_location = 100;
    let tenants = [TenantId::new("default").unwrap()];
    let aegis = Aegis::builder()
        .store(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .cluster_with("local", driver, ClusterOptions::for_tenants(tenants).with_max_running(100))
        .storage(Arc::clone(&world.storage))
        .options(paced)
        .seed([1; 32])
        .build()
        .unwrap();
    world.driver.script_usual(WorkKind::Backup, Script::hanging());
    for job in 0..15 {
        tenant(&aegis).create_job(new_job(&format!("slow-{job}"))).await.unwrap();
    }
    for _ in 0..3 {
        world.clock.drive(aegis.pass()).await;
        world.clock.advance(Duration::from_secs(10));
    }
    let last = tenant(&aegis).create_job(new_job("last")).await.unwrap().job.id;
    for _ in 0..3 {
        world.clock.drive(aegis.pass()).await;
        world.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(status(&aegis, last).await, JobStatus::InProgress);
}

#[tokio::test]
async fn a_deadline_ends_a_job_whose_driver_can_not_be_reached() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_job("manual");
    new.timeout = 5 * MINUTE;
    let job = tenant(&aegis).create_job(new).await.unwrap().job.id;
    aegis.pass().await;
    world.driver.cut_off();
    world.run(&aegis, 4 * MINUTE).await;
    assert_eq!(status(&aegis, job).await, JobStatus::InProgress);
    world.run(&aegis, 2 * MINUTE).await;
    assert_eq!(status(&aegis, job).await, JobStatus::Failed);
    world.driver.reconnect();
    world.run(&aegis, MINUTE).await;
    let job = tenant(&aegis).job(job).await.unwrap().job;
    assert!(job.result.is_some() && job.late_operation.is_none(), "what came of it counts all the same");
}

#[tokio::test]
async fn a_location_that_is_away_holds_up_no_other() {
    let world = World::new();
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let away: StorageUri = "s3://away/".parse().unwrap();
    let plan =
        FaultPlan::seeded(1, Arc::clone(&clock)).with_probability_at([FaultPoint::Put], 1.0, Fault::Refuse);
    let broken = MemoryObjectStorage::new(away.clone(), clock);
    let broken: Arc<dyn ObjectStorage> = Arc::new(FaultyStorage::new(Arc::new(broken), plan));
    let aegis = world.builder().storage(broken).build().unwrap();
    let mut new = new_job("to-nowhere");
    new.location = Some(away);
    new.timeout = 30 * MINUTE;
    let stuck = tenant(&aegis).create_job(new).await.unwrap().job.id;
    world.run(&aegis, 5 * MINUTE).await;
    let mut new = new_job("elsewhere");
    new.location = Some(location());
    let other = tenant(&aegis).create_job(new).await.unwrap().job.id;
    world.run(&aegis, 5 * MINUTE).await;
    assert_eq!(status(&aegis, other).await, JobStatus::Completed);
    assert_eq!(status(&aegis, stuck).await, JobStatus::InProgress);
    world.run(&aegis, 30 * MINUTE).await;
    let stuck = tenant(&aegis).job(stuck).await.unwrap().job;
    assert_eq!(stuck.status, JobStatus::Failed);
    assert!(stuck.failure.as_ref().unwrap().message.contains("could not be catalogued"));
}

#[tokio::test]
async fn a_backup_whose_place_is_taken_is_made_again_under_another_name() {
    let world = World::new();
    let aegis = world.engine();
    let first = world.backup(&aegis).await.job;
    let (_, foreign) = world.storage.get(&manifest_of(&first.attempts[0].name)).await.unwrap();
    world.clock.advance(MINUTE);
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job.id;
    aegis.pass().await;
    let taken = tenant(&aegis).job(job).await.unwrap().job.attempts[0].name.clone();
    world.storage.put(&manifest_of(&taken), foreign, PutMode::Create).await.unwrap();
    let job = world.end(&aegis, job).await.job;
    assert_eq!((job.status, job.attempts.len()), (JobStatus::Completed, 2));
    assert_ne!(job.attempts[1].name, taken);
}

#[tokio::test]
async fn what_a_late_backup_builds_on_stays_until_it_ended() {
    let mut world = World::new();
    let chained = Capabilities::new("scripted", Consistency::InstantSnapshot)
        .with_kinds(BackupKind::ALL.iter().copied())
        .with_features(Feature::ALL.iter().copied());
    world.driver = world.driver.clone().with_capabilities(chained);
    let aegis = world.engine();
    let base = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    world.backup(&aegis).await;
    let older = tenant(&aegis).record(base).await.unwrap().record;
    assert!(older.uses.is_empty());
    world.clock.advance(MINUTE);
    world.driver.script_next(WorkKind::Backup, slow());
    let mut new = new_job("late");
    (new.kind, new.timeout) = (BackupKind::Incremental, MINUTE);
    let job = tenant(&aegis).create_job(new).await.unwrap().job.id;
    assert_eq!(world.end(&aegis, job).await.job.status, JobStatus::Failed);
    let used = tenant(&aegis).job(job).await.unwrap().job.attempts[0].base.as_ref().unwrap().id;
    assert_eq!(tenant(&aegis).delete_record(used).await.unwrap_err().class(), ErrorClass::InvalidTransition);
    world.run(&aegis, 12 * MINUTE).await;
    let late = tenant(&aegis).job(job).await.unwrap().job.result.as_ref().unwrap().record;
    assert_eq!(tenant(&aegis).record(late).await.unwrap().record.parent, Some(used));
    assert!(tenant(&aegis).record(used).await.unwrap().record.uses.is_empty());
}

#[tokio::test]
async fn a_point_that_came_late_is_told_by_its_policys_state() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(WorkKind::Backup, slow());
    let mut new = new_policy("hourly", 3600);
    new.timeout = MINUTE;
    let policy = tenant(&aegis).create_policy(new).await.unwrap().policy.id;
    world.run(&aegis, 80 * MINUTE).await;
    let state = world.store.find::<PolicyState>(&Scope::Everyone, policy).await.unwrap().unwrap();
    assert_eq!(state.last_run_status, Some(JobStatus::Failed));
    assert_eq!(state.failures_in_a_row, 1);
    assert!(state.newest_usable.is_some());
}

#[tokio::test]
async fn a_restore_that_takes_too_long_keeps_its_target_until_it_ended() {
    let world = World::new();
    let mut paced = options();
    paced.execution_timeout = MINUTE;
    let aegis = world.builder().options(paced).build().unwrap();
    let me = tenant(&aegis);
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let first = me.create_plan(NewPlan::new(name("first"), record)).await.unwrap().plan.id;
    let second = me.create_plan(NewPlan::new(name("second"), record)).await.unwrap().plan.id;
    world.driver.script_next(WorkKind::Restore, slow());
    me.execute_plan(first, Execute::Confirmed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    let refused = me.execute_plan(second, Execute::Confirmed).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::InvalidTransition);
    assert!(!me.record(record).await.unwrap().record.uses.is_empty());
    world.run(&aegis, 10 * MINUTE).await;
    world.driver.script_next(WorkKind::Restore, Script::hanging());
    me.execute_plan(second, Execute::Confirmed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    let ended = me.execution_status(second).await.unwrap().execution;
    assert_eq!(ended.status, ExecutionStatus::Failed);
    assert!(ended.failure.as_ref().unwrap().message.contains("60 seconds"));
    assert!(me.record(record).await.unwrap().record.uses.is_empty());
}

#[tokio::test]
async fn a_plan_that_failed_can_be_approved_for_another_execution() {
    let world = World::new();
    let approved = TenantOptions::default().with_approval(ApprovalRule::One);
    let aegis = world.builder().tenant(TenantId::new("default").unwrap(), approved).build().unwrap();
    let me = tenant(&aegis);
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let plan = me.create_plan(NewPlan::new(name("recover"), record)).await.unwrap();
    let (id, hash) = (plan.plan.id, plan.hash.unwrap());
    me.approve_plan(id, &hash).await.unwrap();
    world.driver.script_next(WorkKind::Restore, Script::failing("the target is away"));
    me.execute_plan(id, Execute::Confirmed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    assert_eq!(me.plan(id).await.unwrap().plan.status, PlanStatus::Failed);
    assert!(me.execute_plan(id, Execute::Confirmed).await.is_err(), "one approval serves one execution");
    me.approve_plan(id, &hash).await.unwrap();
    me.execute_plan(id, Execute::Confirmed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    assert_eq!(me.plan(id).await.unwrap().plan.status, PlanStatus::Completed);
}

#[tokio::test]
async fn a_manifest_that_a_late_writer_brought_back_goes_with_its_record() {
    let world = World::new();
    let aegis = world.engine();
    tenant(&aegis).create_policy(new_policy("hourly", 3600)).await.unwrap();
    world.run(&aegis, 370 * MINUTE).await;
    let mut query = RecordQuery::new(Scope::Everyone);
    query.states = vec![RecordState::Expired];
    let going = tenant(&aegis).records(query).await.unwrap().items[0].record.clone();
    let key = manifest_of(&going.artifact);
    let (_, manifest) = world.storage.get(&key).await.unwrap();
    tenant(&aegis).delete_record(going.id).await.unwrap();
    world.driver.script_next(WorkKind::Delete, Script::completing().taking(5 * MINUTE));
    world.run(&aegis, MINUTE).await;
    assert_eq!(tenant(&aegis).record(going.id).await.unwrap().record.state(), RecordState::Deleting);
    world.storage.put(&key, manifest, PutMode::Create).await.unwrap();
    world.run(&aegis, 10 * MINUTE).await;
    assert_eq!(tenant(&aegis).record(going.id).await.unwrap().record.state(), RecordState::Deleted);
    assert!(world.storage.get(&key).await.is_err());
}
