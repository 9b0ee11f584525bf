//! The event log and those who read it.

use std::time::Duration;

use aegis_core::model::{ChainHash, EventKind, Position};
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
