//! Each filter of each query, alone and together.

use super::{
    StoreHarness, insert, must,
    samples::{
        at, cluster, copy, deletion, dr_test, execution, id, job, location, plan, policy, record,
        retention_run, slot, verification,
    },
};
use crate::{
    model::{
        BackupJob, BackupRecord, CheckStatus, DrTest, ExecutionStatus, ExpiredBy, JobStatus, PlanStatus,
        Policy, RecordCopy, RecordLifecycle, RecordState, RecoveryExecution, RecoveryPlan, RetentionRun,
        Slot, StorageBackend, Verification,
    },
    seams::{
        DrTestQuery, ExecutionQuery, JobQuery, PlanQuery, PolicyQuery, RecordQuery, RetentionRunQuery, Scope,
        SlotQuery, VerificationQuery, Window,
    },
};

/// Asks each query and compares the numbers of what was found, newest first, and its total.
macro_rules! check {
    ($store:ident.$method:ident($query:ident), |$item:ident| $number:expr, [$($set:expr => $expected:expr),+ $(,)?]) => {
        let cases: &[(fn(&mut $query), &[u32])] = &[$(($set, &$expected)),+];
        for (set, expected) in cases {
            let mut query = $query::new(Scope::Everyone);
            set(&mut query);
            query.window = Window { count: true, ..Window::ALL };
            let page = must($store.$method(&query).await, "list");
            let found: Vec<u32> = page.items.iter().map(|$item| $number).collect();
            assert_eq!(found, *expected, "{query:?}");
            assert_eq!(page.total, u64::try_from(expected.len()).ok(), "{query:?}");
        }
    };
}

/// The number that an id was made of.
fn number(id: uuid::Uuid) -> u32 {
    u32::try_from(id.as_u128() & u128::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Cluster, states, liveness, policy, location, time, hidden or not.
pub async fn jobs_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let jobs = [
        job(1),
        BackupJob { cluster: cluster("c2"), ..job(2) },
        BackupJob { status: JobStatus::InProgress, ..job(3) },
        BackupJob { status: JobStatus::Completed, ..job(4) },
        BackupJob { status: JobStatus::Failed, late_operation: Some(id(5)), ..job(5) },
        BackupJob { policy: Some(id(100)), ..job(6) },
        BackupJob { location: location("file:///srv/two/"), ..job(7) },
        BackupJob { hidden: true, ..job(8) },
    ];
    insert(&*store, jobs).await;
    check!(store.jobs(JobQuery), |job| number(job.id.as_uuid()), [
        |_| {} => [7, 6, 5, 4, 3, 2, 1],
        |query| query.hidden = true => [8, 7, 6, 5, 4, 3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.cluster = Some(cluster("c3")) => [],
        |query| query.statuses = vec![JobStatus::InProgress, JobStatus::Completed] => [4, 3],
        |query| query.live = Some(true) => [7, 6, 5, 3, 2, 1],
        |query| query.live = Some(false) => [4],
        |query| query.policy = Some(id(100)) => [6],
        |query| query.location = Some(location("file:///srv/two/")) => [7],
        |query| query.location = Some(location("file:///srv/")) => [],
        |query| query.from = Some(at(4)) => [7, 6, 5, 4],
        |query| query.to = Some(at(4)) => [3, 2, 1],
        |query| (query.from, query.to) = (Some(at(2)), Some(at(4))) => [3, 2],
        |query| (query.from, query.to) = (Some(at(4)), Some(at(2))) => [],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.statuses = vec![JobStatus::Pending];
            query.from = Some(at(2));
        } => [7, 6],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.live = Some(true);
            query.hidden = true;
        } => [8, 7, 6, 5, 3, 1],
        |query| {
            query.cluster = Some(cluster("c2"));
            query.policy = Some(id(100));
        } => [],
    ]);
}

