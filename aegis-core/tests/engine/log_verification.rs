//! Anchors, and what the verification of the event log finds.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, LogVerification},
    model::Position,
    rules::LogFinding,
    seams::{Clock, ListOptions, ObjectKey, ObjectStorage, PutMode, Scope},
    testing::{Fault, FaultPlan, FaultPoint, FaultyStorage, FaultyStore, TamperedStore, Tampering},
};
use aegis_store_memory::MemoryStore;

use crate::world::{World, new_job, tenant};

const HOUR: Duration = Duration::from_secs(3600);

/// A log of several backups with anchors on the way, and someone who may tamper with it.
struct Audited {
    world: World,
    store: Arc<TamperedStore>,
    aegis: Aegis,
}

impl Audited {
    async fn new() -> Self {
        let world = World::new();
        let store = Arc::new(TamperedStore::new(Arc::clone(&world.store)));
        let aegis = world.builder().store(Arc::clone(&store) as _).build().unwrap();
        for _ in 0..3 {
            world.backup(&aegis).await;
            world.run(&aegis, 2 * HOUR).await;
        }
        // What comes after the anchor that this backup makes due is sealed, and not anchored yet.
        world.backup(&aegis).await;
        tenant(&aegis).create_job(new_job("newest")).await.unwrap();
        world.pass(&aegis).await;
        Self { world, store, aegis }
    }

    async fn verify(&self) -> LogVerification {
        self.aegis.verify_log().await.unwrap()
    }

    /// An engine that reads the log as it is after `tampering`.
    fn tampered(&self, tampering: Tampering) -> Aegis {
        let store = TamperedStore::new(Arc::clone(&self.store) as _);
        store.tamper(tampering);
        self.world.builder().store(Arc::new(store)).holder("auditor").build().unwrap()
    }

    /// Where the tenant's events stand; those between belong to no tenant.
    async fn own(&self) -> Vec<Position> {
        let events = tenant(&self.aegis).events(Position::START, 1000).await.unwrap();
        events.into_iter().map(|sealed| sealed.position).collect()
    }

