//! Repositories that someone damaged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    model::{BackupKind, VerificationLevel},
    seams::{EndStatus, ErrorClass, WorkResult},
};

use crate::{
    common::Bench,
    round_trip::{furnish, portrait},
};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The packs of the repository, the smallest first.
pub fn packs(bench: &Bench) -> Vec<PathBuf> {
    let mut packs = files(&bench.path("store/repository/data"));
    packs.sort_by_key(|pack| fs::metadata(pack).unwrap().len());
    packs
}

/// The pack that holds files, where they are tiny: directories take more.
pub fn smallest_pack(bench: &Bench) -> PathBuf {
    packs(bench).swap_remove(0)
}

/// Makes some bytes what they can't have been. Doing it twice changes nothing.
pub fn spoil(path: impl AsRef<Path>) {
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..middle + 16].fill(0xAA);
    fs::write(path, bytes).unwrap();
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

async fn damaged(damage: impl FnOnce(&Bench)) -> (Bench, aegis_core::model::RecordRef) {
    let bench = Bench::new();
    furnish(&bench);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    damage(&bench);
    (bench, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_pack_fails_the_first_level_and_the_rest_is_restored() {
    let largest = |bench: &Bench| fs::remove_file(packs(bench).last().unwrap()).unwrap();
    let (bench, record) = damaged(largest).await;
    let (verdict, outcome) = bench.verify(&record, VerificationLevel::Restored).await;
    assert_eq!(verdict.failed, Some(VerificationLevel::Present));
    assert!(outcome.errors[0].cause.contains("missing"), "{:?}", outcome.errors);
    let (_, outcome) = bench.restore_to(&record, "rest").await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
    assert!(outcome.errors.iter().all(|error| error.suggestion.is_some()));
    assert!(!bench.path("restores/rest/b/big").exists(), "no half file is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_fails_the_second_level_and_no_wrong_file_is_restored() {
    let (bench, record) = damaged(|bench| flip_a_bit(packs(bench).last().unwrap())).await;
    let (verdict, outcome) = bench.verify(&record, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Present));
    assert_eq!(verdict.failed, Some(VerificationLevel::Checksummed));
    assert!(outcome.errors[0].cause.contains("checksum"), "{:?}", outcome.errors);
    let (path, outcome) = bench.restore_to(&record, "rest").await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
    let there = portrait(&path);
    let source = portrait(&bench.docs());
    let contents = |lines: &[String]| {
        lines.iter().map(|line| line.split(' ').next_back().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(contents(&there).iter().all(|content| contents(&source).contains(content)), "only what is right");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_index_is_told_as_damage_with_a_suggestion() {
    let truncate = |bench: &Bench| {
        for index in files(&bench.path("store/repository/index")) {
            let bytes = fs::read(&index).unwrap();
            fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
        }
    };
    let (bench, record) = damaged(truncate).await;
    let (verdict, outcome) = bench.verify(&record, VerificationLevel::Restored).await;
    assert_eq!((verdict.passed, verdict.failed), (None, Some(VerificationLevel::Present)));
    assert!(outcome.errors[0].suggestion.as_ref().unwrap().contains("restic check"), "{outcome:?}");
    let again = bench.run(&bench.backup_of(BackupKind::Incremental, &["docs"])).await;
    assert_eq!(again.status, EndStatus::Failed);
    assert_eq!(again.result, WorkResult::Nothing);
    assert_eq!(again.failure_class, Some(ErrorClass::Internal));
    assert!(again.errors[0].suggestion.is_some(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_config_is_told_and_the_data_is_not_overwritten() {
    let (bench, _) = damaged(|bench| fs::remove_file(bench.path("store/repository/config")).unwrap()).await;
    let before = files(&bench.path("store/repository")).len();
    let outcome = bench.run(&bench.backup_of(BackupKind::Full, &["docs"])).await;
    assert_eq!(outcome.status, EndStatus::Failed);
    assert!(outcome.errors[0].cause.contains("lost its config"), "{outcome:?}");
    assert_eq!(files(&bench.path("store/repository")).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_killed_process_left_is_no_hindrance() {
    let bench = Bench::new();
    furnish(&bench);
    let other = Bench::new();
    furnish(&other);
    other.back_up(BackupKind::Full).await;
    let keys = bench.path("store/repository/keys");
    fs::create_dir_all(&keys).unwrap();
    for key in files(&other.path("store/repository/keys")) {
        fs::copy(&key, keys.join(key.file_name().unwrap())).unwrap();
    }
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (verdict, outcome) = bench.verify(&record, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
}
