//! The suite passes on the reference storage, and fails on every mutant of it.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use aegis_core::{
    model::Timestamp,
    seams::ObjectStorage,
    testing::{
        ManualClock, MemoryObjectStorage, MutantObjectStorage,
        ObjectStorageMutation::{self as Mutation, *},
        conformance::object_storage::{self as suite, Fresh, ObjectStorageHarness},
    },
};
use async_trait::async_trait;

/// A harness over the reference storage, with a rule broken or none.
struct Memory(Option<Mutation>);

impl Memory {
    fn wrap(&self, inner: Arc<dyn ObjectStorage>) -> Arc<dyn ObjectStorage> {
        match self.0 {
            Some(mutation) => Arc::new(MutantObjectStorage::new(inner, mutation)),
            None => inner,
        }
    }

    fn empty() -> Arc<dyn ObjectStorage> {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        Arc::new(MemoryObjectStorage::new("file:///memory/".parse().unwrap(), Arc::new(clock)))
    }
}

#[async_trait]
impl ObjectStorageHarness for Memory {
    async fn fresh(&self) -> Option<Fresh> {
        let inner = Self::empty();
        Some(Fresh { storage: self.wrap(Arc::clone(&inner)), guard: Box::new(inner) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        match (self.0, fresh.guard.downcast_ref::<Arc<dyn ObjectStorage>>()) {
            (Some(ForgetsOnRestart), _) | (_, None) => self.wrap(Self::empty()),
            (_, Some(inner)) => self.wrap(Arc::clone(inner)),
        }
    }
}

mod memory {
    use super::*;

    aegis_core::object_storage_conformance!(Memory(None));
}

/// Each behaviour with the mutants that it must catch.
macro_rules! catches {
    ($($behaviour:ident: $($mutation:ident)+;)+) => {
        $(
            // One thread: a mutant that pauses is seen in its pause, and not by luck.
            #[tokio::test]
            async fn $behaviour() {
                $(
                    let ran = tokio::task::JoinSet::from_iter([suite::$behaviour(&Memory(Some($mutation)))])
                        .join_next()
                        .await;
                    let failed = ran.unwrap().unwrap_err();
                    assert!(failed.is_panic(), "{failed}");
                )+
            }
        )+

        const CAUGHT: &[&str] = &[$(stringify!($behaviour)),+];
    };
}

mod mutants {
    use super::*;

    catches! {
        reads_back_what_was_written: CorruptsBytes;
        overwrite_replaces_what_is_there: KeepsOldBytes;
        create_refuses_what_exists: CreateReplaces;
        update_replaces_the_version_that_was_read: UpdateNeverMatches;
        update_refuses_another_version: UpdateIgnoresVersion;
        update_refuses_what_is_gone: UpdateRevives;
        concurrent_updates_lose_nothing: UpdateIsNotAtomic;
        concurrent_creates_have_one_winner: CreateIsNotAtomic;
        delete_removes_and_may_be_repeated: DeleteRefusesAbsent DeleteDoesNothing;
        an_empty_object_is_an_object: LosesEmptyObjects;
        a_large_object_survives: CutsLargeObjects;
        what_is_absent_is_not_found: AbsentReadsEmpty;
        head_tells_key_and_size: HeadMiscounts;
        put_get_and_head_agree_on_the_version: HeadVersionDiffers;
        a_range_is_exactly_those_bytes: RangeIncludesEnd;
        a_range_past_the_end_is_invalid: RangeIsCut;
        readers_see_whole_writes_only: WritesInHalves;
        lists_in_order_page_by_page: ListsBackwards PagesOverlap ListsOnePage;
        a_prefix_is_a_folder_and_no_substring: PrefixIsText;
        strange_and_long_names_survive: NamesAreAscii;
        names_that_look_like_paths_stay_names: NamesAreDecoded;
        folders_are_the_direct_ones_in_order: FoldersAreDeep;
        a_folder_vanishes_with_its_last_object: FoldersRemain;
        capabilities_agree_with_behaviour: DeniesSwapping;
        probe_agrees_and_leaves_nothing_behind: ProbeLeavesObject;
        usage_counts_what_is_stored: UsageIsZero;
        immutability_is_told_as_declared: ImmutabilityIsUntold;
        errors_name_the_location_and_the_object: ErrorsAreVague;
        reopening_sees_the_data: ForgetsOnRestart;
    }

    macro_rules! listed {
        ($none:expr; $($behaviour:ident)+) => {
            const LISTED: &[&str] = &[$(stringify!($behaviour)),+];
        };
    }
    aegis_core::for_each_object_storage_behaviour!([listed]());

    #[test]
    fn every_behaviour_has_a_mutant_that_it_catches() {
        assert_eq!(CAUGHT, LISTED);
    }
}
