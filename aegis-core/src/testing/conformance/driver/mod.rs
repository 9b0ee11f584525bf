//! What every [`BackupDriver`] must do, one function per behaviour.

mod backing_up;
mod cancelling;
mod cleaning;
mod declaring;
mod deleting;
mod listing;
mod restoring;
mod session;
mod starting;
mod verifying;

use std::sync::Arc;

use async_trait::async_trait;

pub use backing_up::{
    a_backup_tells_what_it_made, each_backup_holds_what_was_there_then, no_error_tells_the_secret,
};
pub use cancelling::{
    a_cancelled_backup_leaves_nothing_that_counts, a_cancelled_restore_ends,
    cancelling_what_has_ended_changes_nothing, cancelling_what_was_never_started_is_harmless,
};
pub use cleaning::{
    a_clean_up_done_again_takes_nothing, a_clean_up_leaves_what_others_put_there,
    a_clean_up_removes_what_its_trial_made, another_process_cleans_up,
    what_was_restored_to_stay_is_never_removed,
};
pub use declaring::{
    declared_features_are_answered, every_declared_kind_makes_a_backup, undeclared_features_are_unsupported,
    undeclared_kinds_are_unsupported, undeclared_levels_are_unsupported,
};
pub use deleting::{a_deleted_backup_is_gone_and_may_be_deleted_again, deleting_one_backup_keeps_the_others};
pub use listing::{
    browse_pages_agree_with_the_whole, browsing_finds_what_was_backed_up,
    browsing_what_is_not_there_is_refused, inventory_lists_every_backup_with_its_operation,
    inventory_pages_agree_with_the_whole,
};
pub use restoring::{
    a_folder_outside_of_the_restore_roots_is_refused, a_preview_changes_nothing,
    a_preview_tells_what_would_happen, a_restore_brings_back_what_was_there, a_restore_goes_to_a_folder,
    a_restore_goes_to_another_namespace, a_restore_takes_effect_once, nothing_is_touched_on_fail,
    only_chosen_paths_are_restored, restoring_what_is_not_there_is_refused,
    what_differs_is_overwritten_on_update, what_differs_stays_unless_told,
};
pub use starting::{
    a_new_instance_finds_what_was_made, an_ended_operation_stays_as_it_ended,
    an_unknown_namespace_is_refused_with_the_mend, concurrent_starts_make_one_backup, hints_may_be_ignored,
    namespaces_are_listed_in_order, starting_twice_makes_one_backup, what_was_never_started_is_absent,
    work_of_a_dead_process_is_told_truly,
};
pub use verifying::{a_damaged_backup_fails, a_good_backup_passes_every_declared_level};

use crate::{
    model::{
        ClusterName, NamespaceName, RecordRef, RestoreTarget, StorageUri, TenantId, Timestamp,
        VerificationLevel,
    },
    seams::BackupDriver,
};

/// How the suite gets at the driver under test.
#[async_trait]
pub trait DriverHarness: Send + Sync {
    /// A driver with a protected system and a storage location of its own, shared with no other test.
    ///
    /// `None` if this machine can't provide one, once [`skip`](crate::testing::skip) has said so.
    async fn fresh(&self) -> Option<Box<dyn DriverBench>>;
}

/// A driver under test, with what surrounds it. Dropped when the test is over.
///
/// Entries are files to a driver of files, objects to one of Kubernetes: whatever has a path within
/// a namespace, and bytes.
#[async_trait]
pub trait DriverBench: Send + Sync {
    /// The driver.
    fn driver(&self) -> Arc<dyn BackupDriver>;

    /// The driver as another process would open it, after the one that used it ended without a
    /// farewell; `None` if that can't be done here.
    async fn restart(&self) -> Option<Arc<dyn BackupDriver>>;

    /// Whose data it is.
    fn tenant(&self) -> TenantId;

    /// The cluster that the driver serves.
    fn cluster(&self) -> ClusterName;

