//! The suite passes on the scripted driver, and fails on every mutant of it.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    model::{
        ClusterName, NamespaceName, RecordRef, RestoreTarget, StorageUri, TenantId, Timestamp,
        VerificationLevel,
    },
    seams::{BackupDriver, Clock, WorkKind},
    testing::{
        DriverMutation::{self as Mutation, *},
        FaultPlan, FaultyDriver, ManualClock, MutantDriver, Script, ScriptedDriver,
        conformance::driver::{self as suite, DriverBench, DriverHarness},
    },
};
use async_trait::async_trait;

/// A harness over the scripted driver, with a rule broken or none.
struct Scripted(Option<Mutation>);

/// The same through a wrapper by whose plan nothing goes wrong.
struct Wrapped;

struct Bench {
    clock: ManualClock,
    is_wrapped: bool,
    scripted: ScriptedDriver,
    mutant: Mutex<Option<Arc<MutantDriver>>>,
}

#[async_trait]
impl DriverHarness for Scripted {
    async fn fresh(&self) -> Option<Box<dyn DriverBench>> {
        Some(Box::new(self.bench()))
    }
}

#[async_trait]
impl DriverHarness for Wrapped {
    async fn fresh(&self) -> Option<Box<dyn DriverBench>> {
        Some(Box::new(Bench { is_wrapped: true, ..Scripted(None).bench() }))
    }
}

impl Scripted {
    fn bench(&self) -> Bench {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        let empty = || Vec::<(String, String)>::new();
        let mut scripted = ScriptedDriver::new(Arc::new(clock.clone()))
            .with_namespace(NamespaceName::new("app").unwrap(), empty())
            .with_namespace(NamespaceName::new("web").unwrap(), empty())
            .with_restore_root("/restores");
        for kind in WorkKind::ALL {
            scripted = scripted.with_duration(*kind, Duration::from_secs(5));
        }
        if self.0 == Some(CleansEverything) {
            scripted.script_usual(WorkKind::CleanUp, Script::overreaching());
        }
        if self.0 == Some(LostWorkGoesOn) {
            scripted = scripted.outliving_its_process();
        }
        let mutant = self.0.map(|mutation| Arc::new(MutantDriver::new(Arc::new(scripted.clone()), mutation)));
        Bench { clock, is_wrapped: false, scripted, mutant: Mutex::new(mutant) }
    }
}

#[async_trait]
impl DriverBench for Bench {
    fn driver(&self) -> Arc<dyn BackupDriver> {
        match &*self.mutant.lock().unwrap() {
            Some(mutant) => Arc::<MutantDriver>::clone(mutant),
            None if self.is_wrapped => Arc::new(FaultyDriver::new(
                Arc::new(self.scripted.clone()),
                FaultPlan::seeded(0, Arc::new(self.clock.clone())),
            )),
            None => Arc::new(self.scripted.clone()),
        }
    }

    async fn restart(&self) -> Option<Arc<dyn BackupDriver>> {
        self.scripted.lose_process();
        {
            let mut mutant = self.mutant.lock().unwrap();
            *mutant = mutant.as_ref().map(|mutant| Arc::new(mutant.restarted()));
        }
        Some(self.driver())
    }

    fn tenant(&self) -> TenantId {
        TenantId::new("default").unwrap()
    }

    fn cluster(&self) -> ClusterName {
        ClusterName::new("local").unwrap()
    }

    fn location(&self) -> StorageUri {
        "s3://backups/scripted".parse().unwrap()
    }

    fn namespaces(&self) -> [NamespaceName; 2] {
        ["app", "web"].map(|name| NamespaceName::new(name).unwrap())
    }

    fn restore_folder(&self) -> Option<String> {
        Some("/restores/here".to_owned())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn wait(&self) {
        self.clock.advance(Duration::from_secs(1));
    }

    async fn write(&self, target: &RestoreTarget, path: &str, bytes: &[u8]) {
        self.scripted.write(target, path, bytes.to_vec());
    }

    async fn remove(&self, target: &RestoreTarget, path: &str) {
        self.scripted.remove(target, path);
    }

    async fn read(&self, target: &RestoreTarget, path: &str) -> Option<Vec<u8>> {
        self.scripted.read(target, path).map(Vec::from)
    }

    async fn damage(&self, record: &RecordRef, level: VerificationLevel) -> bool {
        self.scripted.damage(&record.handle, level)
    }

    fn secret(&self) -> Option<String> {
        Some(MutantDriver::SECRET.to_owned())
    }
}

mod scripted {
    use super::*;

    aegis_core::driver_conformance!(Scripted(None));
}

mod wrapped {
    use super::*;

    aegis_core::driver_conformance!(Wrapped);
}

/// Each behaviour with the mutants that it must catch.
macro_rules! catches {
    ($($behaviour:ident: $($mutation:expr),+;)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                for mutation in [$($mutation),+] {
                    let ran = tokio::task::JoinSet::from_iter([async move {
                        suite::$behaviour(&Scripted(Some(mutation))).await;
                    }])
                    .join_next()
                    .await;
                    let failed = ran.unwrap().expect_err(&format!("{mutation:?} was not caught"));
                    assert!(failed.is_panic(), "{failed}");
                }
            }
        )+

