//! Letting the log's beginning go.

use super::{
    LONG, StoreHarness, claim, events, insert, must,
    samples::{at, cluster_state, job, plan, tenant},
    seal,
    sealing::{must_be_dense, must_be_linked},
};
use crate::{
    model::{BackupJob, Entity, Position, SealedEvent},
    seams::{ErrorClass, LeaseName, LogStart, ReaderStep, Scope, Store, StoreError},
};

/// Three events a changeset: of a tenant, of another, of none; twelve in all, sealed.
async fn twelve(store: &dyn Store) -> Vec<SealedEvent> {
    for n in 1..=4 {
        let other = BackupJob { tenant: tenant("globex"), ..job(n + 10) };
        let state = cluster_state(&format!("c{n}"));
        insert(store, [Entity::from(job(n)), other.into(), state.into()]).await;
    }
    seal(store).await;
    events(store, &Scope::Everyone).await
}

/// The start of a log from which everything up to `position` was let go.
fn start_after(log: &[SealedEvent], position: u64) -> LogStart {
    let position = Position(position);
    let mut start = LogStart { position, log: Some(log[0].event.id.changeset), ..LogStart::default() };
    for sealed in log.iter().filter(|sealed| sealed.position <= position) {
        start.chains.insert(sealed.event.tenant.clone(), sealed.hash);
    }
    start
}

/// Panics unless the log starts after `position`, with what is left as it was.
async fn must_start_after(store: &dyn Store, whole: &[SealedEvent], position: u64) {
    assert_eq!(must(store.log_start().await, "ask where the log starts"), start_after(whole, position));
    for scope in [Scope::Everyone, Scope::Tenant(tenant("globex"))] {
        for gone in [0, position - 1] {
            let read = store.events(&scope, Position(gone), 100).await;
            let told = matches!(read, Err(StoreError::LogPruned(Position(from))) if from == position);
            assert!(told, "of {scope:?} after {gone}: {read:?}");
        }
        let left = must(store.events(&scope, Position(position), 100).await, "read what is left");
        let of_scope = |sealed: &&SealedEvent| match &scope {
            Scope::Everyone => true,
            Scope::Tenant(tenant) => sealed.event.tenant.as_ref() == Some(tenant),
        };
        let expected = whole.iter().filter(|sealed| sealed.position.0 > position);
        assert_eq!(left, expected.filter(of_scope).cloned().collect::<Vec<_>>());
    }
}

/// What was let go of the log is gone for every reader, pruned or not, also after a restart; the rest
/// stays as it was, and sealing goes on from it.
pub async fn a_log_that_was_cut_starts_where_it_was_cut<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let mut store = fresh.store();
    assert_eq!(must(store.log_start().await, "ask where the log starts"), LogStart::default());
    let mut whole = twelve(&*store).await;
    must(store.cut_log(start_after(&whole, 7)).await, "let the beginning go");
    must_start_after(&*store, &whole, 7).await;
    must(store.prune(at(0)).await, "prune");
    if let Some(reopened) = fresh.reopen().await {
        store = reopened;
    }
    must_start_after(&*store, &whole, 7).await;
    assert_eq!(must(store.head().await, "ask where the log ends"), Position(12));

    let fence = claim(&*store, &LeaseName::figures(), "one", LONG).await;
    insert(&*store, [Entity::from(plan(1)), cluster_state("c9").into()]).await;
    assert_eq!(must(store.seal(&fence, 10).await, "seal").head, Position(14));
    let newer = must(store.events(&Scope::Everyone, Position(12), 10).await, "read on");
    whole.extend(newer);
    must_be_dense(&whole);
    must_be_linked(&whole);
    must(store.cut_log(start_after(&whole, 13)).await, "let more go");
    must_start_after(&*store, &whole, 13).await;
}

/// What was let go does not come back, and the newest event never goes.
pub async fn a_log_is_cut_forwards_and_never_whole<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let whole = twelve(&*store).await;
    for position in [12, 13] {
        let refused = store.cut_log(start_after(&whole, position)).await.map_err(|error| error.class());
        assert_eq!(refused, Err(ErrorClass::InvalidInput), "everything up to {position}");
    }
    assert_eq!(events(&*store, &Scope::Everyone).await, whole);
    for position in [5, 5, 3] {
        must(store.cut_log(start_after(&whole, position)).await, "let the beginning go");
        must_start_after(&*store, &whole, 5).await;
    }
    must(store.cut_log(start_after(&whole, 11)).await, "let all but one go");
    must(store.prune(at(0)).await, "prune");
    must_start_after(&*store, &whole, 11).await;
}

/// Who asks for what comes after the end of the log is told where it ends, and who is at its end that
/// there is nothing yet.
pub async fn who_is_beyond_the_end_of_the_log_is_told<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    assert_eq!(events(&*store, &Scope::Everyone).await, []);
    twelve(&*store).await;
    for scope in [Scope::Everyone, Scope::Tenant(tenant("acme")), Scope::Tenant(tenant("nobody"))] {
        let nothing = must(store.events(&scope, Position(12), 10).await, "read on");
        assert_eq!(nothing, [], "of {scope:?}");
        let beyond = store.events(&scope, Position(13), 10).await;
        assert!(matches!(beyond, Err(StoreError::LogEnds(Position(12)))), "of {scope:?}: {beyond:?}");
    }
}

/// Every reader that stepped on is known, with how far it has come.
pub async fn readers_are_known_with_their_positions<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let readers = async || must(store.readers().await, "ask for the readers");
    assert!(readers().await.is_empty());
    for (name, from, to) in [("one", 0, 3), ("two/ü", 0, 9), ("one", 3, 4)] {
        let step = ReaderStep::new(name, Position(from), Position(to));
        must(store.advance_reader(step).await, "step on");
    }
    let known = [("one", 4), ("two/ü", 9)];
    assert_eq!(readers().await, known.map(|(name, at)| (name.to_owned(), Position(at))).into());
}
