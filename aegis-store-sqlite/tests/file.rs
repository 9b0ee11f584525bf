//! The file: who has it, what happens to it, and that nothing in it is ever half.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    env, fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use aegis_core::{
    engine::SystemClock,
    model::{
        ChangesetId, ClusterState, EntityKey, EventFacts, EventKind, Position, Principal, Reservation,
        ReservationKey, Timestamp, Version,
    },
    seams::{Changeset, Claim, Committed, ErrorClass, HolderId, LeaseName, Scope, Store, StoreError, report},
};
use aegis_store_sqlite::{OpenError, SqliteOptions, SqliteStore};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

/// Names the file to a child: this binary again, for the same test.
const CHILD: &str = "AEGIS_TEST_SQLITE_FILE";

fn child_file() -> Option<PathBuf> {
    env::var_os(CHILD).map(PathBuf::from)
}

/// Starts the test `name` of this binary as a child with `file`, after the shell's `limits`.
fn start(name: &str, file: &Path, limits: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$@\""), "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn try_open(file: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(SqliteOptions::new(file), Arc::new(SystemClock::new())).await
}

async fn open(file: &Path) -> SqliteStore {
    try_open(file).await.unwrap_or_else(|error| panic!("{}", report(&error)))
}

async fn refusal(file: &Path) -> OpenError {
    match try_open(file).await {
        Ok(_) => panic!("{} was opened", file.display()),
        Err(error) => error,
    }
}

fn cluster(n: u32) -> EntityKey {
    EntityKey::ClusterState(format!("c{n}").parse().unwrap())
}

fn key(n: u32) -> ReservationKey {
    ReservationKey::policy_name(&"acme".parse().unwrap(), &format!("policy-{n}").parse().unwrap())
}

/// Two entities that are there together or not at all.
fn pair(n: u32) -> Changeset {
    let mut changeset = Changeset::new(
        ChangesetId::from_uuid(Uuid::from_u128(n.into())),
        Principal::engine(),
        Timestamp::UNIX_EPOCH,
    );
    let reservation = Reservation {
        key: key(n),
        tenant: "acme".parse().unwrap(),
        owner: cluster(n),
        request_hash: Some("x".repeat(2_000)),
        expires_at: None,
    };
    let state = ClusterState::new(format!("c{n}").parse().unwrap());
    changeset.insert(reservation, EventKind::ReservationMade, EventFacts::default());
    changeset.insert(state, EventKind::ClusterStateChanged, EventFacts::default());
    changeset
}

/// Whether both of a pair are there; panics if one is without the other.
async fn has_pair(store: &SqliteStore, n: u32) -> bool {
    let there = async |key: EntityKey| store.get(&Scope::Everyone, &key).await.unwrap().is_some();
    let (one, other) = (there(cluster(n)).await, there(EntityKey::Reservation(key(n))).await);
    assert_eq!(one, other, "half of changeset {n}");
    one
}

/// Commits pairs from `from` on, eight at a time, until one is refused; says which were acknowledged.
async fn commit_pairs(store: &SqliteStore, from: u32) -> StoreError {
    for first in (from..).step_by(8) {
        let commits = (first..first + 8).map(async |n| store.commit(pair(n)).await.map(|_| n));
        for answer in futures::future::join_all(commits).await {
            match answer {
                Ok(n) => println!("acknowledged {n}"),
                Err(error) => return error,
            }
        }
    }
    unreachable!("there are more numbers than a disk holds")
}