        const CAUGHT: &[&str] = &[$(stringify!($behaviour)),+];
    };
}

mod mutants {
    use aegis_core::seams::Feature;

    use super::*;

    catches! {
        every_declared_kind_makes_a_backup: RefusesSnapshots;
        undeclared_kinds_are_unsupported: DeniesKinds;
        undeclared_levels_are_unsupported: DeniesLevels;
        undeclared_features_are_unsupported:
            Denies(Feature::CancelBackup), Denies(Feature::CancelRestore), Denies(Feature::Preview),
            Denies(Feature::Browse), Denies(Feature::Inventory), Denies(Feature::SelectPaths),
            Denies(Feature::MapNamespaces), Denies(Feature::MapToPaths), Denies(Feature::UpdateExisting),
            Denies(Feature::CleanUp);
        declared_features_are_answered:
            Lacks(Feature::CancelBackup), Lacks(Feature::CancelRestore), Lacks(Feature::Preview),
            Lacks(Feature::Browse), Lacks(Feature::Inventory), Lacks(Feature::SelectPaths),
            Lacks(Feature::MapNamespaces), Lacks(Feature::MapToPaths), Lacks(Feature::UpdateExisting),
            Lacks(Feature::CleanUp);
        what_was_never_started_is_absent: InventsWork;
        namespaces_are_listed_in_order: ListsNamespacesBackwards;
        starting_twice_makes_one_backup: StartsAnew;
        concurrent_starts_make_one_backup: StartIsNotAtomic;
        an_ended_operation_stays_as_it_ended: ForgetsEnds;
        a_new_instance_finds_what_was_made: ForgetsOnRestart;
        work_of_a_dead_process_is_told_truly: LostWorkGoesOn;
        an_unknown_namespace_is_refused_with_the_mend: AcceptsAnyNamespace, GivesNoAdvice;
        hints_may_be_ignored: StallsWithoutListener;
        a_backup_tells_what_it_made: HandlesAreEmpty, SizesAreZero;
        each_backup_holds_what_was_there_then: RestoresTheNewest, IgnoresChanges;
        no_error_tells_the_secret: TellsTheSecret;
        a_restore_brings_back_what_was_there: RestoresNothing;
        a_restore_goes_to_another_namespace: IgnoresMapping;
        a_restore_goes_to_a_folder: IgnoresMapping;
        a_folder_outside_of_the_restore_roots_is_refused: RestoresAnywhere;
        what_differs_stays_unless_told: AlwaysOverwrites, HidesDifferences;
        what_differs_is_overwritten_on_update: NeverOverwrites;
        nothing_is_touched_on_fail: FailsInPart;
        only_chosen_paths_are_restored: IgnoresPaths;
        restoring_what_is_not_there_is_refused: RestoresNothing;
        a_restore_takes_effect_once: StartsAnew;
        a_preview_changes_nothing: PreviewRestores;
        a_preview_tells_what_would_happen: PreviewIsBlind;
        a_clean_up_removes_what_its_trial_made: CleansNothing;
        a_clean_up_leaves_what_others_put_there: CleansEverything, HidesLeavings;
        a_clean_up_done_again_takes_nothing: CleansEverything;
        another_process_cleans_up: ForgetsTrials;
        what_was_restored_to_stay_is_never_removed: CleansRecoveries;
        a_good_backup_passes_every_declared_level: VerifyFails;
        a_damaged_backup_fails: VerifyPasses;
        a_deleted_backup_is_gone_and_may_be_deleted_again: DeletesNothing, DeleteRefusesGone;
        deleting_one_backup_keeps_the_others: DeletesEverything;
        a_cancelled_backup_leaves_nothing_that_counts: CancelKeepsBackup, CancelRefusesTwice;
        a_cancelled_restore_ends: CancelNeverEnds;
        cancelling_what_has_ended_changes_nothing: CancelRewritesEnd;
        cancelling_what_was_never_started_is_harmless: CancelRefusesUnstarted;
        browsing_finds_what_was_backed_up: BrowseIsEmpty;
        browse_pages_agree_with_the_whole: BrowsesOnePage;
        browsing_what_is_not_there_is_refused: BrowseInventsFolders;
        inventory_lists_every_backup_with_its_operation: InventoryForgetsOperations;
        inventory_pages_agree_with_the_whole: InventoryIsOnePage;
    }

    macro_rules! listed {
        ($none:expr; $($behaviour:ident)+) => {
            const LISTED: &[&str] = &[$(stringify!($behaviour)),+];
        };
    }
    aegis_core::for_each_driver_behaviour!([listed]());

    #[test]
    fn every_behaviour_has_a_mutant_that_it_catches() {
        assert_eq!(CAUGHT, LISTED);
    }
}
