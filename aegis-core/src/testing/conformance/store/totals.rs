//! Totals, however they are kept: they are what counting would come to, at every moment.

use std::collections::BTreeMap;

use super::{
    LONG, StoreHarness, StoreUnderTest, claim, commit, must, must_conflict,
    samples::{at, cluster, copy, id, job, record, slot, tenant},
    writing,
};
use crate::{
    model::{
        BackupJob, BackupRecord, Bytes, Entity, EntityKey, JobStatus, PolicyId, RecordLifecycle, RecordState,
        Slot, Timestamp, Version,
    },
    seams::{JobQuery, LeaseName, RecordQuery, RecordTotals, Scope, SlotQuery, Store, Window, Write},
};

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(end.max(1))).unwrap_or(0)
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let place = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        of.get(usize::try_from(place).unwrap_or(0)).cloned()
    }

    /// A time in some years, often at the very end of a stretch that a store may count by.
    fn instant(&mut self) -> Timestamp {
        let base = at(0).as_micros() + i64::from(self.below(1_000)) * 86_400_000_000;
        let off = i64::from(self.below(3)) - 1;
        match self.below(4) {
            0 => Timestamp::from_micros(base + i64::from(self.below(u32::MAX)) * 20),
            1 => Timestamp::from_micros((base >> 32 << 32) + off),
            2 => Timestamp::from_micros((base >> 42 << 42) + off),
            _ => Timestamp::from_micros(base / 3_600_000_000 * 3_600_000_000 + off),
        }
    }

    fn job(&mut self, n: u32) -> BackupJob {
        BackupJob {
            tenant: tenant(if n.is_multiple_of(3) { "globex" } else { "acme" }),
            cluster: cluster(if self.below(2) == 0 { "c1" } else { "c2" }),
            policy: (self.below(3) > 0).then(|| id(100 + self.below(2))),
            status: self.one_of(JobStatus::ALL).unwrap_or(JobStatus::Pending),
            hidden: self.below(4) == 0,
            created_at: self.instant(),
            ..job(n)
        }
    }

    fn record(&mut self, n: u32) -> BackupRecord {
        let gone = RecordLifecycle::Deleted { began_at: at(1), at: at(2) };
        BackupRecord {
            tenant: tenant(if n.is_multiple_of(3) { "globex" } else { "acme" }),
            cluster: cluster(if self.below(2) == 0 { "c1" } else { "c2" }),
            policy: (self.below(3) > 0).then(|| id(100 + self.below(2))),
            lifecycle: if self.below(3) == 0 { gone } else { RecordLifecycle::Available },
            copies: vec![copy("s3://backups/one/", u64::from(self.below(u32::MAX)) << 20)],
            created_at: self.instant(),
            ..record(n)
        }
    }

    /// A slot is where it is for good.
    fn slot(n: u32) -> Slot {
        let mut dice = Self(n.into());
        Slot {
            tenant: tenant(if n.is_multiple_of(3) { "globex" } else { "acme" }),
            policy_id: id(100 + n % 2),
            nominal_at: dice.instant(),
            ..slot(n)
        }
    }
}

/// What should be there.
#[derive(Default)]
struct World(BTreeMap<EntityKey, (Version, Entity)>);

impl World {
    /// A changeset's writes, made here.
    fn change(&mut self, dice: &mut Dice) -> Vec<Write> {
        let mut writes: BTreeMap<EntityKey, Write> = BTreeMap::new();
        for _ in 0..=dice.below(5) {
            let (kind, n) = (dice.below(3), dice.below(60));
            let entity: Entity = match kind {
                0 => dice.job(n).into(),
                1 => dice.record(n).into(),
                _ => Dice::slot(n).into(),
            };
            let key = entity.key();
            if writes.contains_key(&key) {
                continue;
            }
            let write = match self.0.get(&key).cloned() {
                None => Write::Insert(entity),
                Some((version, found)) if dice.below(4) == 0 => Write::Delete(found, version),
                Some((version, _)) => Write::Update(entity, version),
            };
            match write.after() {
                Some(version) => self.0.insert(key.clone(), (version, write.entity().clone())),
                None => self.0.remove(&key),
            };
            writes.insert(key, write);
        }
        writes.into_values().collect()
    }

    fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.0.values().map(|(_, entity)| entity)
    }
}

/// Lists count what matches, narrowed by whatever lists are narrowed by, through inserts, updates and
/// deletions, between one sealing and the next, and when a sealer fails.
pub async fn totals_are_exact_at_every_moment<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let (mut dice, mut world) = (Dice(5), World::default());
    for round in 0..80 {
        let writes = world.change(&mut dice);
        commit(&*store, writing(writes)).await;
        if dice.below(5) == 0 {
            let fence = claim(&*store, &LeaseName::sealer(), "the suite", LONG).await;
            let limit = usize::try_from(dice.below(12)).unwrap_or(0) + 1;
            must(store.seal(&fence, limit).await, "seal some events");
        }
        if round % 20 == 19 {
            fail_to_seal(&*fresh).await;
            check(&*store, &world, &mut dice).await;
            must(store.prune(at(0)).await, "prune");
        }
    }
    super::seal(&*store).await;
    must(store.prune(at(0)).await, "prune");
    check(&*store, &world, &mut dice).await;
}

/// Seals under a lease that is not held any more.
async fn fail_to_seal(fresh: &dyn StoreUnderTest) {
    let store = fresh.store();
    let late = claim(&*store, &LeaseName::sealer(), "the suite", LONG).await;
    must(store.release(&late).await, "give the lease back");
    must_conflict(store.seal(&late, 100).await, "seal under a lease given back");
}

/// Asks for totals, narrowed in many ways, and counts by hand.
async fn check(store: &dyn Store, world: &World, dice: &mut Dice) {
    const TOTAL: Window = Window { limit: 0, offset: 0, after: None, count: true };
    for _ in 0..30 {
        let scope = dice.one_of(&[Scope::Everyone, Scope::Tenant(tenant("acme"))]).unwrap_or(Scope::Everyone);
        let cluster = (dice.below(2) == 0).then(|| cluster("c1"));
        let policy: Option<PolicyId> = (dice.below(2) == 0).then(|| id(100));
        let from = (dice.below(2) == 0).then(|| dice.instant());
        let to = (dice.below(2) == 0).then(|| dice.instant());

        let mut jobs = JobQuery::new(scope.clone()).with_window(TOTAL);
        (jobs.cluster, jobs.policy, jobs.from, jobs.to) = (cluster.clone(), policy, from, to);
        jobs.hidden = dice.below(2) == 0;
        let count = usize::try_from(dice.below(3)).unwrap_or(0);
        jobs.statuses =
            JobStatus::ALL.iter().skip(dice.below(4).try_into().unwrap_or(0)).take(count).copied().collect();
        let matching = |entity: &&Entity| matches!(entity, Entity::Job(job) if jobs.matches(job));
        let page = must(store.jobs(&jobs).await, "count jobs");
        assert_eq!(page.total, Some(world.entities().filter(matching).count() as u64), "{jobs:?}");

        let mut records = RecordQuery::new(scope.clone()).with_window(TOTAL);
        (records.cluster, records.policy, records.from, records.to) = (cluster, policy, from, to);
        records.states = (dice.below(2) == 0).then_some(RecordState::Available).into_iter().collect();
        let found = world.entities().filter_map(|entity| match entity {
            Entity::Record(record) if records.matches(record) => Some(records.stored(record)),
            _ => None,
        });
        let totals = found.fold(RecordTotals::default(), |sum, stored| RecordTotals {
            count: sum.count + 1,
            stored: Bytes(sum.stored.0 + stored.0),
        });
        let page = must(store.records(&records).await, "count records");
        assert_eq!(page.total, Some(totals.count), "{records:?}");
        assert_eq!(must(store.record_totals(&records).await, "sum records up"), totals, "{records:?}");

        let mut slots = SlotQuery::new(scope).with_window(TOTAL);
        (slots.policy, slots.from, slots.to) = (policy, from, to);
        let matching = |entity: &&Entity| matches!(entity, Entity::Slot(slot) if slots.matches(slot));
        let page = must(store.slots(&slots).await, "count slots");
        assert_eq!(page.total, Some(world.entities().filter(matching).count() as u64), "{slots:?}");
    }
}
