//! What each query asks for, in the database's words. [`matching`](aegis_core::seams::JobQuery::matches)
//! says the same in core's.

use aegis_core::{
    model::{ClusterName, EntityKind, StorageBackend, Timestamp},
    seams::{
        Column, DrTestQuery, ExecutionQuery, JobOrder, JobQuery, PlanQuery, PolicyQuery, PolicyStateQuery,
        RecordQuery, RetentionRunQuery, Scope, SlotQuery, Turn, VerificationQuery,
    },
};

use crate::{
    select::Select,
    statement::{Statement, instant},
};

pub(crate) fn jobs(query: &JobQuery) -> Statement {
    let JobQuery {
        scope,
        cluster,
        statuses,
        live,
        policy,
        location,
        from,
        to,
        hidden,
        before,
        order,
        window,
        ..
    } = query;
    let mut select = Select::new(EntityKind::Job, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.status_in(&statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>());
    select.flag(Column::Live, *live);
    select.may_be(Column::Policy, policy.map(|policy| policy.as_uuid()));
    select.may_be(Column::Location, location.as_ref().map(ToString::to_string));
    select.within(*from, *to);
    if !hidden {
        select.flag(Column::Hidden, Some(false));
    }
    if let Some(Turn { priority, created_at, id }) = before {
        let (priority, at, id) =
            (select.bind(priority.0), select.bind(instant(*created_at)), select.bind(id.as_uuid()));
        // The first part is what the index of the queue begins with.
        select.when(format!("t.priority >= {priority}"));
        select.when(format!("(t.priority > {priority} or (t.at, t.id) < ({at}, {id}))"));
    }
    match order {
        JobOrder::NewestFirst => select.page(window),
        JobOrder::Dispatch => {
            let window = aegis_core::seams::Window { after: None, ..*window };
            select.ordered("priority desc, at, id").page(&window)
        }
    }
}

/// The records that a query asks for, in whatever part.
fn matching_records(query: &RecordQuery) -> Select {
    let RecordQuery {
        scope,
        ids,
        cluster,
        policy,
        manual,
        states,
        location,
        backend,
        chain,
        from,
        to,
        due_by,
        window: _,
        ..
    } = query;
    let mut select = Select::new(EntityKind::Record, scope);
    select.among(ids.iter().map(|id| id.as_uuid()));
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.may_be(Column::Policy, policy.map(|policy| policy.as_uuid()));
    if *manual {
        select.when("t.policy is null");
    }
    select.status_in(&states.iter().map(|state| state.as_str()).collect::<Vec<_>>());
    if location.is_some() || backend.is_some() {
        let copy = matching_copy(query, &mut select);
        select.when(format!("exists (select 1 from copies(t.document) as c where {copy})"));
    }
    select.may_be(Column::Chain, chain.map(|chain| chain.as_uuid()));
    select.within(*from, *to);
    if let Some(now) = due_by {
        let now = select.bind(instant(*now));
        select.when("t.status in ('expired', 'deleting')");
        select.when(format!("(t.due_at <= {now} or t.status = 'deleting' and t.due_at is null)"));
    }
    select
}

/// That the copy `c` is one that the query asks about.
fn matching_copy(query: &RecordQuery, select: &mut Select) -> String {
    let location = query.location.as_ref().map(|location| {
        let location = select.bind(location.to_string());
        format!("c.location = {location}")
    });
    let backend = query.backend.map(|backend| format!("c.location like '{}%'", scheme(backend)));
    [location, backend].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// How the locations of a storage begin.
const fn scheme(backend: StorageBackend) -> &'static str {
    match backend {
        StorageBackend::Local => "file://",
        StorageBackend::S3 => "s3://",
        StorageBackend::Gcs => "gs://",
        StorageBackend::AzureBlob => "az://",
    }
}

pub(crate) fn records(query: &RecordQuery) -> Statement {
    matching_records(query).page(&query.window)
}

/// `count` and `stored` of the records that a query asks for.
pub(crate) fn record_totals(query: &RecordQuery) -> Statement {
    let mut select = matching_records(query);
    if query.location.is_none() && query.backend.is_none() {
        return select.totals();
    }
    let copy = matching_copy(query, &mut select);
    let stored = format!("(select sum(c.stored) from copies(t.document) as c where not c.gone and {copy})");
    let figures =
        format!("count(*) as count, least(coalesce(sum({stored}), 0), {})::bigint as stored", i64::MAX);
    select.figures(&figures)
}

pub(crate) fn plans(query: &PlanQuery) -> Statement {
    let PlanQuery { scope, cluster, status, record, window, .. } = query;
    let mut select = Select::new(EntityKind::Plan, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.status_in(status.map(|status| status.as_str()).as_slice());
    select.may_be(Column::Record, record.map(|record| record.as_uuid()));
    select.page(window)
}

pub(crate) fn executions(query: &ExecutionQuery) -> Statement {
    let ExecutionQuery { scope, cluster, plan, status, active_after, window, .. } = query;
    let mut select = Select::new(EntityKind::Execution, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.may_be(Column::Plan, plan.map(|plan| plan.as_uuid()));
    select.status_in(status.map(|status| status.as_str()).as_slice());
    if let Some(after) = active_after {
        let after = select.bind(instant(*after));
        select.when(format!("(t.ended_at is null or t.ended_at > {after})"));
    }
    select.page(window)
}

pub(crate) fn policies(query: &PolicyQuery) -> Statement {
    let PolicyQuery { scope, ids, cluster, enabled, window, .. } = query;
    let mut select = Select::new(EntityKind::Policy, scope);
    select.among(ids.iter().map(|id| id.as_uuid()));
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.flag(Column::Enabled, *enabled);
    select.page(window)
}

pub(crate) fn policy_states(query: &PolicyStateQuery) -> Statement {
    let PolicyStateQuery { scope, cluster, policies } = query;
    let mut select = Select::new(EntityKind::PolicyState, scope).ordered("policy");
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    if !policies.is_empty() {
        let policies = select.bind(policies.iter().map(|policy| policy.as_uuid()).collect::<Vec<_>>());
        select.when(format!("t.policy = any({policies})"));
    }
    select.all()
}

pub(crate) fn slots(query: &SlotQuery) -> Statement {
    let SlotQuery { scope, policy, from, to, window, .. } = query;
    let mut select = Select::new(EntityKind::Slot, scope);
    select.may_be(Column::Policy, policy.map(|policy| policy.as_uuid()));
    select.within(*from, *to);
    select.page(window)
}

pub(crate) fn verifications(query: &VerificationQuery) -> Statement {
    let VerificationQuery { scope, cluster, record, status, window, .. } = query;
    let mut select = Select::new(EntityKind::Verification, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.may_be(Column::Record, record.map(|record| record.as_uuid()));
    select.status_in(status.map(|status| status.as_str()).as_slice());
    select.page(window)
}

pub(crate) fn dr_tests(query: &DrTestQuery) -> Statement {
    let DrTestQuery { scope, cluster, policy, record, status, active_after, window, .. } = query;
    let mut select = Select::new(EntityKind::DrTest, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.may_be(Column::Policy, policy.map(|policy| policy.as_uuid()));
    select.may_be(Column::Record, record.map(|record| record.as_uuid()));
    select.status_in(status.map(|status| status.as_str()).as_slice());
    if let Some(after) = active_after {
        let after = select.bind(instant(*after));
        select.when(format!("(t.ended_at is null or t.ended_at > {after})"));
    }
    select.page(window)
}

pub(crate) fn retention_runs(query: &RetentionRunQuery) -> Statement {
    let RetentionRunQuery { scope, cluster, policy, window, .. } = query;
    let mut select = Select::new(EntityKind::RetentionRun, scope);
    select.may_be(Column::Cluster, cluster.as_ref().map(|cluster| cluster.as_str()));
    select.may_be(Column::Policy, policy.map(|policy| policy.as_uuid()));
    select.page(window)
}

pub(crate) fn due_policies(cluster: &ClusterName, now: Timestamp, limit: usize) -> Statement {
    let mut select = Select::new(EntityKind::PolicyState, &Scope::Everyone).ordered("due_at, policy");
    select.is(Column::Cluster, cluster.as_str());
    select.compares(Column::DueAt, "<=", instant(now));
    select.first(limit)
}

/// `due_at`: the earliest of all kinds that fall due.
pub(crate) fn next_due(cluster: &ClusterName) -> Statement {
    let earliest =
        |kind| format!("(select min(due_at) from {kind} where cluster = $1 and due_at is not null)");
    let kinds = [EntityKind::PolicyState, EntityKind::Job, EntityKind::Record].map(earliest);
    Statement::new(format!("select least({}) as due_at", kinds.join(", "))).with(cluster.as_str())
}
