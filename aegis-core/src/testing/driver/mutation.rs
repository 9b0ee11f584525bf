//! The rules of a driver that can be broken one at a time.

use crate::seams::Feature;

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DriverMutation {
    /// Snapshots are declared and refused.
    RefusesSnapshots,
    /// Only full backups are declared, and all kinds are made.
    DeniesKinds,
    /// No level of verification is declared, and all are checked.
    DeniesLevels,
    /// The feature is not declared, and there.
    Denies(Feature),
    /// The feature is declared, and answers `Unsupported`.
    Lacks(Feature),
    /// What was never started is told to run.
    InventsWork,
    /// Namespaces are listed in reverse order.
    ListsNamespacesBackwards,
    /// The same operation started again is done again.
    StartsAnew,
    /// Starts look, pause, and then start.
    StartIsNotAtomic,
    /// What ended is absent once it was told.
    ForgetsEnds,
    /// A restart loses what was made before.
    ForgetsOnRestart,
    /// After a restart work is told to be lost, and goes on. For drivers whose work outlives them.
    LostWorkGoesOn,
    /// Namespaces that are not there are left out of backups.
    AcceptsAnyNamespace,
    /// Errors do not say what to do.
    GivesNoAdvice,
    /// Nothing ends any more once somebody stopped reading hints.
    StallsWithoutListener,
    /// Handles are empty.
    HandlesAreEmpty,
    /// Sizes are zero.
    SizesAreZero,
    /// Restores bring back the newest backup, whichever was asked for.
    RestoresTheNewest,
    /// Backups that build on another hold what the other holds.
    IgnoresChanges,
    /// Errors tell the secret.
    TellsTheSecret,
    /// Restores complete and do nothing.
    RestoresNothing,
    /// Restores ignore where they should go.
    IgnoresMapping,
    /// Folders outside of the restore roots are accepted.
    RestoresAnywhere,
    /// Restores overwrite what differs.
    AlwaysOverwrites,
    /// Restores say that they completed where something differs.
    HidesDifferences,
    /// Restores never overwrite.
    NeverOverwrites,
    /// Restores that are to fail if something differs restore the rest.
    FailsInPart,
    /// Restores ignore which paths were chosen.
    IgnoresPaths,
    /// Previews restore.
    PreviewRestores,
    /// Previews tell nothing.
    PreviewIsBlind,
    /// Clean-ups complete and do nothing.
    CleansNothing,
    /// Clean-ups take whatever lies at their targets. For drivers that are scripted so.
    CleansEverything,
    /// Clean-ups say that they completed where they left something.
    HidesLeavings,
    /// A restart loses what trial restores made.
    ForgetsTrials,
    /// What was restored to stay can be cleaned up.
    CleansRecoveries,
    /// Verifications always fail.
    VerifyFails,
    /// Verifications always pass.
    VerifyPasses,
    /// Deletions complete and do nothing.
    DeletesNothing,
    /// Deleting what is gone is refused.
    DeleteRefusesGone,
    /// Deletions take everything.
    DeletesEverything,
    /// What was cancelled is told to be, and completes.
    CancelKeepsBackup,
    /// Cancelling a second time is refused.
    CancelRefusesTwice,
    /// What was cancelled never ends.
    CancelNeverEnds,
    /// What has ended becomes cancelled.
    CancelRewritesEnd,
    /// Cancelling what was never started is refused.
    CancelRefusesUnstarted,
    /// Records are browsed as empty.
    BrowseIsEmpty,
    /// Browsing ends with the first page.
    BrowsesOnePage,
    /// Whatever is browsed is there.
    BrowseInventsFolders,
    /// The inventory does not say who made what.
    InventoryForgetsOperations,
    /// The inventory ends with the first page.
    InventoryIsOnePage,
}
