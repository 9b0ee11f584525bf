//! A lost catalogue comes back from storage.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::HoldRequest,
    seams::{RecordQuery, Scope},
};
use aegis_store_memory::MemoryStore;

use crate::world::{World, local, location, name, new_job, new_policy, tenant};

/// The same driver and storage with an empty store.
fn without_catalogue(world: &World) -> World {
    World {
        clock: world.clock.clone(),
        store: Arc::new(MemoryStore::new(Arc::new(world.clock.clone()))),
        driver: world.driver.clone(),
        storage: Arc::clone(&world.storage),
    }
}

#[tokio::test]
async fn a_lost_catalogue_is_rebuilt_with_holds_and_policies_switched_off() {
    let world = World::new();
    let aegis = world.engine();
    let me = tenant(&aegis);
    let policy = me.create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(2 * 3600 + 300)).await;
    let before = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let hold = HoldRequest { name: name("audit"), reason: "asked for".to_owned(), until: None };
    me.hold_record(before[0].record.id, hold).await.unwrap();
    world.run(&aegis, Duration::from_secs(1)).await;

    let world = without_catalogue(&world);
    let aegis = world.engine();
    let me = tenant(&aegis);
    let rebuilt = me.rebuild(&local(), &location()).await.unwrap();
    assert_eq!((rebuilt.records, rebuilt.known, rebuilt.policies), (2, 0, 1));
    assert!(rebuilt.without_data.is_empty() && rebuilt.unreadable.is_empty());
    let after = me.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    assert_eq!(after.len(), before.len());
    let held = me.record(before[0].record.id).await.unwrap();
    assert_eq!(held.record.holds.len(), 1);
    assert!(held.is_restorable);
    let view = me.policy(policy).await.unwrap();
    assert!(!view.policy.enabled);
    let newest = after.iter().map(|view| view.record.recovery_point.at).max();
    let state = view.state.unwrap();
    assert_eq!(state.newest_usable.map(|point| point.recovery_point_at), newest);
    assert_eq!(state.last_success_at, before.iter().map(|view| view.record.created_at).max());
    assert!(me.is_retention_frozen().await.unwrap());
}

#[tokio::test]
async fn a_manifest_that_names_another_tenants_things_is_refused() {
    let world = World::new();
    let aegis = world.engine();
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let artifact = tenant(&aegis).record(record).await.unwrap().record.artifact.clone();
    let key = aegis_core::seams::ObjectKey::new(format!("{artifact}/manifest.json")).unwrap();
    let (_, bytes) = world.storage.get(&key).await.unwrap();
    let mut manifest: aegis_core::engine::Manifest = serde_json::from_slice(&bytes).unwrap();
    manifest.job.tenant = aegis_core::model::TenantId::new("victim").unwrap();
    let forged = serde_json::to_vec(&manifest).unwrap();
    world.storage.put(&key, forged.into(), aegis_core::seams::PutMode::Overwrite).await.unwrap();

    let world = without_catalogue(&world);
    let aegis = world.engine();
    let rebuilt = tenant(&aegis).rebuild(&local(), &location()).await.unwrap();
    assert_eq!(rebuilt.records, 0);
    assert!(rebuilt.unreadable[0].contains("not the record's"), "{:?}", rebuilt.unreadable);
}

#[tokio::test]
async fn rebuilding_twice_changes_nothing() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    let world = without_catalogue(&world);
    let aegis = world.engine();
    let me = tenant(&aegis);
    me.rebuild(&local(), &location()).await.unwrap();
    let again = me.rebuild(&local(), &location()).await.unwrap();
    assert_eq!((again.records, again.known), (0, 1));
}

#[tokio::test]
async fn a_manifest_without_data_and_data_without_a_manifest_are_named_and_do_not_count() {
    let world = World::new();
    let aegis = world.engine();
    let record = world.backup(&aegis).await.job.result.as_ref().unwrap().record;
    let handle = tenant(&aegis).record(record).await.unwrap().record.handle.clone();
    assert!(world.driver.vanish(&handle));
    world.driver.add_foreign_backup("foreign", location(), crate::world::START);
    let world = without_catalogue(&world);
    let aegis = world.engine();
    let rebuilt = tenant(&aegis).rebuild(&local(), &location()).await.unwrap();
    assert_eq!(rebuilt.records, 0);
    assert_eq!(rebuilt.without_data.len(), 1);
    assert_eq!(rebuilt.without_manifest, ["foreign"]);
}

#[tokio::test]
async fn records_come_back_although_another_policy_has_taken_the_name_of_theirs() {
    let world = World::new();
    let aegis = world.engine();
    let policy = tenant(&aegis).create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(2 * 3600 + 300)).await;

    let world = without_catalogue(&world);
    let aegis = world.builder().seed([3; 32]).build().unwrap();
    let me = tenant(&aegis);
    me.create_policy(new_policy("hourly", 3600)).await.unwrap();
    let rebuilt = me.rebuild(&local(), &location()).await.unwrap();
    assert_eq!((rebuilt.records, rebuilt.known, rebuilt.policies), (2, 0, 1));
    assert_ne!(me.policy(policy).await.unwrap().policy.name, name("hourly"));
}

#[tokio::test]
async fn a_location_below_the_configured_one_is_rebuilt_from_its_own_manifests() {
    let world = World::new();
    let aegis = world.engine();
    let below: aegis_core::model::StorageUri = "s3://backups/local/team/".parse().unwrap();
    let mut new = new_job("manual");
    new.location = Some(below.clone());
    let job = tenant(&aegis).create_job(new).await.unwrap().job.id;
    world.end(&aegis, job).await;

    let world = without_catalogue(&world);
    let aegis = world.engine();
    let rebuilt = tenant(&aegis).rebuild(&local(), &below).await.unwrap();
    assert_eq!((rebuilt.records, rebuilt.without_manifest.len()), (1, 0));
}

#[tokio::test]
async fn the_records_of_a_rebuilt_policy_are_judged_again_once_retention_is_resumed() {
    let world = World::new();
    let aegis = world.engine();
    let policy = tenant(&aegis).create_policy(new_policy("hourly", 3600)).await.unwrap().policy.id;
    world.run(&aegis, Duration::from_secs(2 * 3600 + 300)).await;
    let world = without_catalogue(&world);
    let aegis = world.engine();
    let me = tenant(&aegis);
    me.rebuild(&local(), &location()).await.unwrap();
    let judged = async || me.policy(policy).await.unwrap().state.unwrap().last_sweep_at;
    world.run(&aegis, Duration::from_secs(2 * 3600)).await;
    assert_eq!(judged().await, None, "retention is frozen");
    me.resume_retention().await.unwrap();
    world.run(&aegis, Duration::from_secs(2 * 3600)).await;
    assert!(judged().await.is_some());
}
