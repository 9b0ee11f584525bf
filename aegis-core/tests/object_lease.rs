//! A lease in object storage has one holder at a time, and is taken over only after silence.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::Timestamp,
    seams::{
        Clock, ErrorClass, HeldLease, LeaseClaim, ObjectKey, ObjectLease, ObjectLeaseError, ObjectStorage,
        PutMode,
    },
    testing::{ManualClock, MemoryObjectStorage, MutantObjectStorage, ObjectStorageMutation},
};

const LONG: Duration = Duration::from_secs(60);

struct World {
    clock: Arc<ManualClock>,
    storage: Arc<dyn ObjectStorage>,
}

fn key() -> ObjectKey {
    "lease.json".parse().unwrap()
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600)));
        let dated: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let storage = Arc::new(MemoryObjectStorage::new("s3://bucket/repository".parse().unwrap(), dated));
        Self { clock, storage }
    }

    fn claimant(&self, holder: &str) -> ObjectLease {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        ObjectLease::new(Arc::clone(&self.storage), clock, key(), holder, LONG)
    }
}

async fn held(claimant: &mut ObjectLease) -> HeldLease {
    match claimant.acquire().await.unwrap() {
        LeaseClaim::Held(held) => held,
        LeaseClaim::Busy { holder, .. } => panic!("busy with {holder:?}"),
    }
}

async fn busy(claimant: &mut ObjectLease) -> (String, Duration) {
    match claimant.acquire().await.unwrap() {
        LeaseClaim::Held(held) => panic!("held as generation {}", held.generation()),
        LeaseClaim::Busy { holder, retry_after } => (holder.unwrap(), retry_after),
    }
}

#[tokio::test]
async fn the_first_claim_holds_and_the_second_waits() {
    let world = World::new();
    let first = held(&mut world.claimant("a")).await;
    assert!(first.is_good(world.clock.monotonic()));
    assert_eq!(busy(&mut world.claimant("b")).await, ("a".to_owned(), LONG));
}

#[tokio::test]
async fn silence_for_the_whole_duration_frees_it_and_raises_the_generation() {
    let world = World::new();
    let (mut a, mut b) = (world.claimant("a"), world.claimant("b"));
    let first = held(&mut a).await;
    busy(&mut b).await;
    world.clock.advance(LONG - Duration::from_secs(1));
    assert_eq!(busy(&mut b).await.1, Duration::from_secs(1));
    world.clock.advance(Duration::from_secs(1));
    assert!(!first.is_good(world.clock.monotonic()), "the holder must know before it is taken over");
    assert_eq!(held(&mut b).await.generation(), first.generation() + 1);
}

#[tokio::test]
async fn a_claimant_trusts_only_the_silence_that_it_saw_itself() {
    let world = World::new();
    held(&mut world.claimant("a")).await;
    world.clock.advance(LONG * 10);
    assert_eq!(busy(&mut world.claimant("b")).await.1, LONG);
}

#[tokio::test]
async fn a_renewal_starts_the_silence_anew() {
    let world = World::new();
    let (mut a, mut b) = (world.claimant("a"), world.claimant("b"));
    let mut first = held(&mut a).await;
    for _ in 0..5 {
        busy(&mut b).await;
        world.clock.advance(LONG / 2);
        a.renew(&mut first).await.unwrap();
    }
    assert_eq!(busy(&mut b).await.1, LONG);
    assert_eq!(first.good_until(), world.clock.monotonic().after(LONG));
}

#[tokio::test]
async fn a_wall_clock_that_jumps_changes_nothing() {
    let world = World::new();
    let (mut a, mut b) = (world.claimant("a"), world.claimant("b"));
    held(&mut a).await;
    busy(&mut b).await;
    world.clock.jump_wall_forward(Duration::from_secs(86_400));
    assert_eq!(busy(&mut b).await.1, LONG);
}

#[tokio::test]
async fn a_released_lease_is_free_at_once() {
    let world = World::new();
    let mut a = world.claimant("a");
    let first = held(&mut a).await;
    a.release(first).await.unwrap();
    assert_eq!(held(&mut world.claimant("b")).await.generation(), 2);
}

#[tokio::test]
async fn who_lost_the_lease_can_neither_renew_nor_disturb_it() {
    let world = World::new();
    let (mut a, mut b) = (world.claimant("a"), world.claimant("b"));
    let mut first = held(&mut a).await;
    busy(&mut b).await;
    world.clock.advance(LONG);
    let mut second = held(&mut b).await;
    let error = a.renew(&mut first).await.unwrap_err();
    assert!(matches!(error, ObjectLeaseError::Lost { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::VersionConflict);
    a.release(first).await.unwrap();
    b.renew(&mut second).await.unwrap();
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_settled_under_the_same_name() {
    let world = World::new();
    drop(held(&mut world.claimant("a")).await);
    assert_eq!(held(&mut world.claimant("a")).await.generation(), 2);
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_is_found_to_be_ours() {
    let world = World::new();
    let mut a = world.claimant("a");
    let mut first = held(&mut a).await;
    // The storage keeps a renewal that the holder never heard of.
    let (meta, bytes) = world.storage.get(&key()).await.unwrap();
    let renewed = String::from_utf8(bytes.to_vec()).unwrap().replace("\"heartbeat\":0", "\"heartbeat\":1");
    world.storage.put(&key(), renewed.into(), PutMode::Update(meta.version)).await.unwrap();
    a.renew(&mut first).await.unwrap();
    a.renew(&mut first).await.unwrap();
}

#[tokio::test]
async fn what_is_no_lease_is_left_alone() {
    let world = World::new();
    world.storage.put(&key(), "notes".into(), PutMode::Overwrite).await.unwrap();
    let error = world.claimant("a").acquire().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Internal);
    assert_eq!(
        error.to_string(),
        "object `lease.json` in s3://bucket/repository/ is no lease; remove it once nothing works there"
    );
    assert_eq!(world.storage.get(&key()).await.unwrap().1, "notes");
}

/// How many of eight claimants at once come to hold the lease.
async fn winners(storage: Arc<dyn ObjectStorage>) -> usize {
    let world = World { storage, ..World::new() };
    let claims = (0..8).map(|n| {
        let mut claimant = world.claimant(&n.to_string());
        async move { matches!(claimant.acquire().await.unwrap(), LeaseClaim::Held(_)) }
    });
    futures::future::join_all(claims).await.into_iter().filter(|held| *held).count()
}

#[tokio::test]
async fn of_many_claimants_at_once_one_holds() {
    let storage = World::new().storage;
    assert_eq!(winners(Arc::clone(&storage)).await, 1);
    let broken = MutantObjectStorage::new(World::new().storage, ObjectStorageMutation::CreateIsNotAtomic);
    assert!(winners(Arc::new(broken)).await > 1, "the test must see a storage that lets two in");
}
