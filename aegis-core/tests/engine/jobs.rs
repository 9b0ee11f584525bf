//! Backup jobs from making to end.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ClusterOptions, EngineError},
    model::{JobStatus, NamespaceSelection, Principal, RecordState, TenantId},
    seams::{ErrorClass, JobQuery, ObjectKey, RecordQuery, Scope, Store, WorkKind},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore, Script},
};

use crate::world::{World, namespace, new_job, one_at_a_time, options, tenant};

#[tokio::test]
async fn a_job_becomes_a_record_with_a_manifest_beside_it() {
    let world = World::new();
    let aegis = world.engine();
    let job = world.backup(&aegis).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    let result = job.result.as_ref().expect("a completed job has a result");
    let record = tenant(&aegis).record(result.record).await.unwrap();
    assert!(record.is_restorable);
    assert_eq!(record.record.state(), RecordState::Available);
    assert_eq!(record.record.namespaces, [namespace("app")]);
    assert_eq!(record.record.recovery_point.at, job.started_at.unwrap());
    let key = ObjectKey::new(format!("{}/manifest.json", record.record.artifact)).unwrap();
    assert!(world.storage.head(&key).await.is_ok());
}

#[tokio::test]
async fn a_start_whose_answer_was_lost_takes_effect_once() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(WorkKind::Backup, Script::completing().started_without_answer());
    let job = world.backup(&aegis).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(world.driver.effects(job.attempts[0].operation).ended, 1);
    assert_eq!(world.driver.backups().len(), 1);
}

#[tokio::test]
async fn work_that_vanished_is_started_again_under_the_same_identity() {
    let world = World::new();
    let aegis = world.engine();
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    aegis.pass().await;
    world.driver.lose_process_without_trace();
    let job = world.end(&aegis, job.id).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(world.driver.effects(job.attempts[0].operation).begun, 2);
    assert_eq!(world.driver.backups().len(), 1);
}

#[tokio::test]
async fn a_lost_attempt_is_followed_by_another_under_a_new_identity() {
    let world = World::new();
    let aegis = world.engine();
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    aegis.pass().await;
    world.driver.lose_process();
    let job = world.end(&aegis, job.id).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.attempts.len(), 2);
    assert_ne!(job.attempts[0].operation, job.attempts[1].operation);
    assert_ne!(job.attempts[0].name, job.attempts[1].name);
    assert!(job.attempts[0].failure.is_some());
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_another_is_not() {
    let world = World::new();
    let aegis = world.engine();
    world
        .driver
        .script_next(WorkKind::Backup, Script::failing("storage away").blaming(ErrorClass::Unavailable));
    let job = world.backup(&aegis).await.job;
    assert_eq!((job.status, job.attempts.len()), (JobStatus::Completed, 2));
    world
        .driver
        .script_next(WorkKind::Backup, Script::failing("bad input").blaming(ErrorClass::InvalidInput));
    let job = world.backup(&aegis).await.job;
    assert_eq!((job.status, job.attempts.len()), (JobStatus::Failed, 1));
}

#[tokio::test]
async fn a_job_whose_attempts_are_all_lost_fails_with_the_reason() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_usual(WorkKind::Backup, Script::losing("its process died"));
    let job = world.backup(&aegis).await.job;
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.attempts.len(), 3);
    let message = &job.failure.as_ref().unwrap().message;
    assert!(message.contains("3 attempts") && message.contains("its process died"), "{message}");
}

#[tokio::test]
async fn a_job_that_takes_too_long_fails_and_its_late_record_counts_all_the_same() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(
        WorkKind::Backup,
        Script::completing().taking(Duration::from_secs(600)).ignoring_cancel(),
    );
    let mut new = new_job("slow");
    new.timeout = Duration::from_secs(60);
    let job = tenant(&aegis).create_job(new).await.unwrap().job;
    let failed = world.end(&aegis, job.id).await.job;
    assert_eq!(failed.status, JobStatus::Failed);
    assert!(failed.result.is_none());
    world.run(&aegis, Duration::from_secs(700)).await;
    let late = tenant(&aegis).job(job.id).await.unwrap().job;
    assert_eq!(late.status, JobStatus::Failed);
    assert!(late.result.is_some() && late.late_operation.is_none());
    assert!(late.warnings.iter().any(|warning| warning.cause.contains("after the job's timeout")));
}

