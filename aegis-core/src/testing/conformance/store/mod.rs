//! What every [`Store`] must do, one function per behaviour.

mod due;
mod entities;
mod fences;
mod filters;
mod hints;
mod history;
mod leases;
mod log;
mod pages;
mod races;
mod readers;
mod restart;
mod samples;
mod scopes;
mod sealing;
mod totals;
mod upkeep;
mod writes;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use uuid::Uuid;

pub use due::{
    due_policies_are_the_longest_due_first, due_policies_follow_their_state,
    next_due_is_the_earliest_of_all_that_waits, policy_states_are_read_at_once,
};
pub use entities::{
    every_kind_of_entity_reads_back_as_written, instants_keep_their_microseconds,
    odd_text_and_long_names_survive, what_is_not_there_reads_as_nothing,
};
pub use fences::{
    a_commit_passes_under_a_held_lease, a_commit_under_a_lease_given_back_is_refused,
    a_commit_under_a_lease_never_granted_is_refused, a_commit_under_a_lease_that_ran_out_is_refused,
    a_late_commit_after_a_takeover_is_refused,
};
pub use filters::{
    dr_tests_are_found_by_each_filter, executions_are_found_by_each_filter, jobs_are_found_by_each_filter,
    plans_are_found_by_each_filter, policies_are_found_by_each_filter, records_are_found_by_each_filter,
    retention_runs_are_found_by_each_filter, slots_are_found_by_each_filter,
    verifications_are_found_by_each_filter,
};
pub use hints::{
    each_listener_is_told_and_who_is_gone_is_no_hindrance, who_waits_is_told_what_there_is_to_do,
};
pub use history::{
    a_log_is_cut_forwards_and_never_whole, a_log_that_was_cut_starts_where_it_was_cut,
    readers_are_known_with_their_positions, who_is_beyond_the_end_of_the_log_is_told,
};
pub use leases::{
    a_holder_renews_under_its_generation, a_lease_given_back_is_free_at_once, a_lease_has_one_holder,
    a_lease_that_ran_out_goes_to_another, a_lease_that_ran_out_is_granted_anew_to_its_holder,
    giving_back_an_old_grant_changes_nothing, leases_of_different_names_are_apart,
    one_of_many_claimants_is_granted,
};
pub use log::{
    a_reader_that_resumes_skips_nothing, a_tenant_sees_its_own_events_alone, every_write_has_one_event,
    the_head_is_where_what_comes_next_is_read_from, the_newest_event_is_told_before_it_is_sealed,
    the_tail_has_what_is_not_sealed_yet, what_is_not_sealed_is_not_read,
};
pub use pages::{
    jobs_are_dispatched_by_priority_then_age, lists_are_newest_first_and_ties_by_id, lists_follow_updates,
    pages_by_cursor_neither_skip_nor_repeat, record_totals_count_what_is_there, windows_cut_where_they_say,
};
pub use races::{
    concurrent_repetitions_are_applied_once, concurrent_writers_lose_nothing,
    one_of_two_writers_of_a_version_wins,
};
pub use readers::{
    a_reader_steps_on_from_where_it_is, derived_rows_are_found_by_their_keys,
    one_of_many_steps_from_a_position_counts, what_a_reader_derives_is_kept_with_its_step,
};
pub use restart::reopening_keeps_everything;
pub use scopes::{
    get_stays_in_its_scope, keys_are_unique_over_all_tenants, queries_stay_in_their_scope,
    tenants_are_those_that_own_something,
};
pub use sealing::{
    a_changeset_is_sealed_whole, chains_verify_for_each_tenant_and_for_none,
    positions_are_dense_and_in_commit_order, sealing_at_once_numbers_each_event_once,
    sealing_goes_on_where_it_stopped, sealing_needs_the_lease,
};
pub use totals::totals_are_exact_at_every_moment;
pub use upkeep::{
    pruning_forgets_expired_reservations, pruning_forgets_old_progress, pruning_keeps_what_is_needed,
    repetitions_are_known_for_a_day, the_last_progress_wins,
};
pub use writes::{
    a_changeset_without_writes_only_checks, a_deletion_of_another_version_is_refused,
    a_deletion_removes_what_was_read, a_malformed_changeset_is_refused, a_refused_changeset_changes_nothing,
    a_refused_changeset_may_be_committed_again, a_repeated_changeset_is_applied_once,
    an_expected_absence_must_hold_still, an_expected_version_must_be_there_still,
    an_insert_of_what_exists_is_refused, an_update_of_another_version_is_refused,
    an_update_of_what_is_gone_is_refused, an_update_replaces_what_was_read,
    what_was_deleted_may_be_inserted_again,
};

