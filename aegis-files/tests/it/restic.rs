//! restic itself reads what we write, and we see what it writes.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use aegis_core::{model::BackupKind, seams::EndStatus, testing::skip};

use crate::{
    common::{Bench, PASSWORD},
    round_trip::{furnish, portrait},
};

/// restic on the bench's repository; `None` if there is no restic here.
fn restic(bench: &Bench, arguments: &[&str]) -> Option<Output> {
    let ran = Command::new("restic")
        .arg("-r")
        .arg(bench.path("store/repository"))
        .args(["--no-cache"])
        .args(arguments)
        .env("RESTIC_PASSWORD", PASSWORD)
        .output();
    if ran.is_err() {
        skip("aegis-files beside restic", "there is no restic here");
    }
    let output = ran.ok()?;
    assert!(output.status.success(), "restic {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn restic_finds_no_fault_and_restores_the_same() {
    let bench = Bench::new();
    furnish(&bench);
    bench.back_up(BackupKind::Full).await;
    bench.write("a/new", "new");
    bench.back_up(BackupKind::Incremental).await;
    if restic(&bench, &["check", "--read-data"]).is_none() {
        return;
    }
    let target = bench.path("by-restic");
    restic(&bench, &["restore", "latest", "--target", target.to_str().unwrap()]);
    let docs = bench.docs();
    let restored = target.join("docs").join(docs.strip_prefix("/").unwrap());
    assert_eq!(portrait(&restored), portrait(&docs));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_restic_adds_is_listed_and_does_not_disturb() {
    let bench = Bench::new();
    furnish(&bench);
    bench.back_up(BackupKind::Full).await;
    let docs = bench.docs();
    if restic(&bench, &["backup", docs.to_str().unwrap()]).is_none() {
        return;
    }
    let listed = bench.inventory().await;
    assert_eq!(listed.len(), 2);
    assert!(listed[0].operation.is_some() && listed[1].operation.is_none());
    let (record, .., outcome) = bench.back_up(BackupKind::Incremental).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let (path, _) = bench.restore_to(&record, "beside").await;
    assert_eq!(portrait(&path), portrait(&docs));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_deletion_and_prune_restic_finds_no_fault() {
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    fs::remove_file(bench.docs().join("b/big")).unwrap();
    bench.back_up(BackupKind::Incremental).await;
    bench.delete(&first).await;
    bench.driver.prune(bench.storage.uri()).await.unwrap();
    let _ = restic(&bench, &["check", "--read-data"]);
    assert!(Path::new(&bench.path("store/repository/config")).exists());
}