#[tokio::test]
async fn an_unreachable_driver_leaves_the_job_where_it_is() {
    let world = World::new();
    let aegis = world.engine();
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    aegis.pass().await;
    world.driver.cut_off();
    world.run(&aegis, Duration::from_secs(3600)).await;
    assert_eq!(tenant(&aegis).job(job.id).await.unwrap().job.status, JobStatus::InProgress);
    world.driver.reconnect();
    assert_eq!(world.end(&aegis, job.id).await.job.status, JobStatus::Completed);
}

#[tokio::test]
async fn a_state_that_nobody_knows_is_no_end() {
    let world = World::new();
    let aegis = world.engine();
    let script = Script::completing().taking(Duration::from_secs(300)).saying("Sublimating");
    world.driver.script_next(WorkKind::Backup, script);
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    world.run(&aegis, Duration::from_secs(60)).await;
    let view = tenant(&aegis).job(job.id).await.unwrap();
    assert_eq!(view.job.status, JobStatus::InProgress);
    assert_eq!(view.progress.unwrap().state.as_deref(), Some("Sublimating"));
}

#[tokio::test]
async fn an_unknown_namespace_fails_the_job_and_names_those_that_exist() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_job("typo");
    new.namespaces = NamespaceSelection::only([namespace("apq")]).unwrap();
    let job = tenant(&aegis).create_job(new).await.unwrap().job;
    let failure = world.end(&aegis, job.id).await.job.failure.clone().unwrap();
    assert!(failure.message.contains("`apq`"), "{}", failure.message);
    assert!(failure.suggestion.unwrap().contains("`app`"));
}

#[tokio::test]
async fn what_the_driver_refuses_fails_the_job_at_once() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(WorkKind::Backup, Script::completing().refused(ErrorClass::Unauthenticated));
    let job = world.backup(&aegis).await.job;
    assert_eq!(job.status, JobStatus::Failed);
    assert_eq!(job.attempts.len(), 1);
}

#[tokio::test]
async fn a_partial_backup_is_a_record_that_says_so() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(WorkKind::Backup, Script::partially_failing("2 files could not be read"));
    let job = world.backup(&aegis).await.job;
    assert_eq!(job.status, JobStatus::PartiallyFailed);
    let record = tenant(&aegis).record(job.result.as_ref().unwrap().record).await.unwrap();
    assert!(record.record.partial && record.is_restorable);
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_when_the_driver_says_so() {
    let world = World::new();
    let aegis = world.engine();
    let waiting = tenant(&aegis).create_job(new_job("waiting")).await.unwrap().job;
    assert_eq!(tenant(&aegis).cancel_job(waiting.id).await.unwrap().job.status, JobStatus::Cancelled);
    let running = tenant(&aegis).create_job(new_job("running")).await.unwrap().job;
    aegis.pass().await;
    let asked = tenant(&aegis).cancel_job(running.id).await.unwrap().job;
    assert_eq!(asked.status, JobStatus::InProgress);
    assert!(asked.cancel_requested_at.is_some());
    assert_eq!(world.end(&aegis, running.id).await.job.status, JobStatus::Cancelled);
    assert!(world.driver.backups().is_empty());
}

#[tokio::test]
async fn a_job_that_completes_before_its_cancellation_has_completed() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.script_next(WorkKind::Backup, Script::completing().ignoring_cancel());
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    aegis.pass().await;
    tenant(&aegis).cancel_job(job.id).await.unwrap();
    assert_eq!(world.end(&aegis, job.id).await.job.status, JobStatus::Completed);
}

