//! Health: the summary, the score, the statistics, and whether what the engine depends on answers.

use std::time::Duration;

use aegis_core::{
    engine::{Aegis, Connection, Execute, HealthSummary, NewPlan, PolicyChange},
    model::{
        DrKeep, DrTestRule, JobStatus, NamespaceSelection, PolicyId, RecordChoice, RestoreTarget, Rpo, Rto,
        Timestamp,
    },
    rules::health::{Cap, ComponentKind, HealthReason, HealthStatus, Proof},
    seams::{RecordQuery, Scope, WorkKind},
    testing::Script,
};

use crate::{
    dr_tests::folder,
    world::{START, World, every, local, name, namespace, new_job, new_policy, tenant},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An hourly policy over everything that the cluster has.
async fn hourly(aegis: &Aegis) -> PolicyId {
    let mut new = new_policy("hourly", 3600);
    new.namespaces = NamespaceSelection::all();
    (new.rpo, new.rto) = (Some(Rpo(90 * MINUTE)), Some(Rto(HOUR)));
    tenant(aegis).create_policy(new).await.unwrap().policy.id
}

async fn summary(aegis: &Aegis) -> HealthSummary {
    tenant(aegis).health_summary().await.unwrap()
}

fn at(elapsed: Duration) -> Timestamp {
    START.saturating_add(elapsed)
}

/// All data is lost, and a restore of the newest record brings it back.
async fn restore(world: &World, aegis: &Aegis) {
    let me = tenant(aegis);
    let newest = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items[0].record.id;
    for (lost, file) in [("app", "a.txt"), ("app", "b.txt"), ("db", "data")] {
        world.driver.remove(&RestoreTarget::Namespace(namespace(lost)), file);
    }
    let plan = me.create_plan(NewPlan::new(name("recover"), newest)).await.unwrap().plan.id;
    me.execute_plan(plan, Execute::Confirmed).await.unwrap();
    world.run(aegis, 5 * MINUTE).await;
}

#[tokio::test]
async fn where_all_is_well_a_cluster_is_healthy_and_its_figures_add_up() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, 2 * HOUR + 20 * MINUTE).await;
    assert!(!summary(&aegis).await.clusters[0].health.rto_met, "nothing was ever restored");
    restore(&world, &aegis).await;
    let health = summary(&aegis).await;
    assert_eq!(health.overall, HealthStatus::Healthy, "{health:?}");
    let cluster = &health.clusters[0];
    assert_eq!((&cluster.cluster, cluster.health.reasons.len()), (&local(), 0));
    assert!(cluster.health.rpo_met && cluster.health.rto_met);
    let backups = &cluster.backups;
    assert_eq!((backups.total_policies, backups.active_policies), (1, 1));
    assert_eq!((backups.backups_last_24h, backups.failed_last_24h), (2, 0));
    assert_eq!(backups.last_backup_status, Some(JobStatus::Completed));
    let readiness = &cluster.readiness;
    assert_eq!(readiness.restorable_backups, 2);
    assert!(readiness.oldest_restorable.unwrap() < at(HOUR + MINUTE));
    assert!(readiness.newest_restorable.unwrap() >= at(2 * HOUR));
    assert!(readiness.estimated_full_restore_minutes.is_some());
    assert_eq!((health.total_restorable_backups(), health.total_backup_policies()), (2, 1));
    assert_eq!(health.total_backup_size(), backups.total_size);
    assert!(backups.total_size.0 > 0);
}

#[tokio::test]
async fn what_can_be_restored_is_what_there_is_each_time_that_it_is_asked() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    assert_eq!(summary(&aegis).await.total_restorable_backups(), 1);
    world.run(&aegis, HOUR).await;
    let two = summary(&aegis).await;
    assert_eq!(two.total_restorable_backups(), 2);
    let me = tenant(&aegis);
    let older = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items[1].record.id;
    me.delete_record(older).await.unwrap();
    world.run(&aegis, 10 * MINUTE).await;
    let one = summary(&aegis).await;
    assert_eq!(one.total_restorable_backups(), 1);
    let (before, after) = (&two.clusters[0].readiness, &one.clusters[0].readiness);
    assert_eq!(after.oldest_restorable, before.newest_restorable);
    assert_eq!(after.newest_restorable, before.newest_restorable);
}

#[tokio::test]
async fn an_enabled_policy_with_nothing_to_restore_is_critical() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    let health = summary(&aegis).await;
    assert_eq!((health.overall, health.totals.critical), (HealthStatus::Critical, 1));
    assert!(health.clusters[0].health.reasons.contains(&HealthReason::NothingRestorable));
}

#[tokio::test]
async fn a_failed_last_run_is_a_warning_with_its_reason() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    world.driver.script_usual(WorkKind::Backup, Script::failing("no space left"));
    world.run(&aegis, 50 * MINUTE).await;
    let cluster = &summary(&aegis).await.clusters[0];
    assert_eq!(cluster.health.status, HealthStatus::Warning, "{cluster:?}");
    assert!(cluster.health.reasons.contains(&HealthReason::LastRunFailed { policy: "hourly".to_owned() }));
    assert_eq!(cluster.backups.failed_last_24h, 1);
}

#[tokio::test]
async fn a_cluster_without_policies_and_a_namespace_without_one_are_warnings() {
    let world = World::new();
    let aegis = world.engine();
    assert_eq!(summary(&aegis).await.clusters[0].health.reasons, [HealthReason::NoPolicy]);
    let mut app_alone = new_policy("app", 3600);
    app_alone.rpo = Some(Rpo(90 * MINUTE));
    tenant(&aegis).create_policy(app_alone).await.unwrap();
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    let gap = HealthReason::Unprotected { count: 1, examples: vec!["db".to_owned()] };
    assert_eq!(summary(&aegis).await.clusters[0].health.reasons, [gap]);
}

