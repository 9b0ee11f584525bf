//! The event log and those who read it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::{ChainHash, EventKind, Position, SealedEvent},
    seams::{Clock, ErrorClass, Notifier, NotifyError},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStore},
};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt};

use crate::world::{World, tenant};

#[tokio::test]
async fn a_listener_that_comes_back_misses_nothing_and_sees_nothing_twice() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    let me = tenant(&aegis);
    let all = me.events(Position::START, 1000).await.unwrap();
    let (seen, rest) = all.split_at(2);
    let resumed: Vec<_> = me.subscribe(seen[1].position).take(rest.len()).collect().await;
    let resumed: Vec<_> = resumed.into_iter().map(Result::unwrap).collect();
    assert_eq!(resumed, rest);
}

/// Refuses the first event, is away for the second once, and takes the rest.
#[derive(Debug, Default)]
struct Moody {
    calls: Mutex<Vec<Position>>,
}

#[async_trait]
impl Notifier for Moody {
    fn name(&self) -> &str {
        "moody"
    }

    async fn notify(&self, event: &SealedEvent) -> Result<(), NotifyError> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(event.position);
        match calls.len() {
            1 => Err(NotifyError::Refused { reason: "no such channel".to_owned() }),
            2 => Err(NotifyError::Unavailable { source: "away".into() }),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_notifier_gets_every_event_in_order_and_again_what_it_could_not_take() {
    let world = World::new();
    let moody = Arc::new(Moody::default());
    let aegis = world.builder().notifier(Arc::clone(&moody) as Arc<dyn Notifier>).build().unwrap();
    world.backup(&aegis).await;
    world.run(&aegis, Duration::from_secs(60)).await;
    let calls: Vec<u64> = moody.calls.lock().unwrap().iter().map(|position| position.0).collect();
    let all = tenant(&aegis).events(Position::START, 1000).await.unwrap();
    let expected: Vec<u64> = [1, 2].into_iter().chain(2..=all.last().unwrap().position.0).collect();
    assert_eq!(calls[..expected.len()], expected);
    let refused = tenant(&aegis).dead_letters().await.unwrap();
    let [refused] = &*refused else { panic!("{refused:?}") };
    assert_eq!(
        (&*refused.notifier, refused.position, &*refused.reason),
        ("moody", Position(1), "no such channel")
    );
}

/// Is away for ever.
#[derive(Debug, Default)]
struct Away {
    asked: Mutex<Vec<Duration>>,
    clock: Mutex<Option<aegis_core::testing::ManualClock>>,
}

#[async_trait]
impl Notifier for Away {
    fn name(&self) -> &str {
        "away"
    }

    async fn notify(&self, _: &SealedEvent) -> Result<(), NotifyError> {
        let now = self.clock.lock().unwrap().as_ref().unwrap().monotonic();
        self.asked.lock().unwrap().push(now.elapsed());
        Err(NotifyError::Unavailable { source: "away".into() })
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_is_asked_less_and_less_often() {
    let world = World::new();
    let away = Arc::new(Away::default());
    *away.clock.lock().unwrap() = Some(world.clock.clone());
    let aegis = world.builder().notifier(Arc::clone(&away) as Arc<dyn Notifier>).build().unwrap();
    world.backup(&aegis).await;
    for _second in 0..3600 {
        world.run(&aegis, Duration::from_secs(1)).await;
    }
    let asked = away.asked.lock().unwrap().clone();
    assert!((8..30).contains(&asked.len()), "{asked:?}");
    let pauses: Vec<_> = asked.array_windows().map(|[one, next]| *next - *one).collect();
    assert!(pauses.array_windows().take(8).all(|[one, next]| next >= one), "{pauses:?}");
}

#[tokio::test]
async fn the_events_of_a_backup_tell_its_story_in_order_and_their_chain_verifies() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    world.run(&aegis, Duration::from_secs(1)).await;
    let events = tenant(&aegis).events(Position::START, 1000).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|sealed| sealed.event.kind).collect();
    let story =
        [EventKind::JobCreated, EventKind::JobStarted, EventKind::JobCompleted, EventKind::RecordCreated];
    let told: Vec<_> = kinds.iter().filter(|kind| story.contains(kind)).copied().collect();
    assert_eq!(told, story);
    let mut head = ChainHash::GENESIS;
    for sealed in &events {
        head = head.link(&sealed.event, sealed.position).unwrap();
        assert_eq!(head, sealed.hash, "at position {}", sealed.position);
    }
}

#[tokio::test]
async fn a_listener_is_told_of_a_failing_store_waits_longer_each_time_and_misses_nothing() {
    let world = World::new();
    let writer = world.engine();
    world.backup(&writer).await;
    let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone())).with_probability_at(
        [FaultPoint::StoreRead],
        1.0,
        Fault::Refuse,
    );
    let flaky = FaultyStore::new(Arc::clone(&world.store), plan.clone());
    let aegis = world.builder().store(Arc::new(flaky)).seed([9; 32]).holder("flaky").build().unwrap();
    let mut listening = tenant(&aegis).subscribe(Position::START);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let before = world.clock.monotonic();
        let told = world.clock.drive(listening.next()).await.unwrap();
        assert_eq!(told.unwrap_err().class(), ErrorClass::Unavailable);
        pauses.push(world.clock.monotonic().since(before).as_secs());
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30]);
    plan.heal();
    let first = world.clock.drive(listening.next()).await.unwrap().unwrap();
    assert_eq!(first.position, Position(1));
}

#[tokio::test]
async fn a_loop_that_panics_begins_again_and_loses_nothing() {
    /// Panics over the first event, once.
    #[derive(Debug, Default)]
    struct Fragile {
        calls: Mutex<Vec<Position>>,
    }

    #[async_trait]
    impl Notifier for Fragile {
        fn name(&self) -> &str {
            "fragile"
        }

        async fn notify(&self, event: &SealedEvent) -> Result<(), NotifyError> {
            let first = {
                let mut calls = self.calls.lock().unwrap();
                calls.push(event.position);
                calls.len() == 1
            };
            assert!(!first, "a notifier that panics");
            Ok(())
        }
    }

    let world = World::new();
    let fragile = Arc::new(Fragile::default());
    let aegis = world.builder().notifier(Arc::clone(&fragile) as Arc<dyn Notifier>).build().unwrap();
    let mut running = aegis.start();
    tenant(&aegis).create_job(crate::world::new_job("manual")).await.unwrap();
    world.clock.run_for(Duration::from_secs(30)).await;
    let calls: Vec<u64> = fragile.calls.lock().unwrap().iter().map(|position| position.0).collect();
    assert_eq!(calls[..3], [1, 1, 2], "the event that it panicked over comes again");
    assert!(running.ended().now_or_never().is_none(), "no loop has ended");
}
