//! The event log's beginning is let go where somebody said how long events are kept.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    engine::{Aegis, AegisBuilder, EngineOptions},
    model::{Position, SealedEvent},
    rules::LogFinding,
    seams::{
        Clock, ErrorClass, ListOptions, Notifier, NotifyError, ObjectKey, ReaderStep, Scope, StoreError,
    },
    testing::{Fault, FaultPlan, FaultPoint, FaultyStorage, FaultyStore, TamperedStore, Tampering},
};
use async_trait::async_trait;
use futures::StreamExt;

use crate::world::{World, new_job, options, tenant};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than the readers that count the last 30 days are behind.
const KEPT: Duration = Duration::from_secs(40 * 24 * 3600);

fn keeping() -> EngineOptions {
    let mut options = options();
    options.keep_events = Some(KEPT);
    options
}

fn builder(world: &World) -> AegisBuilder {
    world.builder().options(keeping())
}

/// A backup, its anchor, and so many days in which nothing happens.
async fn days(world: &World, aegis: &Aegis, days: u32) {
    world.backup(aegis).await;
    world.run(aegis, 2 * HOUR).await;
    world.clock.advance(days * DAY);
    world.run(aegis, 2 * HOUR).await;
}

async fn start(world: &World) -> Position {
    world.store.log_start().await.unwrap().position
}

/// What vouches in storage for where the log starts.
async fn vouching(world: &World) -> Vec<String> {
    let prefix = Some(ObjectKey::new("metadata/aegis-log-start").unwrap());
    let page = world.storage.list(&ListOptions { prefix, ..ListOptions::default() }).await.unwrap();
    page.objects.into_iter().map(|object| object.key.to_string()).collect()
}

#[tokio::test]
async fn events_older_than_they_are_kept_are_let_go_and_the_rest_still_verifies() {
    let world = World::new();
    let aegis = builder(&world).build().unwrap();
    days(&world, &aegis, 39).await;
    assert_eq!((start(&world).await, vouching(&world).await.len()), (Position::START, 0));
    days(&world, &aegis, 3).await;
    let start = start(&world).await;
    assert!(start > Position::START);
    let old = world.clock.now().saturating_sub(KEPT);
    let left = world.store.events(&Scope::Everyone, start, 2).await.unwrap();
    assert!(old.saturating_sub(2 * HOUR) <= left[0].event.at, "more could go");
    for verified in [aegis.verify_log().await.unwrap(), tenant(&aegis).verify_log().await.unwrap()] {
        assert_eq!(verified.findings, []);
        assert!(verified.chains.iter().all(|chain| chain.begins == start), "{verified}");
        assert!(verified.to_string().contains("were let go"), "{verified}");
    }
    let [vouching] = &*vouching(&world).await else { panic!("one start is vouched for, the newest") };
    assert!(vouching.contains(&format!("/{:020}-", start.0)), "{vouching}");
}

#[tokio::test]
async fn without_a_word_on_it_and_without_storage_nothing_is_let_go() {
    let world = World::new();
    let aegis = world.engine();
    days(&world, &aegis, 45).await;
    assert_eq!(start(&world).await, Position::START);
    let homeless = Aegis::builder()
        .store(Arc::clone(&world.store))
        .clock(Arc::new(world.clock.clone()))
        .cluster("local", Arc::new(world.driver.clone()))
        .options(keeping())
        .seed([3; 32])
        .holder("homeless")
        .build()
        .unwrap();
    world.run(&homeless, 3 * HOUR).await;
    assert_eq!(start(&world).await, Position::START);
}

#[tokio::test]
async fn tampering_after_and_before_the_start_is_found_still() {
    let world = World::new();
    let aegis = builder(&world).build().unwrap();
    days(&world, &aegis, 43).await;
    days(&world, &aegis, 0).await;
    let start = start(&world).await;
    let cases = [
        (Tampering::Change(start.next()), LogFinding::Changed { position: start.next() }),
        (Tampering::Remove(start.next()), LogFinding::Removed { from: start.next(), through: start.next() }),
        (Tampering::CutStart(start.next()), LogFinding::StartCutOff { start: start.next() }),
        (Tampering::ForgeStart(start), LogFinding::StartCutOff { start }),
    ];
    for (tampering, expected) in cases {
        let store = TamperedStore::new(Arc::clone(&world.store));
        store.tamper(tampering);
        let auditor = world.builder().store(Arc::new(store)).holder("auditor").build().unwrap();
        let verified = auditor.verify_log().await.unwrap();
        assert!(verified.findings.contains(&expected), "{tampering:?}: {verified}");
    }
}

#[tokio::test]
async fn a_log_that_was_changed_keeps_what_could_tell() {
    let world = World::new();
    let store = Arc::new(TamperedStore::new(Arc::clone(&world.store)));
    let aegis = builder(&world).store(Arc::clone(&store) as _).build().unwrap();
    days(&world, &aegis, 39).await;
    store.tamper(Tampering::Change(Position(3)));
    days(&world, &aegis, 5).await;
    assert_eq!(start(&world).await, Position::START);
    let verified = aegis.verify_log().await.unwrap();
    assert_eq!(verified.findings, [LogFinding::Changed { position: Position(3) }]);
}

