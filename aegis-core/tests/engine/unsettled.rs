//! Changes of which the engine can't tell at once whether they were made.

use std::{future::Future, sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, EngineError, HoldRequest, Manifest, NewPlan, Tenant},
    model::{Position, RecordId},
    seams::{Clock, ErrorClass, JobQuery, ListOptions, Scope},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStorage, FaultyStore},
};

use crate::world::{World, name, new_job, new_policy, options, tenant};

fn plan(world: &World) -> FaultPlan {
    FaultPlan::seeded(1, Arc::new(world.clock.clone()))
}

/// Another engine over the world's store, whose calls to it go wrong as `plan` says.
fn faulty(world: &World, plan: &FaultPlan) -> Aegis {
    let store = FaultyStore::new(Arc::clone(&world.store), plan.clone());
    world.builder().store(Arc::new(store)).seed([3; 32]).holder("faulty").build().unwrap()
}

async fn jobs(world: &World) -> usize {
    world.store.jobs(&JobQuery::new(Scope::Everyone)).await.unwrap().items.len()
}

#[tokio::test]
async fn a_commit_of_unknown_fate_is_made_again_while_the_store_is_away() {
    let world = World::new();
    let plan = plan(&world).at(FaultPoint::Commit, 1, Fault::LoseAnswer);
    let plan = plan.at(FaultPoint::Commit, 2, Fault::Refuse).at(FaultPoint::Commit, 3, Fault::Refuse);
    let aegis = faulty(&world, &plan);
    world.clock.drive(tenant(&aegis).create_job(new_job("manual"))).await.unwrap();
    assert_eq!(plan.happened().len(), 3);
    assert_eq!(jobs(&world).await, 1);
}

#[tokio::test]
async fn a_commit_of_unknown_fate_is_never_said_to_have_changed_nothing() {
    let world = World::new();
    let plan = plan(&world).with_probability_at([FaultPoint::Commit], 1.0, Fault::Refuse);
    let plan = plan.at(FaultPoint::Commit, 1, Fault::LoseAnswer);
    let me = tenant(&faulty(&world, &plan));
    let error = world.clock.drive(me.create_job(new_job("manual"))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Indeterminate);
    assert_eq!(jobs(&world).await, 1);
}

#[tokio::test]
async fn a_commit_that_never_left_is_the_callers_to_make_again_at_once() {
    let world = World::new();
    let plan = plan(&world).with_probability_at([FaultPoint::Commit], 1.0, Fault::Refuse);
    let error = tenant(&faulty(&world, &plan)).create_job(new_job("manual")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert_eq!((plan.happened().len(), jobs(&world).await), (1, 0));
}

/// Makes a call again and again, with each of its reads failing in turn, until it goes well: whenever
/// it says that nothing was changed, nothing was.
async fn is_honest<T, F>(call: impl Fn(World, Tenant, RecordId) -> F)
where
    F: Future<Output = Result<T, EngineError>>,
{
    for read in 1..100 {
        let world = World::new();
        let record = world.backup(&world.engine()).await.job.result.as_ref().unwrap().record;
        let plan = plan(&world).at(FaultPoint::StoreRead, read, Fault::Refuse);
        let me = tenant(&faulty(&world, &plan));
        let Err(error) = call(world, me, record).await else {
            assert!(read > 1, "no read failed");
            return;
        };
        let changed = plan.writes() > 0;
        let expected = if changed { ErrorClass::Indeterminate } else { ErrorClass::Unavailable };
        assert_eq!(error.class(), expected, "read {read} failed, changed: {changed}");
    }
    panic!("it never went well");
}

#[tokio::test]
async fn what_was_changed_is_never_said_to_be_unchanged_since_it_can_not_be_read_back() {
    is_honest(async |_, me, _| me.create_job(new_job("manual")).await).await;
    is_honest(async |_, me, _| me.create_policy(new_policy("nightly", 3600)).await).await;
    is_honest(async |_, me, record| me.protect_record(record, true).await).await;
    is_honest(async |_, me, record| me.create_plan(NewPlan::new("recover".parse().unwrap(), record)).await)
        .await;
    is_honest(async |world, me, _| {
        let job = tenant(&world.other_engine()).create_job(new_job("manual")).await?;
        me.cancel_job(job.job.id).await
    })
    .await;
}

#[tokio::test]
async fn events_are_sealed_while_pruning_fails() {
    let world = World::new();
    let aegis = faulty(&world, &plan(&world).with_probability_at([FaultPoint::Prune], 1.0, Fault::Refuse));
    tenant(&aegis).create_job(new_job("manual")).await.unwrap();
    world.pass(&aegis).await;
    assert!(!world.store.events(&Scope::Everyone, Position::START, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_sealed_while_pruning_takes_its_time() {
    let world = World::new();
    let slow = Fault::Delay(Duration::from_secs(3600));
    let aegis = faulty(&world, &plan(&world).with_probability_at([FaultPoint::Prune], 1.0, slow));
    let running = aegis.start();
    tenant(&aegis).create_job(new_job("manual")).await.unwrap();
    world.clock.run_for(Duration::from_secs(5)).await;
    assert!(!world.store.events(&Scope::Everyone, Position::START, 10).await.unwrap().is_empty());
    drop(running);
}

/// The one manifest in the world's storage.
async fn manifest(world: &World) -> Manifest {
    let page = world.storage.list(&ListOptions::default()).await.unwrap();
    let mut manifests =
        page.objects.into_iter().filter(|object| object.key.as_str().ends_with("manifest.json"));
    let key = manifests.next().unwrap().key;
    assert!(manifests.next().is_none());
    serde_json::from_slice(&world.storage.get(&key).await.unwrap().1).unwrap()
}

#[tokio::test]
async fn a_keeper_that_was_held_up_writes_nothing_old_over_what_another_wrote_since() {
    let world = World::new();
    let prompt = world.engine();
    let record = world.backup(&prompt).await.job.result.as_ref().unwrap().record;
    world.run(&prompt, Duration::from_secs(1)).await;
    let audit = HoldRequest { name: name("audit"), reason: "a test".to_owned(), until: None };
    tenant(&prompt).hold_record(record, audit).await.unwrap();
    let half_an_hour = Duration::from_secs(1800);
    let plan = plan(&world).with_probability_at([FaultPoint::Put], 1.0, Fault::Delay(2 * half_an_hour));
    let storage = Arc::new(FaultyStorage::new(Arc::clone(&world.storage), plan.clone()));
    let late = Aegis::builder()
        .store(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .cluster("local", Arc::new(world.driver.clone()))
        .storage(storage)
        .options(options())
        .seed([3; 32])
        .build()
        .unwrap();
    world.clock.advance(half_an_hour);
    let overtaking = async {
        world.clock.sleep(half_an_hour).await;
        tenant(&prompt).release_record(record, &name("audit")).await.unwrap();
        prompt.pass().await;
        assert_eq!(manifest(&world).await.record.holds.len(), 0);
    };
    world.clock.drive(futures::future::join(late.pass(), overtaking)).await;
    assert!(!plan.happened().is_empty(), "no keeper was held up");
    assert_eq!(manifest(&world).await.record.holds.len(), 0);
}
