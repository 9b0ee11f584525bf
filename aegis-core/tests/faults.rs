//! The fault wrappers do to drivers and storages what their plan says, and nothing else.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::{BackupKind, Labels},
    seams::{
        BackupDriver, BackupWork, Clock, ErrorClass, ObjectKey, ObjectStorage, Observation, Operation,
        PutMode, Work,
    },
    testing::{
        Fault, FaultPlan, FaultPoint, FaultyDriver, FaultyStorage, ManualClock, MemoryObjectStorage,
        ScriptedDriver,
        conformance::object_storage::{Fresh, ObjectStorageHarness},
        fixtures,
    },
};
use async_trait::async_trait;
use bytes::Bytes;

fn clock() -> ManualClock {
    ManualClock::starting_at(fixtures::START)
}

fn plan(clock: &ManualClock) -> FaultPlan {
    FaultPlan::seeded(7, Arc::new(clock.clone()))
}

fn scripted(clock: &ManualClock) -> ScriptedDriver {
    ScriptedDriver::new(Arc::new(clock.clone())).with_namespace(fixtures::namespace("app"), [("a", "1")])
}

fn backup(number: u64) -> Operation {
    Operation {
        id: fixtures::id(number),
        tenant: fixtures::tenant(),
        cluster: fixtures::cluster(),
        name: fixtures::artifact(number),
        started_at: fixtures::START,
        work: Work::Backup(BackupWork {
            namespaces: vec![fixtures::namespace("app")],
            include_volumes: false,
            location: fixtures::location(),
            kind: BackupKind::Full,
            base: None,
            keep_at_least: Duration::ZERO,
            labels: Labels::default(),
        }),
    }
}

