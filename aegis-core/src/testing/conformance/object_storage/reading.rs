//! Reading and looking.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{ObjectStorageHarness, key, must, must_refuse, put};
use crate::seams::{ErrorClass, PutMode};

/// What is not there is `NotFound`, however it is asked for, a folder's name included.
pub async fn what_is_absent_is_not_found<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let storage = &fresh.storage;
    put(&**storage, "folder/object", "text").await;
    for name in ["absent", "folder", "folder/absent", "absent/object"] {
        let key = key(name);
        let doing = format!("find `{name}`");
        must_refuse(storage.get(&key).await, ErrorClass::NotFound, &doing);
        must_refuse(storage.get_range(&key, 0..1).await, ErrorClass::NotFound, &doing);
        must_refuse(storage.head(&key).await, ErrorClass::NotFound, &doing);
        must_refuse(storage.immutability(&key).await, ErrorClass::NotFound, &doing);
    }
}

/// `head` tells the key and the size, and when it was written.
pub async fn head_tells_key_and_size<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "folder/object", "twelve bytes").await;
    let meta = must(fresh.storage.head(&key("folder/object")).await, "look at");
    assert_eq!((meta.key.as_str(), meta.size), ("folder/object", 12));
    let (read, _) = must(fresh.storage.get(&key("folder/object")).await, "read");
    assert_eq!(read, meta, "get and head tell different things");
}

/// The version that a write answers is the one that is read, and other bytes have another.
pub async fn put_get_and_head_agree_on_the_version<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let mut seen = Vec::new();
    for text in ["first", "second", "third"] {
        let written = put(&*fresh.storage, "a", text).await;
        let (read, _) = must(fresh.storage.get(&key("a")).await, "read");
        let looked = must(fresh.storage.head(&key("a")).await, "look at");
        assert_eq!((&read.version, &looked.version), (&written, &written));
        assert!(!seen.contains(&written), "two writes have the version {written:?}");
        seen.push(written);
    }
}

/// A range is exactly its bytes: the first, a middle, the last, all, and none.
pub async fn a_range_is_exactly_those_bytes<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a", "0123456789").await;
    for (range, expected) in [(0..1, "0"), (3..7, "3456"), (9..10, "9"), (0..10, "0123456789"), (4..4, "")] {
        let read = must(fresh.storage.get_range(&key("a"), range.clone()).await, "read a range");
        assert_eq!(read, expected, "of {range:?}");
    }
}

/// A range that ends past the object, begins past it, or is upside down is `InvalidInput`.
pub async fn a_range_past_the_end_is_invalid<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a", "0123456789").await;
    for (start, end) in [(5, 11), (10, 11), (100, 200), (11, 11), (7, 3)] {
        let answer = fresh.storage.get_range(&key("a"), start..end).await;
        must_refuse(answer, ErrorClass::InvalidInput, &format!("read {start}..{end} of ten bytes"));
    }
}

/// Who reads while others write sees one whole write or another.
pub async fn readers_see_whole_writes_only<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let text = |letter: u8| Bytes::from(vec![letter; 100_000]);
    put(&*fresh.storage, "a", text(b'a')).await;
    let mut writers = JoinSet::new();
    for letter in [b'b', b'c'] {
        let storage = Arc::clone(&fresh.storage);
        writers.spawn(async move {
            for _ in 0..10 {
                must(storage.put(&key("a"), text(letter), PutMode::Overwrite).await, "overwrite");
            }
        });
    }
    while !writers.is_empty() {
        let (meta, read) = must(fresh.storage.get(&key("a")).await, "read");
        assert_eq!((read.len(), meta.size), (100_000, 100_000), "a part of a write was read");
        assert!(read.iter().all(|letter| *letter == read[0]), "a mixture of writes was read");
        tokio::task::yield_now().await;
        while let Some(done) = writers.try_join_next() {
            must(done, "overwrite");
        }
    }
}
