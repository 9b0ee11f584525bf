//! RTO: what the restores that ran, and those that did not, say of how long the next one takes.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, ClusterOptions, Execute, NewPlan, TenantOptions},
    model::{RestoreTarget, Rto, TenantId, VerificationLevel},
    rules::rto::{RtoBasis, RtoStatus},
};

use crate::{
    compliance::{only, records},
    world::{World, name, namespace, new_policy, options, tenant},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// An hourly policy that must be back within an hour.
async fn create_policy(aegis: &Aegis) {
    let mut new = new_policy("hourly", 3600);
    new.rto = Some(Rto(HOUR));
    tenant(aegis).create_policy(new).await.unwrap();
}

/// All that the policy protects is lost, and the newest record is restored by this plan.
async fn lose_and_restore(world: &World, aegis: &Aegis, bend: impl FnOnce(&mut NewPlan)) {
    for file in ["a.txt", "b.txt"] {
        world.driver.remove(&RestoreTarget::Namespace(namespace("app")), file);
    }
    let mut plan = NewPlan::new(name("recover"), records(aegis).await[0]);
    bend(&mut plan);
    let plan = tenant(aegis).create_plan(plan).await.unwrap().plan.id;
    tenant(aegis).execute_plan(plan, Execute::Confirmed).await.unwrap();
    world.run(aegis, 5 * MINUTE).await;
}

async fn basis(aegis: &Aegis) -> RtoBasis {
    only(aegis).await.rto.unwrap().estimate.unwrap().basis
}

#[tokio::test]
async fn the_rto_rests_on_the_best_evidence_and_what_was_never_restored_is_not_compliant() {
    let world = World::new();
    let aegis = world.engine();
    create_policy(&aegis).await;
    let policy = only(&aegis).await;
    assert_eq!((policy.rto_status(), policy.rto_compliant()), (RtoStatus::Unknown, false));
    assert!(policy.issue.unwrap().contains("is unknown"));
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    let weak = only(&aegis).await;
    let estimate = weak.rto.unwrap().estimate.unwrap();
    assert_eq!(estimate.basis, RtoBasis::BackupThroughput);
    assert!(estimate.longest < HOUR, "backups are fast, which proves no restore: {estimate:?}");
    assert_eq!((weak.rto_status(), weak.rto_compliant()), (RtoStatus::AtRisk, false));
    lose_and_restore(&world, &aegis, |_| ()).await;
    let proven = only(&aegis).await;
    assert_eq!(basis(&aegis).await, RtoBasis::SamePolicy);
    assert_eq!((proven.rto_status(), proven.is_compliant), (RtoStatus::Met, true));
}

#[tokio::test]
async fn with_no_usable_point_the_rto_is_unknown_whatever_was_restored_before() {
    let world = World::new();
    let aegis = world.engine();
    create_policy(&aegis).await;
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    lose_and_restore(&world, &aegis, |_| ()).await;
    assert_eq!(only(&aegis).await.rto_status(), RtoStatus::Met);
    let me = tenant(&aegis);
    let record = records(&aegis).await[0];
    let handle = me.record(record).await.unwrap().record.handle.clone();
    assert!(world.driver.damage(&handle, VerificationLevel::Checksummed));
    me.verify_record(record, VerificationLevel::Checksummed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    let policy = only(&aegis).await;
    assert_eq!((policy.rto_status(), policy.rto_compliant()), (RtoStatus::Unknown, false));
    assert_eq!(policy.rto_estimated_hours(), None);
    assert!(policy.issue.unwrap().starts_with("Nothing usable can be restored"));
}

#[tokio::test]
async fn a_restore_of_a_part_or_over_what_is_there_is_no_restore_of_the_policy() {
    let world = World::new();
    let aegis = world.engine();
    create_policy(&aegis).await;
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    lose_and_restore(&world, &aegis, |plan| plan.options.paths = vec!["a.txt".to_owned()]).await;
    assert_eq!(basis(&aegis).await, RtoBasis::SameLocation);
    let plan = NewPlan::new(name("the rest"), records(&aegis).await[0]);
    let plan = tenant(&aegis).create_plan(plan).await.unwrap().plan.id;
    tenant(&aegis).execute_plan(plan, Execute::Confirmed).await.unwrap();
    world.run(&aegis, 5 * MINUTE).await;
    assert_eq!(basis(&aegis).await, RtoBasis::SameLocation, "a.txt was there already");
}

#[tokio::test]
async fn a_restore_into_another_cluster_is_weaker_than_one_into_the_policys_own() {
    let world = World::new();
    let aegis = world.builder().cluster("lab", Arc::new(world.driver.clone())).build().unwrap();
    create_policy(&aegis).await;
    world.run(&aegis, HOUR + 10 * MINUTE).await;
    let lab = aegis_core::model::ClusterName::new("lab").unwrap();
    lose_and_restore(&world, &aegis, |plan| plan.target_cluster = Some(lab)).await;
    assert_eq!(basis(&aegis).await, RtoBasis::SamePolicyElsewhere);
    lose_and_restore(&world, &aegis, |_| ()).await;
    assert_eq!(basis(&aegis).await, RtoBasis::SamePolicy);
}

#[tokio::test]
async fn without_a_measurement_the_operators_assumption_counts_and_is_never_compliant() {
    let world = World::new();
    let default = TenantId::new("default").unwrap();
    let assumed = ClusterOptions::for_tenants([default.clone()]).with_assumed_restore_time(20 * MINUTE);
    let aegis = Aegis::builder()
        .store(Arc::clone(&world.store) as _)
        .clock(Arc::new(world.clock.clone()))
        .cluster_with("local", Arc::new(world.driver.clone()), assumed)
        .storage(Arc::clone(&world.storage) as _)
        .tenant(default, TenantOptions::default().with_decision_time(10 * MINUTE))
        .options(options())
        .seed([1; 32])
        .build()
        .unwrap();
    world.backup(&aegis).await;
    create_policy(&aegis).await;
    let policy = only(&aegis).await;
    let estimate = policy.rto.unwrap().estimate.unwrap();
    assert_eq!((estimate.basis, estimate.p90), (RtoBasis::Assumption, 30 * MINUTE));
    assert_eq!(estimate.decision_time, 10 * MINUTE, "what people need is shown beside it");
    assert_eq!((policy.rto_status(), policy.rto_compliant()), (RtoStatus::AtRisk, false));
}
