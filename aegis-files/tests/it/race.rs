//! Removing data beside a backup, in two processes: rustic takes no locks, so ours must hold.

use std::{fs, path::Path, sync::Arc};

use aegis_core::{
    model::{BackupKind, VerificationLevel},
    seams::{BackupDriver, EndStatus, ErrorClass, Observation, Operation, WorkResult},
};
use aegis_files::Pruned;

use crate::{
    child,
    common::{self, Bench, builder, run},
    faults::gated_by_files,
    gate::wait_for,
    round_trip::furnish,
};

/// The backup has read the index and counts on data that only a record which is deleted meanwhile
/// still needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_prune_beside_a_backup_of_another_process_steps_back() {
    if let Some(home) = child::home() {
        return child_backs_up_slowly(&home).await;
    }
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    bench.write("new", "so that there is something to write");

    let mut process =
        child::start(&[], "race::a_prune_beside_a_backup_of_another_process_steps_back", bench.temp.path());
    wait_for(&bench.path("reached")).await;
    assert_eq!(bench.delete(&first).await.status, EndStatus::Completed);
    let pruned = bench.driver.prune(bench.storage.uri()).await.unwrap();
    assert_eq!(pruned, Pruned::Busy, "a backup runs");
    fs::write(bench.path("go"), "").unwrap();
    assert!(process.wait().unwrap().success());

    let operation = told_by_child(&bench);
    let Observation::Ended(outcome) = bench.driver.observe(&operation).await.unwrap() else {
        panic!("the child's backup has ended")
    };
    let WorkResult::Backup(made) = &outcome.result else { panic!("{outcome:?}") };
    let second = bench.record(&operation, made);
    assert_eq!(bench.driver.prune(bench.storage.uri()).await.unwrap(), Pruned::Done);
    let (verdict, outcome) = bench.verify(&second, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
}

async fn child_backs_up_slowly(home: &Path) {
    let storage = gated_by_files(home, "repository/data/");
    let driver = builder(home).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let operation = common::backup_to(&storage, BackupKind::Incremental);
    fs::write(home.join("operation"), operation.id.to_string()).unwrap();
    let outcome = run(&driver, &operation).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
}

/// The prune has begun and is about to write its index when the backup would begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_a_prune_of_another_process_steps_back() {
    if let Some(home) = child::home() {
        return child_prunes_slowly(&home).await;
    }
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    fs::remove_file(bench.docs().join("b/big")).unwrap();
    let (second, ..) = bench.back_up(BackupKind::Full).await;
    fs::create_dir_all(bench.path("store/locks")).unwrap();
    let now = aegis_core::seams::Clock::now(&aegis_core::engine::SystemClock::new()).as_micros();
    fs::write(bench.path("store/locks/pruned"), now.to_string()).unwrap();
    assert_eq!(bench.delete(&first).await.status, EndStatus::Completed);

    let mut process =
        child::start(&[], "race::a_backup_beside_a_prune_of_another_process_steps_back", bench.temp.path());
    wait_for(&bench.path("reached")).await;
    let operation = bench.backup_of(BackupKind::Full, &["docs"]);
    let error = bench.driver.start(&operation).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
    assert_eq!(bench.driver.observe(&operation).await.unwrap(), Observation::Absent);
    fs::write(bench.path("go"), "").unwrap();
    assert!(process.wait().unwrap().success());

    assert_eq!(bench.run(&operation).await.status, EndStatus::Completed, "now it may");
    let (verdict, outcome) = bench.verify(&second, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
}

async fn child_prunes_slowly(home: &Path) {
    let storage = gated_by_files(home, "repository/index/");
    let driver = builder(home).storage(Arc::clone(&storage), common::password()).build().unwrap();
    assert_eq!(driver.prune(storage.uri()).await.unwrap(), Pruned::Done);
}

/// Whatever happens, a first prune removes no data: it only marks, and what is needed again comes
/// back.
#[tokio::test(flavor = "multi_thread")]
async fn a_prune_marks_first_and_removes_no_pack_for_a_day() {
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    let packs = crate::damage::packs(&bench);
    bench.delete(&first).await;
    for _ in 0..2 {
        bench.driver.prune(bench.storage.uri()).await.unwrap();
    }
    assert!(packs.iter().all(|pack| pack.exists()));
    let (second, ..) = bench.back_up(BackupKind::Full).await;
    let (verdict, outcome) = bench.verify(&second, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_died_unseen_keeps_a_prune_back_no_longer_than_a_backup_may_take() {
    let bench = Bench::new();
    furnish(&bench);
    bench.back_up(BackupKind::Full).await;
    let now = aegis_core::seams::Clock::now(&aegis_core::engine::SystemClock::new()).as_micros();
    let day = 24 * 3_600_000_000_i64;
    for (began, expect) in [(now - day / 2, Pruned::Busy), (now - 2 * day, Pruned::Done)] {
        let note = format!(r#"{{"kind":"backup","started_at_micros":{began}}}"#);
        let path = bench.path("store/operations/00000000-0000-0000-0000-000000000001.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, note).unwrap();
        assert_eq!(bench.driver.prune(bench.storage.uri()).await.unwrap(), expect);
    }
}

fn told_by_child(bench: &Bench) -> Operation {
    let id = fs::read_to_string(bench.path("operation")).unwrap().parse().unwrap();
    Operation { id, ..bench.backup_of(BackupKind::Incremental, &["docs"]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_lost_its_lease_leaves_the_note_of_the_next() {
    let bench = Bench::new();
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    fs::remove_file(bench.docs().join("b/big")).unwrap();
    bench.back_up(BackupKind::Full).await;
    fs::create_dir_all(bench.path("store/locks")).unwrap();
    let now = aegis_core::seams::Clock::now(&aegis_core::engine::SystemClock::new()).as_micros();
    fs::write(bench.path("store/locks/pruned"), now.to_string()).unwrap();
    assert_eq!(bench.delete(&first).await.status, EndStatus::Completed);

    let storage = gated_by_files(bench.temp.path(), "repository/index/");
    let driver =
        builder(bench.temp.path()).storage(Arc::clone(&storage), common::password()).build().unwrap();
    let location = storage.uri().clone();
    let late = tokio::spawn(async move { driver.prune(&location).await });
    wait_for(&bench.path("reached")).await;
    let next = r#"{"holder":"next","generation":99,"heartbeat":0,"duration_ms":60000,"released":false}"#;
    fs::write(bench.path("store/locks/repository.json"), next).unwrap();
    fs::write(bench.path("go"), "").unwrap();
    let _ = late.await.unwrap();
    assert!(bench.path("store/locks/pruning").exists(), "the next one still prunes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_took_longer_than_any_may_leaves_no_snapshot() {
    let bench = Bench::new();
    let mut operation = bench.backup_of(BackupKind::Full, &["docs"]);
    let two_days = std::time::Duration::from_secs(2 * 24 * 3600);
    operation.started_at = operation.started_at.saturating_sub(two_days);
    let outcome = bench.run(&operation).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert!(outcome.errors[0].cause.contains("took longer than"), "{outcome:?}");
    let snapshots = fs::read_dir(bench.path("store/repository/snapshots")).map_or(0, Iterator::count);
    assert_eq!(snapshots, 0);
}
