//! What a trial restore made is removed again, and nothing else.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use aegis_core::{
    model::{BackupKind, ExistingResourcePolicy, RecordRef, RestoreTarget},
    seams::{
        BackupDriver, CleanUpResult, CleanUpWork, EndStatus, ErrorClass, Operation, Outcome, RestorePurpose,
        Work, WorkResult,
    },
};

use crate::common::{Bench, elsewhere, end_of, name, operation, run};

/// A trial restore of `docs` to `path`.
fn trial(bench: &Bench, record: &RecordRef, path: &Path) -> Operation {
    let mut options = elsewhere(path);
    options.existing = ExistingResourcePolicy::Fail;
    let mut work = bench.restore_work(record, options);
    work.purpose = RestorePurpose::Trial;
    operation(Work::Restore(work))
}

fn clean_up_of(restore: &Operation) -> Operation {
    let Work::Restore(work) = &restore.work else { panic!("only a restore is cleaned up after") };
    operation(Work::CleanUp(CleanUpWork { restore: restore.id, work: work.clone() }))
}

fn cleaned(outcome: &Outcome) -> &CleanUpResult {
    let WorkResult::CleanUp(result) = &outcome.result else { panic!("no clean-up: {outcome:?}") };
    result
}

/// A backup of a small tree, restored as a trial to `restores/lab/drill/docs`.
async fn after_trial(bench: &Bench) -> Operation {
    bench.write("a.txt", "one");
    bench.write("deep/er/b.txt", "two");
    symlink("a.txt", bench.docs().join("link")).unwrap();
    fs::hard_link(bench.docs().join("a.txt"), bench.docs().join("hard")).unwrap();
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let trial = trial(bench, &record, &bench.path("restores/lab/drill/docs"));
    let outcome = bench.run(&trial).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    trial
}

#[tokio::test]
async fn everything_goes_with_the_directories_that_lead_there_and_the_journal() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let removed = [("files", 3), ("symlinks", 1), ("directories", 5)].into_iter().collect();
    assert_eq!(cleaned(&outcome).removed, removed);
    assert!(!bench.path("restores/lab").exists());
    assert_eq!(fs::read_dir(bench.path("restores/.aegis-trials")).unwrap().count(), 0);
    assert_eq!(fs::read_to_string(bench.docs().join("a.txt")).unwrap(), "one");
}

#[tokio::test]
async fn what_people_put_or_changed_there_stays_with_what_leads_to_it_and_is_named() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    let there = bench.path("restores/lab/drill/docs");
    fs::write(there.join("deep/notes.txt"), "mine").unwrap();
    fs::write(there.join("a.txt"), "changed by hand").unwrap();
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed);
    let target = RestoreTarget::Path(there.to_str().unwrap().to_owned());
    assert_eq!(cleaned(&outcome).left, [target]);
    assert_eq!(fs::read_to_string(there.join("deep/notes.txt")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(there.join("a.txt")).unwrap(), "changed by hand");
    assert!(!there.join("deep/er").exists() && fs::symlink_metadata(there.join("link")).is_err());
    let told = format!("{:?}", outcome.errors);
    assert!(told.contains("was changed or replaced since it was restored"), "{told}");
    assert!(told.contains("holds something that the restore did not make"), "{told}");
}

#[tokio::test]
async fn a_clean_up_goes_on_once_what_was_in_its_way_is_gone() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    let note = bench.path("restores/lab/drill/docs/deep/notes.txt");
    fs::write(&note, "mine").unwrap();
    bench.run(&clean_up_of(&trial)).await;
    fs::remove_file(note).unwrap();
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(!bench.path("restores/lab").exists());
}

#[tokio::test]
async fn a_link_that_was_put_in_the_way_is_not_followed() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    let there = bench.path("restores/lab/drill/docs");
    // The same entries, with the very same inodes, but somewhere else.
    let outside = bench.path("outside");
    fs::rename(&there, &outside).unwrap();
    symlink(&outside, &there).unwrap();
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
    assert_eq!(fs::read_to_string(outside.join("deep/er/b.txt")).unwrap(), "two");
    assert_eq!(fs::read_to_string(outside.join("a.txt")).unwrap(), "one");
}

#[tokio::test]
async fn what_was_there_before_stays_although_it_is_as_in_the_record() {
    let bench = Bench::new();
    bench.write("a.txt", "one");
    bench.write("b.txt", "two");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (there, _) = bench.restore_to(&record, "shared").await;
    fs::remove_file(there.join("b.txt")).unwrap();
    let trial = trial(&bench, &record, &there);
    assert_eq!(bench.run(&trial).await.status, EndStatus::Completed);
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(cleaned(&outcome).removed, [("files", 1)].into_iter().collect());
    assert_eq!(fs::read_to_string(there.join("a.txt")).unwrap(), "one");
    assert!(!there.join("b.txt").exists());
}

