//! The database of Aegis is gone, and with it the catalogue: it comes back from what lies in storage.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::clone_on_ref_ptr, reason = "`Arc::clone` would not let the clone become an `Arc<dyn …>`")]

use std::{fs, path::Path, sync::Arc};

use aegis::{
    Aegis,
    engine::{Execute, HoldRequest, NewPlan, NewPolicy, Running, SystemClock, Tenant},
    files::{FileSet, FilesDriver, PasswordSource},
    model::{
        EventKind, ExecutionStatus, Machine, NamespaceSelection, PolicyId, Position, RetentionRules,
        Schedule, ZoneName,
    },
    rules::retention::Acknowledgement,
    seams::{ErrorClass, RecordQuery, Scope},
    storage::{StorageOptions, open},
    store::{SqliteOptions, SqliteStore},
};
use futures::StreamExt;

const LEDGER: &str = "1;apples\n2;pears\n";

/// A service over the directory `home`: what it protects, its backups, its database and its key.
struct Service {
    tenant: Tenant,
    running: Running,
    store: Arc<SqliteStore>,
}

impl Service {
    async fn start(home: &Path) -> Self {
        let clock = Arc::new(SystemClock::new());
        let uri = format!("file://{}/backups/", home.display()).parse().unwrap();
        let storage = open(&uri, &StorageOptions::default()).unwrap();
        let driver = FilesDriver::builder(clock.clone())
            .namespace("documents".parse().unwrap(), FileSet::new([home.join("documents")]).unwrap())
            .storage(storage.clone(), PasswordSource::File(home.join("key")))
            .build()
            .unwrap();
        let database = SqliteOptions::new(home.join("aegis.db"));
        let store = Arc::new(SqliteStore::open(database, clock).await.unwrap());
        let aegis = Aegis::builder()
            .store(store.clone())
            .cluster("local", Arc::new(driver))
            .storage(storage)
            .build()
            .unwrap();
        Self { tenant: aegis.default_tenant().unwrap(), running: aegis.start(), store }
    }

    async fn stop(self) {
        self.running.shutdown().await;
        self.store.close().await;
    }

    /// Runs the policy and waits until its backup is there.
    async fn back_up(&self, policy: PolicyId) {
        let newest = |events: Vec<aegis::model::SealedEvent>| events.last().map(|sealed| sealed.position);
        let before = newest(self.tenant.events(Position::START, 10_000).await.unwrap()).unwrap_or_default();
        self.tenant.run_policy(policy).await.unwrap();
        let mut events = self.tenant.subscribe(before);
        while events.next().await.unwrap().unwrap().event.kind != EventKind::JobCompleted {}
    }
}

/// One that keeps the newest record alone, and would let the others go at once.
fn policy() -> NewPolicy {
    let mut rules = RetentionRules::last(1);
    rules.grace = std::time::Duration::ZERO;
    let yearly = Schedule::cron("0 0 1 1 *".parse().unwrap(), ZoneName::UTC);
    let (name, cluster) = ("nightly".parse().unwrap(), "local".parse().unwrap());
    NewPolicy::new(name, cluster, NamespaceSelection::all(), yearly, rules)
}

#[tokio::test]
async fn a_lost_database_is_rebuilt_from_storage_and_nothing_is_let_go_until_a_person_says_so() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let ledger = home.join("documents/ledger.csv");
    fs::create_dir(home.join("documents")).unwrap();
    fs::write(&ledger, LEDGER).unwrap();
    fs::write(home.join("key"), "a long random password\n").unwrap();

    let service = Service::start(home).await;
    let id = service.tenant.create_policy(policy()).await.unwrap().policy.id;
    service.back_up(id).await;
    let first = service.tenant.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items[0].record.id;
    let hold = HoldRequest { name: "audit".parse().unwrap(), reason: "asked for".to_owned(), until: None };
    service.tenant.hold_record(first, hold).await.unwrap();
    fs::write(&ledger, "damaged").unwrap();
    service.back_up(id).await;
    service.back_up(id).await;
    service.stop().await;
    for file in ["aegis.db", "aegis.db-wal", "aegis.db-shm"] {
        let _ = fs::remove_file(home.join(file));
    }

    let service = Service::start(home).await;
    let (tenant, location) =
        (&service.tenant, format!("file://{}/backups/", home.display()).parse().unwrap());
    assert!(tenant.records(RecordQuery::new(Scope::Everyone)).await.unwrap().items.is_empty());
    let rebuilt = tenant.rebuild(&"local".parse().unwrap(), &location).await.unwrap();
    assert_eq!((rebuilt.records, rebuilt.policies), (3, 1), "{rebuilt:?}");
    assert!(rebuilt.unreadable.is_empty() && rebuilt.without_data.is_empty(), "{rebuilt:?}");
    assert!(!tenant.record(first).await.unwrap().record.holds.is_empty(), "the hold is back");
    assert!(!tenant.policy(id).await.unwrap().policy.enabled, "policies come back switched off");

    assert!(tenant.is_retention_frozen().await.unwrap());
    let refused = tenant.run_retention(id, Acknowledgement::None).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::InvalidTransition, "{refused}");
    tenant.resume_retention().await.unwrap();
    let run = tenant.run_retention(id, Acknowledgement::Given).await.unwrap();
    let gone: Vec<_> = run.decisions.iter().filter(|decision| !decision.kept).collect();
    assert!(gone.len() == 1 && gone[0].record != first, "the held one and the newest stay: {run:?}");

    fs::remove_file(&ledger).unwrap();
    let plan =
        tenant.create_plan(NewPlan::new("bring it back".parse().unwrap(), first)).await.unwrap().plan.id;
    tenant.execute_plan(plan, Execute::Confirmed).await.unwrap();
    let mut events = tenant.subscribe(Position::START);
    while !tenant.execution_status(plan).await.unwrap().execution.status.is_terminal() {
        events.next().await.unwrap().unwrap();
    }
    let execution = tenant.execution_status(plan).await.unwrap().execution;
    assert_eq!(execution.status, ExecutionStatus::Completed, "{:?}", execution.failure);
    assert_eq!(fs::read_to_string(&ledger).unwrap(), LEDGER);
    service.stop().await;
}
