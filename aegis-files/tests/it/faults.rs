//! Everything that goes wrong outside: passwords, permissions, disks, networks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicI64},
};

use aegis_core::{
    model::{BackupKind, ExistingResourcePolicy, StorageUri},
    seams::{BackupDriver, EndStatus, ErrorClass, ObjectStorage, Observation, WorkResult},
    testing::skip,
};
use aegis_files::PasswordSource;
use secrecy::SecretString;

use crate::{
    child,
    common::{self, Bench, PASSWORD, builder, elsewhere, in_place, local, run},
    gate::{Gate, Gated, wait_for},
    round_trip::furnish,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_unauthenticated_and_shows_nowhere() {
    let bench = Bench::new();
    furnish(&bench);
    bench.back_up(BackupKind::Full).await;
    let wrong = PasswordSource::Given(SecretString::from("sesame-closed".to_owned()));
    let driver = builder(bench.temp.path()).storage(Arc::clone(&bench.storage), wrong).build().unwrap();
    let outcome = run(&driver, &bench.backup_of(BackupKind::Full, &["docs"])).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Failed);
    assert_eq!(outcome.failure_class, Some(ErrorClass::Unauthenticated));
    assert!(outcome.errors[0].suggestion.as_ref().unwrap().contains("password"), "{outcome:?}");
    let text = format!("{outcome:?} {driver:?}");
    assert!(!text.contains("sesame-closed") && !text.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_namespace_or_location_is_refused_with_the_known_ones() {
    let bench = Bench::new();
    let error = bench.driver.start(&bench.backup_of(BackupKind::Full, &["gone"])).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(error.detail().suggestion.as_ref().unwrap().contains("docs, other"), "{error:?}");
    let elsewhere: Arc<dyn ObjectStorage> = local(&bench.path("elsewhere"));
    let stranger = Bench { storage: elsewhere, ..bench };
    let error = stranger.driver.start(&stranger.backup_of(BackupKind::Full, &["docs"])).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.detail().suggestion.as_ref().unwrap().contains("/store/"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_directory_or_a_link_in_its_place_is_refused_before_the_start() {
    let bench = Bench::new();
    fs::remove_dir(bench.docs()).unwrap();
    let operation = bench.backup_of(BackupKind::Full, &["docs"]);
    assert_eq!(bench.driver.start(&operation).await.unwrap_err().class(), ErrorClass::NotFound);
    std::os::unix::fs::symlink("/etc", bench.docs()).unwrap();
    let error = bench.driver.start(&operation).await.unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(bench.driver.observe(&operation).await.unwrap(), Observation::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_names_and_the_storage_itself_are_left_out() {
    let bench = Bench::new();
    bench.write("kept", "kept");
    bench.write("a/left.skip", "left out");
    let inside = local(&bench.docs().join("store"));
    let driver = builder(bench.temp.path()).storage(Arc::clone(&inside), common::password()).build().unwrap();
    let bench = Bench { storage: inside, driver, ..bench };
    let (_, made, outcome) = bench.back_up(BackupKind::Full).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(made.counts.0["files"], 1, "{:?}", made.counts);
}

/// As root nothing is unreadable, unless root's powers over files are dropped.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_files_are_counted_and_named_and_the_rest_is_backed_up() {
    if let Some(home) = child::home() {
        return child_backs_up_what_it_can_read(&home).await;
    }
    let bench = Bench::new();
    furnish(&bench);
    for closed in ["a/closed", "closed-too"] {
        let path = bench.write(closed, "secret");
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    let drop_powers = [
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    ];
    if Command::new(drop_powers[0]).arg("--version").output().is_err() {
        return skip("aegis-files unreadable files", "there is no setpriv (util-linux)");
    }
    let name = "faults::unreadable_files_are_counted_and_named_and_the_rest_is_backed_up";
    let status = child::start(&drop_powers, name, bench.temp.path()).wait().unwrap();
    assert!(status.success(), "the child says what is wrong");
}

async fn child_backs_up_what_it_can_read(home: &Path) {
    let storage = local(&home.join("store"));
    let driver = builder(home).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let operation = common::backup_to(&storage, BackupKind::Full);
    let outcome = run(&driver, &operation).await.unwrap();
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
    let [error] = &*outcome.errors else { panic!("one cause: {outcome:?}") };
    assert_eq!(error.count, 2);
    assert!(error.examples.iter().any(|path| path.ends_with("a/closed")), "{error:?}");
    assert!(error.cause.contains("permission denied") && error.suggestion.is_some(), "{error:?}");
    let WorkResult::Backup(made) = outcome.result else { panic!("there is a record") };
    assert!(made.counts.0["files"] >= 4, "{:?}", made.counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_goes_away_in_the_middle_leaves_no_record() {
    let bench = Bench::new();
    furnish(&bench);
    let gate = Gate::Breaks { prefix: "repository/data/", after: AtomicI64::new(0) };
    let broken: Arc<dyn ObjectStorage> = Arc::new(Gated { inner: Arc::clone(&bench.storage), gate });
    let driver = builder(bench.temp.path()).storage(broken, common::password()).build().unwrap();
    let operation = bench.backup_of(BackupKind::Full, &["docs"]);
    let outcome = run(&driver, &operation).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert_eq!(outcome.failure_class, Some(ErrorClass::Unavailable));
    assert!(outcome.errors[0].cause.contains("the cable was pulled"), "{outcome:?}");
    assert!(outcome.errors[0].suggestion.is_some());
    assert!(bench.inventory().await.is_empty());
    let (.., outcome) = bench.back_up(BackupKind::Full).await;
    assert_eq!(outcome.status, EndStatus::Completed, "it works once the storage is back: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_ends_as_cancelled_and_leaves_no_record() {
    let bench = Bench::new();
    furnish(&bench);
    let (reached, go) = (bench.path("reached"), bench.path("go"));
    let gate = Gate::Waits { prefix: "repository/data/", reached: reached.clone(), go: go.clone() };
    let slow: Arc<dyn ObjectStorage> = Arc::new(Gated { inner: Arc::clone(&bench.storage), gate });
    let driver = builder(bench.temp.path()).storage(slow, common::password()).build().unwrap();
    let operation = bench.backup_of(BackupKind::Full, &["docs"]);
    driver.start(&operation).await.unwrap();
    wait_for(&reached).await;
    driver.cancel(&operation).await.unwrap();
    fs::write(go, "").unwrap();
    let outcome = common::end_of(&driver, &operation).await;
    assert_eq!(outcome.status, EndStatus::Cancelled, "{outcome:?}");
    assert!(bench.inventory().await.is_empty());
}

/// A file system of its own, of a few megabytes.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mounted(bench: &Bench, at: &str, options: &str) -> Option<Disk> {
    let disk = Disk::mount(bench.path(at), options);
    if disk.is_none() {
        skip("aegis-files small disks", "this process may not mount a tmpfs");
    }
    disk
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_fails_the_backup_and_says_to_free_space() {
    let bench = Bench::new();
    let Some(_disk) = mounted(&bench, "small", "size=4m") else { return };
    bench.write("large", noise(8 << 20));
    let storage = local(&bench.path("small/store"));
    let driver =
        builder(bench.temp.path()).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let bench = Bench { storage, driver, ..bench };
    let outcome = bench.run(&bench.backup_of(BackupKind::Full, &["docs"])).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert_eq!(outcome.failure_class, Some(ErrorClass::Unavailable));
    assert!(outcome.errors[0].suggestion.as_ref().unwrap().contains("free space"), "{outcome:?}");
    assert!(bench.inventory().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_fails_the_restore_leaving_only_whole_files() {
    let bench = Bench::new();
    let large = noise(6 << 20);
    bench.write("large", &large);
    bench.write("tiny", "tiny");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let Some(_disk) = mounted(&bench, "restores/small", "size=2m") else { return };
    let options = elsewhere(&bench.path("restores/small/target"));
    let preview =
        bench.driver.preview(&common::tenant(), &bench.restore_work(&record, options.clone())).await;
    assert!(preview.unwrap().obstacles[0].contains("free"), "the preview foresees it");
    let outcome = bench.restore(&record, options).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert!(outcome.errors[0].suggestion.as_ref().unwrap().contains("free space"), "{outcome:?}");
    for entry in fs::read_dir(bench.path("restores/small/target")).unwrap() {
        assert_eq!(fs::read_to_string(entry.unwrap().path()).unwrap(), "tiny", "only whole files are there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_target_or_storage_is_forbidden_with_a_suggestion() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let Some(disk) = mounted(&bench, "restores/fixed", "size=8m") else { return };
    disk.make_read_only();
    let outcome = bench.restore(&record, elsewhere(&bench.path("restores/fixed/target"))).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert_eq!(outcome.failure_class, Some(ErrorClass::Forbidden));
    assert!(outcome.errors[0].suggestion.is_some());

    let Some(disk) = mounted(&bench, "shelf", "size=8m") else { return };
    let storage = local(&bench.path("shelf/store"));
    disk.make_read_only();
    let driver =
        builder(bench.temp.path()).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let error = driver.start(&common::backup_to(&storage, BackupKind::Full)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden, "{error:?}");
    assert!(error.detail().suggestion.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_process_was_killed_is_lost_and_the_next_is_whole() {
    if let Some(home) = child::home() {
        return child_stops_before_its_snapshot(&home).await;
    }
    let bench = Bench::new();
    furnish(&bench);
    let mut process = child::start(
        &[],
        "faults::a_backup_whose_process_was_killed_is_lost_and_the_next_is_whole",
        bench.temp.path(),
    );
    wait_for(&bench.path("reached")).await;
    process.kill().unwrap();
    process.wait().unwrap();
    let id = fs::read_to_string(bench.path("operation")).unwrap().parse().unwrap();
    let mut operation = bench.backup_of(BackupKind::Full, &["docs"]);
    operation.id = id;
    for _ in 0..2 {
        let seen = bench.driver.observe(&operation).await.unwrap();
        assert!(matches!(seen, Observation::Lost { .. }), "{seen:?}");
    }
    assert!(bench.inventory().await.is_empty());
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::Fail)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
}

async fn child_stops_before_its_snapshot(home: &Path) {
    let storage = gated_by_files(home, "repository/index/");
    let driver = builder(home).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let operation = common::backup_to(&storage, BackupKind::Full);
    fs::write(home.join("operation"), operation.id.to_string()).unwrap();
    run(&driver, &operation).await.unwrap();
}

/// Local storage that waits before it writes below `prefix`, until the file `go` is there.
pub fn gated_by_files(home: &Path, prefix: &'static str) -> Arc<dyn ObjectStorage> {
    let gate = Gate::Waits { prefix, reached: home.join("reached"), go: home.join("go") };
    Arc::new(Gated { inner: local(&home.join("store")), gate })
}

#[test]
fn a_storage_is_found_by_its_whole_location() {
    let uri: StorageUri = "file:///srv/a/".parse().unwrap();
    assert_ne!(uri, "file:///srv/a/b/".parse().unwrap());
}
