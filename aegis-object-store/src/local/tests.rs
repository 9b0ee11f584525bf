use std::{fs, os::unix::fs::symlink, path::Path};

use aegis_core::seams::ErrorClass;
use tempfile::TempDir;

use super::*;

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn open(folder: &Path) -> LocalStorage {
    let uri = format!("file://{}", folder.display()).parse().unwrap();
    LocalStorage::open(&uri, Durability::Buffered).unwrap()
}

fn fresh() -> (TempDir, LocalStorage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(folder.path());
    (folder, storage)
}

async fn put(storage: &LocalStorage, name: &str, text: &'static str) -> ObjectVersion {
    storage.put(&key(name), Bytes::from_static(text.as_bytes()), PutMode::Overwrite).await.unwrap()
}

#[tokio::test]
async fn a_missing_root_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder.path().join("deep/er"));
    put(&storage, "a/b", "text").await;
    assert_eq!(fs::read(folder.path().join("deep/er/a/b")).unwrap(), b"text");
}

#[test]
fn works_where_no_runtime_is() {
    let (_guard, storage) = fresh();
    let read = futures::executor::block_on(async {
        put(&storage, "a", "text").await;
        storage.get(&key("a")).await.unwrap().1
    });
    assert_eq!(read, "text");
}

#[tokio::test]
async fn two_writes_within_one_tick_differ_in_version() {
    let (_guard, storage) = fresh();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        assert!(seen.insert(put(&storage, "a", "same").await));
    }
}

#[tokio::test]
async fn a_link_never_leads_out_of_the_root() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let (guard, storage) = fresh();
    symlink(outside.path(), guard.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), guard.path().join("file")).unwrap();

    assert!(storage.get(&key("out/secret")).await.is_err());
    assert_eq!(storage.get(&key("file")).await.unwrap_err().class(), ErrorClass::NotFound);
    assert!(storage.put(&key("out/new"), Bytes::new(), PutMode::Overwrite).await.is_err());
    assert!(storage.delete(&key("out/secret")).await.is_err());
    assert!(storage.list(&ListOptions::default()).await.unwrap().objects.is_empty());
    assert!(storage.folders(None).await.unwrap().is_empty());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_write_replaces_a_link_and_not_its_target() {
    let (guard, storage) = fresh();
    put(&storage, "target", "kept").await;
    symlink("target", guard.path().join("link")).unwrap();
    put(&storage, "link", "new").await;
    assert_eq!(storage.get(&key("target")).await.unwrap().1, "kept");
    assert_eq!(storage.get(&key("link")).await.unwrap().1, "new");
}

#[tokio::test]
async fn unfinished_writes_and_the_lock_are_no_objects() {
    let (guard, storage) = fresh();
    put(&storage, "a", "text").await;
    fs::write(guard.path().join(".aegis-local/1-1.tmp"), "unfinished").unwrap();
    let page = storage.list(&ListOptions::default()).await.unwrap();
    assert_eq!(page.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(storage.usage().await.unwrap().used_bytes, Some(4));
    let refused = storage.put(&key(".aegis-local/lock"), Bytes::new(), PutMode::Overwrite).await;
    assert_eq!(refused.unwrap_err().class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn opening_sweeps_old_unfinished_writes_of_dead_processes_only() {
    let (guard, storage) = fresh();
    put(&storage, "a", "text").await;
    let make = |name: &str, age: u64| {
        let path = guard.path().join(".aegis-local").join(name);
        let file = fs::File::create(&path).unwrap();
        file.set_modified(root::now() - std::time::Duration::from_secs(age)).unwrap();
        (path, file)
    };
    let (dead, _) = make("1-1.tmp", 3600);
    let (young, _) = make("1-2.tmp", 0);
    let (alive, held) = make("1-3.tmp", 3600);
    held.lock_shared().unwrap();
    open(guard.path());
    assert_eq!([dead.exists(), young.exists(), alive.exists()], [false, true, true]);
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_refused_with_the_mend() {
    let (_guard, storage) = fresh();
    put(&storage, "a", "text").await;
    let error = storage.put(&key("a/b"), Bytes::new(), PutMode::Overwrite).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("use another key"), "{error}");
}

#[tokio::test]
async fn a_name_too_long_for_the_file_system_is_invalid_input() {
    let (_guard, storage) = fresh();
    let error = storage.put(&key(&"x".repeat(300)), Bytes::new(), PutMode::Create).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput, "{error}");
}

#[test]
fn another_backends_location_is_refused() {
    let error = LocalStorage::open(&"s3://bucket/".parse().unwrap(), Durability::Synced).unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
}

#[tokio::test]
async fn a_root_that_vanished_is_unavailable_and_not_empty() {
    let (guard, storage) = fresh();
    put(&storage, "a/b", "text").await;
    fs::remove_dir_all(guard.path()).unwrap();
    let classes = [
        storage.get(&key("a/b")).await.unwrap_err().class(),
        storage.list(&ListOptions::default()).await.unwrap_err().class(),
        storage.put(&key("a/b"), Bytes::new(), PutMode::Overwrite).await.unwrap_err().class(),
        storage.delete(&key("a/b")).await.unwrap_err().class(),
    ];
    assert_eq!(classes, [ErrorClass::Unavailable; 4]);
}