/// Ids, cluster, policy or none, states, location and kind of storage of one copy, chain, time, what is due.
pub async fn records_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let expired = |n| RecordLifecycle::Expired {
        at: at(n),
        by: ExpiredBy::Rules,
        delete_after: at(100),
        reason: String::new(),
    };
    let gone = RecordCopy { gone_at: Some(at(8)), ..copy("gs://backups/", 1) };
    let records = [
        record(1),
        BackupRecord { cluster: cluster("c2"), ..record(2) },
        BackupRecord { policy: Some(id(100)), ..record(3) },
        BackupRecord { lifecycle: expired(4), ..record(4) },
        BackupRecord { lifecycle: RecordLifecycle::Deleting(deletion(5, None)), ..record(5) },
        BackupRecord { lifecycle: RecordLifecycle::Deleting(deletion(6, Some(at(200)))), ..record(6) },
        BackupRecord {
            lifecycle: RecordLifecycle::Deleted { began_at: at(7), at: at(8) },
            copies: vec![gone],
            ..record(7)
        },
        BackupRecord { chain: id(3), ..record(8) },
        BackupRecord { copies: vec![copy("file:///srv/x/", 1), copy("s3://backups/two/", 1)], ..record(9) },
    ];
    insert(&*store, records).await;
    check!(store.records(RecordQuery), |record| number(record.id.as_uuid()), [
        |_| {} => [9, 8, 7, 6, 5, 4, 3, 2, 1],
        |query| query.ids = vec![id(2), id(9), id(99)] => [9, 2],
        |query| query.ids = vec![id(99)] => [],
        |query| (query.ids, query.cluster) = (vec![id(1), id(2)], Some(cluster("c2"))) => [2],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.policy = Some(id(100)) => [3],
        |query| query.manual = true => [9, 8, 7, 6, 5, 4, 2, 1],
        |query| (query.manual, query.cluster) = (true, Some(cluster("c1"))) => [9, 8, 7, 6, 5, 4, 1],
        |query| (query.manual, query.policy) = (true, Some(id(100))) => [],
        |query| query.states = vec![RecordState::Available, RecordState::Expired] => [9, 8, 4, 3, 2, 1],
        |query| query.states = vec![RecordState::Expired, RecordState::Deleting] => [6, 5, 4],
        |query| query.states = vec![RecordState::Deleted] => [7],
        |query| query.location = Some(location("s3://backups/one/")) => [8, 6, 5, 4, 3, 2, 1],
        |query| query.location = Some(location("file:///srv/x/")) => [9],
        |query| query.backend = Some(StorageBackend::Gcs) => [7],
        |query| query.backend = Some(StorageBackend::Local) => [9],
        |query| {
            query.backend = Some(StorageBackend::Local);
            query.location = Some(location("s3://backups/two/"));
        } => [],
        |query| query.chain = Some(id(3)) => [8, 3],
        |query| query.from = Some(at(8)) => [9, 8],
        |query| query.to = Some(at(3)) => [2, 1],
        |query| query.due_by = Some(at(99)) => [5],
        |query| query.due_by = Some(at(100)) => [5, 4],
        |query| query.due_by = Some(at(200)) => [6, 5, 4],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.states = vec![RecordState::Deleting];
            query.due_by = Some(at(150));
        } => [5],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.states = vec![RecordState::Available];
            query.to = Some(at(9));
        } => [8, 3, 1],
    ]);
}

/// Target cluster, state, record.
pub async fn plans_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let plans = [
        plan(1),
        RecoveryPlan { target_cluster: cluster("c2"), ..plan(2) },
        RecoveryPlan { status: PlanStatus::Failed, ..plan(3) },
        RecoveryPlan { record: id(1), ..plan(4) },
    ];
    insert(&*store, plans).await;
    check!(store.plans(PlanQuery), |plan| number(plan.id.as_uuid()), [
        |_| {} => [4, 3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.status = Some(PlanStatus::Failed) => [3],
        |query| query.status = Some(PlanStatus::Pending) => [4, 2, 1],
        |query| query.record = Some(id(1)) => [4, 1],
        |query| {
            query.record = Some(id(1));
            query.cluster = Some(cluster("c2"));
        } => [],
    ]);
}

/// Target cluster, plan, state, active lately.
pub async fn executions_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let (status, completed_at) = (ExecutionStatus::Completed, Some(at(50)));
    let executions = [
        execution(1),
        RecoveryExecution { target_cluster: cluster("c2"), ..execution(2) },
        RecoveryExecution { plan: id(1), ..execution(3) },
        RecoveryExecution { status, completed_at, ..execution(4) },
    ];
    insert(&*store, executions).await;
    check!(store.executions(ExecutionQuery), |execution| number(execution.id.as_uuid()), [
        |_| {} => [4, 3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.plan = Some(id(1)) => [3, 1],
        |query| query.status = Some(ExecutionStatus::Executing) => [3, 2, 1],
        |query| query.status = Some(ExecutionStatus::Completed) => [4],
        |query| query.active_after = Some(at(49)) => [4, 3, 2, 1],
        |query| query.active_after = Some(at(50)) => [3, 2, 1],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.status = Some(ExecutionStatus::Executing);
        } => [3, 1],
    ]);
}

