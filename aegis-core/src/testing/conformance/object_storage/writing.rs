//! Writing and deleting.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{ObjectStorageHarness, key, must, must_refuse, put, read, swaps};
use crate::seams::{ErrorClass, ObjectStorage, ObjectVersion, PutMode};

/// What was written is what is read.
pub async fn reads_back_what_was_written<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "folder/object", "some bytes \0 and a zero").await;
    assert_eq!(read(&*fresh.storage, "folder/object").await, "some bytes \0 and a zero");
}

/// `Overwrite` takes the place of what is there.
pub async fn overwrite_replaces_what_is_there<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a", "a long first text").await;
    put(&*fresh.storage, "a", "second").await;
    assert_eq!(read(&*fresh.storage, "a").await, "second");
}

/// `Create` makes what is absent, refuses what exists and leaves that as it is.
pub async fn create_refuses_what_exists<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let create = |text: &'static str| {
        fresh.storage.put(const_key(), Bytes::from_static(text.as_bytes()), PutMode::Create)
    };
    must(create("first").await, "create what is absent");
    must_refuse(create("second").await, ErrorClass::AlreadyExists, "create what exists");
    assert_eq!(read(&*fresh.storage, const_key().as_str()).await, "first");
    must(fresh.storage.delete(const_key()).await, "delete");
    must(create("third").await, "create what was deleted");
}

fn const_key() -> &'static crate::seams::ObjectKey {
    static KEY: std::sync::LazyLock<crate::seams::ObjectKey> =
        std::sync::LazyLock::new(|| key("folder/created"));
    &KEY
}

/// `Update` with the current version replaces it, and its answer is the next current version.
pub async fn update_replaces_the_version_that_was_read<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    if !swaps(&*fresh.storage) {
        return;
    }
    put(&*fresh.storage, "a", "0").await;
    let (meta, _) = must(fresh.storage.get(&key("a")).await, "read");
    let second = must(update(&*fresh.storage, "1", &meta.version).await, "update what was read");
    must(update(&*fresh.storage, "2", &second).await, "update what was just written");
    assert_eq!(read(&*fresh.storage, "a").await, "2");
}

/// `Update` refuses a version that is not the current one and leaves what is there.
pub async fn update_refuses_another_version<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    if !swaps(&*fresh.storage) {
        return;
    }
    let old = put(&*fresh.storage, "a", "old").await;
    put(&*fresh.storage, "a", "current").await;
    must_refuse(
        update(&*fresh.storage, "late", &old).await,
        ErrorClass::VersionConflict,
        "update an old version",
    );
    assert_eq!(read(&*fresh.storage, "a").await, "current");
}

/// `Update` refuses what was deleted meanwhile and does not bring it back.
pub async fn update_refuses_what_is_gone<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    if !swaps(&*fresh.storage) {
        return;
    }
    let version = put(&*fresh.storage, "a", "text").await;
    must(fresh.storage.delete(&key("a")).await, "delete");
    must_refuse(
        update(&*fresh.storage, "late", &version).await,
        ErrorClass::VersionConflict,
        "update what is gone",
    );
    must_refuse(fresh.storage.head(&key("a")).await, ErrorClass::NotFound, "look at what is gone");
}

async fn update(
    storage: &dyn ObjectStorage,
    text: &'static str,
    version: &ObjectVersion,
) -> Result<ObjectVersion, crate::seams::ObjectStorageError> {
    storage.put(&key("a"), Bytes::from_static(text.as_bytes()), PutMode::Update(version.clone())).await
}