#[tokio::test]
async fn directories_that_allow_no_change_are_removed_too() {
    let bench = Bench::new();
    let closed = bench.write("closed/file", "content");
    let closed = closed.parent().unwrap();
    fs::set_permissions(closed, fs::Permissions::from_mode(0o555)).unwrap();
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let trial = trial(&bench, &record, &bench.path("restores/lab"));
    assert_eq!(bench.run(&trial).await.status, EndStatus::Completed);
    let outcome = bench.run(&clean_up_of(&trial)).await;
    fs::set_permissions(closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(!bench.path("restores/lab").exists());
}

#[tokio::test]
async fn what_a_killed_restore_had_made_goes_finished_or_not() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    // As if the process had died while it wrote these.
    let there = bench.path("restores/lab/drill/docs");
    for unfinished in [there.join("deep"), bench.path("restores/lab"), bench.path("restores")] {
        fs::write(unfinished.join(format!(".aegis-restore-{}-7", trial.id)), "half").unwrap();
        fs::create_dir(unfinished.join(format!(".aegis-restore-{}-d7", trial.id))).unwrap();
    }
    let driver = bench.restarted();
    let outcome = run(&driver, &clean_up_of(&trial)).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let left: Vec<_> =
        fs::read_dir(bench.path("restores")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".aegis-trials"]);
}

#[tokio::test]
async fn a_cancelled_trial_is_cleaned_up() {
    let bench = Bench::new();
    for n in 0..200 {
        bench.write(&format!("many/{n}"), vec![7; 10_000]);
    }
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let trial = trial(&bench, &record, &bench.path("restores/lab"));
    bench.driver.start(&trial).await.unwrap();
    bench.driver.cancel(&trial).await.unwrap();
    end_of(&bench.driver, &trial).await;
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(!bench.path("restores/lab").exists());
}

#[tokio::test]
async fn without_its_journal_nothing_is_removed_and_the_reason_is_told() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    fs::remove_dir_all(bench.path("restores/.aegis-trials")).unwrap();
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!((outcome.status, outcome.failure_class), (EndStatus::Failed, Some(ErrorClass::InvalidInput)));
    assert!(outcome.errors[0].cause.contains("was not noted down"), "{outcome:?}");
    assert!(bench.path("restores/lab/drill/docs/a.txt").exists());
}

#[tokio::test]
async fn nothing_can_be_restored_to_where_trials_are_noted_down() {
    let bench = Bench::new();
    bench.write("a.txt", "one");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let options = elsewhere(&bench.path("restores/.aegis-trials/forged"));
    let restore = operation(Work::Restore(bench.restore_work(&record, options)));
    let error = bench.driver.start(&restore).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput);
    assert!(error.to_string().contains("noted down"), "{error}");
}

#[tokio::test]
async fn a_journal_that_names_something_else_removes_nothing_of_it() {
    let bench = Bench::new();
    let trial = after_trial(&bench).await;
    let precious = bench.write("precious.txt", "mine");
    let journal = bench.path("restores/.aegis-trials").join(trial.id.to_string());
    let mut lines = fs::read_to_string(&journal).unwrap();
    let own = lines.lines().find(|line| line.contains("a.txt")).unwrap();
    let there = bench.path("restores/lab/drill/docs/a.txt");
    lines += &own.replace(there.to_str().unwrap(), precious.to_str().unwrap());
    lines += "\n";
    fs::write(&journal, lines).unwrap();
    // It even has the inode that the journal names.
    fs::remove_file(&precious).unwrap();
    fs::hard_link(&there, &precious).unwrap();
    bench.run(&clean_up_of(&trial)).await;
    assert!(precious.exists());
    assert!(!there.exists());
}

#[tokio::test]
async fn a_trial_into_a_namespace_takes_only_its_own_from_it() {
    let bench = Bench::new();
    bench.write("a.txt", "one");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let other = bench.path("data/other");
    fs::write(other.join("mine.txt"), "mine").unwrap();
    let mut trial = trial(&bench, &record, Path::new("/unused"));
    if let Work::Restore(work) = &mut trial.work {
        work.options.mapping.insert(name("docs"), RestoreTarget::Namespace(name("other")));
    }
    assert_eq!(bench.run(&trial).await.status, EndStatus::Completed);
    assert!(other.join("a.txt").exists());
    let outcome = bench.run(&clean_up_of(&trial)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(!other.join("a.txt").exists() && other.join("mine.txt").exists());
}

#[tokio::test]
async fn a_clean_up_that_was_cut_off_is_gone_on_with() {
    let bench = Bench::new();
    for n in 0..200 {
        bench.write(&format!("many/{n}"), "content");
    }
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let trial = trial(&bench, &record, &bench.path("restores/lab"));
    bench.run(&trial).await;
    let cut_off = clean_up_of(&trial);
    bench.driver.start(&cut_off).await.unwrap();
    bench.driver.cancel(&cut_off).await.unwrap();
    end_of(&bench.driver, &cut_off).await;
    let outcome = run(&bench.restarted(), &clean_up_of(&trial)).await.unwrap();
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(!bench.path("restores/lab").exists());
}
