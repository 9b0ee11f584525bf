//! What only this store has: its index, its lock, its log.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::{
        ChangesetId, ClusterName, ClusterState, DisplayName, EntityKey, EventFacts, EventKind, Position,
        Principal, Reservation, ReservationKey, TenantId, Timestamp, Version, Versioned,
    },
    seams::{Changeset, Claim, Committed, Fence, HolderId, LeaseName, Scope, Store},
    testing::ManualClock,
};
use futures::executor::block_on;
use uuid::Uuid;

use crate::MemoryStore;

fn store() -> MemoryStore {
    MemoryStore::new(Arc::new(ManualClock::starting_at(Timestamp::from_seconds(1_770_000_000))))
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn reservation(name: &str, expires_at: Option<Timestamp>) -> Reservation {
    let key = ReservationKey::policy_name(&tenant(), &DisplayName::new(name).unwrap());
    let owner = EntityKey::ClusterState(ClusterName::new("c1").unwrap());
    Reservation { key, tenant: tenant(), owner, request_hash: None, expires_at }
}

fn changeset(id: u128) -> Changeset {
    let at = Timestamp::from_seconds(1_770_000_000);
    Changeset::new(ChangesetId::from_uuid(Uuid::from_u128(id)), Principal::engine(), at)
}

fn inserting(id: u128, reservation: Reservation) -> Changeset {
    let mut changeset = changeset(id);
    changeset.insert(reservation, EventKind::ReservationMade, EventFacts::default());
    changeset
}

fn sealer(store: &MemoryStore) -> Fence {
    let (name, me) = (LeaseName::sealer(), HolderId("me".into()));
    let claim = block_on(store.claim(&name, &me, Duration::from_secs(10))).unwrap();
    let Claim::Granted(lease) = claim else { panic!("someone else seals") };
    lease.fence
}

#[test]
fn what_is_deleted_leaves_nothing_behind() {
    let store = store();
    let expiring = reservation("nightly", Some(Timestamp::from_seconds(1)));
    block_on(store.commit(inserting(1, expiring.clone()))).unwrap();
    assert_eq!(block_on(store.tenants()).unwrap(), [tenant()]);

    let mut removal = changeset(2);
    let read = Versioned { version: Version::FIRST, value: Arc::new(expiring) };
    removal.delete(&read, EventKind::ReservationReleased, EventFacts::default());
    block_on(store.commit(removal)).unwrap();
    assert_eq!(block_on(store.tenants()).unwrap(), []);
    let state = store.read();
    assert!(state.rows.is_empty() && state.index.is_empty(), "{state:?}");
}

#[test]
fn a_panic_while_the_lock_is_held_leaves_the_store_usable() {
    let store = store();
    let panicking = || {
        let _state = store.write();
        panic!("on purpose");
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(panicking)).unwrap_err();
    let committed = block_on(store.commit(inserting(1, reservation("nightly", None)))).unwrap();
    assert_eq!(committed, Committed::Applied);
}

#[test]
fn events_of_no_tenant_have_a_chain_of_their_own() {
    let store = store();
    let mut both = inserting(1, reservation("nightly", None));
    let state = ClusterState::new(ClusterName::new("c1").unwrap());
    both.insert(state, EventKind::ClusterStateChanged, EventFacts::default());
    block_on(store.commit(both)).unwrap();
    let fence = sealer(&store);
    assert_eq!(block_on(store.seal(&fence, 10)).unwrap().count, 2);

    let own = block_on(store.events(&Scope::Tenant(tenant()), Position::START, 10)).unwrap();
    assert_eq!(own.iter().map(|sealed| sealed.position).collect::<Vec<_>>(), [Position(1)]);
    assert_eq!(block_on(store.events(&Scope::Everyone, Position::START, 10)).unwrap().len(), 2);
}
