//! Every rule that a mutant can break.

use super::StoreFilter;

/// Which rule of a store is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreMutation {
    /// Jobs are read without their warnings.
    ReadsLoseWarnings,
    /// What is not ASCII in a failure is lost.
    ReadsLoseUnicode,
    /// The ends of reservations are read to the millisecond.
    ReadsTruncateToMillis,
    /// What nobody wrote is read as something that somebody did.
    ReadsInventEntities,

    /// Updates are left out.
    UpdatesDoNothing,
    /// Updates do not compare the version that was read.
    UpdatesIgnoreVersion,
    /// Updates bring back what is gone.
    UpdatesRevive,
    /// Deletions are left out.
    DeletionsDoNothing,
    /// Deletions do not compare the version that was read.
    DeletionsIgnoreVersion,
    /// What was deleted can't be inserted again.
    DeletedKeysStayTaken,
    /// Inserts replace what exists.
    InsertsReplace,
    /// Expected versions are not compared.
    VersionsAreNotExpected,
    /// Expected absences are not looked at.
    AbsencesAreNotExpected,
    /// Each write is a commit of its own.
    CommitsInPieces,
    /// What was refused counts as applied.
    RefusalsAreRemembered,
    /// What was applied is forgotten.
    ChangesetsAreForgotten,
    /// Of two writes of one key, the first is made.
    MalformedIsAccepted,
    /// Changesets without writes are not looked at.
    EmptyIsApplied,
    /// Whether a changeset was applied is asked a while before it is.
    RepetitionsRace,
    /// Versions are compared a while before they are written.
    UpdatesRace,
    /// A commit beside another is lost.
    ConcurrentWritesAreLost,

    /// A lease that is held is granted to another.
    LeasesAreShared,
    /// A renewal adds no time.
    RenewalsAddNothing,
    /// A lease is held a thousand times as long as asked for.
    LeasesNeverRunOut,
    /// Every grant has the generation of the first.
    GenerationsStay,
    /// A lease given back stays held.
    ReleasesDoNothing,
    /// An old grant gives back the new one.
    ReleasesIgnoreGeneration,
    /// All leases are one.
    LeaseNamesCollide,
    /// Fences never hold.
    FencesNeverHold,
    /// Fences are not looked at.
    FencesAreIgnored,
    /// Any grant of a lease will do.
    FencesIgnoreGeneration,

    /// One filter of one query narrows nothing.
    Ignores(StoreFilter),
    /// An entity is read whosesoever it is.
    GetCrossesTenants,
    /// Nobody owns anything.
    TenantsAreForgotten,
    /// Lists are in reverse order.
    ListsAreReversed,
    /// Nothing is left out first.
    OffsetsAreIgnored,
    /// Lists have no limit.
    LimitsAreIgnored,
    /// Lists go on from a time, whatever the id.
    CursorsIgnoreIds,
    /// A total is that of the page.
    TotalsCountThePage,
    /// A list is what it was when it was first asked for.
    ListsAreStale,
    /// Copies that are gone take storage.
    TotalsCountGoneCopies,

    /// States of policies are read whosesoever they are.
    PolicyStatesCrossTenants,
    /// States of policies are those of every cluster.
    PolicyStatesIgnoreCluster,
    /// States of policies are those of every policy.
    PolicyStatesIgnorePolicies,
    /// States of policies are in reverse order.
    PolicyStatesAreReversed,
    /// Policies are due before their time.
    DueIsEarly,
    /// The longest due policy comes last.
    DueIsReversed,
    /// What is due is what was when it was first asked for.
    DueIsStale,
    /// Only policies ever fall due.
    NextDueKnowsPoliciesAlone,

    /// Deletions have no events.
    DeletionsHaveNoEvent,
    /// Every other position is left out.
    PositionsHaveGaps,
    /// The events of all are linked into one chain.
    OneChainForAll,
    /// Seals everything at once.
    SealsIgnoreLimit,
    /// Seals a part of a changeset, if no more were asked for.
    SealsCutChangesets,
    /// Seals for whoever asks.
    SealsIgnoreLease,
    /// Events are sealed as they are committed.
    SealsAtOnce,
    /// A reader that goes on misses an event.
    ReadersSkip,
    /// A tenant sees everyone's events.
    LogCrossesTenants,
    /// A reader steps on from wherever it is.
    ReadersStepFromAnywhere,
    /// Where a reader is is asked a while before it steps on.
    ReadersRace,
    /// What a refused step derived is kept.
    DerivedIsKeptAlways,
    /// What was derived first stands.
    DerivedIsKeptOnce,
    /// What was derived for one tenant is read by all.
    DerivedCrossesTenants,
    /// What one reader derived is read by all.
    DerivedCrossesReaders,
    /// Ranges of keys have their ends in them.
    DerivedRangesAreClosed,
    /// A tenant sees everyone's unsealed events.
    TailCrossesTenants,
    /// However many unsealed events are asked for, all come.
    TailIgnoresLimit,
    /// The newest unsealed event is not told.
    TailLacksTheNewest,
    /// The log always ends where it began.
    HeadStandsStill,
    /// What was let go of the log is still there.
    CutsDoNothing,
    /// The log starts where it was cut last, wherever it started before.
    CutsGoBack,
    /// All of the log may go.
    CutsTakeAll,
    /// Whoever asks for what was let go reads what is left.
    CutsAreSilent,
    /// Whoever asks for what comes after the end of the log is told that there is nothing yet.
    EndsAreSilent,
    /// No reader is known.
    ReadersAreForgotten,
    /// The newest event is the newest that was sealed.
    NewestEventIsSealed,

    /// Hints never come.
    HintsAreLost,
    /// Hints name no cluster.
    HintsNameNoCluster,
    /// Who listens first is the only one to be told.
    HintsHaveOneListener,

    /// The first progress stands.
    FirstProgressWins,
    /// Nothing is ever forgotten.
    PruningDoesNothing,
    /// Reservations are forgotten before their end.
    PruningIsEarly,
    /// All progress is forgotten.
    PruningForgetsProgress,
    /// All applied changesets are forgotten.
    PruningForgetsChangesets,
    /// A restart loses everything; the harness that reopens has to do it.
    ForgetsOnRestart,
}