#[tokio::test]
async fn deleting_an_ended_job_hides_it_and_keeps_its_record() {
    let world = World::new();
    let aegis = world.engine();
    let job = world.backup(&aegis).await.job;
    let me = tenant(&aegis);
    me.delete_job(job.id).await.unwrap();
    assert!(matches!(me.job(job.id).await, Err(EngineError::NotFound { .. })));
    assert!(me.jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items.is_empty());
    assert_eq!(me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn no_more_backups_run_than_the_cluster_permits_and_priority_goes_first() {
    let world = World::new();
    let driver = Arc::new(world.driver.clone());
    let aegis = aegis_core::engine::Aegis::builder()
        .store(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .cluster_with("local", driver, one_at_a_time())
        .storage(Arc::clone(&world.storage))
        .build()
        .unwrap();
    let me = tenant(&aegis);
    let first = me.create_job(new_job("first")).await.unwrap().job;
    world.clock.advance(Duration::from_secs(1));
    let second = me.create_job(new_job("second")).await.unwrap();
    assert_eq!(second.queue_position, Some(1));
    let mut urgent = new_job("urgent");
    urgent.priority = 10;
    let urgent = me.create_job(urgent).await.unwrap();
    assert_eq!(urgent.queue_position, Some(0));
    aegis.pass().await;
    assert_eq!(world.driver.running(), 1);
    assert_eq!(me.job(urgent.job.id).await.unwrap().job.status, JobStatus::InProgress);
    assert_eq!(me.job(first.id).await.unwrap().job.status, JobStatus::Pending);
    world.end(&aegis, second.job.id).await;
    assert_eq!(world.driver.backups().len(), 3);
}

#[tokio::test]
async fn two_jobs_of_one_name_in_one_second_make_two_artifacts() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let one = me.create_job(new_job("same")).await.unwrap().job.id;
    let two = me.create_job(new_job("same")).await.unwrap().job.id;
    aegis.pass().await;
    let one = me.job(one).await.unwrap().job;
    let two = me.job(two).await.unwrap().job;
    assert_ne!(one.attempts[0].name, two.attempts[0].name);
    let lengths = [&one, &two].map(|job| job.attempts[0].name.as_str().len());
    assert_eq!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap(), 5);
}

#[tokio::test]
async fn an_incremental_builds_on_the_newest_usable_record() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    let new = new_job("second").with_kind(aegis_core::model::BackupKind::Incremental);
    let job = tenant(&aegis).create_job(new).await.unwrap().job;
    let job = world.end(&aegis, job.id).await.job;
    let base = job.attempts[0].base.as_ref().expect("it has a base");
    assert_eq!(base.handle, world.driver.backups()[0].handle);
}

#[tokio::test]
async fn an_incremental_builds_on_no_record_of_another_policy_so_that_retention_sees_chains_whole() {
    let world = World::new();
    let aegis = world.engine();
    tenant(&aegis).create_policy(crate::world::new_policy("hourly", 3600)).await.unwrap();
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    assert_eq!(world.driver.backups().len(), 1);
    let new = new_job("manual").with_kind(aegis_core::model::BackupKind::Incremental);
    let job = tenant(&aegis).create_job(new).await.unwrap().job;
    let job = world.end(&aegis, job.id).await.job;
    assert_eq!(job.attempts[0].base, None);
}

#[tokio::test]
async fn an_unknown_cluster_or_location_is_refused_with_the_known_ones() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_job("x");
    new.cluster = aegis_core::model::ClusterName::new("elsewhere").unwrap();
    let error = tenant(&aegis).create_job(new).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("`local`"), "{error}");
    let new = new_job("x").with_location("s3://theirs/".parse().unwrap());
    let error = tenant(&aegis).create_job(new).await.unwrap_err();
    assert!(error.to_string().contains("s3://backups/local/"), "{error}");
}

#[tokio::test]
async fn a_job_that_ends_while_it_is_deleted_is_deleted_as_what_it_became() {
    let world = World::new();
    let aegis = world.engine();
    let job = tenant(&aegis).create_job(new_job("manual")).await.unwrap().job;
    aegis.pass().await;
    // The job is read once while it runs, and that answer comes back once more after it has ended.
    let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone()))
        .at(FaultPoint::StoreRead, 2, Fault::Stale)
        .at(FaultPoint::StoreRead, 3, Fault::Stale);
    let store: Arc<dyn Store> = Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone()));
    let slow = world.builder().store(store).seed([2; 32]).build().unwrap();
    assert_eq!(tenant(&slow).job(job.id).await.unwrap().job.status, JobStatus::InProgress);
    assert_eq!(world.end(&aegis, job.id).await.job.status, JobStatus::Completed);
    tenant(&slow).delete_job(job.id).await.unwrap();
    assert!(!plan.happened().is_empty(), "the job was read as it had been");
    assert!(matches!(tenant(&aegis).job(job.id).await, Err(EngineError::NotFound { .. })));
}

#[tokio::test]
async fn the_place_in_the_queue_counts_nobody_elses_jobs() {
    let world = World::new();
    let both = ["default", "other"].map(|id| TenantId::new(id).unwrap());
    let aegis = Aegis::builder()
        .store(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .cluster_with("local", Arc::new(world.driver.clone()), ClusterOptions::for_tenants(both.clone()))
        .storage_for(Arc::clone(&world.storage), both.clone())
        .options(options())
        .seed([1; 32])
        .build()
        .unwrap();
    let [mine, theirs] = both.map(|id| aegis.tenant(id, Principal::new("eve").unwrap()).unwrap());
    theirs.create_job(new_job("theirs")).await.unwrap();
    assert_eq!(mine.create_job(new_job("first")).await.unwrap().queue_position, Some(0));
    assert_eq!(mine.create_job(new_job("second")).await.unwrap().queue_position, Some(1));
}