use crate::{
    model::{
        ChangesetId, Entity, EntityKey, EventFacts, EventKind, Position, Principal, SealedEvent, Version,
    },
    seams::{
        Change, Changeset, Claim, Committed, Conflict, Fence, HolderId, LeaseName, Scope, Store, StoreError,
        Write, report,
    },
};

/// How the suite gets at the store under test.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// A store with nothing in it, shared with no other test; dropped when the test is over.
    ///
    /// `None` if this machine can't provide one, once [`skip`](crate::testing::skip) has said so.
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>>;
}

/// A store, and what the suite does to it from outside.
#[async_trait]
pub trait StoreUnderTest: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Lets time pass, seconds to days, by the clock that judges the store's leases.
    async fn pass(&self, by: Duration);

    /// The same data through a newly opened store, as after a restart; `None` if the store is one
    /// that keeps nothing.
    async fn reopen(&self) -> Option<Arc<dyn Store>>;
}

/// Expands to one `#[tokio::test]` per behaviour of a [`Store`].
///
/// Takes an expression that makes a [`StoreHarness`]; the crate that uses it needs tokio with
/// `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr) => {
        $crate::for_each_store_behaviour!([$crate::store_conformance_tests] $harness);
    };
}

/// Names every behaviour to the macro `$then`.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_store_behaviour {
    ([$($then:tt)+] $harness:expr) => {
        $($then)+! {
            $harness;
            every_kind_of_entity_reads_back_as_written
            odd_text_and_long_names_survive
            instants_keep_their_microseconds
            what_is_not_there_reads_as_nothing
            an_update_replaces_what_was_read
            an_update_of_another_version_is_refused
            an_update_of_what_is_gone_is_refused
            a_deletion_removes_what_was_read
            a_deletion_of_another_version_is_refused
            what_was_deleted_may_be_inserted_again
            an_insert_of_what_exists_is_refused
            an_expected_version_must_be_there_still
            an_expected_absence_must_hold_still
            a_refused_changeset_changes_nothing
            a_refused_changeset_may_be_committed_again
            a_repeated_changeset_is_applied_once
            a_malformed_changeset_is_refused
            a_changeset_without_writes_only_checks
            concurrent_repetitions_are_applied_once
            one_of_two_writers_of_a_version_wins
            concurrent_writers_lose_nothing
            a_lease_has_one_holder
            a_holder_renews_under_its_generation
            a_lease_that_ran_out_goes_to_another
            a_lease_that_ran_out_is_granted_anew_to_its_holder
            a_lease_given_back_is_free_at_once
            giving_back_an_old_grant_changes_nothing
            leases_of_different_names_are_apart
            one_of_many_claimants_is_granted
            a_commit_passes_under_a_held_lease
            a_commit_under_a_lease_that_ran_out_is_refused
            a_commit_under_a_lease_given_back_is_refused
            a_commit_under_a_lease_never_granted_is_refused
            a_late_commit_after_a_takeover_is_refused
            get_stays_in_its_scope
            queries_stay_in_their_scope
            keys_are_unique_over_all_tenants
            tenants_are_those_that_own_something
            jobs_are_found_by_each_filter
            records_are_found_by_each_filter
            plans_are_found_by_each_filter
            executions_are_found_by_each_filter
            policies_are_found_by_each_filter
            slots_are_found_by_each_filter
            verifications_are_found_by_each_filter
            dr_tests_are_found_by_each_filter
            retention_runs_are_found_by_each_filter
            lists_are_newest_first_and_ties_by_id
            jobs_are_dispatched_by_priority_then_age
            windows_cut_where_they_say
            pages_by_cursor_neither_skip_nor_repeat
            lists_follow_updates
            record_totals_count_what_is_there
            totals_are_exact_at_every_moment
            policy_states_are_read_at_once
            due_policies_are_the_longest_due_first
            due_policies_follow_their_state
            next_due_is_the_earliest_of_all_that_waits
            every_write_has_one_event
            positions_are_dense_and_in_commit_order
            chains_verify_for_each_tenant_and_for_none
            sealing_goes_on_where_it_stopped
            a_changeset_is_sealed_whole
            sealing_needs_the_lease
            sealing_at_once_numbers_each_event_once
            what_is_not_sealed_is_not_read
            a_reader_that_resumes_skips_nothing
            a_tenant_sees_its_own_events_alone
            the_tail_has_what_is_not_sealed_yet
            the_head_is_where_what_comes_next_is_read_from
            the_newest_event_is_told_before_it_is_sealed
            a_log_that_was_cut_starts_where_it_was_cut
            a_log_is_cut_forwards_and_never_whole
            who_is_beyond_the_end_of_the_log_is_told
            readers_are_known_with_their_positions
            a_reader_steps_on_from_where_it_is
            what_a_reader_derives_is_kept_with_its_step
            derived_rows_are_found_by_their_keys
            one_of_many_steps_from_a_position_counts
            who_waits_is_told_what_there_is_to_do
            each_listener_is_told_and_who_is_gone_is_no_hindrance
            the_last_progress_wins
            pruning_forgets_expired_reservations
            pruning_forgets_old_progress
            pruning_keeps_what_is_needed
            repetitions_are_known_for_a_day
            reopening_keeps_everything
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! store_conformance_tests {
    ($harness:expr; $($behaviour:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::conformance::store::$behaviour(&$harness).await;
            }
        )+
    };
}

/// Long enough that no lease runs out unless the suite lets time pass.
const LONG: Duration = Duration::from_secs(600);

/// The value, or a panic that says what the suite was doing.
#[track_caller]
fn must<T, E: std::error::Error + 'static>(result: Result<T, E>, doing: &str) -> T {
    result.unwrap_or_else(|error| panic!("could not {doing}: {}", report(&error)))
}