/// The last whole line of a child that says what was acknowledged.
fn acknowledged(said: &str) -> Vec<u32> {
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let number = |line: &str| line.split_once("acknowledged ")?.1.parse().ok();
    whole.lines().filter_map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_and_nothing_is_half() {
    if let Some(file) = child_file() {
        let error = commit_pairs(&open(&file).await, 0).await;
        panic!("{}", report(&error));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let mut child = start("what_was_acknowledged_survives_a_kill_and_nothing_is_half", &file, "");
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while acknowledged(&said).len() < 400 {
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut said).unwrap(), 0, "the child ended: {said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::io::Read::read_to_string(&mut out, &mut said).unwrap();

    let store = open(&file).await;
    let known = acknowledged(&said);
    for n in &known {
        assert!(has_pair(&store, *n).await, "changeset {n} was acknowledged and is gone");
        assert_eq!(store.commit(pair(*n)).await.unwrap(), Committed::Already);
    }
    let last = known.iter().max().unwrap();
    for n in last + 1..last + 100 {
        has_pair(&store, n).await;
    }
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_unavailable_and_nothing_of_the_change_is_there() {
    if let Some(file) = child_file() {
        let error = commit_pairs(&open(&file).await, 0).await;
        assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
        println!("refused: {}", report(&error));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    // No file of the child may grow beyond a mebibyte or two, and it is told so by an error.
    let name = "a_full_disk_is_unavailable_and_nothing_of_the_change_is_there";
    let child = start(name, &file, "trap '' XFSZ; ulimit -f 2048;");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let refused = said.lines().find_map(|line| line.split_once("refused: ")).unwrap().1;
    assert!(refused.contains("aegis.db") && refused.contains("free some"), "{refused}");

    let store = open(&file).await;
    let known = acknowledged(&said);
    for n in &known {
        assert!(has_pair(&store, *n).await, "changeset {n} was acknowledged and is gone");
    }
    let next = known.iter().max().unwrap() + 1;
    for n in next..next + 100 {
        has_pair(&store, n).await;
    }
    store.check().await.unwrap();
    store.commit(pair(1_000_000)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused_until_the_first_is_gone() {
    if let Some(file) = child_file() {
        let _open = open(&file).await;
        println!("opened");
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let mut child = start("a_second_process_is_refused_until_the_first_is_gone", &file, "");
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("opened") {
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut said).unwrap(), 0, "the child ended: {said}");
    }
    let refused = refusal(&file).await;
    assert!(matches!(&refused, OpenError::InUse { file: named } if *named == file), "{}", report(&refused));
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    child.kill().unwrap();
    child.wait().unwrap();
    open(&file).await;
}

#[tokio::test]
async fn a_second_store_of_one_process_is_refused_until_the_first_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let first = open(&file).await;
    assert!(matches!(refusal(&file).await, OpenError::InUse { .. }));
    first.close().await;
    let closed = first.commit(pair(1)).await.unwrap_err();
    assert_eq!(closed.class(), ErrorClass::Unavailable);
    assert!(!has_pair(&open(&file).await, 1).await);
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    open(&file).await.close().await;
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    let refused = refusal(&file).await;
    assert!(matches!(refused, OpenError::ReadOnly { .. }), "{}", report(&refused));
    assert!(refused.to_string().contains("the right to write"), "{refused}");
}

#[tokio::test]
async fn a_file_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    fs::write(&file, "orders;apples\n".repeat(1_000)).unwrap();
    let refused = refusal(&file).await;
    assert!(report(&refused).to_string().contains("aegis.db"), "{}", report(&refused));
    assert_eq!(fs::read_to_string(&file).unwrap(), "orders;apples\n".repeat(1_000));
}

/// Overwrites the middle of each page in the second half of the file.
fn damage(file: &Path) {
    const PAGE: u64 = 4_096;
    let pages = fs::metadata(file).unwrap().len() / PAGE;
    let file = fs::File::options().write(true).open(file).unwrap();
    for page in pages / 2..pages {
        file.write_all_at(&[0xa5; 512], page * PAGE).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_named_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let store = open(&file).await;
    for n in 0..100 {
        store.commit(pair(n)).await.unwrap();
    }
    store.close().await;
    damage(&file);
    let refused = refusal(&file).await;
    assert_eq!(refused.class(), ErrorClass::Internal);
    let said = report(&refused).to_string();
    assert!(said.contains("aegis.db is damaged") && said.contains("backup"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_is_met_at_work_is_named_and_never_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let store = open(&file).await;
    for n in 0..100 {
        store.commit(pair(n)).await.unwrap();
    }
    store.close().await;
    damage(&file);
    let unchecked = SqliteOptions::new(&file).checked_up_to(0);
    let mut errors = Vec::new();
    match SqliteStore::open(unchecked, Arc::new(SystemClock::new())).await {
        Err(error) => errors.push(report(&error).to_string()),
        Ok(store) => {
            for n in 0..100 {
                match store.get(&Scope::Everyone, &EntityKey::Reservation(key(n))).await {
                    Ok(found) => assert!(found.is_none_or(|(version, _)| version == Version::FIRST)),
                    Err(error) => {
                        assert_eq!(error.class(), ErrorClass::Internal, "{}", report(&error));
                        errors.push(report(&error).to_string());
                    }
                }
            }
            assert!(matches!(store.check().await, Err(OpenError::Damaged { .. } | OpenError::Store(_))));
        }
    }
    assert!(!errors.is_empty(), "the damage was overlooked");
    assert!(errors.iter().all(|said| said.contains("aegis.db")), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_of_changesets_that_wait_together_are_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("aegis.db")).await;
    // Sixty at once, each twice under an id of its own: one of the two is applied.
    let twice = (0..60u32).flat_map(|n| {
        let again =
            Changeset { id: ChangesetId::from_uuid(Uuid::from_u128(u128::from(n) + 1_000)), ..pair(n) };
        [pair(n), again]
    });
    let answers = futures::future::join_all(twice.map(|changeset| store.commit(changeset))).await;
    for (n, answers) in (0u32..).zip(answers.chunks(2)) {
        let applied = answers.iter().filter(|answer| matches!(answer, Ok(Committed::Applied))).count();
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err()).map(StoreError::class);
        assert_eq!((applied, refused.collect::<Vec<_>>()), (1, vec![ErrorClass::AlreadyExists]), "pair {n}");
        assert!(has_pair(&store, n).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_a_store_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("aegis.db"), folder.path().join("copy.db"));
    let store = open(&file).await;
    for n in 0..50 {
        store.commit(pair(n)).await.unwrap();
    }
    let commits = async {
        for n in 50..250 {
            store.commit(pair(n)).await.unwrap();
        }
    };
    let (backup, ()) = tokio::join!(store.backup(&copy), commits);
    backup.unwrap();
    assert!(has_pair(&store, 249).await);

    let opened = open(&copy).await;
    let mut there = Vec::new();
    for n in 0..250 {
        there.push(has_pair(&opened, n).await);
    }
    let missing = there.iter().position(|there| !there).unwrap_or(there.len());
    assert!(missing >= 50, "what was committed before the backup began is missing: {missing}");
    assert!(there[missing..].iter().all(|there| !there), "a later commit is there without an earlier");
    opened.commit(pair(1_000)).await.unwrap();

    let refused = store.backup(&copy).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::InvalidInput);
    assert!(refused.to_string().contains("exists already"), "{refused}");
    assert!(has_pair(&opened, 1_000).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_over_a_file_that_crashed_is_whole_and_nothing_of_the_old_one_is_left() {
    if let Some(file) = child_file() {
        let error = commit_pairs(&open(&file).await, 100).await;
        panic!("{}", report(&error));
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("aegis.db"), folder.path().join("copy.db"));
    let store = open(&file).await;
    for n in 0..20 {
        store.commit(pair(n)).await.unwrap();
    }
    store.backup(&copy).await.unwrap();
    let in_use = SqliteStore::restore(&copy, &file).await.unwrap_err();
    assert!(matches!(in_use, OpenError::InUse { .. }), "{}", report(&in_use));
    store.close().await;
    let name =
        "a_backup_that_is_restored_over_a_file_that_crashed_is_whole_and_nothing_of_the_old_one_is_left";
    let mut child = start(name, &file, "");
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while acknowledged(&said).len() < 100 {
        assert_ne!(std::io::BufRead::read_line(&mut out, &mut said).unwrap(), 0, "the child ended: {said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = folder.path().join("aegis.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 0, "the child left no write-ahead log");

    SqliteStore::restore(&copy, &file).await.unwrap();
    assert!(!log.exists());
    let store = open(&file).await;
    store.check().await.unwrap();
    assert!(has_pair(&store, 19).await);
    assert!(!has_pair(&store, 100).await);
    store.commit(pair(100)).await.unwrap();
    assert!(copy.exists(), "the backup stays");
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored_and_the_file_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("aegis.db"), folder.path().join("copy.db"));
    let store = open(&file).await;
    for n in 0..100 {
        store.commit(pair(n)).await.unwrap();
    }
    store.backup(&copy).await.unwrap();
    store.close().await;
    damage(&copy);
    for (backup, class) in [("copy.db", ErrorClass::Internal), ("nothing.db", ErrorClass::Unavailable)] {
        let refused = SqliteStore::restore(&folder.path().join(backup), &file).await.unwrap_err();
        assert_eq!(refused.class(), class, "{}", report(&refused));
        assert!(report(&refused).to_string().contains(backup), "{}", report(&refused));
    }
    foreign(&copy).await;
    let refused = SqliteStore::restore(&copy, &file).await.unwrap_err();
    assert!(matches!(refused, OpenError::NotOurs { .. }), "{}", report(&refused));
    assert!(has_pair(&open(&file).await, 99).await);
}

/// Makes the file the database of another program, which keeps a rollback journal.
async fn foreign(file: &Path) {
    let _ = fs::remove_file(file);
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("create table orders (fruit text)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_not_a_byte_of_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.db");
    foreign(&file).await;
    let before = fs::read(&file).unwrap();
    let refused = refusal(&file).await;
    assert!(matches!(refused, OpenError::NotOurs { .. }), "{}", report(&refused));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_file_is_opened_once_whatever_name_leads_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("aegis.db"), folder.path().join("link.db"));
    let _open = open(&file).await;
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(matches!(refusal(&link).await, OpenError::InUse { .. }));
}

#[tokio::test]
async fn an_event_that_was_moved_to_another_tenant_is_shown_to_nobody_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("aegis.db");
    let store = open(&file).await;
    store.commit(pair(1)).await.unwrap();
    let holder = HolderId("the test".to_owned());
    let claim = store.claim(&LeaseName::sealer(), &holder, std::time::Duration::from_secs(60)).await.unwrap();
    let Claim::Granted(lease) = claim else { panic!("{claim:?}") };
    assert_eq!(store.seal(&lease.fence, 10).await.unwrap().count, 2);
    let mut somebody = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let moving = "update event set tenant = 'thief' where position = 1";
    sqlx::query(moving).execute(&mut somebody).await.unwrap();
    for scope in [Scope::Tenant("thief".parse().unwrap()), Scope::Everyone] {
        let refused = store.events(&scope, Position::START, 10).await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Internal);
        assert!(report(&refused).to_string().contains("position 1"), "{}", report(&refused));
    }
}
