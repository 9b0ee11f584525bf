//! Several engines over one store: nothing runs twice, and what one leaves another takes up.

use std::{collections::HashSet, sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, EngineOptions, Running},
    model::{EventKind, JobStatus, Position, SlotOutcome},
    seams::{Clock, JobQuery, RecordQuery, Scope, Window},
    testing::{MutantStore, StoreMutation},
};
use futures::StreamExt;

use crate::world::{World, new_job, new_policy, tenant};

const MINUTE: Duration = Duration::from_secs(60);
/// How long the work of an engine that died may lie idle: its leases, and a look at who holds them.
const TAKEOVER: Duration = Duration::from_secs(16);

/// Engines over one store with the options that they have by default.
fn replicas<const N: usize>(world: &World) -> [Aegis; N] {
    std::array::from_fn(|n| {
        let seed = u8::try_from(n).unwrap() + 10;
        let holder = format!("replica-{n}");
        world.builder().options(EngineOptions::default()).seed([seed; 32]).holder(holder).build().unwrap()
    })
}

fn start<const N: usize>(engines: &[Aegis; N]) -> [Running; N] {
    engines.each_ref().map(Aegis::start)
}

/// Each operation of each job was begun once, and each slot ran one job.
async fn nothing_ran_twice(world: &World, aegis: &Aegis) {
    let jobs = tenant(aegis).jobs(JobQuery::new(Scope::Everyone)).await.unwrap().items;
    for attempt in jobs.iter().flat_map(|job| &job.attempts) {
        assert_eq!(world.driver.effects(attempt.operation).begun, 1, "of {}", attempt.name);
    }
    let attempts: usize = jobs.iter().map(|job| job.attempts.len()).sum();
    assert_eq!(world.driver.begun().len(), attempts, "the driver began what no job knows of");
}

#[tokio::test]
async fn schedules_fire_once_however_many_engines_run() {
    let world = World::new();
    let engines = replicas::<3>(&world);
    let policy = tenant(&engines[1]).create_policy(new_policy("often", 600)).await.unwrap().policy.id;
    let _running = start(&engines);
    world.clock.run_for(125 * MINUTE).await;
    let slots = tenant(&engines[2]).slots(policy, Window::first(100)).await.unwrap().items;
    let jobs: HashSet<_> = slots
        .iter()
        .map(|slot| match slot.outcome {
            SlotOutcome::Ran { job } => job,
            ref other => panic!("{:?} came to {other:?}", slot.nominal_at),
        })
        .collect();
    assert_eq!((slots.len(), jobs.len()), (12, 12));
    nothing_ran_twice(&world, &engines[0]).await;
    let records = tenant(&engines[0]).records(RecordQuery::new(Scope::Everyone)).await.unwrap().items;
    let made: HashSet<_> = records.iter().map(|view| view.record.job).collect();
    assert_eq!((records.len(), made), (12, jobs));
}

#[tokio::test]
async fn a_job_that_another_engine_was_given_starts_at_once() {
    let world = World::new();
    let [first, second] = replicas::<2>(&world);
    let _running = first.start();
    world.clock.run_for(MINUTE).await;
    let job = tenant(&second).create_job(new_job("manual")).await.unwrap().job.id;
    world.clock.run_for(Duration::from_millis(50)).await;
    assert_eq!(tenant(&second).job(job).await.unwrap().job.status, JobStatus::InProgress);
}

#[tokio::test]
async fn hints_that_are_lost_cost_time_and_nothing_else() {
    let mut world = World::new();
    world.store = Arc::new(MutantStore::new(world.store, StoreMutation::HintsAreLost));
    let [first, second] = replicas::<2>(&world);
    let _running = first.start();
    // Between two looks of its own.
    world.clock.run_for(MINUTE + EngineOptions::default().idle_interval / 2).await;
    let job = tenant(&second).create_job(new_job("manual")).await.unwrap().job.id;
    let status = async || tenant(&second).job(job).await.unwrap().job.status;
    world.clock.run_for(Duration::from_millis(50)).await;
    assert_eq!(status().await, JobStatus::Pending);
    world.clock.run_for(EngineOptions::default().idle_interval).await;
    assert_eq!(status().await, JobStatus::InProgress);
}

