//! In which order, how much of it, and what it comes to.

use super::{
    StoreHarness, commit, insert, must,
    samples::{
        at, cluster, copy, deletion, dr_test, execution, id, job, plan, policy, record, retention_run, slot,
        verification,
    },
    updating,
};
use crate::{
    model::{
        BackupJob, BackupRecord, Bytes, DrTest, Entity, ExpiredBy, JobId, JobStatus, Policy, RecordCopy,
        RecordLifecycle, RecordState, RecoveryExecution, RecoveryPlan, RetentionRun, Slot, StorageBackend,
        Verification, Version,
    },
    seams::{
        Cursor, DrTestQuery, ExecutionQuery, JobOrder, JobQuery, PlanQuery, PolicyQuery, RecordQuery,
        RecordTotals, RetentionRunQuery, Scope, SlotQuery, Store, Turn, VerificationQuery, Window,
    },
};

/// Every list has the newest first, and the greater id first among equals in time.
pub async fn lists_are_newest_first_and_ties_by_id<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    // In order of writing, with their times; in order of the list: 4, 2, 1, 3.
    for (n, time) in [(2, at(5)), (3, at(4)), (1, at(5)), (4, at(6))] {
        let entities: [Entity; 9] = [
            BackupJob { created_at: time, ..job(n) }.into(),
            BackupRecord { created_at: time, ..record(n) }.into(),
            RecoveryPlan { created_at: time, ..plan(n) }.into(),
            RecoveryExecution { started_at: time, ..execution(n) }.into(),
            Policy { created_at: time, ..policy(n) }.into(),
            Slot { nominal_at: time, policy_id: id(n), ..slot(n) }.into(),
            Verification { started_at: time, ..verification(n) }.into(),
            DrTest { started_at: time, ..dr_test(n) }.into(),
            RetentionRun { started_at: time, ..retention_run(n) }.into(),
        ];
        insert(&*store, entities).await;
    }
    macro_rules! check {
        ($method:ident($query:ident), $id:ident) => {
            for scope in [Scope::Everyone, Scope::Tenant(job(1).tenant)] {
                let page = must(store.$method(&$query::new(scope)).await, "list");
                let order: Vec<_> = page.items.iter().map(|item| item.$id).collect();
                assert_eq!(order, [id(4), id(2), id(1), id(3)], stringify!($method));
            }
        };
    }
    check!(jobs(JobQuery), id);
    check!(records(RecordQuery), id);
    check!(plans(PlanQuery), id);
    check!(executions(ExecutionQuery), id);
    check!(policies(PolicyQuery), id);
    check!(slots(SlotQuery), policy_id);
    check!(verifications(VerificationQuery), id);
    check!(dr_tests(DrTestQuery), id);
    check!(retention_runs(RetentionRunQuery), id);
}

async fn ids(store: &dyn Store, query: &JobQuery) -> Vec<JobId> {
    must(store.jobs(query).await, "list jobs").items.iter().map(|job| job.id).collect()
}

/// The job to start next comes first: the highest priority, the oldest, the smallest id.
pub async fn jobs_are_dispatched_by_priority_then_age<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let jobs = [
        BackupJob { priority: -5, created_at: at(0), ..job(1) },
        BackupJob { priority: 7, created_at: at(9), ..job(2) },
        BackupJob { created_at: at(5), ..job(4) },
        BackupJob { created_at: at(5), ..job(3) },
        BackupJob { created_at: at(4), ..job(5) },
        BackupJob { priority: 9, cluster: cluster("c2"), ..job(6) },
        BackupJob { priority: 9, status: JobStatus::InProgress, ..job(7) },
    ];
    insert(&*store, jobs.clone()).await;
    let mut query = JobQuery::new(Scope::Everyone);
    query.cluster = Some(cluster("c1"));
    query.statuses = vec![JobStatus::Pending];
    query.order = JobOrder::Dispatch;
    assert_eq!(ids(&*store, &query).await, [2, 5, 3, 4, 1].map(id));
    let window = Window { offset: 1, limit: 2, after: None, count: true };
    let page = must(store.jobs(&query.clone().with_window(window)).await, "list jobs");
    assert_eq!(page.items.iter().map(|job| job.id).collect::<Vec<_>>(), [5, 3].map(id));
    assert_eq!(page.total, Some(5));
    for (before, n) in (0..).zip([2, 5, 3, 4, 1]) {
        let turn = jobs.iter().find(|job| job.id == id(n)).map(Turn::from);
        let count = Window { limit: 0, count: true, ..Window::ALL };
        let query = JobQuery { before: turn, window: count, ..query.clone() };
        let page = must(store.jobs(&query).await, "count jobs");
        assert_eq!((page.items.len(), page.total), (0, Some(before)), "before job {n}");
    }
    assert_eq!(ids(&*store, &query.clone().with_window(Window::first(1))).await, [id(2)]);
    query.statuses.clear();
    assert_eq!(ids(&*store, &query).await, [7, 2, 5, 3, 4, 1].map(id));
    query.cluster = None;
    assert_eq!(ids(&*store, &query).await, [6, 7, 2, 5, 3, 4, 1].map(id));
}

