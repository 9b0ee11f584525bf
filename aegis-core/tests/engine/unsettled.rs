//! Changes of which the engine can't tell at once whether they were made.

use std::{future::Future, sync::Arc};

use aegis_core::{
    engine::{Aegis, EngineError, NewPlan, Tenant},
    model::RecordId,
    seams::{ErrorClass, JobQuery, Scope},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore},
};

use crate::world::{World, new_job, new_policy, tenant};

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