/// Ids, cluster, enabled or not.
pub async fn policies_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let policies =
        [policy(1), Policy { cluster: cluster("c2"), ..policy(2) }, Policy { enabled: false, ..policy(3) }];
    insert(&*store, policies).await;
    check!(store.policies(PolicyQuery), |policy| number(policy.id.as_uuid()), [
        |_| {} => [3, 2, 1],
        |query| query.ids = vec![id(1), id(3), id(99)] => [3, 1],
        |query| query.ids = vec![id(99)] => [],
        |query| (query.ids, query.enabled) = (vec![id(1), id(3)], Some(false)) => [3],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.enabled = Some(true) => [2, 1],
        |query| query.enabled = Some(false) => [3],
        |query| {
            query.cluster = Some(cluster("c2"));
            query.enabled = Some(false);
        } => [],
    ]);
}

/// Policy, nominal time; newest first by nominal time, then by policy.
pub async fn slots_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [slot(2), Slot { policy_id: id(2), ..slot(2) }, slot(1), slot(3)]).await;
    let tens = |slot: &Slot| number(slot.policy_id.as_uuid()) * 10;
    let ones = |slot: &Slot| (1..=3).find(|n| at(*n) == slot.nominal_at).unwrap_or_default();
    check!(store.slots(SlotQuery), |slot| tens(slot) + ones(slot), [
        |_| {} => [13, 22, 12, 11],
        |query| query.policy = Some(id(1)) => [13, 12, 11],
        |query| query.policy = Some(id(2)) => [22],
        |query| query.from = Some(at(2)) => [13, 22, 12],
        |query| query.to = Some(at(2)) => [11],
        |query| {
            query.policy = Some(id(1));
            (query.from, query.to) = (Some(at(2)), Some(at(3)));
        } => [12],
    ]);
}

/// Cluster, record, state.
pub async fn verifications_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let verifications = [
        verification(1),
        Verification { cluster: cluster("c2"), ..verification(2) },
        Verification { record: verification(1).record, ..verification(3) },
        Verification { status: CheckStatus::Passed, ..verification(4) },
    ];
    insert(&*store, verifications).await;
    check!(store.verifications(VerificationQuery), |check| number(check.id.as_uuid()), [
        |_| {} => [4, 3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.record = Some(id(1)) => [3, 1],
        |query| query.status = Some(CheckStatus::Passed) => [4],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.status = Some(CheckStatus::Running);
        } => [3, 1],
    ]);
}

/// Target cluster, policy, record, state.
pub async fn dr_tests_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let tests = [
        dr_test(1),
        DrTest { target_cluster: cluster("c2"), ..dr_test(2) },
        DrTest { policy: Some(id(100)), ..dr_test(3) },
        DrTest { run: None, status: CheckStatus::NotRun, completed_at: Some(at(50)), ..dr_test(4) },
        DrTest { run: dr_test(1).run, ..dr_test(5) },
    ];
    insert(&*store, tests).await;
    check!(store.dr_tests(DrTestQuery), |test| number(test.id.as_uuid()), [
        |_| {} => [5, 4, 3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.policy = Some(id(100)) => [3],
        |query| query.record = Some(id(1)) => [5, 1],
        |query| query.status = Some(CheckStatus::NotRun) => [4],
        |query| query.active_after = Some(at(49)) => [5, 4, 3, 2, 1],
        |query| query.active_after = Some(at(50)) => [5, 3, 2, 1],
        |query| {
            query.cluster = Some(cluster("c1"));
            query.status = Some(CheckStatus::Running);
        } => [5, 3, 1],
        |query| {
            query.policy = Some(id(100));
            query.status = Some(CheckStatus::Running);
        } => [3],
    ]);
}

/// Cluster, policy.
pub async fn retention_runs_are_found_by_each_filter<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let runs = [
        retention_run(1),
        RetentionRun { cluster: cluster("c2"), ..retention_run(2) },
        RetentionRun { policy: Some(id(100)), ..retention_run(3) },
    ];
    insert(&*store, runs).await;
    check!(store.retention_runs(RetentionRunQuery), |run| number(run.id.as_uuid()), [
        |_| {} => [3, 2, 1],
        |query| query.cluster = Some(cluster("c2")) => [2],
        |query| query.policy = Some(id(100)) => [3],
        |query| {
            query.cluster = Some(cluster("c2"));
            query.policy = Some(id(100));
        } => [],
    ]);
}