/// What no longer holds; panics unless that is the answer.
#[track_caller]
fn must_conflict<T: fmt::Debug>(answer: Result<T, StoreError>, doing: &str) -> Conflict {
    match answer {
        Ok(value) => panic!("to {doing} should be a conflict and was answered with {value:?}"),
        Err(StoreError::Conflict(conflict)) => conflict,
        Err(error) => panic!("to {doing} should be a conflict: {}", report(&error)),
    }
}

/// A changeset with an id of its own and nothing in it.
fn changeset() -> Changeset {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    Changeset::new(ChangesetId::from_uuid(id), Principal::engine(), samples::at(0))
}

fn writing(writes: impl IntoIterator<Item = Write>) -> Changeset {
    let change = |write| Change { write, kind: EventKind::RecordChecked, facts: EventFacts::default() };
    Changeset { changes: writes.into_iter().map(change).collect(), ..changeset() }
}

fn inserting(entities: impl IntoIterator<Item = impl Into<Entity>>) -> Changeset {
    writing(entities.into_iter().map(|entity| Write::Insert(entity.into())))
}

fn updating(read: Version, entity: impl Into<Entity>) -> Changeset {
    writing([Write::Update(entity.into(), read)])
}

fn deleting(read: Version, entity: impl Into<Entity>) -> Changeset {
    writing([Write::Delete(entity.into(), read)])
}

/// Commits what must be applied now.
async fn commit(store: &dyn Store, changeset: Changeset) {
    assert_eq!(must(store.commit(changeset).await, "commit"), Committed::Applied);
}

async fn insert(store: &dyn Store, entities: impl IntoIterator<Item = impl Into<Entity>>) {
    let changeset = inserting(entities);
    commit(store, changeset).await;
}

/// What is there, whosesoever.
async fn read(store: &dyn Store, key: &EntityKey) -> Option<(Version, Entity)> {
    must(store.get(&Scope::Everyone, key).await, "read")
}

/// Claims what must be free or ours.
async fn claim(store: &dyn Store, name: &LeaseName, holder: &str, ttl: Duration) -> Fence {
    match must(store.claim(name, &HolderId(holder.to_owned()), ttl).await, "claim") {
        Claim::Granted(lease) => lease.fence,
        Claim::Held { by, remaining } => panic!("{name} is held by {by} for {remaining:?}, not free"),
    }
}

/// Seals everything, under the sealer's lease.
async fn seal(store: &dyn Store) {
    let fence = claim(store, &LeaseName::sealer(), "the suite", LONG).await;
    while must(store.seal(&fence, 100).await, "seal").count > 0 {}
}

/// Every sealed event in scope.
async fn events(store: &dyn Store, scope: &Scope) -> Vec<SealedEvent> {
    must(store.events(scope, Position::START, 10_000).await, "read the log")
}