    async fn anchors(&self) -> Vec<ObjectKey> {
        let prefix = Some(ObjectKey::new("metadata/aegis-log").unwrap());
        let page = self.world.storage.list(&ListOptions { prefix, ..ListOptions::default() }).await.unwrap();
        page.objects.into_iter().map(|object| object.key).collect()
    }
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_whole_and_anchors_vouch_for_it() {
    let audited = Audited::new().await;
    let all = audited.world.store.events(&Scope::Everyone, Position::START, 1000).await.unwrap().len();
    let own = audited.own().await;
    let newest = *own.last().unwrap();
    let of_tenant = tenant(&audited.aegis).verify_log().await.unwrap();
    for (verified, events) in [(audited.verify().await, all), (of_tenant, own.len())] {
        assert_eq!(verified.findings, []);
        assert_eq!((verified.events(), verified.through()), (events as u64, newest));
        let anchored = verified.anchored().unwrap();
        assert!(Position::START < anchored && anchored < newest, "anchored at {anchored}");
        let said = verified.to_string();
        assert!(said.contains(&format!("anchors vouch for it up to position {anchored}.")), "{said}");
    }
}

#[tokio::test]
async fn each_way_of_tampering_is_found_and_named_with_its_position() {
    let audited = Audited::new().await;
    let (p, next) = (Position(5), Position(6));
    let cases = [
        (Tampering::Change(p), vec![LogFinding::Changed { position: p }]),
        (Tampering::ChangeLink(p), vec![LogFinding::Changed { position: p }]),
        (Tampering::Remove(p), vec![LogFinding::Removed { from: p, through: p }]),
        (
            Tampering::Swap(p, next),
            vec![
                LogFinding::Reordered { position: next, belongs: p },
                LogFinding::Reordered { position: p, belongs: next },
            ],
        ),
    ];
    for (tampering, expected) in cases {
        let auditor = audited.tampered(tampering);
        assert_eq!(auditor.verify_log().await.unwrap().findings, expected, "{tampering:?}");
        let own = tenant(&auditor).verify_log().await.unwrap();
        assert_eq!(own.findings, expected, "{tampering:?}, as the tenant sees it");
    }
}

#[tokio::test]
async fn a_history_that_was_linked_anew_is_not_what_was_anchored() {
    let audited = Audited::new().await;
    let verified = audited.tampered(Tampering::Rewrite(Position(5))).verify_log().await.unwrap();
    let [LogFinding::Rewritten { anchor, since }] = &*verified.findings else { panic!("{verified}") };
    assert!(*since < Position(5) && Position(5) <= anchor.position, "{verified}");
    assert_eq!(verified.anchored(), (*since > Position::START).then_some(*since));
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_back_to_the_last_anchor() {
    let audited = Audited::new().await;
    let whole = audited.verify().await;
    let anchored = whole.anchored().unwrap();
    let last = audited.own().await[3];
    let verified = audited.tampered(Tampering::CutOff(last)).verify_log().await.unwrap();
    let [LogFinding::CutOff { anchor, ends }] = &*verified.findings else { panic!("{verified}") };
    assert_eq!((anchor.position, *ends), (anchored, last));
    assert!(verified.to_string().contains("cut off"), "{verified}");
    let later = audited.tampered(Tampering::CutOff(anchored)).verify_log().await.unwrap();
    assert!(later.is_whole(), "what was never anchored can't be missed: {later}");
    let emptied = audited.tampered(Tampering::CutOff(Position::START)).verify_log().await.unwrap();
    let is_empty = |finding: &LogFinding| matches!(finding, LogFinding::CutOff { ends: Position::START, .. });
    assert!(!emptied.is_whole() && emptied.findings.iter().all(is_empty), "{emptied}");
}

#[tokio::test]
async fn no_tampering_before_the_last_anchor_goes_unseen() {
    let audited = Audited::new().await;
    let anchored = audited.verify().await.anchored().unwrap().0;
    let own = audited.own().await;
    let is_own = |position: Position| own.contains(&position);
    for position in 1..=anchored {
        let p = Position(position);
        let mut tampered =
            vec![Tampering::Change(p), Tampering::ChangeLink(p), Tampering::Remove(p), Tampering::Rewrite(p)];
        tampered.push(Tampering::CutOff(Position(position - 1)));
        tampered.extend((position + 1..=anchored).map(|other| Tampering::Swap(p, Position(other))));
        for tampering in tampered {
            let auditor = audited.tampered(tampering);
            assert!(!auditor.verify_log().await.unwrap().is_whole(), "{tampering:?} was not seen");
            let concerns_tenant = match tampering {
                Tampering::Swap(p, other) => is_own(p) || is_own(other),
                Tampering::CutOff(_) => true,
                _ => is_own(p),
            };
            let seen = !tenant(&auditor).verify_log().await.unwrap().is_whole();
            assert_eq!(seen, concerns_tenant, "{tampering:?}, as the tenant sees it");
        }
    }
}

#[tokio::test]
async fn a_beginning_that_no_engine_let_go_was_cut_off() {
    let audited = Audited::new().await;
    for cut in [Tampering::CutStart(Position(5)), Tampering::ForgeStart(Position(5))] {
        let auditor = audited.tampered(cut);
        for verified in [auditor.verify_log().await.unwrap(), tenant(&auditor).verify_log().await.unwrap()] {
            let start = LogFinding::StartCutOff { start: Position(5) };
            assert_eq!(verified.findings.first(), Some(&start), "{cut:?}: {verified}");
            assert_eq!(verified.chains[0].begins, Position(5));
        }
    }
    let auditor = audited.tampered(Tampering::CutStart(Position(5)));
    let said = auditor.verify_log().await.unwrap().to_string();
    assert!(said.contains("up to position 5 were let go") && said.contains("was cut off"), "{said}");
}

#[tokio::test]
async fn an_anchor_that_can_not_be_read_is_named_and_proves_nothing() {
    let audited = Audited::new().await;
    let anchors = audited.anchors().await;
    for key in &anchors {
        audited.world.storage.put(key, "rubbish".into(), PutMode::Overwrite).await.unwrap();
    }
    let verified = audited.verify().await;
    assert_eq!(verified.findings.len(), anchors.len());
    assert!(
        matches!(&verified.findings[0], LogFinding::AnchorUnreadable { key, .. } if *key == anchors[0].to_string())
    );
    assert_eq!(verified.anchored(), None);
}

#[tokio::test]
async fn a_location_that_is_away_is_a_finding() {
    let audited = Audited::new().await;
    let plan = FaultPlan::seeded(1, Arc::new(audited.world.clock.clone())).with_probability_at(
        [FaultPoint::StorageRead],
        1.0,
        Fault::Refuse,
    );
    let away: Arc<dyn ObjectStorage> = Arc::new(FaultyStorage::new(Arc::clone(&audited.world.storage), plan));
    let world = World { storage: away, ..World::new() };
    let auditor = world.builder().store(Arc::clone(&audited.world.store)).build().unwrap();
    let verified = auditor.verify_log().await.unwrap();
    assert!(matches!(&*verified.findings, [LogFinding::AnchorUnreadable { .. }]), "{verified}");
}

#[tokio::test]
async fn anchors_of_another_log_in_the_location_are_found() {
    let audited = Audited::new().await;
    let clock = Arc::new(audited.world.clock.clone());
    let replaced = World { store: Arc::new(MemoryStore::new(clock)), ..World::new() };
    let world = World { storage: Arc::clone(&audited.world.storage), ..replaced };
    let aegis = world.builder().seed([77; 32]).build().unwrap();
    tenant(&aegis).create_job(new_job("other")).await.unwrap();
    world.pass(&aegis).await;
    let verified = aegis.verify_log().await.unwrap();
    assert!(matches!(&*verified.findings, [LogFinding::AnotherLog { .. }]), "{verified}");
}

#[tokio::test]
async fn an_anchorer_that_crashes_anywhere_twice_leaves_a_log_that_verifies() {
    for after in 0..30 {
        let world = World::new();
        for (seed, holder) in [(21, "first"), (22, "second")] {
            let plan = FaultPlan::seeded(1, Arc::new(world.clock.clone()));
            plan.crash_after(after);
            let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
            // Its storage dies with its store, so that writing and noting can come apart.
            let dying = Aegis::builder()
                .store(Arc::new(FaultyStore::new(Arc::clone(&world.store), plan.clone())))
                .clock(clock)
                .cluster("local", Arc::new(world.driver.clone()))
                .storage(Arc::new(FaultyStorage::new(Arc::clone(&world.storage), plan)))
                .seed([seed; 32])
                .holder(holder)
                .build()
                .unwrap();
            // It may die before it has a job.
            drop(world.clock.drive(tenant(&dying).create_job(new_job("manual"))).await);
            for _ in 0..5 {
                world.pass(&dying).await;
            }
            world.clock.advance(HOUR);
        }
        let heir = world.builder().seed([23; 32]).holder("heir").build().unwrap();
        world.backup(&heir).await;
        world.run(&heir, 2 * HOUR).await;
        let verified = heir.verify_log().await.unwrap();
        assert_eq!(verified.findings, [], "after {after} writes");
        assert_eq!(verified.anchored(), Some(verified.through()), "after {after} writes");
    }
}
