//! The SQLite store does what every store must, and the suite that says so sees what breaks it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::Timestamp,
    seams::Store,
    testing::{
        ManualClock, MutantStore,
        StoreFilter::*,
        StoreMutation::{self as Mutation, *},
        conformance::store::{self as suite, StoreHarness, StoreUnderTest},
    },
};
use aegis_store_sqlite::{SqliteOptions, SqliteStore};
use async_trait::async_trait;
use tempfile::TempDir;

/// A harness over a file of its own, with a rule broken or none.
struct Sqlite(Option<Mutation>);

struct UnderTest {
    mutation: Option<Mutation>,
    clock: ManualClock,
    store: Mutex<Arc<SqliteStore>>,
    folder: TempDir,
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("aegis.db")
}

async fn open(folder: &TempDir, clock: &ManualClock) -> Arc<SqliteStore> {
    let opened = SqliteStore::open(SqliteOptions::new(file(folder)), Arc::new(clock.clone())).await;
    Arc::new(opened.expect("the store opens"))
}

impl UnderTest {
    fn wrap(&self, store: Arc<SqliteStore>) -> Arc<dyn Store> {
        match self.mutation {
            Some(mutation) => Arc::new(MutantStore::new(store, mutation)),
            None => store,
        }
    }

    fn current(&self) -> Arc<SqliteStore> {
        Arc::clone(&self.store.lock().unwrap())
    }
}

#[async_trait]
impl StoreHarness for Sqlite {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        let folder = tempfile::tempdir().expect("a folder");
        let store = Mutex::new(open(&folder, &clock).await);
        Some(Box::new(UnderTest { mutation: self.0, clock, store, folder }))
    }
}

#[async_trait]
impl StoreUnderTest for UnderTest {
    fn store(&self) -> Arc<dyn Store> {
        self.wrap(self.current())
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        self.current().close().await;
        if self.mutation == Some(ForgetsOnRestart) {
            std::fs::remove_file(file(&self.folder)).expect("the file is there");
        }
        let reopened = open(&self.folder, &self.clock).await;
        *self.store.lock().unwrap() = Arc::clone(&reopened);
        Some(self.wrap(reopened))
    }
}

mod sqlite {
    use super::*;

    aegis_core::store_conformance!(Sqlite(None));
}

/// Each behaviour with the mutants that it must catch.
macro_rules! catches {
    ($($behaviour:ident: $($mutation:expr),+;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            for mutation in [$($mutation),+] {
                let ran = tokio::spawn(async move { suite::$behaviour(&Sqlite(Some(mutation))).await });
                let failed = ran.await.expect_err(&format!("{mutation:?} goes unnoticed"));
                assert!(failed.is_panic(), "{mutation:?}: {failed}");
            }
        }
    )+};
}

// Every mutant meets the suite over the memory store; here, those whose rule SQL can break.
#[expect(clippy::disallowed_methods, reason = "a panic of the suite must end a task, not the test")]
mod mutants {
    use super::*;

    catches! {
        an_update_of_another_version_is_refused: UpdatesIgnoreVersion;
        a_refused_changeset_changes_nothing: CommitsInPieces;
        a_repeated_changeset_is_applied_once: ChangesetsAreForgotten;
        one_of_two_writers_of_a_version_wins: UpdatesRace;
        a_lease_has_one_holder: LeasesAreShared;
        a_late_commit_after_a_takeover_is_refused: FencesAreIgnored, FencesIgnoreGeneration;
        get_stays_in_its_scope: GetCrossesTenants;
        queries_stay_in_their_scope: Ignores(JobScope), Ignores(RecordScope), Ignores(PlanScope),
            Ignores(ExecutionScope), Ignores(PolicyScope), Ignores(SlotScope), Ignores(VerificationScope),
            Ignores(RetentionRunScope), Ignores(DrTestScope);
        policy_states_are_read_at_once: PolicyStatesCrossTenants, PolicyStatesIgnorePolicies;
        derived_rows_are_found_by_their_keys: DerivedCrossesTenants;
        a_tenant_sees_its_own_events_alone: LogCrossesTenants;
        the_tail_has_what_is_not_sealed_yet: TailCrossesTenants;
        sealing_needs_the_lease: SealsIgnoreLease;
        one_of_many_steps_from_a_position_counts: ReadersRace;
        reopening_keeps_everything: ForgetsOnRestart;
    }
}
