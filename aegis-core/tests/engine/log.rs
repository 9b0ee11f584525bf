//! The event log and those who read it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::{ChainHash, EventKind, Position, SealedEvent},
    seams::{Notifier, NotifyError},
};
use async_trait::async_trait;
use futures::StreamExt;

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
