//! The memory store does what every store must, and the suite that says so sees every mutant of it.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::Timestamp,
    seams::Store,
    testing::{
        FaultPlan, FaultyStore, ManualClock, MutantStore,
        StoreFilter::*,
        StoreMutation::{self as Mutation, *},
        conformance::store::{self as suite, StoreHarness, StoreUnderTest},
    },
};
use aegis_store_memory::MemoryStore;
use async_trait::async_trait;

/// A harness over the memory store, with a rule broken or none.
struct Memory(Option<Mutation>);

struct UnderTest {
    mutation: Option<Mutation>,
    inner: Arc<MemoryStore>,
    store: Arc<dyn Store>,
    clock: ManualClock,
}

fn wrap(inner: &Arc<MemoryStore>, mutation: Option<Mutation>) -> Arc<dyn Store> {
    let inner: Arc<dyn Store> = Arc::<MemoryStore>::clone(inner);
    match mutation {
        Some(mutation) => Arc::new(MutantStore::new(inner, mutation)),
        None => inner,
    }
}

#[async_trait]
impl StoreHarness for Memory {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        let inner = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let store = wrap(&inner, self.0);
        Some(Box::new(UnderTest { mutation: self.0, inner, store, clock }))
    }
}

#[async_trait]
impl StoreUnderTest for UnderTest {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }

    // The store keeps nothing. As a mutant it shows what is seen of one that should.
    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        match self.mutation? {
            ForgetsOnRestart => Some(Arc::new(MemoryStore::new(Arc::new(self.clock.clone())))),
            _ => Some(wrap(&self.inner, self.mutation)),
        }
    }
}

mod memory {
    use super::*;

    aegis_core::store_conformance!(Memory(None));
}

/// The memory store through a wrapper by whose plan nothing goes wrong.
struct Wrapped;

#[async_trait]
impl StoreHarness for Wrapped {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        let inner = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let plan = FaultPlan::seeded(0, Arc::new(clock.clone()));
        let store = Arc::new(FaultyStore::new(Arc::clone(&inner), plan));
        Some(Box::new(UnderTest { mutation: None, inner, store, clock }))
    }
}

mod wrapped {
    use super::*;

    aegis_core::store_conformance!(Wrapped);
}

/// Each behaviour with the mutants that it must catch.
macro_rules! catches {
    ($($behaviour:ident: $($mutation:expr),+;)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                for mutation in [$($mutation),+] {
                    let ran = tokio::spawn(async move { suite::$behaviour(&Memory(Some(mutation))).await });
                    let failed = ran.await.expect_err(&format!("{mutation:?} goes unnoticed"));
                    assert!(failed.is_panic(), "{mutation:?}: {failed}");
                }
            }
        )+

        const CAUGHT: &[&str] = &[$(stringify!($behaviour)),+];
    };
}

#[expect(clippy::disallowed_methods, reason = "a panic of the suite must end a task, not the test")]
mod mutants {
    use super::*;

