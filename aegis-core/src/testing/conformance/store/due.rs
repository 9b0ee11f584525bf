//! What falls due by the clock.

use super::{
    StoreHarness, commit, deleting, insert, must,
    samples::{at, cluster, deletion, id, job, policy_state, record, tenant},
    updating,
};
use crate::{
    model::{
        BackupJob, BackupRecord, ClusterName, Entity, ExpiredBy, JobStatus, PolicyId, PolicyState,
        RecordLifecycle, Timestamp, Version,
    },
    seams::{PolicyStateQuery, Scope, Store},
};

async fn due(store: &dyn Store, now: Timestamp, limit: usize) -> Vec<PolicyId> {
    let due = must(store.due_policies(&cluster("c1"), now, limit).await, "list what is due");
    due.iter().map(|state| state.policy).collect()
}

/// All states in scope, of one cluster or of any, as they are now, in order of their policies.
pub async fn policy_states_are_read_at_once<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let states = [
        PolicyState { due_at: Some(at(1)), ..policy_state(3) },
        PolicyState { due_at: None, ..policy_state(1) },
        PolicyState { cluster: cluster("c2"), ..policy_state(2) },
        PolicyState { tenant: tenant("globex"), ..policy_state(4) },
    ];
    insert(&*store, states).await;
    let found = async |scope, cluster: Option<ClusterName>| {
        let query = PolicyStateQuery { cluster, ..PolicyStateQuery::new(scope) };
        let states = must(store.policy_states(&query).await, "list states of policies");
        states.iter().map(|state| (state.policy, state.version.0)).collect::<Vec<_>>()
    };
    let acme = || Scope::Tenant(tenant("acme"));
    assert_eq!(found(acme(), None).await, [(id(1), 1), (id(2), 1), (id(3), 1)]);
    assert_eq!(found(acme(), Some(cluster("c1"))).await, [(id(1), 1), (id(3), 1)]);
    assert_eq!(found(Scope::Everyone, Some(cluster("c1"))).await, [(id(1), 1), (id(3), 1), (id(4), 1)]);
    assert_eq!(found(Scope::Tenant(tenant("nobody")), None).await, []);
    let among = async |policies: &[u32]| {
        let policies = policies.iter().copied().map(id).collect();
        let query = PolicyStateQuery { policies, ..PolicyStateQuery::new(acme()) };
        let states = must(store.policy_states(&query).await, "list the states of some policies");
        states.iter().map(|state| state.policy).collect::<Vec<_>>()
    };
    assert_eq!(among(&[3, 4, 9, 2]).await, [2, 3].map(id), "neither another tenant's nor what is not there");
    commit(&*store, updating(Version(1), PolicyState { cluster: cluster("c2"), ..policy_state(3) })).await;
    commit(&*store, deleting(Version(1), policy_state(1))).await;
    assert_eq!(found(acme(), None).await, [(id(2), 1), (id(3), 2)]);
    assert_eq!(found(acme(), Some(cluster("c1"))).await, []);
}

/// Those due by now, of the cluster, the longest due first, equals by policy, as many as asked for.
pub async fn due_policies_are_the_longest_due_first<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let states = [
        PolicyState { due_at: Some(at(5)), ..policy_state(2) },
        PolicyState { due_at: Some(at(5)), ..policy_state(1) },
        PolicyState { due_at: Some(at(3)), ..policy_state(3) },
        PolicyState { due_at: Some(at(7)), ..policy_state(4) },
        PolicyState { due_at: None, ..policy_state(5) },
        PolicyState { due_at: Some(at(1)), cluster: cluster("c2"), ..policy_state(6) },
    ];
    insert(&*store, states).await;
    assert_eq!(due(&*store, at(2), 10).await, []);
    assert_eq!(due(&*store, at(5), 10).await, [3, 1, 2].map(id));
    assert_eq!(due(&*store, at(9), 10).await, [3, 1, 2, 4].map(id));
    assert_eq!(due(&*store, at(9), 2).await, [3, 1].map(id));
    assert_eq!(due(&*store, at(9), 0).await, []);
}

/// A policy is due as its state says now: put off, moved to another cluster, gone.
pub async fn due_policies_follow_their_state<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [policy_state(1), policy_state(2)]).await;
    assert_eq!(due(&*store, at(5), 10).await, [1, 2].map(id));
    commit(&*store, updating(Version(1), PolicyState { due_at: Some(at(6)), ..policy_state(1) })).await;
    assert_eq!(due(&*store, at(5), 10).await, [id(2)]);
    commit(&*store, updating(Version(1), PolicyState { cluster: cluster("c2"), ..policy_state(2) })).await;
    assert_eq!(due(&*store, at(5), 10).await, []);
    commit(&*store, updating(Version(2), policy_state(2))).await;
    let found = must(store.due_policies(&cluster("c1"), at(5), 10).await, "list what is due");
    assert_eq!(found.first().map(|state| state.version), Some(Version(3)));
    commit(&*store, deleting(Version(3), policy_state(2))).await;
    assert_eq!(due(&*store, at(5), 10).await, []);
}

/// Policies, retries of live jobs, ends of grace times and deferrals: the earliest of the cluster.
pub async fn next_due_is_the_earliest_of_all_that_waits<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let waiting = |n, retry_at| BackupJob { status: JobStatus::InProgress, retry_at, ..job(n) };
    let expired = |n, delete_after| BackupRecord {
        lifecycle: RecordLifecycle::Expired {
            at: at(0),
            by: ExpiredBy::Rules,
            delete_after,
            reason: String::new(),
        },
        ..record(n)
    };
    let deleting =
        |n, until| BackupRecord { lifecycle: RecordLifecycle::Deleting(deletion(n, until)), ..record(n) };
    let ended = BackupJob { status: JobStatus::Failed, retry_at: Some(at(1)), ..job(9) };
    let elsewhere = PolicyState { cluster: cluster("c2"), due_at: Some(at(1)), ..policy_state(9) };
    let steps: [(Option<Version>, Entity, Option<Timestamp>); 12] = [
        (None, ended.into(), None),
        (None, elsewhere.into(), None),
        (None, record(1).into(), None),
        (None, deleting(2, None).into(), None),
        (None, PolicyState { due_at: Some(at(90)), ..policy_state(1) }.into(), Some(at(90))),
        (None, waiting(1, Some(at(80))).into(), Some(at(80))),
        (None, expired(3, at(70)).into(), Some(at(70))),
        (None, deleting(4, Some(at(60))).into(), Some(at(60))),
        (Some(Version(1)), deleting(4, None).into(), Some(at(70))),
        (
            Some(Version(1)),
            BackupRecord { lifecycle: RecordLifecycle::Available, ..record(3) }.into(),
            Some(at(80)),
        ),
        (Some(Version(1)), waiting(1, None).into(), Some(at(90))),
        (Some(Version(1)), PolicyState { due_at: None, ..policy_state(1) }.into(), None),
    ];
    for (read, entity, expected) in steps {
        let key = entity.key();
        match read {
            Some(version) => commit(&*store, updating(version, entity)).await,
            None => insert(&*store, [entity]).await,
        }
        let next = must(store.next_due(&cluster("c1")).await, "ask what is due next");
        assert_eq!(next, expected, "after {key:?}");
    }
}
