//! Reading the event log.

use std::{sync::Arc, time::Duration};

use super::{
    LONG, StoreHarness, changeset, claim, commit, deleting, events, insert, must,
    samples::{at, cluster, cluster_state, id, job, plan, reservation, tenant},
    seal,
    sealing::must_be_dense,
    updating,
};
use crate::{
    model::{
        BackupJob, BackupKind, Bytes, Entity, EventFacts, EventKind, Position, Principal, Reservation,
        SealedEvent, Sizes, Version,
    },
    seams::{Change, Changeset, LeaseName, Scope, Write},
};

/// Each insert, update and deletion has one event, with everything that the changeset said of it.
pub async fn every_write_has_one_event<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(reservation(1)), plan(1).into()]).await;
    let facts = EventFacts {
        cluster: Some(cluster("c1")),
        policy: Some(id(1)),
        job: Some(id(2)),
        record: Some(id(3)),
        backup: Some(BackupKind::Differential),
        sizes: Some(Sizes { logical: Some(Bytes(3)), stored: None, added: Some(Bytes(1)) }),
        bytes: Some(Bytes(1 << 60)),
        duration: Some(Duration::from_micros(1_000_001)),
        reason: Some("weil's “so” ist \\ ☂".to_owned()),
    };
    let change = |write, kind, facts: &EventFacts| Change { write, kind, facts: facts.clone() };
    let actor = Principal::new("Zoë").unwrap_or_else(|error| panic!("{error}"));
    let written = Changeset {
        actor,
        at: at(7),
        changes: vec![
            change(Write::Insert(job(1).into()), EventKind::JobCreated, &facts),
            change(Write::Update(plan(1).into(), Version(1)), EventKind::PlanApproved, &facts),
            change(
                Write::Delete(reservation(1).into(), Version(1)),
                EventKind::ReservationReleased,
                &EventFacts::default(),
            ),
            change(
                Write::Insert(cluster_state("c1").into()),
                EventKind::ClusterStateChanged,
                &EventFacts::default(),
            ),
        ],
        ..changeset()
    };
    let expected: Vec<_> = written.clone().into_writes().map(|(_, event)| event).collect();
    commit(&*store, written).await;
    seal(&*store).await;
    let found = must(store.events(&Scope::Everyone, Position(2), 10).await, "read the log");
    assert_eq!(found.iter().map(|sealed| (*sealed.event).clone()).collect::<Vec<_>>(), expected);
}

/// An event has no position, and no reader, before it is sealed.
pub async fn what_is_not_sealed_is_not_read<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [job(1)]).await;
    assert_eq!(events(&*store, &Scope::Everyone).await, []);
    seal(&*store).await;
    insert(&*store, [job(2)]).await;
    assert_eq!(events(&*store, &Scope::Everyone).await.len(), 1);
    assert_eq!(events(&*store, &Scope::Tenant(tenant("acme"))).await.len(), 1);
}

/// A reader that goes on from the last position it saw sees every event once, in order, while
/// others commit and seal.
pub async fn a_reader_that_resumes_skips_nothing<H: StoreHarness>(harness: &H) {
    const EVENTS: u32 = 60;
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let fence = claim(&*store, &LeaseName::sealer(), "one", LONG).await;
    let writing = Arc::clone(&store);
    let mut writer = tokio::task::JoinSet::new();
    writer.spawn(async move {
        for n in 1..=EVENTS {
            insert(&*writing, [job(n)]).await;
            if n % 4 == 0 {
                must(writing.seal(&fence, 3).await, "seal");
            }
        }
        while must(writing.seal(&fence, 7).await, "seal").count > 0 {}
    });
    let mut seen: Vec<SealedEvent> = Vec::new();
    loop {
        let done = writer.is_empty();
        let cursor = seen.last().map_or(Position::START, |sealed| sealed.position);
        let next = must(store.events(&Scope::Everyone, cursor, 5).await, "read on");
        assert!(next.len() <= 5, "{} events of at most 5", next.len());
        if done && next.is_empty() {
            break;
        }
        seen.extend(next);
        if let Some(ended) = writer.try_join_next() {
            must(ended, "write beside the reader");
        }
        tokio::task::yield_now().await;
    }
    must_be_dense(&seen);
    assert_eq!(seen.len(), EVENTS as usize);
}

