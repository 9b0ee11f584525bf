//! What of a cluster is protected.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Coverage, PolicyChange},
    model::{NamespaceName, NamespaceSelection},
    rules::health::CoverageFacts,
    seams::ErrorClass,
    testing::{Fault, FaultPlan, FaultPoint, FaultyDriver, ScriptedDriver},
};

use crate::world::{World, local, namespace, new_policy, tenant};

async fn coverage(aegis: &aegis_core::engine::Aegis) -> Vec<(NamespaceName, String)> {
    let Coverage::Known(namespaces) = tenant(aegis).coverage(&local()).await.unwrap().coverage else {
        panic!("the driver lists its namespaces");
    };
    namespaces.into_iter().map(|(name, coverage)| (name, coverage.to_string())).collect()
}

fn of<'a>(coverage: &'a [(NamespaceName, String)], name: &str) -> &'a str {
    &coverage.iter().find(|(known, _)| *known == namespace(name)).unwrap().1
}

#[tokio::test]
async fn a_namespace_is_protected_from_its_first_usable_backup_on() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy;
    let before = coverage(&aegis).await;
    assert!(of(&before, "app").starts_with("unprotected: `hourly` has no usable backup"), "{before:?}");
    assert!(of(&before, "db").starts_with("unprotected: no policy selects it"), "{before:?}");
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    assert_eq!(of(&coverage(&aegis).await, "app"), "protected by `hourly`");
    let facts = me.coverage(&local()).await.unwrap().coverage.facts();
    assert_eq!(facts, CoverageFacts::Known { protected: 1, discovered: 2 });
    let mut off = PolicyChange::default();
    off.enabled = Some(false);
    me.update_policy(policy.id, off).await.unwrap();
    assert!(of(&coverage(&aegis).await, "app").starts_with("unprotected: only `hourly` would"));
}

#[tokio::test]
async fn a_namespace_that_came_after_the_last_backup_is_not_protected_yet() {
    let world = World::new();
    let aegis = world.engine();
    let mut new = new_policy("all", 3600);
    new.namespaces = NamespaceSelection::new(["*"], ["db"]).unwrap();
    tenant(&aegis).create_policy(new).await.unwrap();
    world.run(&aegis, Duration::from_secs(3600 + 300)).await;
    let _: ScriptedDriver = world.driver.clone().with_namespace(namespace("new"), [("a", "b")]);
    let now = coverage(&aegis).await;
    assert_eq!(of(&now, "app"), "protected by `all`");
    assert_eq!(of(&now, "db"), "excluded by the pattern `db` of policy `all`");
    let new = of(&now, "new");
    assert!(new.starts_with("unprotected, new since 2026-02-06T17:05:00Z: `all` has no usable"), "{new}");
}

#[tokio::test]
async fn a_namespace_that_appeared_is_called_new_for_the_grace_time_and_then_no_more() {
    let world = World::new();
    let aegis = world.engine();
    world.run(&aegis, Duration::from_secs(600)).await;
    let _: ScriptedDriver = world.driver.clone().with_namespace(namespace("late"), [("a", "b")]);
    world.clock.advance(Duration::from_secs(60));
    aegis.pass().await;
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    let now = coverage(&aegis).await;
    assert!(
        of(&now, "late").starts_with("unprotected, new since 2026-02-06T16:11:00Z: no policy"),
        "{now:?}"
    );
    assert!(of(&now, "db").starts_with("unprotected: no policy"), "it was there at first: {now:?}");
    let summary = tenant(&aegis).coverage(&local()).await.unwrap().coverage.facts();
    assert_eq!(summary, CoverageFacts::Known { protected: 0, discovered: 3 });
    world.clock.advance(Duration::from_secs(1));
    assert!(of(&coverage(&aegis).await, "late").starts_with("unprotected: no policy"));
}

#[tokio::test]
async fn what_the_driver_can_not_list_is_unknown_and_not_uncovered() {
    let world = World::new();
    let aegis = world.engine();
    world.driver.cut_off();
    let coverage = tenant(&aegis).coverage(&local()).await.unwrap().coverage;
    assert_eq!(coverage.facts(), CoverageFacts::Unknown);
    let Coverage::Unknown { reason } = coverage else { panic!("nothing is known") };
    assert!(reason.contains("cut off"), "{reason}");
}

#[tokio::test]
async fn why_the_driver_is_silent_is_said_without_what_lies_beneath_it() {
    let world = World::new();
    let plan =
        FaultPlan::seeded(1, Arc::new(world.clock.clone())).at(FaultPoint::DriverRead, 1, Fault::Refuse);
    let driver = FaultyDriver::new(Arc::new(world.driver.clone()), plan);
    let aegis = world.builder_over(Arc::new(driver)).build().unwrap();
    let Coverage::Unknown { reason } = tenant(&aegis).coverage(&local()).await.unwrap().coverage else {
        panic!("nothing is known")
    };
    assert!(!reason.is_empty() && !reason.contains("injected"), "{reason}");
}

#[tokio::test]
async fn the_coverage_of_a_cluster_that_is_not_the_tenants_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let other = aegis_core::model::ClusterName::new("elsewhere").unwrap();
    let error = tenant(&aegis).coverage(&other).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}
