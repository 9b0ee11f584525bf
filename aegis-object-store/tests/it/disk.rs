//! What only real file systems and real processes show.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use aegis_core::{
    seams::{ErrorClass, ListOptions, ObjectKey, ObjectStorage, PutMode, report},
    testing::skip,
};
use aegis_object_store::{Durability, LocalStorage};
use tempfile::TempDir;

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn open(folder: &Path) -> LocalStorage {
    let uri = format!("file://{}", folder.display()).parse().unwrap();
    LocalStorage::open(&uri, Durability::Synced).unwrap()
}

/// A file system of one mebibyte, unmounted when it is dropped.
struct Tiny(TempDir);

impl Tiny {
    fn mount(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder.path());
        if !mounted {
            skip(test, "a small file system can't be mounted here");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        run("umount", &[], self.0.path());
    }
}

fn run(command: &str, arguments: &[&str], folder: &Path) -> bool {
    let status = Command::new(command).args(arguments).arg(folder).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full_and_keeps_what_was_there() {
    let Some(tiny) = Tiny::mount("a_full_disk_is_said_to_be_full_and_keeps_what_was_there") else { return };
    let storage = open(tiny.0.path());
    storage.put(&key("a"), "old".into(), PutMode::Overwrite).await.unwrap();
    let error = storage.put(&key("a"), vec![1; 4 << 20].into(), PutMode::Overwrite).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
    assert!(
        error.to_string().contains("is full: could not write `a`; free space or raise the quota"),
        "{error}"
    );
    assert_eq!(storage.get(&key("a")).await.unwrap().1, "old");
    // The unfinished write has given its room back.
    storage.put(&key("b"), vec![1; 500_000].into(), PutMode::Create).await.unwrap();
    let usage = storage.usage().await.unwrap();
    assert_eq!(usage.used_bytes, Some(500_003));
    assert!(usage.free_bytes.unwrap() < 600_000, "{usage:?}");
}

#[tokio::test]
async fn a_read_only_target_is_forbidden_to_write_and_can_be_read() {
    let test = "a_read_only_target_is_forbidden_to_write_and_can_be_read";
    let Some(tiny) = Tiny::mount(test) else { return };
    open(tiny.0.path()).put(&key("a/b"), "text".into(), PutMode::Create).await.unwrap();
    assert!(run("mount", &["-o", "remount,ro"], tiny.0.path()), "could not remount");

    let storage = open(tiny.0.path());
    assert_eq!(storage.get(&key("a/b")).await.unwrap().1, "text");
    assert_eq!(storage.list(&ListOptions::default()).await.unwrap().objects.len(), 1);
    let errors = [
        storage.put(&key("a/c"), "text".into(), PutMode::Create).await.unwrap_err(),
        storage.put(&key("a/b"), "text".into(), PutMode::Overwrite).await.unwrap_err(),
        storage.delete(&key("a/b")).await.unwrap_err(),
        storage.probe().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.class(), ErrorClass::Forbidden, "{}", report(&error));
    }
}

const CHILD: &str = "AEGIS_TEST_COUNTER_FOLDER";

/// Four processes of this very test, each told by a variable to count in the same directory.
#[tokio::test]
async fn processes_that_swap_in_one_directory_lose_nothing() {
    if let Some(folder) = env::var_os(CHILD) {
        return count(&open(folder.as_ref())).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(folder.path()));
    storage.put(&key("counter"), "0".into(), PutMode::Create).await.unwrap();
    let start = || {
        Command::new(env::current_exe().unwrap())
            .args(["--exact", "disk::processes_that_swap_in_one_directory_lose_nothing"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    for mut child in [start(), start(), start(), start()] {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(storage.get(&key("counter")).await.unwrap().1, "100");
    assert_eq!(fs::read_dir(folder.path().join(".aegis-local")).unwrap().count(), 1, "only the lock remains");
}

async fn count(storage: &LocalStorage) {
    let mut counted = 0;
    while counted < 25 {
        let (meta, bytes) = storage.get(&key("counter")).await.unwrap();
        let next: u32 = String::from_utf8_lossy(&bytes).parse::<u32>().unwrap() + 1;
        match storage.put(&key("counter"), next.to_string().into(), PutMode::Update(meta.version)).await {
            Ok(_) => counted += 1,
            Err(error) => assert_eq!(error.class(), ErrorClass::VersionConflict, "{}", report(&error)),
        }
    }
}
