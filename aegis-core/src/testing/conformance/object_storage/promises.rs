//! What a storage says of itself.

use bytes::Bytes;

use super::{ObjectStorageHarness, key, must, must_refuse, names, put, read, swaps};
use crate::seams::{ErrorClass, Immutability, PutMode};

/// What is declared works, and what is not declared answers `Unsupported` and changes nothing.
pub async fn capabilities_agree_with_behaviour<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let storage = &fresh.storage;
    let version = put(&**storage, "a", "old").await;
    let swapped = storage.put(&key("a"), Bytes::from_static(b"new"), PutMode::Update(version)).await;
    if swaps(&**storage) {
        must(swapped, "swap, as declared");
    } else {
        must_refuse(swapped, ErrorClass::Unsupported, "swap, undeclared");
        assert_eq!(read(&**storage, "a").await, "old");
    }
    let created = storage.put(&key("b"), Bytes::from_static(b"new"), PutMode::Create).await;
    if storage.capabilities().conditional_create {
        must(created, "create, as declared");
    } else {
        must_refuse(created, ErrorClass::Unsupported, "create, undeclared");
    }
}

/// A probe answers what is declared after it, and leaves no object.
pub async fn probe_agrees_and_leaves_nothing_behind<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "kept", "text").await;
    for _ in 0..2 {
        let probe = must(fresh.storage.probe().await, "probe");
        assert_eq!(probe.capabilities, fresh.storage.capabilities());
        assert_eq!(names(&*fresh.storage, None, 10).await, ["kept"]);
        assert!(must(fresh.storage.folders(None).await, "list folders").is_empty());
    }
}

/// Used bytes, where they are known, are at least those that were written.
pub async fn usage_counts_what_is_stored<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a/b", vec![1; 3_000]).await;
    put(&*fresh.storage, "c", vec![1; 2_000]).await;
    let usage = must(fresh.storage.usage().await, "measure");
    assert!(usage.used_bytes.is_none_or(|used| used == 5_000), "5,000 bytes are stored, not {usage:?}");
}

/// Immutability is `Unknown` exactly where it is declared to be; what is not locked can be deleted.
pub async fn immutability_is_told_as_declared<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a", "text").await;
    let told = must(fresh.storage.immutability(&key("a")).await, "ask for immutability");
    let declared = fresh.storage.capabilities().reports_immutability;
    assert_eq!(told != Immutability::Unknown, declared, "{told:?} was told");
    if told == Immutability::None {
        must(fresh.storage.delete(&key("a")).await, "delete what is not locked");
    }
}

/// An error says where and on what it happened.
pub async fn errors_name_the_location_and_the_object<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let error =
        must_refuse(fresh.storage.get(&key("no/such")).await, ErrorClass::NotFound, "read what is absent");
    let (text, location) = (error.to_string(), fresh.storage.uri().to_string());
    assert!(text.contains("no/such") && text.contains(&location), "`{text}` lacks one of them");
}

/// Whoever opens the location anew sees what was written, and can go on with it.
pub async fn reopening_sees_the_data<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let version = put(&*fresh.storage, "a", "first").await;
    let again = harness.reopen(&fresh).await;
    assert_eq!(read(&*again, "a").await, "first");
    assert_eq!(must(again.head(&key("a")).await, "look at").version, version);
    if swaps(&*again) {
        must(again.put(&key("a"), Bytes::from_static(b"second"), PutMode::Update(version)).await, "swap");
        assert_eq!(read(&*fresh.storage, "a").await, "second");
    }
}