/// Eight tasks that each increment a number ten times make eighty.
pub async fn concurrent_updates_lose_nothing<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    if !swaps(&*fresh.storage) {
        return;
    }
    put(&*fresh.storage, "counter", "0").await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let storage = Arc::clone(&fresh.storage);
        tasks.spawn(async move {
            for _ in 0..10 {
                increment(&*storage).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        must(done, "increment");
    }
    assert_eq!(read(&*fresh.storage, "counter").await, "80");
}

async fn increment(storage: &dyn ObjectStorage) {
    for _ in 0..10_000 {
        let (meta, bytes) = must(storage.get(&key("counter")).await, "read the counter");
        let count: u32 = must(String::from_utf8_lossy(&bytes).parse(), "parse the counter");
        let next = (count + 1).to_string();
        match storage.put(&key("counter"), next.into(), PutMode::Update(meta.version)).await {
            Ok(_) => return,
            // A busy backend may ask to try again; what was refused did not take effect.
            Err(error) if error.class() == ErrorClass::VersionConflict || error.class().is_transient() => {}
            Err(error) => panic!("could not increment: {}", crate::seams::report(&error)),
        }
    }
    panic!("an increment lost ten thousand times");
}

/// Of many that create one key at once exactly one succeeds, and its bytes are there.
pub async fn concurrent_creates_have_one_winner<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let storage = Arc::clone(&fresh.storage);
        tasks.spawn(async move { create_until_settled(&*storage, task.to_string()).await });
    }
    let mut winners = Vec::new();
    while let Some(done) = tasks.join_next().await {
        winners.extend(must(done, "create"));
    }
    assert_eq!(winners.len(), 1, "the winners are {winners:?}");
    assert_eq!(read(&*fresh.storage, "a/contested").await, winners[0]);
}

/// The text that was created, or `None` if another was first.
async fn create_until_settled(storage: &dyn ObjectStorage, text: String) -> Option<String> {
    for _ in 0..1_000 {
        match storage.put(&key("a/contested"), text.clone().into(), PutMode::Create).await {
            Ok(_) => return Some(text),
            Err(error) if error.class() == ErrorClass::AlreadyExists => return None,
            Err(error) if error.class().is_transient() => {}
            Err(error) => panic!("could not create: {}", crate::seams::report(&error)),
        }
    }
    panic!("a create was put off a thousand times");
}

/// A deleted object is gone, its neighbours are not, and a second deletion succeeds.
pub async fn delete_removes_and_may_be_repeated<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "folder/a", "text").await;
    put(&*fresh.storage, "folder/ab", "text").await;
    must(fresh.storage.delete(&key("folder/a")).await, "delete");
    must_refuse(fresh.storage.get(&key("folder/a")).await, ErrorClass::NotFound, "read what was deleted");
    assert_eq!(super::names(&*fresh.storage, None, 10).await, ["folder/ab"]);
    must(fresh.storage.delete(&key("folder/a")).await, "delete again");
    must(fresh.storage.delete(&key("never/there")).await, "delete what never was");
}

/// An object without bytes exists like any other.
pub async fn an_empty_object_is_an_object<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "empty", Bytes::new()).await;
    assert_eq!(read(&*fresh.storage, "empty").await, "");
    assert_eq!(must(fresh.storage.head(&key("empty")).await, "look at").size, 0);
    assert_eq!(super::names(&*fresh.storage, None, 10).await, ["empty"]);
    let nothing = must(fresh.storage.get_range(&key("empty"), 0..0).await, "read an empty range");
    assert_eq!(nothing, "");
}

/// Nine mebibytes come back bit by bit, whole and in parts.
pub async fn a_large_object_survives<H: ObjectStorageHarness>(harness: &H) {
    const SIZE: u32 = 9 << 20;
    let Some(fresh) = harness.fresh().await else { return };
    let bytes: Bytes = (0..SIZE / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    put(&*fresh.storage, "large", bytes.clone()).await;
    assert!(read(&*fresh.storage, "large").await == bytes, "the bytes differ");
    let part = must(fresh.storage.get_range(&key("large"), 8_388_600..8_388_700).await, "read a part");
    assert!(part == bytes.slice(8_388_600..8_388_700), "a part differs");
}
