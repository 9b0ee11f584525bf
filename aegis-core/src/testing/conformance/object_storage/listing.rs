//! Listing, and the names it lists.

use super::{ObjectStorageHarness, key, list_all, must, names, put, read};

/// All keys come in the order of their bytes, in pages of any size, none twice, none left out.
pub async fn lists_in_order_page_by_page<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    // `-` and `.` are before `/`, and `0` is behind it: folders are not ordered by name alone.
    let mut expected = ["a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "b", "b1/x", "b10/x", "b2/x"];
    for name in expected {
        put(&*fresh.storage, name, name).await;
    }
    expected.sort_unstable();
    for limit in [1, 3, 10, 1000] {
        assert_eq!(names(&*fresh.storage, None, limit).await, expected, "in pages of {limit}");
    }
    assert_eq!(names(&*fresh.storage, Some("a"), 1).await, ["a/b", "a/b-c", "a/c/d"]);
    for object in list_all(&*fresh.storage, None, 1000).await {
        assert_eq!(u64::try_from(object.key.as_str().len()).ok(), Some(object.size), "of {}", object.key);
    }
}

/// A prefix is a folder: `a/b` holds neither `a/bc` nor an object `a/b` itself.
pub async fn a_prefix_is_a_folder_and_no_substring<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    for name in ["a/b/c", "a/b/d/e", "a/bc", "a/b.c", "ab/c"] {
        put(&*fresh.storage, name, "text").await;
    }
    assert_eq!(names(&*fresh.storage, Some("a/b"), 10).await, ["a/b/c", "a/b/d/e"]);
    assert!(names(&*fresh.storage, Some("absent"), 10).await.is_empty());
    assert!(names(&*fresh.storage, Some("ab/c"), 10).await.is_empty(), "an object is no folder");
}

/// Names beyond ASCII, with spaces and signs, and as long as may be, come back as they went.
pub async fn strange_and_long_names_survive<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let long = ["x".repeat(255), "y".repeat(255), "z".repeat(200)].join("/");
    let mut expected = vec![
        "Grüße/日本語/🦀".to_owned(),
        "a b/c d".to_owned(),
        "a+b&c=d;e,f@g:h$i!j'k(l)".to_owned(),
        "e\u{301} is not \u{e9}".to_owned(),
        "\u{e9}".to_owned(),
        long,
    ];
    for name in &expected {
        put(&*fresh.storage, name, name.clone()).await;
    }
    expected.sort_unstable();
    assert_eq!(names(&*fresh.storage, None, 4).await, expected);
    for name in &expected {
        assert_eq!(read(&*fresh.storage, name).await, name.as_bytes());
    }
}

/// Names that some layer could take for a path, an encoding or a wildcard are only names.
pub async fn names_that_look_like_paths_stay_names<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let mut expected = [
        "..a",
        "a..",
        "...",
        "%2e%2e/b",
        "%2F",
        "a%b",
        "~root",
        "-rf",
        "c/.hidden",
        "d*",
        "[e]",
        "f#1",
        "{g}",
    ];
    for name in expected {
        put(&*fresh.storage, name, name).await;
    }
    expected.sort_unstable();
    assert_eq!(names(&*fresh.storage, None, 1000).await, expected);
    for name in expected {
        assert_eq!(read(&*fresh.storage, name).await, name);
    }
}

/// The folders directly below a prefix, sorted, each once, without objects and deeper ones.
pub async fn folders_are_the_direct_ones_in_order<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    for name in ["top", "b/1", "b/2", "a/x/1", "a/x/2", "a/w/deep/1", "a/object", "ä/1"] {
        put(&*fresh.storage, name, "text").await;
    }
    let folders = must(fresh.storage.folders(None).await, "list folders");
    assert_eq!(folders, ["a", "b", "ä"]);
    let folders = must(fresh.storage.folders(Some(&key("a"))).await, "list folders");
    assert_eq!(folders, ["w", "x"]);
    let folders = must(fresh.storage.folders(Some(&key("absent"))).await, "list folders of nothing");
    assert!(folders.is_empty(), "{folders:?}");
}

/// A folder is there as long as an object is below it, and no longer.
pub async fn a_folder_vanishes_with_its_last_object<H: ObjectStorageHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    put(&*fresh.storage, "a/b/1", "text").await;
    put(&*fresh.storage, "a/b/2", "text").await;
    must(fresh.storage.delete(&key("a/b/1")).await, "delete");
    assert_eq!(must(fresh.storage.folders(Some(&key("a"))).await, "list folders"), ["b"]);
    must(fresh.storage.delete(&key("a/b/2")).await, "delete");
    assert!(must(fresh.storage.folders(None).await, "list folders").is_empty());
    put(&*fresh.storage, "a/b/3", "text").await;
    assert_eq!(must(fresh.storage.folders(None).await, "list folders"), ["a"]);
}