#[tokio::test]
async fn what_an_engine_gives_back_another_takes_at_once() {
    let world = World::new();
    let [first, second] = replicas::<2>(&world);
    let leaving = first.start();
    world.clock.run_for(MINUTE).await;
    let _staying = second.start();
    world.clock.run_for(Duration::from_secs(5)).await;
    world.clock.drive(leaving.shutdown()).await;
    let job = tenant(&second).create_job(new_job("manual")).await.unwrap().job.id;
    world.clock.run_for(Duration::from_millis(50)).await;
    assert_eq!(tenant(&second).job(job).await.unwrap().job.status, JobStatus::InProgress);
}

#[tokio::test]
async fn work_moves_on_when_an_engine_dies_without_a_word() {
    let world = World::new();
    let [first, second] = replicas::<2>(&world);
    let dying = first.start();
    world.clock.run_for(MINUTE).await;
    let _heir = second.start();
    let begun = tenant(&second).create_job(new_job("begun")).await.unwrap().job.id;
    world.clock.run_for(2 * Duration::from_secs(1)).await;
    drop(dying);
    let waiting = tenant(&second).create_job(new_job("waiting")).await.unwrap().job.id;
    world.clock.run_for(TAKEOVER).await;
    let status = tenant(&second).job(waiting).await.unwrap().job.status;
    assert_ne!(status, JobStatus::Pending, "the heir starts what waits within a lease");
    world.clock.run_for(30 * MINUTE).await;
    for job in [begun, waiting] {
        let job = tenant(&second).job(job).await.unwrap().job;
        assert_eq!((job.status, job.attempts.len()), (JobStatus::Completed, 1));
    }
    nothing_ran_twice(&world, &second).await;
}

#[tokio::test]
async fn engines_that_die_in_turn_leave_every_slot_with_one_job() {
    let world = World::new();
    let engines = replicas::<2>(&world);
    let policy = tenant(&engines[0]).create_policy(new_policy("often", 600)).await.unwrap().policy.id;
    for turn in 0..12 {
        let [ending, staying] = if turn % 2 == 0 { [0, 1] } else { [1, 0] }.map(|n| engines[n].start());
        world.clock.run_for(7 * MINUTE).await;
        drop(ending);
        world.clock.run_for(5 * MINUTE).await;
        drop(staying);
    }
    let _running = engines[0].start();
    world.clock.run_for(30 * MINUTE).await;
    let slots = tenant(&engines[0]).slots(policy, Window::first(100)).await.unwrap().items;
    let mut jobs = HashSet::new();
    for slot in &slots {
        let SlotOutcome::Ran { job } = slot.outcome else { panic!("{slot:?} did not run") };
        assert!(jobs.insert(job), "two slots share a job");
    }
    assert!(slots.len() >= 14, "{} slots", slots.len());
    nothing_ran_twice(&world, &engines[0]).await;
}

#[tokio::test]
async fn events_reach_the_listeners_of_every_engine_within_seconds() {
    let world = World::new();
    let engines = replicas::<3>(&world);
    let _running = start(&engines);
    world.clock.run_for(Duration::from_secs(5)).await;
    let mut listening = engines.each_ref().map(|aegis| tenant(aegis).subscribe(Position::START));
    tenant(&engines[2]).create_job(new_job("manual")).await.unwrap();
    let before = world.clock.monotonic();
    for listener in &mut listening {
        let event = world.clock.drive(listener.next()).await.unwrap().unwrap();
        assert_eq!(event.event.kind, EventKind::JobCreated);
    }
    let waited = world.clock.monotonic().since(before);
    assert!(waited <= Duration::from_secs(3), "the last one heard of it after {waited:?}");
}

#[tokio::test]
async fn another_engine_seals_when_the_sealer_dies() {
    let world = World::new();
    let [first, second] = replicas::<2>(&world);
    let dying = first.start();
    world.clock.run_for(MINUTE).await;
    let _heir = second.start();
    world.clock.run_for(Duration::from_secs(1)).await;
    drop(dying);
    tenant(&second).create_job(new_job("manual")).await.unwrap();
    let mut listening = tenant(&second).subscribe(Position::START);
    let before = world.clock.monotonic();
    world.clock.drive(listening.next()).await.unwrap().unwrap();
    let waited = world.clock.monotonic().since(before);
    assert!(waited <= TAKEOVER, "sealed only after {waited:?}");
}