/// A tenant's view of the log has its own events, at their positions, as many as asked for.
pub async fn a_tenant_sees_its_own_events_alone<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    for n in 1..=3 {
        let other = BackupJob { tenant: tenant("globex"), ..job(n + 10) };
        let state = cluster_state(&format!("c{n}"));
        insert(&*store, [Entity::from(job(n)), other.into(), state.into()]).await;
    }
    seal(&*store).await;
    let scope = Scope::Tenant(tenant("globex"));
    let positions = |events: Vec<SealedEvent>| events.iter().map(|e| e.position.0).collect::<Vec<_>>();
    let own = events(&*store, &scope).await;
    assert!(own.iter().all(|sealed| sealed.event.tenant == Some(tenant("globex"))), "{own:?}");
    assert_eq!(positions(own), [2, 5, 8]);
    assert_eq!(positions(must(store.events(&scope, Position(2), 1).await, "read on")), [5]);
    assert_eq!(positions(must(store.events(&scope, Position(6), 9).await, "read on")), [8]);
    assert_eq!(events(&*store, &Scope::Tenant(tenant("nobody"))).await, []);
}

/// What was committed is in the tail until it is sealed, each event as it was said and to whom it
/// belongs, as many as asked for.
pub async fn the_tail_has_what_is_not_sealed_yet<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let tail = async |scope: Scope, limit| {
        let mut events = must(store.unsealed(&scope, limit).await, "read the tail of the log");
        events.sort_by_key(|event| event.id);
        events.iter().map(|event| (**event).clone()).collect::<Vec<_>>()
    };
    let said = |changeset: &Changeset| {
        let mut events: Vec<_> = changeset.clone().into_writes().map(|(_, event)| event).collect();
        events.sort_by_key(|event| event.id);
        events
    };
    insert(&*store, [job(1)]).await;
    seal(&*store).await;
    assert_eq!(tail(Scope::Everyone, 10).await, []);
    let own = super::inserting([Entity::from(job(2)), plan(1).into()]);
    let other = super::inserting([BackupJob { tenant: tenant("globex"), ..job(3) }]);
    for changeset in [&own, &other] {
        commit(&*store, changeset.clone()).await;
    }
    assert_eq!(tail(Scope::Tenant(tenant("acme")), 10).await, said(&own));
    assert_eq!(tail(Scope::Tenant(tenant("globex")), 10).await, said(&other));
    assert_eq!(tail(Scope::Everyone, 10).await.len(), 3);
    assert_eq!(tail(Scope::Everyone, 2).await.len(), 2);
    seal(&*store).await;
    assert_eq!(tail(Scope::Everyone, 10).await, []);
}

/// The instant of the last commit with a write is told at once, sealed or not.
pub async fn the_newest_event_is_told_before_it_is_sealed<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let newest = async || must(store.newest_event_at().await, "ask for the newest event");
    assert_eq!(newest().await, None);
    let first = Changeset { at: at(50), ..super::inserting([reservation(1)]) };
    commit(&*store, first).await;
    assert_eq!(newest().await, Some(at(50)));
    seal(&*store).await;
    assert_eq!(newest().await, Some(at(50)));
    let changed = Reservation { request_hash: None, ..reservation(1) };
    commit(&*store, Changeset { at: at(51), ..updating(Version(1), changed.clone()) }).await;
    assert_eq!(newest().await, Some(at(51)));
    commit(&*store, Changeset { at: at(40), ..deleting(Version(2), changed) }).await;
    assert_eq!(newest().await, Some(at(40)), "the last, not the latest: clocks may jump back");
}

/// The head is the position of the newest sealed event, whosesoever: nothing that is not sealed
/// moves it, and whoever goes on from it reads what is sealed afterwards.
pub async fn the_head_is_where_what_comes_next_is_read_from<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let head = async || must(store.head().await, "ask where the log ends");
    assert_eq!(head().await, Position::START);
    insert(&*store, [Entity::from(job(1)), cluster_state("c1").into()]).await;
    assert_eq!(head().await, Position::START, "nothing is sealed yet");
    seal(&*store).await;
    assert_eq!(head().await, Position(2));
    insert(&*store, [job(2)]).await;
    seal(&*store).await;
    let next = must(store.events(&Scope::Everyone, Position(2), 10).await, "read on");
    assert_eq!(next.last().map(|sealed| sealed.position), Some(head().await));
}
