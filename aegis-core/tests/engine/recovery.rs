//! Plans, approvals, executions.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ClusterOptions, Execute, Executed, NewPlan, TenantOptions},
    model::{
        ApprovalRule, ExecutionStatus, JobStatus, PlanHash, PlanId, PlanStatus, Principal, RecordId,
        RestoreTarget, TenantId,
    },
    seams::{ErrorClass, WorkKind},
    testing::{Fault, FaultPlan, FaultPoint, FaultyDriver, Script},
};

use crate::world::{World, name, namespace, new_job, options, tenant};

async fn record(world: &World, aegis: &Aegis) -> RecordId {
    world.backup(aegis).await.job.result.as_ref().unwrap().record
}

async fn plan(aegis: &Aegis, record: RecordId) -> PlanId {
    tenant(aegis).create_plan(NewPlan::new(name("recover"), record)).await.unwrap().plan.id
}

async fn finish(world: &World, aegis: &Aegis, plan: PlanId) -> ExecutionStatus {
    world.run(aegis, Duration::from_secs(300)).await;
    tenant(aegis).execution_status(plan).await.unwrap().execution.status
}

fn app() -> RestoreTarget {
    RestoreTarget::Namespace(namespace("app"))
}

#[tokio::test]
async fn a_restore_brings_back_what_was_there() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.driver.remove(&app(), "a.txt");
    let plan = plan(&aegis, record).await;
    let Executed::Started(view) = tenant(&aegis).execute_plan(plan, Execute::Confirmed).await.unwrap() else {
        panic!("a confirmed execution starts");
    };
    assert_eq!(view.execution.status, ExecutionStatus::Executing);
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Completed);
    assert_eq!(world.driver.read(&app(), "a.txt").unwrap(), "one");
    assert_eq!(tenant(&aegis).plan(plan).await.unwrap().plan.status, PlanStatus::Completed);
    assert!(tenant(&aegis).record(record).await.unwrap().record.uses.is_empty());
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    world.driver.remove(&app(), "a.txt");
    let plan = plan(&aegis, record).await;
    let Executed::Preview(preview) = tenant(&aegis).execute_plan(plan, Execute::DryRun).await.unwrap() else {
        panic!("a dry run previews");
    };
    assert_eq!(preview.create, 1);
    assert!(world.driver.read(&app(), "a.txt").is_none());
    assert_eq!(tenant(&aegis).plan(plan).await.unwrap().plan.status, PlanStatus::Pending);
}

#[tokio::test]
async fn a_driver_that_says_nothing_holds_no_question_for_ever() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let faults = FaultPlan::seeded(1, Arc::new(world.clock.clone()));
    let silent = Fault::Delay(Duration::from_secs(24 * 3600));
    let faults = faults.at(FaultPoint::DriverRead, 1, silent).at(FaultPoint::DriverRead, 2, silent);
    let driver = FaultyDriver::new(Arc::new(world.driver.clone()), faults);
    let hung = tenant(&world.builder_over(Arc::new(driver)).build().unwrap());
    let preview = world.clock.drive(hung.execute_plan(plan, Execute::DryRun)).await;
    assert_eq!(preview.unwrap_err().class(), ErrorClass::Unavailable);
    let page = world.clock.drive(hung.browse_record(record, "", None, 10)).await;
    assert_eq!(page.unwrap_err().class(), ErrorClass::Unavailable);
}

#[tokio::test]
async fn of_two_restores_into_the_same_namespaces_the_second_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let (first, second) = (plan(&aegis, record).await, plan(&aegis, record).await);
    let me = tenant(&aegis);
    me.execute_plan(first, Execute::Confirmed).await.unwrap();
    let error = me.execute_plan(second, Execute::Confirmed).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    assert!(error.to_string().contains("same namespaces"), "{error}");
    assert_eq!(finish(&world, &aegis, first).await, ExecutionStatus::Completed);
    me.execute_plan(second, Execute::Confirmed).await.unwrap();
}

#[tokio::test]
async fn a_backup_waits_while_its_namespace_is_restored() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    let job = me.create_job(new_job("meanwhile")).await.unwrap().job;
    aegis.pass().await;
    assert_eq!(me.job(job.id).await.unwrap().job.status, JobStatus::Pending);
    assert_eq!(world.end(&aegis, job.id).await.job.status, JobStatus::Completed);
}

#[tokio::test]
async fn a_record_made_while_a_restore_ran_says_so() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    let job = me.create_job(new_job("meanwhile")).await.unwrap().job;
    aegis.pass().await;
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    let job = world.end(&aegis, job.id).await.job;
    let record = me.record(job.result.as_ref().unwrap().record).await.unwrap();
    assert!(record.record.made_during.is_some());
}

#[tokio::test]
async fn how_far_a_restore_came_is_never_taken_back() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    let slow = Script::failing("no").taking(Duration::from_secs(100));
    world.driver.script_next(WorkKind::Restore, slow);
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    world.run(&aegis, Duration::from_secs(60)).await;
    let seen = me.execution_status(plan).await.unwrap().percent();
    assert!(seen >= 40, "{seen}");
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Failed);
    // Long enough for what was noted of its progress to be pruned.
    world.run(&aegis, Duration::from_secs(30 * 24 * 3600)).await;
    assert!(me.execution_status(plan).await.unwrap().percent() >= seen);
    assert!(me.executions(plan, 1).await.unwrap()[0].percent() >= seen);
}