fn storage(clock: &ManualClock) -> Arc<MemoryObjectStorage> {
    Arc::new(MemoryObjectStorage::new(fixtures::location(), Arc::new(clock.clone())))
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

/// The memory storage through a wrapper by whose plan nothing goes wrong.
struct Wrapped;

impl Wrapped {
    fn wrap(inner: Arc<MemoryObjectStorage>) -> Arc<dyn ObjectStorage> {
        Arc::new(FaultyStorage::new(inner, plan(&clock())))
    }
}

#[async_trait]
impl ObjectStorageHarness for Wrapped {
    async fn fresh(&self) -> Option<Fresh> {
        let inner = storage(&clock());
        Some(Fresh { storage: Self::wrap(Arc::clone(&inner)), guard: Box::new(inner) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        Self::wrap(Arc::clone(fresh.guard.downcast_ref::<Arc<MemoryObjectStorage>>().unwrap()))
    }
}

mod wrapped_storage {
    use super::*;

    aegis_core::object_storage_conformance!(Wrapped);
}

#[tokio::test]
async fn what_is_refused_did_not_happen() {
    let clock = clock();
    let inner = scripted(&clock);
    let plan = plan(&clock).at(FaultPoint::Start, 1, Fault::Refuse);
    let driver = FaultyDriver::new(Arc::new(inner.clone()), plan);
    let refused = driver.start(&backup(1)).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    assert_eq!(inner.effects(fixtures::id(1)).starts, 0);
    driver.start(&backup(1)).await.unwrap();
    assert_eq!(inner.effects(fixtures::id(1)).begun, 1);
}

#[tokio::test]
async fn what_lost_its_answer_happened() {
    for (fault, class) in
        [(Fault::LoseAnswer, ErrorClass::Indeterminate), (Fault::Lie, ErrorClass::Unavailable)]
    {
        let clock = clock();
        let inner = scripted(&clock);
        let driver = FaultyDriver::new(Arc::new(inner.clone()), plan(&clock).at(FaultPoint::Start, 1, fault));
        assert_eq!(driver.start(&backup(1)).await.unwrap_err().class(), class, "{fault:?}");
        assert_eq!(inner.effects(fixtures::id(1)).begun, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_duplicated_is_asked_twice() {
    let clock = clock();
    let inner = scripted(&clock);
    let plan = plan(&clock).at(FaultPoint::Start, 1, Fault::Duplicate);
    let driver = FaultyDriver::new(Arc::new(inner.clone()), plan);
    driver.start(&backup(1)).await.unwrap();
    let effects = inner.effects(fixtures::id(1));
    assert_eq!((effects.starts, effects.begun), (2, 1));
}

#[tokio::test]
async fn what_is_delayed_happens_later_by_the_clock() {
    let clock = clock();
    let by = Duration::from_secs(30);
    let plan = plan(&clock).at(FaultPoint::Start, 1, Fault::Delay(by));
    let driver = FaultyDriver::new(Arc::new(scripted(&clock)), plan);
    clock.drive(driver.start(&backup(1))).await.unwrap();
    assert_eq!(clock.now(), fixtures::at(30));
}

#[tokio::test]
async fn a_stale_read_answers_what_it_answered_before() {
    let clock = clock();
    let plan = plan(&clock).at(FaultPoint::Observe, 2, Fault::Stale);
    let driver = FaultyDriver::new(Arc::new(scripted(&clock)), plan);
    let operation = backup(1);
    assert_eq!(driver.observe(&operation).await.unwrap(), Observation::Absent);
    driver.start(&operation).await.unwrap();
    assert_eq!(driver.observe(&operation).await.unwrap(), Observation::Absent, "it is stale");
    assert!(matches!(driver.observe(&operation).await.unwrap(), Observation::Running(_)));
}

#[tokio::test]
async fn an_order_hits_the_call_that_it_names() {
    let clock = clock();
    let plan = plan(&clock).at(FaultPoint::Put, 3, Fault::Refuse);
    let storage = FaultyStorage::new(storage(&clock), plan.clone());
    let mut refused = Vec::new();
    for number in 1..=5 {
        let put = storage.put(&key("a"), Bytes::new(), PutMode::Overwrite).await;
        refused.extend(put.is_err().then_some(number));
    }
    assert_eq!(refused, [3]);
    assert_eq!(plan.happened().len(), 1);
}

#[tokio::test]
async fn the_same_seed_fails_the_same_calls() {
    let failures = async |seed: u64| {
        let clock = clock();
        let plan = FaultPlan::seeded(seed, Arc::new(clock.clone()))
            .with_probability(0.2, Fault::Refuse)
            .with_probability_at([FaultPoint::Put], 0.2, Fault::LoseAnswer);
        let storage = FaultyStorage::new(storage(&clock), plan.clone());
        for _ in 0..100 {
            let _ = storage.put(&key("a"), Bytes::new(), PutMode::Overwrite).await;
            let _ = storage.get(&key("a")).await;
        }
        plan.happened()
    };
    let first = failures(1).await;
    assert!(!first.is_empty());
    assert_eq!(first, failures(1).await);
    assert_ne!(first, failures(2).await);
}

#[tokio::test]
async fn a_crash_takes_every_wrapper_after_the_write_that_it_counts() {
    let clock = clock();
    let (inner_driver, inner_storage) = (scripted(&clock), storage(&clock));
    let plan = plan(&clock);
    let driver = FaultyDriver::new(Arc::new(inner_driver.clone()), plan.clone());
    let storage = FaultyStorage::new(Arc::clone(&inner_storage), plan.clone());
    plan.crash_after(2);
    storage.put(&key("a"), Bytes::new(), PutMode::Overwrite).await.unwrap();
    let unheard = driver.start(&backup(1)).await.unwrap_err();
    assert_eq!(unheard.class(), ErrorClass::Unavailable, "nobody hears of the last write");
    assert_eq!(inner_driver.effects(fixtures::id(1)).begun, 1, "which took effect");
    assert!(plan.is_dead());
    assert!(storage.put(&key("b"), Bytes::new(), PutMode::Overwrite).await.is_err());
    assert!(storage.get(&key("a")).await.is_err(), "reads are dead, too");
    assert!(inner_storage.head(&key("b")).await.is_err(), "nothing happens after the crash");
    plan.revive();
    storage.get(&key("a")).await.unwrap();
    assert_eq!(plan.writes(), 2);
}

#[tokio::test]
async fn a_healed_plan_fails_nothing() {
    let clock = clock();
    let plan = plan(&clock).with_probability(1.0, Fault::Refuse).at(FaultPoint::Put, 1, Fault::Lie);
    plan.crash_after(0);
    plan.heal();
    let storage = FaultyStorage::new(storage(&clock), plan);
    storage.put(&key("a"), Bytes::new(), PutMode::Overwrite).await.unwrap();
}

#[tokio::test]
async fn faults_by_chance_hit_every_kind_of_call_that_can_have_them() {
    let clock = clock();
    let plan = plan(&clock).with_probability(1.0, Fault::Refuse);
    let driver = FaultyDriver::new(Arc::new(scripted(&clock)), plan.clone());
    let operation = backup(1);
    assert!(driver.start(&operation).await.is_err());
    assert!(driver.observe(&operation).await.is_err());
    assert!(driver.cancel(&operation).await.is_err());
    assert!(driver.namespaces().await.is_err());
    assert_eq!(plan.happened().len(), 4);
}
