//! The suite sees when a rule of the PostgreSQL store is broken.

use aegis_core::testing::{StoreFilter::*, StoreMutation as Mutation, conformance::store as suite};

use crate::conformance::{Broken, Postgres};

/// What a changeset rests on is not insisted upon: neither versions nor fences nor steps.
const NOTHING_IS_REFUSED: Broken = Broken::Database(
    "create or replace function refuse() returns boolean language sql volatile as 'select true'",
);
/// What is expected to be absent is not looked at.
const ABSENCE_IS_NOT_HELD: Broken = Broken::Database(
    "create or replace function hold_absent(kind text, key json) returns boolean language sql volatile as \
     'select true'",
);
/// What changes is not told to those who keep totals.
const CHANGES_ARE_NOT_COUNTED: Broken = Broken::Database("drop trigger tally_update on record");
/// What is not folded into the totals is forgotten.
const THE_TAIL_IS_NOT_COUNTED: Broken =
    Broken::Database("create rule forgotten as on insert to tally_tail do instead nothing");
/// Where the log is to start is forgotten.
const NOTHING_IS_LET_GO: Broken =
    Broken::Database("create rule forgotten as on insert to log_start do instead nothing");
/// Each event has a number of its own, as if it were all of its changeset.
const EVENTS_ARE_NUMBERED_ALONE: Broken = Broken::Database(
    "do $$ begin \
        create function alone() returns trigger language plpgsql as \
            'begin new.seq := nextval(''event_tail_seq_seq''); return new; end'; \
        create trigger alone before insert on event_tail for each row execute function alone(); \
    end $$",
);

const fn ignores(filter: aegis_core::testing::StoreFilter) -> Broken {
    Broken::Rule(Mutation::Ignores(filter))
}

/// Each behaviour with the mutants that it must catch.
macro_rules! catches {
    ($($behaviour:ident: $($broken:expr),+;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[expect(clippy::disallowed_methods, reason = "a panic of the suite must end a task, not the test")]
            async fn $behaviour() {
                if crate::database::server("mutants on PostgreSQL").is_none() {
                    return;
                }
                for broken in [$($broken),+] {
                    let task = tokio::spawn(async move { suite::$behaviour(&Postgres(Some(broken))).await });
                    let Err(failed) = task.await else { panic!("{broken:?} was not seen") };
                    assert!(failed.is_panic(), "{broken:?}: {failed}");
                }
            }
        )+
    };
}

catches! {
    an_update_of_another_version_is_refused: NOTHING_IS_REFUSED;
    a_deletion_of_another_version_is_refused: NOTHING_IS_REFUSED;
    an_expected_version_must_be_there_still: NOTHING_IS_REFUSED;
    an_expected_absence_must_hold_still: ABSENCE_IS_NOT_HELD;
    one_of_two_writers_of_a_version_wins: NOTHING_IS_REFUSED;
    a_commit_under_a_lease_never_granted_is_refused: NOTHING_IS_REFUSED;
    a_commit_under_a_lease_given_back_is_refused: NOTHING_IS_REFUSED;
    a_late_commit_after_a_takeover_is_refused: NOTHING_IS_REFUSED;
    a_reader_steps_on_from_where_it_is: NOTHING_IS_REFUSED;
    totals_are_exact_at_every_moment: CHANGES_ARE_NOT_COUNTED, THE_TAIL_IS_NOT_COUNTED;
    a_changeset_is_sealed_whole: EVENTS_ARE_NUMBERED_ALONE;
    sealing_needs_the_lease: Broken::Rule(Mutation::SealsIgnoreLease);
    sealing_at_once_numbers_each_event_once: Broken::Rule(Mutation::PositionsHaveGaps);
    a_reader_that_resumes_skips_nothing: Broken::Rule(Mutation::ReadersSkip);
    a_log_that_was_cut_starts_where_it_was_cut: NOTHING_IS_LET_GO, Broken::Rule(Mutation::CutsAreSilent);
    a_log_is_cut_forwards_and_never_whole: NOTHING_IS_REFUSED;
    get_stays_in_its_scope: Broken::Rule(Mutation::GetCrossesTenants);
    queries_stay_in_their_scope: ignores(JobScope), ignores(RecordScope), ignores(PlanScope),
        ignores(ExecutionScope), ignores(PolicyScope), ignores(SlotScope), ignores(VerificationScope),
        ignores(RetentionRunScope), ignores(DrTestScope);
    policy_states_are_read_at_once: Broken::Rule(Mutation::PolicyStatesCrossTenants),
        Broken::Rule(Mutation::PolicyStatesIgnorePolicies);
    the_tail_has_what_is_not_sealed_yet: Broken::Rule(Mutation::TailCrossesTenants);
    a_tenant_sees_its_own_events_alone: Broken::Rule(Mutation::LogCrossesTenants);
}