    catches! {
        every_kind_of_entity_reads_back_as_written: ReadsLoseWarnings;
        odd_text_and_long_names_survive: ReadsLoseUnicode;
        instants_keep_their_microseconds: ReadsTruncateToMillis;
        what_is_not_there_reads_as_nothing: ReadsInventEntities;
        an_update_replaces_what_was_read: UpdatesDoNothing;
        an_update_of_another_version_is_refused: UpdatesIgnoreVersion;
        an_update_of_what_is_gone_is_refused: UpdatesRevive;
        a_deletion_removes_what_was_read: DeletionsDoNothing;
        a_deletion_of_another_version_is_refused: DeletionsIgnoreVersion;
        what_was_deleted_may_be_inserted_again: DeletedKeysStayTaken;
        an_insert_of_what_exists_is_refused: InsertsReplace;
        an_expected_version_must_be_there_still: VersionsAreNotExpected;
        an_expected_absence_must_hold_still: AbsencesAreNotExpected;
        a_refused_changeset_changes_nothing: CommitsInPieces;
        a_refused_changeset_may_be_committed_again: RefusalsAreRemembered;
        a_repeated_changeset_is_applied_once: ChangesetsAreForgotten;
        a_malformed_changeset_is_refused: MalformedIsAccepted;
        a_changeset_without_writes_only_checks: EmptyIsApplied;
        concurrent_repetitions_are_applied_once: RepetitionsRace;
        one_of_two_writers_of_a_version_wins: UpdatesRace;
        concurrent_writers_lose_nothing: ConcurrentWritesAreLost;
        a_lease_has_one_holder: LeasesAreShared;
        a_holder_renews_under_its_generation: RenewalsAddNothing;
        a_lease_that_ran_out_goes_to_another: LeasesNeverRunOut;
        a_lease_that_ran_out_is_granted_anew_to_its_holder: GenerationsStay;
        a_lease_given_back_is_free_at_once: ReleasesDoNothing, GenerationsStay;
        giving_back_an_old_grant_changes_nothing: ReleasesIgnoreGeneration;
        leases_of_different_names_are_apart: LeaseNamesCollide;
        one_of_many_claimants_is_granted: LeasesAreShared;
        a_commit_passes_under_a_held_lease: FencesNeverHold;
        a_commit_under_a_lease_that_ran_out_is_refused: FencesAreIgnored;
        a_commit_under_a_lease_given_back_is_refused: FencesAreIgnored, FencesIgnoreGeneration;
        a_commit_under_a_lease_never_granted_is_refused: FencesAreIgnored;
        a_late_commit_after_a_takeover_is_refused: FencesAreIgnored, FencesIgnoreGeneration;
        get_stays_in_its_scope: GetCrossesTenants;
        queries_stay_in_their_scope: Ignores(JobScope), Ignores(RecordScope), Ignores(PlanScope),
            Ignores(ExecutionScope), Ignores(PolicyScope), Ignores(SlotScope), Ignores(VerificationScope),
            Ignores(RetentionRunScope), Ignores(DrTestScope);
        keys_are_unique_over_all_tenants: InsertsReplace;
        tenants_are_those_that_own_something: TenantsAreForgotten;
        jobs_are_found_by_each_filter: Ignores(JobCluster), Ignores(JobStatuses), Ignores(JobLive),
            Ignores(JobPolicy), Ignores(JobLocation), Ignores(JobFrom), Ignores(JobTo), Ignores(JobHidden);
        records_are_found_by_each_filter: Ignores(RecordCluster), Ignores(RecordPolicy), Ignores(RecordManual),
            Ignores(RecordStates), Ignores(RecordLocation), Ignores(RecordBackend), Ignores(RecordChain),
            Ignores(RecordFrom), Ignores(RecordTo), Ignores(RecordDueBy);
        plans_are_found_by_each_filter: Ignores(PlanCluster), Ignores(PlanStatus), Ignores(PlanRecord);
        executions_are_found_by_each_filter: Ignores(ExecutionCluster), Ignores(ExecutionPlan),
            Ignores(ExecutionStatus), Ignores(ExecutionActiveAfter);
        policies_are_found_by_each_filter: Ignores(PolicyIds), Ignores(PolicyCluster), Ignores(PolicyEnabled);
        slots_are_found_by_each_filter: Ignores(SlotPolicy), Ignores(SlotFrom), Ignores(SlotTo);
        verifications_are_found_by_each_filter: Ignores(VerificationCluster), Ignores(VerificationRecord),
            Ignores(VerificationStatus);
        dr_tests_are_found_by_each_filter: Ignores(DrTestCluster), Ignores(DrTestPolicy),
            Ignores(DrTestRecord), Ignores(DrTestStatus), Ignores(DrTestActiveAfter);
        retention_runs_are_found_by_each_filter: Ignores(RetentionRunCluster), Ignores(RetentionRunPolicy);
        lists_are_newest_first_and_ties_by_id: ListsAreReversed;
        jobs_are_dispatched_by_priority_then_age: Ignores(JobDispatch), Ignores(JobBefore);
        windows_cut_where_they_say: OffsetsAreIgnored, LimitsAreIgnored, TotalsCountThePage;
        pages_by_cursor_neither_skip_nor_repeat: CursorsIgnoreIds;
        lists_follow_updates: ListsAreStale;
        record_totals_count_what_is_there: TotalsCountGoneCopies;
        totals_are_exact_at_every_moment: Ignores(JobStatuses), Ignores(RecordPolicy), Ignores(SlotFrom);
        policy_states_are_read_at_once: PolicyStatesCrossTenants, PolicyStatesIgnoreCluster,
            PolicyStatesIgnorePolicies, PolicyStatesAreReversed;
        due_policies_are_the_longest_due_first: DueIsEarly, DueIsReversed;
        due_policies_follow_their_state: DueIsStale;
        next_due_is_the_earliest_of_all_that_waits: NextDueKnowsPoliciesAlone;
        every_write_has_one_event: DeletionsHaveNoEvent;
        positions_are_dense_and_in_commit_order: PositionsHaveGaps;
        chains_verify_for_each_tenant_and_for_none: OneChainForAll;
        sealing_goes_on_where_it_stopped: SealsIgnoreLimit;
        a_changeset_is_sealed_whole: SealsCutChangesets;
        sealing_needs_the_lease: SealsIgnoreLease;
        sealing_at_once_numbers_each_event_once: PositionsHaveGaps, OneChainForAll;
        what_is_not_sealed_is_not_read: SealsAtOnce;
        a_reader_that_resumes_skips_nothing: ReadersSkip;
        a_tenant_sees_its_own_events_alone: LogCrossesTenants;
        the_tail_has_what_is_not_sealed_yet: TailCrossesTenants, TailIgnoresLimit, TailLacksTheNewest;
        the_head_is_where_what_comes_next_is_read_from: HeadStandsStill;
        the_newest_event_is_told_before_it_is_sealed: NewestEventIsSealed;
        a_log_that_was_cut_starts_where_it_was_cut: CutsDoNothing, CutsAreSilent;
        a_log_is_cut_forwards_and_never_whole: CutsGoBack, CutsTakeAll;
        who_is_beyond_the_end_of_the_log_is_told: EndsAreSilent;
        readers_are_known_with_their_positions: ReadersAreForgotten;
        a_reader_steps_on_from_where_it_is: ReadersStepFromAnywhere;
        what_a_reader_derives_is_kept_with_its_step: DerivedIsKeptAlways, DerivedIsKeptOnce;
        derived_rows_are_found_by_their_keys: DerivedCrossesTenants, DerivedCrossesReaders,
            DerivedRangesAreClosed;
        one_of_many_steps_from_a_position_counts: ReadersRace;
        who_waits_is_told_what_there_is_to_do: HintsAreLost, HintsNameNoCluster;
        each_listener_is_told_and_who_is_gone_is_no_hindrance: HintsHaveOneListener;
        the_last_progress_wins: FirstProgressWins;
        pruning_forgets_expired_reservations: PruningDoesNothing, PruningIsEarly;
        pruning_forgets_old_progress: PruningDoesNothing;
        pruning_keeps_what_is_needed: PruningForgetsProgress;
        repetitions_are_known_for_a_day: PruningForgetsChangesets;
        reopening_keeps_everything: ForgetsOnRestart;
    }

    macro_rules! listed {
        ($none:expr; $($behaviour:ident)+) => {
            const LISTED: &[&str] = &[$(stringify!($behaviour)),+];
        };
    }
    aegis_core::for_each_store_behaviour!([listed]());

    #[test]
    fn every_behaviour_has_a_mutant_that_it_catches() {
        assert_eq!(CAUGHT, LISTED);
    }
}
