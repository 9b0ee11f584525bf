//! Drills over a real directory: backed up, restored, compared, measured, and cleaned up.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use aegis::{
    Aegis,
    engine::{DrSubject, NewDrTest, NewJob, Running, SystemClock, Tenant},
    files::{FileSet, FilesDriver, PasswordSource, Sentinel, SentinelRule},
    model::{
        CheckStatus, DrDestination, DrKeep, DrTarget, DrTest, EventKind, NamespaceSelection, Position,
        RecordId, VerificationLevel, Versioned,
    },
    storage::{StorageOptions, open},
    store::MemoryStore,
};
use futures::StreamExt;

const LEDGER: &str = "1;apples\n2;pears\n";

/// A directory that is protected, and an engine that runs.
struct House {
    home: tempfile::TempDir,
    tenant: Tenant,
    running: Running,
    record: RecordId,
}

impl House {
    /// With a backup of the ledger and of a heartbeat that is an hour old.
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (documents, key) = (home.path().join("documents"), home.path().join("repository.key"));
        fs::create_dir_all(documents.join("books")).unwrap();
        fs::write(documents.join("books/ledger.csv"), LEDGER).unwrap();
        let heartbeat = fs::File::create(documents.join("heartbeat")).unwrap();
        let old = heartbeat.metadata().unwrap().modified().unwrap() - Duration::from_secs(3600);
        heartbeat.set_modified(old).unwrap();
        fs::write(&key, "a long random password\n").unwrap();

        let clock = Arc::new(SystemClock::new());
        let uri = format!("file://{}/backups/", home.path().display()).parse().unwrap();
        let storage = open(&uri, &StorageOptions::default()).unwrap();
        let driver = FilesDriver::builder(clock.clone())
            .namespace("documents".parse().unwrap(), FileSet::new([documents]).unwrap())
            .storage(storage.clone(), PasswordSource::File(key))
            .restore_root(home.path().join("restores"))
            .build()
            .unwrap();
        let sentinel = |name: &str, path: &str, rule| {
            let (name, namespace) = (name.parse().unwrap(), "documents".parse().unwrap());
            Arc::new(Sentinel::new(&driver, name, namespace, path, rule).unwrap())
        };
        let ledger = |content: &str| SentinelRule::content(content.as_bytes());
        let within = |seconds| SentinelRule::ModifiedWithin(Duration::from_secs(seconds));
        let aegis = Aegis::builder()
            .store(Arc::new(MemoryStore::new(clock)))
            .cluster("local", Arc::new(driver.clone()))
            .storage(storage)
            .dr_check(sentinel("ledger", "books/ledger.csv", ledger(LEDGER)))
            .dr_check(sentinel("another ledger", "books/ledger.csv", ledger("1;apples\n")))
            .dr_check(sentinel("no ledger", "books/lost.csv", ledger(LEDGER)))
            .dr_check(sentinel("beats every two hours", "heartbeat", within(2 * 3600)))
            .dr_check(sentinel("beats every minute", "heartbeat", within(60)))
            .dr_check(sentinel("a folder", "books", ledger(LEDGER)))
            .build()
            .unwrap();
        let (running, tenant) = (aegis.start(), aegis.default_tenant().unwrap());
        let new = NewJob::new("once".parse().unwrap(), "local".parse().unwrap(), NamespaceSelection::all());
        let job = tenant.create_job(new).await.unwrap().job.id;
        until(&tenant, EventKind::JobCompleted).await;
        let record = tenant.job(job).await.unwrap().job.result.as_ref().unwrap().record;
        Self { home, tenant, running, record }
    }

    fn restores(&self) -> PathBuf {
        self.home.path().join("restores")
    }

    fn drill(&self, checks: &[&str]) -> NewDrTest {
        let folder = self.restores().join("drills").to_str().unwrap().to_owned();
        let target = DrTarget { cluster: None, destination: DrDestination::Folder(folder) };
        let mut new = NewDrTest::new(DrSubject::Record(self.record), target);
        new.checks = checks.iter().map(|name| name.parse().unwrap()).collect();
        new
    }

    async fn run(self, new: NewDrTest) -> (Self, Versioned<DrTest>) {
        let test = self.tenant.run_dr_test(new).await.unwrap().id;
        until(&self.tenant, EventKind::DrTestEnded).await;
        let test = self.tenant.dr_test(test).await.unwrap();
        (self, test)
    }

    /// The drill's end, once the engine has ended too.
    async fn fails(self, check: &str) -> String {
        let new = self.drill(&[check]);
        let (house, test) = self.run(new).await;
        house.running.shutdown().await;
        assert_ne!(test.status, CheckStatus::Passed);
        assert_eq!(test.clean_up.as_ref().unwrap().status, CheckStatus::Passed, "{:?}", test.clean_up);
        assert!(!house.home.path().join("restores/drills").exists(), "something was left");
        test.reason.clone().unwrap()
    }
}

