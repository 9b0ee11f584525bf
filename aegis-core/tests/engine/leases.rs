//! Several engines, crashes and pauses: no effect counts twice.

use std::time::Duration;

use aegis_core::{
    model::JobStatus,
    seams::{RecordQuery, Scope},
};

use crate::world::{World, new_job, tenant};

#[tokio::test]
async fn of_two_engines_only_the_holder_of_the_lease_acts() {
    let world = World::new();
    let (one, two) = (world.engine(), world.other_engine());
    one.pass().await;
    let job = tenant(&two).create_job(new_job("manual")).await.unwrap().job;
    two.pass().await;
    assert_eq!(tenant(&two).job(job.id).await.unwrap().job.status, JobStatus::Pending);
    one.pass().await;
    assert_eq!(tenant(&two).job(job.id).await.unwrap().job.status, JobStatus::InProgress);
}

#[tokio::test]
async fn another_engine_takes_over_what_a_dead_one_began() {
    let world = World::new();
    let dead = world.engine();
    let job = tenant(&dead).create_job(new_job("manual")).await.unwrap().job;
    dead.pass().await;
    drop(dead);
    let heir = world.other_engine();
    let job = world.end(&heir, job.id).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(world.driver.effects(job.attempts[0].operation).begun, 1);
}

#[tokio::test]
async fn a_paused_engine_that_wakes_after_its_lease_changes_nothing() {
    let world = World::new();
    let (paused, heir) = (world.engine(), world.other_engine());
    paused.pass().await;
    let job = tenant(&heir).create_job(new_job("manual")).await.unwrap().job;
    world.clock.advance(Duration::from_secs(31));
    heir.pass().await;
    paused.pass().await;
    let job = world.end(&heir, job.id).await.job;
    assert_eq!(job.status, JobStatus::Completed);
    assert_eq!(world.driver.begun().len(), 1);
    let records = tenant(&heir).records(RecordQuery::new(Scope::Everyone)).await.unwrap();
    assert_eq!(records.items.len(), 1);
}

#[tokio::test]
async fn an_engine_that_shuts_down_gives_its_lease_back() {
    let world = World::new();
    let one = world.engine();
    let running = one.start();
    // The loops get the clock's attention once they sleep on it.
    while world.clock.sleepers() < 2 {
        tokio::task::yield_now().await;
    }
    running.shutdown().await;
    let two = world.other_engine();
    let job = tenant(&two).create_job(new_job("manual")).await.unwrap().job;
    two.pass().await;
    assert_eq!(tenant(&two).job(job.id).await.unwrap().job.status, JobStatus::InProgress);
}