/// A notifier that takes nothing, or everything and keeps the positions.
#[derive(Debug, Default)]
struct Ear {
    is_deaf: bool,
    heard: Mutex<Vec<Position>>,
}

#[async_trait]
impl Notifier for Ear {
    fn name(&self) -> &str {
        "ear"
    }

    async fn notify(&self, event: &SealedEvent) -> Result<(), NotifyError> {
        if self.is_deaf {
            return Err(NotifyError::Unavailable { source: "deaf".into() });
        }
        self.heard.lock().unwrap().push(event.position);
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_let_go_that_a_reader_of_this_engine_has_not_read() {
    let world = World::new();
    let deaf = Arc::new(Ear { is_deaf: true, ..Ear::default() });
    let aegis = builder(&world).notifier(deaf as _).build().unwrap();
    days(&world, &aegis, 44).await;
    assert_eq!(start(&world).await, Position::START);
}

#[tokio::test]
async fn a_reader_that_this_engine_does_not_know_holds_events_for_twice_the_time() {
    let world = World::new();
    let aegis = builder(&world).build().unwrap();
    world.backup(&aegis).await;
    let gone = ReaderStep::new("notifier/gone", Position::START, Position(2));
    world.store.advance_reader(gone).await.unwrap();
    days(&world, &aegis, 44).await;
    assert_eq!(start(&world).await, Position(2), "as far as it has read");
    days(&world, &aegis, 40).await;
    assert!(start(&world).await > Position(2));
}

#[tokio::test]
async fn whoever_reads_from_before_the_start_is_told_where_the_log_starts() {
    let world = World::new();
    let aegis = builder(&world).build().unwrap();
    days(&world, &aegis, 43).await;
    let start = start(&world).await;
    assert_eq!(aegis.log_start().await.unwrap(), start);
    let refused = tenant(&aegis).events(Position(1), 10).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::NotFound);
    let said = aegis_core::seams::report(&refused).to_string();
    assert!(said.contains("starts after"), "{said}");
    let mut stream = tenant(&aegis).subscribe(Position(1));
    assert!(matches!(stream.next().await, Some(Err(StoreError::LogPruned(from))) if from == start));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn whoever_reads_from_beyond_the_end_is_told_where_the_log_ends() {
    let world = World::new();
    let aegis = world.engine();
    world.backup(&aegis).await;
    let head = aegis.head().await.unwrap();
    let mut stream = tenant(&aegis).subscribe(head.next());
    assert!(matches!(stream.next().await, Some(Err(StoreError::LogEnds(end))) if end == head));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_notifier_that_comes_later_begins_where_the_log_starts() {
    let world = World::new();
    let aegis = builder(&world).build().unwrap();
    days(&world, &aegis, 43).await;
    let start = start(&world).await;
    let ear = Arc::new(Ear::default());
    let other = world.builder().notifier(Arc::clone(&ear) as _).seed([2; 32]).holder("two").build().unwrap();
    world.run(&other, HOUR).await;
    let heard = ear.heard.lock().unwrap().clone();
    assert_eq!(heard.first(), Some(&start.next()));
    assert!(heard.is_sorted());
}

#[tokio::test]
async fn an_engine_that_crashes_anywhere_while_it_lets_go_leaves_a_log_that_verifies() {
    for after in 0..12 {
        let world = World::new();
        let aegis = world.engine();
        days(&world, &aegis, 43).await;
        let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone()));
        plan.crash_after(after);
        let dying = Aegis::builder()
            .store(Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone())))
            .clock(Arc::new(world.clock.clone()))
            .cluster("local", Arc::new(world.driver.clone()))
            .storage(Arc::new(FaultyStorage::new(Arc::clone(&world.storage), plan)))
            .options(keeping())
            .seed([21; 32])
            .holder("dying")
            .build()
            .unwrap();
        world.clock.advance(HOUR);
        world.pass(&dying).await;
        let verified = world.engine().verify_log().await.unwrap();
        assert_eq!(verified.findings, [], "after {after} writes");
        world.clock.advance(HOUR);
        let heir = builder(&world).seed([22; 32]).holder("heir").build().unwrap();
        world.run(&heir, 2 * HOUR).await;
        assert!(start(&world).await > Position::START);
        assert_eq!(heir.verify_log().await.unwrap().findings, [], "after {after} writes");
    }
}

#[tokio::test]
async fn nothing_is_let_go_while_a_location_does_not_take_what_vouches_for_it() {
    let world = World::new();
    let aegis = world.engine();
    days(&world, &aegis, 43).await;
    let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone()));
    let full = plan.with_probability_at([FaultPoint::Put], 1.0, Fault::Refuse);
    let full =
        World { storage: Arc::new(FaultyStorage::new(Arc::clone(&world.storage), full)), ..World::new() };
    let stuck = full.builder().store(Arc::clone(&world.store)).clock(Arc::new(world.clock.clone()));
    let stuck = stuck.options(keeping()).seed([5; 32]).holder("stuck").build().unwrap();
    world.run(&stuck, 3 * HOUR).await;
    assert_eq!(start(&world).await, Position::START);
    tenant(&aegis).create_job(new_job("after all")).await.unwrap();
    let well = builder(&world).seed([6; 32]).holder("well").build().unwrap();
    world.run(&well, 2 * HOUR).await;
    assert!(start(&world).await > Position::START);
}
