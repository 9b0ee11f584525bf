//! What belongs to another tenant does not exist.

use super::{
    StoreHarness, commit, deleting, insert, inserting, must, must_conflict,
    samples::{
        cluster, cluster_state, dr_test, every_kind, execution, job, plan, policy, policy_state, record,
        reservation, retention_run, slot, tenant, verification,
    },
};
use crate::{
    model::{
        BackupJob, BackupRecord, DrTest, Entity, Policy, RecoveryExecution, RecoveryPlan, Reservation,
        RetentionRun, Slot, TenantId, Verification, Version,
    },
    seams::{
        Conflict, DrTestQuery, ExecutionQuery, JobQuery, PlanQuery, PolicyQuery, RecordQuery,
        RetentionRunQuery, Scope, SlotQuery, Store, VerificationQuery, Window,
    },
};

/// A tenant reads its own entities and those of nobody, and no others'.
pub async fn get_stays_in_its_scope<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    let entities = every_kind(1);
    insert(&*store, entities.clone()).await;
    for entity in entities {
        let own = Scope::Tenant(tenant("acme"));
        assert!(must(store.get(&own, &entity.key()).await, "read").is_some(), "{entity:?}");
        let others = Scope::Tenant(tenant("globex"));
        let found = must(store.get(&others, &entity.key()).await, "read");
        assert_eq!(found.is_some(), entity.tenant().is_none(), "{entity:?}");
    }
}

/// Two of everything that lists have: one of `acme`, one of `globex`.
fn of_both() -> Vec<Entity> {
    let globex = || tenant("globex");
    vec![
        job(1).into(),
        BackupJob { tenant: globex(), ..job(2) }.into(),
        record(1).into(),
        BackupRecord { tenant: globex(), ..record(2) }.into(),
        plan(1).into(),
        RecoveryPlan { tenant: globex(), ..plan(2) }.into(),
        execution(1).into(),
        RecoveryExecution { tenant: globex(), ..execution(2) }.into(),
        policy(1).into(),
        Policy { tenant: globex(), ..policy(2) }.into(),
        slot(1).into(),
        Slot { tenant: globex(), ..slot(2) }.into(),
        verification(1).into(),
        Verification { tenant: globex(), ..verification(2) }.into(),
        dr_test(1).into(),
        DrTest { tenant: globex(), ..dr_test(2) }.into(),
        retention_run(1).into(),
        RetentionRun { tenant: globex(), ..retention_run(2) }.into(),
    ]
}

/// The owners and the total of each list in scope.
async fn owners(store: &dyn Store, scope: &Scope) -> Vec<(&'static str, Vec<TenantId>, Option<u64>)> {
    let window = Window { count: true, ..Window::ALL };
    let mut lists = Vec::new();
    macro_rules! list {
        ($method:ident($query:ident)) => {
            let page = must(store.$method(&$query::new(scope.clone()).with_window(window)).await, "list");
            let owners = page.items.iter().map(|item| item.tenant.clone()).collect();
            lists.push((stringify!($method), owners, page.total));
        };
    }
    list!(jobs(JobQuery));
    list!(records(RecordQuery));
    list!(plans(PlanQuery));
    list!(executions(ExecutionQuery));
    list!(policies(PolicyQuery));
    list!(slots(SlotQuery));
    list!(verifications(VerificationQuery));
    list!(dr_tests(DrTestQuery));
    list!(retention_runs(RetentionRunQuery));
    lists
}

/// Lists, totals and counts of one tenant have nothing of another's.
pub async fn queries_stay_in_their_scope<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, of_both()).await;
    for name in ["acme", "globex"] {
        let scope = Scope::Tenant(tenant(name));
        for (list, owners, total) in owners(&*store, &scope).await {
            assert_eq!((owners, total), (vec![tenant(name)], Some(1)), "{list} of {name}");
        }
        let totals = must(store.record_totals(&RecordQuery::new(scope)).await, "count");
        assert_eq!(totals.count, 1);
    }
    for (list, owners, total) in owners(&*store, &Scope::Tenant(tenant("nobody"))).await {
        assert_eq!((owners, total), (vec![], Some(0)), "{list} of nobody");
    }
    for (list, owners, total) in owners(&*store, &Scope::Everyone).await {
        assert_eq!((owners, total), (vec![tenant("globex"), tenant("acme")], Some(2)), "{list} of everyone");
    }
}

/// A key that another tenant has is taken, and refused as such.
pub async fn keys_are_unique_over_all_tenants<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [reservation(1)]).await;
    let taken = Reservation { tenant: tenant("globex"), ..reservation(1) };
    let key = Entity::from(taken.clone()).key();
    let conflict = must_conflict(store.commit(inserting([taken])).await, "insert another's key");
    assert_eq!(conflict, Conflict::Exists { key });
}

/// Tenants are listed in order, once each, while they own anything.
pub async fn tenants_are_those_that_own_something<H: StoreHarness>(harness: &H) {
    let Some(fresh) = harness.fresh().await else { return };
    let store = fresh.store();
    insert(&*store, [cluster_state("c1")]).await;
    assert_eq!(must(store.tenants().await, "list tenants"), []);
    let other = Reservation { tenant: tenant("Globex"), ..reservation(2) };
    insert(&*store, [Entity::from(policy_state(1)), job(1).into(), other.clone().into()]).await;
    assert_eq!(must(store.tenants().await, "list tenants"), [tenant("Globex"), tenant("acme")]);
    commit(&*store, deleting(Version::FIRST, other)).await;
    commit(&*store, deleting(Version::FIRST, job(1))).await;
    assert_eq!(must(store.tenants().await, "list tenants"), [tenant("acme")]);
    insert(&*store, [BackupJob { cluster: cluster("c2"), tenant: tenant("Globex"), ..job(2) }]).await;
    assert_eq!(must(store.tenants().await, "list tenants"), [tenant("Globex"), tenant("acme")]);
}