#[tokio::test]
async fn a_driver_that_is_away_is_a_warning_and_the_engine_is_degraded() {
    let world = World::new();
    let aegis = world.engine();
    hourly(&aegis).await;
    world.run(&aegis, HOUR + 20 * MINUTE).await;
    let health = aegis.health().await;
    assert!(health.is_healthy(), "{health:?}");
    assert_eq!(health.uptime, HOUR + 20 * MINUTE);
    world.driver.cut_off();
    let health = aegis.health().await;
    assert!(!health.is_healthy() && health.store.is_connected());
    assert!(matches!(health.clusters[&local()], Connection::Disconnected { .. }), "{health:?}");
    let cluster = &summary(&aegis).await.clusters[0];
    assert_eq!(cluster.health.status, HealthStatus::Warning);
    assert!(matches!(cluster.health.reasons[..], [HealthReason::DriverAway { .. }]), "{cluster:?}");
}

#[tokio::test]
async fn the_score_is_capped_until_a_restore_was_tried() {
    let world = World::new();
    let aegis = world.engine();
    assert_eq!(tenant(&aegis).health_score().await.unwrap(), None, "no policy, no score");
    hourly(&aegis).await;
    let nothing = tenant(&aegis).health_score().await.unwrap().unwrap();
    assert!(nothing.score <= 20 && nothing.caps.contains(&Cap::NothingRestorable), "{nothing:?}");
    world.run(&aegis, 3 * DAY + 20 * MINUTE).await;
    let untried = tenant(&aegis).health_score().await.unwrap().unwrap();
    assert_eq!(untried.caps, [Cap::NoProof]);
    restore(&world, &aegis).await;
    let tried = tenant(&aegis).health_score().await.unwrap().unwrap();
    assert_eq!(tried.caps, []);
    assert!(tried.score > 90 && tried.score > untried.score, "{tried:?}");
    let of = |kind| tried.components.iter().find(|component| component.kind == kind).unwrap().share;
    assert_eq!(of(ComponentKind::Copies), None, "no copies are asked for");
    assert_eq!(of(ComponentKind::Restorability).unwrap().permyriad(), 10_000);
}

#[tokio::test]
async fn how_old_a_tried_restore_may_be_is_what_the_policys_tests_say_or_30_days() {
    let weekly = DrTestRule {
        schedule: every(7 * 24 * 3600),
        select: RecordChoice::Latest,
        verify: None,
        checks: Vec::new(),
        target: folder(),
        keep: DrKeep::Nothing,
    };
    for (rule, days) in [(Some(weekly), 7), (None, 30)] {
        let world = World::new();
        let aegis = world.engine();
        let mut change = PolicyChange::default();
        change.dr_test = Some(rule);
        tenant(&aegis).update_policy(hourly(&aegis).await, change).await.unwrap();
        world.run(&aegis, HOUR + 20 * MINUTE).await;
        restore(&world, &aegis).await;
        let capped = async || {
            let score = tenant(&aegis).health_score().await.unwrap().unwrap();
            let Proof::Age { interval, .. } = score.policies[0].proof else { panic!("{score:?}") };
            assert_eq!(Duration::from_secs(interval), days * DAY);
            score.caps.contains(&Cap::NoProof)
        };
        assert!(!capped().await);
        world.clock.advance((days - 1) * DAY);
        assert!(!capped().await);
        world.clock.advance(DAY);
        assert!(capped().await, "after {days} days");
    }
}

#[tokio::test]
async fn another_tenants_runs_are_not_counted() {
    let world = World::new();
    let other = aegis_core::model::TenantId::new("other").unwrap();
    let aegis =
        world.builder().tenant(other.clone(), aegis_core::engine::TenantOptions::default()).build().unwrap();
    hourly(&aegis).await;
    world.run(&aegis, 2 * HOUR).await;
    let them = aegis.tenant(other, aegis_core::model::Principal::new("eve").unwrap()).unwrap();
    assert_eq!(them.statistics(START, at(DAY)).await.unwrap().statistics.total.runs(), 0);
    assert_eq!(them.compliance(None).await.unwrap().policies, []);
    let health = them.health_summary().await.unwrap();
    assert_eq!((health.overall, health.clusters.len()), (HealthStatus::Unknown, 0));
}

#[tokio::test]
async fn the_last_backup_is_the_one_that_ended_last_and_no_cancelled_job() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    world.driver.script_next(WorkKind::Backup, Script::completing().taking(10 * MINUTE));
    let slow = me.create_job(new_job("slow")).await.unwrap().job.id;
    aegis.pass().await;
    world.clock.advance(MINUTE);
    let quick = me.create_job(new_job("quick")).await.unwrap().job.id;
    world.run(&aegis, 30 * MINUTE).await;
    let unwanted = me.create_job(new_job("unwanted")).await.unwrap().job.id;
    me.cancel_job(unwanted).await.unwrap();
    let mut ended = Vec::new();
    for job in [slow, quick] {
        ended.push(me.job(job).await.unwrap().job.completed_at);
    }
    let last = &summary(&aegis).await.clusters[0].backups;
    assert_eq!(last.last_backup_status, Some(JobStatus::Completed));
    assert_eq!(last.last_backup_at, ended.into_iter().max().unwrap());
}