#[tokio::test]
async fn a_lost_restore_fails_and_is_not_repeated() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    tenant(&aegis).execute_plan(plan, Execute::Confirmed).await.unwrap();
    aegis.pass().await;
    world.driver.lose_process();
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Failed);
    let restores = world.driver.begun().iter().filter(|begun| begun.work.kind() == WorkKind::Restore).count();
    assert_eq!(restores, 1);
    assert_eq!(tenant(&aegis).plan(plan).await.unwrap().plan.status, PlanStatus::Failed);
}

#[tokio::test]
async fn a_running_restore_is_cancelled_through_its_plan() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    world.driver.script_next(WorkKind::Restore, Script::hanging());
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    aegis.pass().await;
    me.cancel_plan(plan).await.unwrap();
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Cancelled);
    assert_eq!(me.plan(plan).await.unwrap().plan.status, PlanStatus::Cancelled);
}

fn approved_by(world: &World, rule: ApprovalRule) -> Aegis {
    let options = TenantOptions::default().with_approval(rule);
    world.builder().tenant(TenantId::new("default").unwrap(), options).build().unwrap()
}

#[tokio::test]
async fn an_unapproved_plan_is_not_executed_and_an_approved_one_once() {
    let world = World::new();
    let aegis = approved_by(&world, ApprovalRule::One);
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    let error = me.execute_plan(plan, Execute::Confirmed).await.unwrap_err();
    assert!(error.to_string().contains("needs an approval"), "{error}");
    let hash = me.plan(plan).await.unwrap().hash.unwrap();
    let error = me.approve_plan(plan, &PlanHash("stale".to_owned())).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::VersionConflict);
    me.approve_plan(plan, &hash).await.unwrap();
    world.driver.script_next(WorkKind::Restore, Script::failing("no"));
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Failed);
    assert!(me.execute_plan(plan, Execute::Confirmed).await.is_err());
}

#[tokio::test]
async fn where_two_must_agree_the_author_can_not_approve() {
    let world = World::new();
    let aegis = approved_by(&world, ApprovalRule::Two);
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    let hash = me.plan(plan).await.unwrap().hash.unwrap();
    assert_eq!(me.approve_plan(plan, &hash).await.unwrap_err().class(), ErrorClass::Forbidden);
    let other = aegis.tenant(me.id().clone(), Principal::new("second").unwrap()).unwrap();
    other.approve_plan(plan, &hash).await.unwrap();
    assert!(me.execute_plan(plan, Execute::Confirmed).await.is_ok());
}

#[tokio::test]
async fn the_authors_own_approval_swallows_no_other_once_two_must_agree() {
    let world = World::new();
    let aegis = approved_by(&world, ApprovalRule::One);
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    let hash = me.plan(plan).await.unwrap().hash.unwrap();
    me.approve_plan(plan, &hash).await.unwrap();
    let stricter = approved_by(&world, ApprovalRule::Two);
    let (me, second) = (tenant(&stricter), Principal::new("second").unwrap());
    assert!(me.execute_plan(plan, Execute::Confirmed).await.is_err());
    let other = stricter.tenant(me.id().clone(), second).unwrap();
    assert_eq!(other.approve_plan(plan, &hash).await.unwrap().plan.approvals.len(), 2);
    assert!(me.execute_plan(plan, Execute::Confirmed).await.is_ok());
}

#[tokio::test]
async fn a_failed_plan_may_be_approved_and_executed_again() {
    let world = World::new();
    let aegis = world.engine();
    let record = record(&world, &aegis).await;
    let plan = plan(&aegis, record).await;
    let me = tenant(&aegis);
    world.driver.script_next(WorkKind::Restore, Script::failing("no"));
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Failed);
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    assert_eq!(finish(&world, &aegis, plan).await, ExecutionStatus::Completed);
    assert_eq!(me.executions(plan, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn another_tenants_things_do_not_exist() {
    let world = World::new();
    let aegis = world
        .builder()
        .cluster_with(
            "theirs",
            Arc::new(world.driver.clone()),
            aegis_core::engine::ClusterOptions::for_tenants([TenantId::new("other").unwrap()]),
        )
        .build()
        .unwrap();
    let record = record(&world, &aegis).await;
    let other = aegis.tenant(TenantId::new("other").unwrap(), Principal::new("eve").unwrap()).unwrap();
    assert_eq!(other.record(record).await.unwrap_err().class(), ErrorClass::NotFound);
    let error = other.create_plan(NewPlan::new(name("steal"), record)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(other.create_job(new_job("x")).await.unwrap_err().class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn a_tenant_is_not_told_which_restore_of_another_stands_in_the_way() {
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
    let tenants = both.map(|id| aegis.tenant(id, Principal::new("eve").unwrap()).unwrap());
    let mut plans = Vec::new();
    for tenant in &tenants {
        let job = tenant.create_job(new_job("manual")).await.unwrap().job.id;
        world.run(&aegis, Duration::from_secs(300)).await;
        let record = tenant.job(job).await.unwrap().job.result.as_ref().unwrap().record;
        plans.push(tenant.create_plan(NewPlan::new(name("recover"), record)).await.unwrap().plan.id);
    }
    let [mine, theirs] = tenants;
    mine.execute_plan(plans[0], Execute::Confirmed).await.unwrap();
    let execution = mine.execution_status(plans[0]).await.unwrap().execution.id.to_string();
    let error = theirs.execute_plan(plans[1], Execute::Confirmed).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidTransition);
    assert!(!error.to_string().contains(&execution), "{error}");
    assert!(error.to_string().contains("another restore"), "{error}");
}
