//! What is written is what is read.

use std::collections::BTreeSet;

use super::{
    StoreHarness, insert, read,
    samples::{at, cluster, every_kind, execution, id, job, policy, record, reservation, slot},
};
use crate::model::{
    BackupJob, BackupRecord, DisplayName, Entity, EntityKey, EntityKind, Failure, Principal, Reservation,
    ReservationKey, Slot, SlotKey, TenantId, Timestamp, Version,
};

/// Every kind of entity, with every field set, reads back as it was written, at version 1.
pub async fn every_kind_of_entity_reads_back_as_written<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let entities = every_kind(1);
    let kinds: BTreeSet<_> = entities.iter().map(|entity| entity.key().kind()).collect();
    assert_eq!(kinds, EntityKind::ALL.iter().copied().collect(), "the suite has a sample of every kind");
    insert(&*store, entities.clone()).await;
    for entity in entities {
        assert_eq!(read(&*store, &entity.key()).await, Some((Version::FIRST, entity)));
    }
}

/// Names of the greatest length, text of any length with any character: everything survives.
pub async fn odd_text_and_long_names_survive<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let odd = "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u{0}\u{1}\u{7f}\u{202e}\u{fffd}\u{10ffff} '; drop table jobs; -- \"\\ %_*?{}";
    let long_name = "ж".repeat(126);
    let name = DisplayName::new(&long_name).unwrap_or_else(|error| panic!("{error}"));
    let tenant = TenantId::new("t".repeat(63)).unwrap_or_else(|error| panic!("{error}"));
    let principal = Principal::new("'; drop table jobs; -- %_").unwrap_or_else(|error| panic!("{error}"));
    let key = ReservationKey::idempotency(&tenant, &principal, "POST /api/v1/backups", &"k/ß".repeat(300));
    let written: [Entity; 3] = [
        BackupJob {
            name: name.clone(),
            created_by: principal,
            failure: Some(Failure::new(odd.repeat(2_000))),
            ..job(1)
        }
        .into(),
        BackupRecord { name, handle: odd.to_owned(), cluster: cluster(&"c".repeat(253)), ..record(1) }.into(),
        Reservation { key, tenant, ..reservation(1) }.into(),
    ];
    insert(&*store, written.clone()).await;
    for entity in written {
        assert_eq!(read(&*store, &entity.key()).await, Some((Version::FIRST, entity)));
    }
}

/// Instants read back to the microsecond, before 1970 and far ahead, too.
pub async fn instants_keep_their_microseconds<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let instants = [-62_135_596_800_000_000, -1, 1, 999_999, 1_770_393_600_000_001, 253_402_207_200_999_999];
    for (n, micros) in (1..).zip(instants) {
        let instant = Timestamp::from_micros(micros);
        let slot: Entity = Slot { nominal_at: instant, settled_at: instant, ..slot(n) }.into();
        let job: Entity = BackupJob { created_at: instant, retry_at: Some(instant), ..job(n) }.into();
        let reservation: Entity = Reservation { expires_at: Some(instant), ..reservation(n) }.into();
        for entity in [slot, job, reservation] {
            insert(&*store, [entity.clone()]).await;
            assert_eq!(read(&*store, &entity.key()).await, Some((Version::FIRST, entity)));
        }
    }
}

/// What was never written is not there, of no kind; nor is one kind's entity under another's key.
pub async fn what_is_not_there_reads_as_nothing<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(policy(1)), execution(1).into()]).await;
    let absent = every_kind(2).into_iter().map(|entity| entity.key()).chain([
        EntityKey::PolicyState(id(1)),
        EntityKey::Job(id(1)),
        EntityKey::Plan(id(1)),
        EntityKey::Slot(SlotKey { policy: id(1), nominal_at: at(1) }),
    ]);
    for key in absent {
        assert_eq!(read(&*store, &key).await, None, "{key:?}");
    }
}
