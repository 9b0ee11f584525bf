//! What the store costs: a commit of four writes, reads, the sealing of 1,000 events.
//!
//! `cargo bench -p aegis-store-memory`

#![expect(clippy::expect_used, reason = "a benchmark stops at the first surprise")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aegis_core::{
    model::{ChangesetId, EntityKey, EventFacts, EventKind, PolicyState, Position, Principal, Slot, Version},
    seams::{Changeset, Claim, Fence, HolderId, JobQuery, LeaseName, Scope, Store, Window},
    testing::{
        ManualClock,
        fixtures::{at, cluster, id, job, policy_state, record, slot, tenant},
    },
};
use aegis_store_memory::MemoryStore;
use divan::{Bencher, black_box, counter::ItemsCount};
use futures::executor::block_on;
use uuid::Uuid;

fn main() {
    divan::main();
}

/// A store with the state of one policy and `jobs` finished life cycles.
struct Filled {
    store: MemoryStore,
    next: AtomicU64,
}

impl Filled {
    fn new(jobs: u64) -> Self {
        let store = MemoryStore::new(Arc::new(ManualClock::starting_at(at(0))));
        let mut first = changeset(0);
        first.insert(policy_state(1), EventKind::PolicyStateChanged, EventFacts::default());
        block_on(store.commit(first)).expect("an empty store takes anything");
        let filled = Self { store, next: AtomicU64::new(1) };
        for _ in 0..jobs {
            block_on(filled.store.commit(filled.four_writes())).expect("nobody else writes");
        }
        filled
    }

    /// A new job, its slot and its record, and the policy's state: what a life cycle writes.
    fn four_writes(&self) -> Changeset {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut changeset = changeset(n);
        let due_at = Some(at(n));
        let state = PolicyState { due_at, ..policy_state(1) };
        changeset.insert(job(n), EventKind::JobCreated, EventFacts::default());
        changeset.insert(record(n), EventKind::RecordCreated, EventFacts::default());
        changeset.insert(
            Slot { nominal_at: at(n), ..slot(1) },
            EventKind::SlotSettled,
            EventFacts::default(),
        );
        changeset.update(Version(n), state, EventKind::PolicyStateChanged, EventFacts::default());
        changeset
    }

    fn sealer(&self) -> Fence {
        let (name, holder) = (LeaseName::sealer(), HolderId("bench".to_owned()));
        match block_on(self.store.claim(&name, &holder, Duration::from_secs(3600))) {
            Ok(Claim::Granted(lease)) => lease.fence,
            other => panic!("nobody else seals: {other:?}"),
        }
    }
}

fn changeset(n: u64) -> Changeset {
    Changeset::new(ChangesetId::from_uuid(Uuid::from_u128(n.into())), Principal::engine(), at(n))
}

const SIZES: [u64; 2] = [100, 100_000];

#[divan::bench(args = SIZES)]
fn commit_of_four_writes(bencher: Bencher<'_, '_>, jobs: u64) {
    let filled = Filled::new(jobs);
    bencher.with_inputs(|| filled.four_writes()).bench_local_values(|changeset| {
        block_on(filled.store.commit(changeset)).expect("nobody else writes")
    });
}

#[divan::bench(args = SIZES)]
fn get(bencher: Bencher<'_, '_>, jobs: u64) {
    let filled = Filled::new(jobs);
    let key = EntityKey::Job(id(jobs / 2));
    bencher.bench_local(|| block_on(filled.store.get(&Scope::Everyone, black_box(&key))));
}

#[divan::bench(args = SIZES)]
fn newest_fifty_jobs_of_a_tenant(bencher: Bencher<'_, '_>, jobs: u64) {
    let filled = Filled::new(jobs);
    let query = JobQuery::new(Scope::Tenant(tenant())).with_window(Window::first(50));
    bencher.bench_local(|| block_on(filled.store.jobs(black_box(&query))));
}

#[divan::bench(args = SIZES)]
fn next_due(bencher: Bencher<'_, '_>, jobs: u64) {
    let filled = Filled::new(jobs);
    let cluster = cluster();
    bencher.bench_local(|| block_on(filled.store.next_due(black_box(&cluster))));
}

#[divan::bench]
fn seal_of_1000_events(bencher: Bencher<'_, '_>) {
    let filled = Filled::new(0);
    let fence = filled.sealer();
    let commit_250 = || {
        for _ in 0..250 {
            block_on(filled.store.commit(filled.four_writes())).expect("nobody else writes");
        }
    };
    bencher
        .counter(ItemsCount::new(1_000_u32))
        .with_inputs(commit_250)
        .bench_local_values(|()| block_on(filled.store.seal(&fence, 1_000)).expect("the lease is held"));
}

#[divan::bench(args = SIZES)]
fn read_of_1000_events(bencher: Bencher<'_, '_>, jobs: u64) {
    let filled = Filled::new(jobs.max(250));
    let fence = filled.sealer();
    block_on(filled.store.seal(&fence, usize::MAX)).expect("the lease is held");
    let after = Position(jobs);
    bencher
        .counter(ItemsCount::new(1_000_u32))
        .bench_local(|| block_on(filled.store.events(&Scope::Everyone, black_box(after), 1_000)));
}
