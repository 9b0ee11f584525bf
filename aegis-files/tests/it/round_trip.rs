//! What goes in comes out.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use crate::common::{self, Bench, elsewhere, in_place, name, restored};
use aegis_core::{
    model::{BackupKind, ExistingResourcePolicy, RestoreTarget, VerificationLevel},
    seams::{BackupDriver, EndStatus, Observation, Work},
};

/// Kind, mode, modification time, owner, and content or target of all that is below `root`.
pub fn portrait(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            format!("-> {:?}", fs::read_link(&path).unwrap())
        } else if meta.is_file() {
            format!("{:?}", fs::read(&path).unwrap())
        } else {
            String::new()
        };
        let relative = path.strip_prefix(root).unwrap();
        lines.push(format!(
            "{relative:?} {:o} {}.{:09} {}:{} {content}",
            meta.mode(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.uid(),
            meta.gid(),
        ));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

pub fn furnish(bench: &Bench) {
    bench.write("a/one.txt", "first");
    bench.write("a/empty", "");
    bench.write("b/big", (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    bench.write("odd \\ \"names\"\n/ü \u{1F600}", "odd");
    let latin = bench.docs().join(OsStr::from_bytes(b"not-utf8-\xff"));
    fs::write(latin, "bytes").unwrap();
    symlink("a/one.txt", bench.docs().join("link")).unwrap();
    symlink("/nowhere/at/all", bench.docs().join("dangling")).unwrap();
    fs::set_permissions(bench.docs().join("a/one.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(bench.docs().join("b"), fs::Permissions::from_mode(0o750)).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(bench.docs().join("a")).unwrap().set_modified(old).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_comes_back_exactly() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, made, outcome) = bench.back_up(BackupKind::Full).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(made.counts.0["symlinks"], 2);
    assert_eq!(made.sizes.logical.unwrap().0, 12_000_000 + 13);
    let (path, outcome) = bench.restore_to(&record, "whole").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(portrait(&path), portrait(&bench.docs()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_record_passes_every_level_and_leaves_the_scratch_place_empty() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (verdict, outcome) = bench.verify(&record, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
    assert!(verdict.bytes_read.0 > 0);
    assert_eq!(fs::read_dir(bench.path("scratch")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_adds_only_what_changed_and_is_restorable_by_itself() {
    let bench = Bench::new();
    furnish(&bench);
    let (first, full, _) = bench.back_up(BackupKind::Incremental).await;
    assert_eq!(full.kind, BackupKind::Full, "the first has nothing to compare with");
    bench.write("a/new", "new");
    let (second, made, _) = bench.back_up(BackupKind::Incremental).await;
    assert_eq!(made.kind, BackupKind::Incremental);
    assert!(made.sizes.added.unwrap().0 < 20_000, "{:?}", made.sizes);
    assert!(made.sizes.stored.unwrap() > made.sizes.added.unwrap(), "{:?}", made.sizes);
    bench.delete(&first).await;
    let (path, outcome) = bench.restore_to(&second, "second").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(portrait(&path), portrait(&bench.docs()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_found_after_a_restart_and_listed() {
    let bench = Bench::new();
    furnish(&bench);
    let operation = bench.backup_of(BackupKind::Full, &["docs", "other"]);
    let ended = bench.run(&operation).await;
    let driver = bench.restarted();
    let Observation::Ended(found) = driver.observe(&operation).await.unwrap() else { panic!("not found") };
    assert_eq!(found.status, ended.status);
    let listed = bench.inventory().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].operation, Some(operation.id));
    assert_eq!(listed[0].artifact, Some(operation.name));
    assert_eq!(listed[0].namespaces, [name("docs"), name("other")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_is_idempotent_and_spares_the_others() {
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    let (second, ..) = bench.back_up(BackupKind::Full).await;
    for _ in 0..2 {
        assert_eq!(bench.delete(&first).await.status, EndStatus::Completed);
    }
    assert_eq!(bench.inventory().await.len(), 1);
    let (verdict, outcome) = bench.verify(&second, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
    let (verdict, _) = bench.verify(&first, VerificationLevel::Restored).await;
    assert_eq!(verdict.failed, Some(VerificationLevel::Present));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_differs_stays_and_is_reported() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    bench.write("a/one.txt", "changed");
    fs::remove_file(bench.docs().join("a/empty")).unwrap();
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::None)).await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed);
    assert!(outcome.errors[0].examples[0].ends_with("a/one.txt"), "{:?}", outcome.errors);
    assert_eq!(fs::read_to_string(bench.docs().join("a/one.txt")).unwrap(), "changed");
    assert!(bench.docs().join("a/empty").exists());
    assert_eq!(restored(&outcome).restored.0["files"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_overwritten_on_update_and_untouched_on_fail() {
    let bench = Bench::new();
    furnish(&bench);
    let before = portrait(&bench.docs());
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    bench.write("a/one.txt", "changed");
    fs::remove_file(bench.docs().join("a/empty")).unwrap();
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::Fail)).await;
    assert_eq!(outcome.status, EndStatus::Failed);
    assert!(!bench.docs().join("a/empty").exists(), "nothing is touched");
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::Update)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(portrait(&bench.docs()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_to_another() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let mut options = in_place(ExistingResourcePolicy::Update);
    options.mapping.insert(name("docs"), RestoreTarget::Namespace(name("other")));
    let outcome = bench.restore(&record, options).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(portrait(&bench.path("data/other")), portrait(&bench.docs()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_chosen_paths_are_restored() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let target = bench.path("restores/chosen");
    let mut options = elsewhere(&target);
    options.paths = vec!["a/one.txt".into(), bench.docs().join("link").to_str().unwrap().into()];
    let outcome = bench.restore(&record, options).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let names = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&target), ["a", "link"]);
    assert_eq!(names(&target.join("a")), ["one.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_what_would_happen_and_changes_nothing() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    bench.write("a/one.txt", "changed");
    fs::remove_file(bench.docs().join("b/big")).unwrap();
    let before = portrait(&bench.docs());
    let work = bench.restore_work(&record, in_place(ExistingResourcePolicy::Update));
    let preview = bench.driver.preview(&common::tenant(), &work).await.unwrap();
    assert_eq!((preview.create, preview.overwrite, preview.differing), (1, 1, 0), "{preview:?}");
    assert_eq!(preview.bytes.0, 12_000_005);
    assert!(preview.free.is_some() && preview.obstacles.is_empty());
    let work = bench.restore_work(&record, elsewhere(&bench.path("restores/not/there")));
    bench.driver.preview(&common::tenant(), &work).await.unwrap();
    assert!(!bench.path("restores").exists());
    assert_eq!(portrait(&bench.docs()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_has_ended_is_never_run_again_after_a_restart() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let work = bench.restore_work(&record, in_place(ExistingResourcePolicy::Update));
    let operation = common::operation(Work::Restore(work));
    assert_eq!(bench.run(&operation).await.status, EndStatus::Completed);
    let driver = bench.restarted();
    let observed = driver.observe(&operation).await.unwrap();
    assert!(matches!(observed, Observation::Lost { .. }), "{observed:?}");
    bench.write("a/one.txt", "changed since");
    driver.start(&operation).await.unwrap();
    let observed = driver.observe(&operation).await.unwrap();
    assert!(matches!(observed, Observation::Lost { .. }), "{observed:?}");
    assert_eq!(fs::read_to_string(bench.docs().join("a/one.txt")).unwrap(), "changed since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_nobody_waits_for_still_comes_to_an_end() {
    let bench = Bench::new();
    furnish(&bench);
    let operation = bench.backup_of(BackupKind::Full, &["docs"]);
    let impatient = std::time::Duration::ZERO;
    let _ = tokio::time::timeout(impatient, bench.driver.start(&operation)).await;
    let patient = std::time::Duration::from_secs(60);
    let outcome = tokio::time::timeout(patient, common::end_of(&bench.driver, &operation)).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_path_that_the_record_lacks_fails_the_restore() {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let mut options = in_place(ExistingResourcePolicy::None);
    options.paths = vec!["a/no-such-file".to_owned()];
    let outcome = bench.restore(&record, options).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert!(outcome.errors[0].cause.contains("a/no-such-file"), "{outcome:?}");
}
