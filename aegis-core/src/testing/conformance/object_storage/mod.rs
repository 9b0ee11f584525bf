//! What every [`ObjectStorage`] must do, one function per behaviour.

mod listing;
mod promises;
mod reading;
mod writing;

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

pub use listing::{
    a_folder_vanishes_with_its_last_object, a_prefix_is_a_folder_and_no_substring,
    folders_are_the_direct_ones_in_order, lists_in_order_page_by_page, names_that_look_like_paths_stay_names,
    strange_and_long_names_survive,
};
pub use promises::{
    capabilities_agree_with_behaviour, errors_name_the_location_and_the_object,
    immutability_is_told_as_declared, probe_agrees_and_leaves_nothing_behind, reopening_sees_the_data,
    usage_counts_what_is_stored,
};
pub use reading::{
    a_range_is_exactly_those_bytes, a_range_past_the_end_is_invalid, head_tells_key_and_size,
    put_get_and_head_agree_on_the_version, readers_see_whole_writes_only, what_is_absent_is_not_found,
};
pub use writing::{
    a_large_object_survives, an_empty_object_is_an_object, concurrent_creates_have_one_winner,
    concurrent_updates_lose_nothing, create_refuses_what_exists, delete_removes_and_may_be_repeated,
    overwrite_replaces_what_is_there, reads_back_what_was_written, update_refuses_another_version,
    update_refuses_what_is_gone, update_replaces_the_version_that_was_read,
};

use crate::seams::{
    CompareAndSwap, ErrorClass, ListOptions, ObjectKey, ObjectMeta, ObjectStorage, ObjectStorageError,
    ObjectVersion, PutMode, report,
};

/// An empty storage for one test.
pub struct Fresh {
    /// The storage.
    pub storage: Arc<dyn ObjectStorage>,
    /// Kept until the test is over: a temporary directory, a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("storage", &self.storage).finish_non_exhaustive()
    }
}

/// How the suite gets at the storage under test.
#[async_trait]
pub trait ObjectStorageHarness: Send + Sync {
    /// A storage with nothing in it, shared with no other test.
    ///
    /// `None` if this machine can't provide one, once [`skip`](crate::testing::skip) has said so.
    async fn fresh(&self) -> Option<Fresh>;

    /// The same data through a newly opened storage, as after a restart.
    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage>;
}

/// Expands to one `#[tokio::test]` per behaviour of an [`ObjectStorage`].
///
/// Takes an expression that makes an [`ObjectStorageHarness`]; the crate that uses it needs tokio
/// with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! object_storage_conformance {
    ($harness:expr) => {
        $crate::for_each_object_storage_behaviour!([$crate::object_storage_conformance_tests] $harness);
    };
}

/// Names every behaviour to the macro `$then`.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_object_storage_behaviour {
    ([$($then:tt)+] $harness:expr) => {
        $($then)+! {
            $harness;
            reads_back_what_was_written
            overwrite_replaces_what_is_there
            create_refuses_what_exists
            update_replaces_the_version_that_was_read
            update_refuses_another_version
            update_refuses_what_is_gone
            concurrent_updates_lose_nothing
            concurrent_creates_have_one_winner
            delete_removes_and_may_be_repeated
            an_empty_object_is_an_object
            a_large_object_survives
            what_is_absent_is_not_found
            head_tells_key_and_size
            put_get_and_head_agree_on_the_version
            a_range_is_exactly_those_bytes
            a_range_past_the_end_is_invalid
            readers_see_whole_writes_only
            lists_in_order_page_by_page
            a_prefix_is_a_folder_and_no_substring
            strange_and_long_names_survive
            names_that_look_like_paths_stay_names
            folders_are_the_direct_ones_in_order
            a_folder_vanishes_with_its_last_object
            capabilities_agree_with_behaviour
            probe_agrees_and_leaves_nothing_behind
            usage_counts_what_is_stored
            immutability_is_told_as_declared
            errors_name_the_location_and_the_object
            reopening_sees_the_data
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! object_storage_conformance_tests {
    ($harness:expr; $($behaviour:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::conformance::object_storage::$behaviour(&$harness).await;
            }
        )+
    };
}

/// A key that the suite knows to be sound.
#[track_caller]
fn key(text: &str) -> ObjectKey {
    must(ObjectKey::new(text), "make a key")
}

/// The value, or a panic that says what the suite was doing.
#[track_caller]
fn must<T, E: std::error::Error + 'static>(result: Result<T, E>, doing: &str) -> T {
    result.unwrap_or_else(|error| panic!("could not {doing}: {}", report(&error)))
}

/// Panics unless the answer is an error of `class`.
#[track_caller]
fn must_refuse<T: fmt::Debug>(
    answer: Result<T, ObjectStorageError>,
    class: ErrorClass,
    doing: &str,
) -> ObjectStorageError {
    match answer {
        Ok(value) => panic!("to {doing} should be {class:?} and was answered with {value:?}"),
        Err(error) => {
            assert_eq!(error.class(), class, "to {doing}: {}", report(&error));
            error
        }
    }
}

async fn put(storage: &dyn ObjectStorage, name: &str, bytes: impl Into<Bytes>) -> ObjectVersion {
    must(storage.put(&key(name), bytes.into(), PutMode::Overwrite).await, "write")
}

async fn read(storage: &dyn ObjectStorage, name: &str) -> Bytes {
    must(storage.get(&key(name)).await, "read").1
}

/// Every object below `prefix`, page by page.
async fn list_all(storage: &dyn ObjectStorage, prefix: Option<&str>, limit: usize) -> Vec<ObjectMeta> {
    let mut options = ListOptions { prefix: prefix.map(key), after: None, limit };
    let mut all = Vec::new();
    loop {
        let page = must(storage.list(&options).await, "list");
        assert!(page.objects.len() <= limit, "a page of {} exceeds {limit}", page.objects.len());
        all.extend(page.objects);
        assert!(all.len() <= 10_000, "the pages never end");
        match page.next {
            Some(next) => options.after = Some(next),
            None => return all,
        }
    }
}

async fn names(storage: &dyn ObjectStorage, prefix: Option<&str>, limit: usize) -> Vec<String> {
    list_all(storage, prefix, limit).await.into_iter().map(|meta| meta.key.to_string()).collect()
}

fn swaps(storage: &dyn ObjectStorage) -> bool {
    storage.capabilities().compare_and_swap != CompareAndSwap::Unsupported
}