    /// An empty storage location.
    fn location(&self) -> StorageUri;

    /// Two namespaces that exist and hold nothing yet.
    fn namespaces(&self) -> [NamespaceName; 2];

    /// A folder below a restore root that is not there yet; `None` if the driver restores to none.
    fn restore_folder(&self) -> Option<String>;

    /// The present instant, by the clock that the driver uses.
    fn now(&self) -> Timestamp;

    /// Lets a little time pass: a second of a virtual clock, a few milliseconds of the real one.
    async fn wait(&self);

    /// Writes an entry, and replaces the one that is there.
    async fn write(&self, target: &RestoreTarget, path: &str, bytes: &[u8]);

    /// Removes an entry.
    async fn remove(&self, target: &RestoreTarget, path: &str);

    /// Reads an entry; `None` if it is not there.
    async fn read(&self, target: &RestoreTarget, path: &str) -> Option<Vec<u8>>;

    /// Spoils a backup's stored data so that a check at `level` must find it; `false` if that can't
    /// be done here.
    async fn damage(&self, record: &RecordRef, level: VerificationLevel) -> bool;

    /// A secret that the driver was given and may tell nobody; `None` if it has none.
    fn secret(&self) -> Option<String>;
}

/// Expands to one `#[tokio::test]` per behaviour of a [`BackupDriver`].
///
/// Takes an expression that makes a [`DriverHarness`]; the crate that uses it needs tokio with
/// `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! driver_conformance {
    ($harness:expr) => {
        $crate::for_each_driver_behaviour!([$crate::driver_conformance_tests] $harness);
    };
}

/// Names every behaviour to the macro `$then`.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_driver_behaviour {
    ([$($then:tt)+] $harness:expr) => {
        $($then)+! {
            $harness;
            every_declared_kind_makes_a_backup
            undeclared_kinds_are_unsupported
            undeclared_levels_are_unsupported
            undeclared_features_are_unsupported
            declared_features_are_answered
            what_was_never_started_is_absent
            namespaces_are_listed_in_order
            starting_twice_makes_one_backup
            concurrent_starts_make_one_backup
            an_ended_operation_stays_as_it_ended
            a_new_instance_finds_what_was_made
            work_of_a_dead_process_is_told_truly
            an_unknown_namespace_is_refused_with_the_mend
            hints_may_be_ignored
            a_backup_tells_what_it_made
            each_backup_holds_what_was_there_then
            no_error_tells_the_secret
            a_restore_brings_back_what_was_there
            a_restore_goes_to_another_namespace
            a_restore_goes_to_a_folder
            a_folder_outside_of_the_restore_roots_is_refused
            what_differs_stays_unless_told
            what_differs_is_overwritten_on_update
            nothing_is_touched_on_fail
            only_chosen_paths_are_restored
            restoring_what_is_not_there_is_refused
            a_restore_takes_effect_once
            a_preview_changes_nothing
            a_preview_tells_what_would_happen
            a_clean_up_removes_what_its_trial_made
            a_clean_up_leaves_what_others_put_there
            a_clean_up_done_again_takes_nothing
            another_process_cleans_up
            what_was_restored_to_stay_is_never_removed
            a_good_backup_passes_every_declared_level
            a_damaged_backup_fails
            a_deleted_backup_is_gone_and_may_be_deleted_again
            deleting_one_backup_keeps_the_others
            a_cancelled_backup_leaves_nothing_that_counts
            a_cancelled_restore_ends
            cancelling_what_has_ended_changes_nothing
            cancelling_what_was_never_started_is_harmless
            browsing_finds_what_was_backed_up
            browse_pages_agree_with_the_whole
            browsing_what_is_not_there_is_refused
            inventory_lists_every_backup_with_its_operation
            inventory_pages_agree_with_the_whole
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! driver_conformance_tests {
    ($harness:expr; $($behaviour:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::conformance::driver::$behaviour(&$harness).await;
            }
        )+
    };
}