/// Waits for an event of `kind`.
async fn until(tenant: &Tenant, kind: EventKind) {
    let mut events = tenant.subscribe(Position::START);
    while events.next().await.unwrap().unwrap().event.kind != kind {}
}

#[tokio::test]
async fn a_drill_whose_files_are_as_they_should_be_passes_and_leaves_nothing() {
    let house = House::new().await;
    let mut new = house.drill(&["ledger", "beats every two hours"]);
    new.verify = Some(VerificationLevel::Structured);
    let (house, test) = house.run(new).await;
    assert_eq!((test.status, test.reason.as_deref()), (CheckStatus::Passed, None));
    assert_eq!(test.passed_level, Some(VerificationLevel::Proven));
    assert!(test.recovery_time_actual().unwrap() > Duration::ZERO);
    let clean_up = test.clean_up.as_ref().unwrap();
    assert_eq!(clean_up.status, CheckStatus::Passed, "{clean_up:?}");
    assert_eq!(clean_up.removed, [("files", 2), ("directories", 4)].into_iter().collect());
    assert!(test.left_behind.is_empty() && !house.restores().join("drills").exists());
    let record = house.tenant.record(house.record).await.unwrap().record;
    assert_eq!(record.verified().unwrap().0, VerificationLevel::Proven);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_file_with_another_content_fails_the_drill_and_what_it_restored_goes_all_the_same() {
    let reason = House::new().await.fails("another ledger").await;
    assert!(
        reason.starts_with("the check `another ledger` failed: `books/ledger.csv` has the SHA-256"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_file_that_did_not_come_back_fails_the_drill() {
    let reason = House::new().await.fails("no ledger").await;
    assert_eq!(reason, "the check `no ledger` failed: `books/lost.csv` is not there");
}

#[tokio::test]
async fn a_file_that_is_too_old_fails_the_drill() {
    let reason = House::new().await.fails("beats every minute").await;
    assert!(reason.contains("s before the recovery point, and 60 s are allowed"), "{reason}");
}

#[tokio::test]
async fn what_is_no_file_can_not_be_looked_at_and_is_not_passed() {
    let reason = House::new().await.fails("a folder").await;
    assert!(reason.starts_with("the check `a folder` was not run: could not read `books`"), "{reason}");
}

#[tokio::test]
async fn what_is_kept_for_people_lies_there_for_them() {
    let house = House::new().await;
    let mut new = house.drill(&["another ledger"]);
    new.keep = DrKeep::IfFailed;
    let (house, test) = house.run(new).await;
    house.running.shutdown().await;
    let aegis::model::RestoreTarget::Path(left) = test.left_behind.first().unwrap() else {
        panic!("it was restored to a folder")
    };
    assert_eq!(fs::read_to_string(PathBuf::from(left).join("books/ledger.csv")).unwrap(), LEDGER);
}