/// Limit, offset and cursor cut where they say; the total is of everything.
pub async fn windows_cut_where_they_say<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, (1..=10).map(job)).await;
    insert(&*store, (1..=10).map(record)).await;
    let after = |n, id_of| Some(Cursor { at: at(n), id: id::<JobId>(id_of).as_uuid() });
    let window = |limit, offset, after| Window { limit, offset, after, count: true };
    let cases = [
        (Window::ALL, vec![10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (Window::first(3), vec![10, 9, 8]),
        (window(3, 2, None), vec![8, 7, 6]),
        (window(0, 0, None), vec![]),
        (window(5, 20, None), vec![]),
        (window(usize::MAX, 8, None), vec![2, 1]),
        (window(2, 0, after(7, 7)), vec![6, 5]),
        (window(2, 1, after(7, 7)), vec![5, 4]),
        (window(2, 0, after(7, 8)), vec![7, 6]),
        (window(2, 0, after(1, 1)), vec![]),
    ];
    for (window, expected) in cases {
        let expected: Vec<JobId> = expected.into_iter().map(id).collect();
        let page = must(store.jobs(&JobQuery::new(Scope::Everyone).with_window(window)).await, "list jobs");
        assert_eq!(page.items.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{window:?}");
        assert_eq!(page.total, window.count.then_some(10), "{window:?}");
        let query = RecordQuery::new(Scope::Everyone).with_window(window);
        let page = must(store.records(&query).await, "list records");
        assert_eq!(page.items.iter().map(|record| record.job).collect::<Vec<_>>(), expected, "{window:?}");
        assert_eq!(page.total, window.count.then_some(10), "{window:?}");
    }
}

/// Whoever goes on from the last item of a page sees each item once, although new ones arrive.
pub async fn pages_by_cursor_neither_skip_nor_repeat<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    // Three to an instant, so that pages of two end among equals.
    insert(&*store, (1..=12).map(|n| BackupJob { created_at: at(n / 3), ..job(n) })).await;
    let mut window = Window::first(2);
    let mut seen = Vec::new();
    for newer in 20..40 {
        let page = must(store.jobs(&JobQuery::new(Scope::Everyone).with_window(window)).await, "list jobs");
        let Some(last) = page.items.last() else { break };
        window.after = Some(Cursor { at: last.created_at, id: last.id.as_uuid() });
        seen.extend(page.items.iter().map(|job| job.id));
        insert(&*store, [job(newer)]).await;
    }
    assert_eq!(seen, (1..=12).rev().map(id).collect::<Vec<_>>());
}

/// An entity is found by what it is now, and no longer by what it was.
pub async fn lists_follow_updates<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [Entity::from(job(1)), record(1).into()]).await;
    let dispatch = |query: &mut JobQuery| {
        query.statuses = vec![JobStatus::Pending];
        query.order = JobOrder::Dispatch;
    };
    let asked: [fn(&mut JobQuery); 4] = [
        dispatch,
        |query| query.statuses = vec![JobStatus::InProgress],
        |query| query.live = Some(true),
        |query| query.live = Some(false),
    ];
    let late = BackupJob { status: JobStatus::Failed, late_operation: Some(id(1)), ..job(1) };
    let steps = [
        (job(1), [true, false, true, false]),
        (BackupJob { status: JobStatus::InProgress, ..job(1) }, [false, true, true, false]),
        (late, [false, false, true, false]),
        (BackupJob { status: JobStatus::Failed, ..job(1) }, [false, false, false, true]),
    ];
    for (version, (step, expected)) in (1..).zip(steps) {
        commit(&*store, updating(Version(version), step)).await;
        for (set, expected) in asked.iter().zip(expected) {
            let mut query = JobQuery::new(Scope::Everyone);
            query.cluster = Some(cluster("c1"));
            set(&mut query);
            assert_eq!(!ids(&*store, &query).await.is_empty(), expected, "{version}: {query:?}");
        }
    }
    let states = [
        RecordLifecycle::Expired {
            at: at(1),
            by: ExpiredBy::Rules,
            delete_after: at(2),
            reason: String::new(),
        },
        RecordLifecycle::Available,
        RecordLifecycle::Deleting(deletion(1, None)),
        RecordLifecycle::Deleted { began_at: at(3), at: at(3) },
    ];
    for (version, lifecycle) in (1..).zip(states) {
        let now = lifecycle.state();
        commit(&*store, updating(Version(version), BackupRecord { lifecycle, ..record(1) })).await;
        for state in RecordState::ALL {
            let mut query = RecordQuery::new(Scope::Everyone);
            (query.cluster, query.states) = (Some(cluster("c1")), vec![*state]);
            let found = must(store.records(&query).await, "list records").items.len();
            assert_eq!(found, usize::from(*state == now), "{state} while it is {now}");
        }
    }
}

/// Totals count every record that matches, and the copies of it that are there and match.
pub async fn record_totals_count_what_is_there<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let gone = RecordCopy { gone_at: Some(at(9)), ..copy("s3://backups/one/", 1_000) };
    let unknown = RecordCopy { stored: None, ..copy("s3://backups/one/", 0) };
    let records = [
        record(1),
        BackupRecord { copies: vec![copy("s3://backups/one/", 10), copy("file:///srv/", 100)], ..record(2) },
        BackupRecord { copies: vec![gone, copy("s3://backups/two/", 1 << 40)], ..record(3) },
        BackupRecord { copies: vec![unknown], ..record(4) },
    ];
    insert(&*store, records).await;
    type Case = (fn(&mut RecordQuery), u64, u64);
    let cases: [Case; 4] = [
        (|_| {}, 4, 111 + (1 << 40)),
        (|query| query.window = Window::first(1), 4, 111 + (1 << 40)),
        (|query| query.location = Some(super::samples::location("s3://backups/one/")), 4, 11),
        (|query| query.backend = Some(StorageBackend::Local), 1, 100),
    ];
    for (set, count, stored) in cases {
        let mut query = RecordQuery::new(Scope::Everyone);
        set(&mut query);
        let totals = must(store.record_totals(&query).await, "count records");
        assert_eq!(totals, RecordTotals { count, stored: Bytes(stored) }, "{query:?}");
    }
}
