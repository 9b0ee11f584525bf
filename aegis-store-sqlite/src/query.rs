//! What each query is in SQL: its conditions, and the index that has them.

use aegis_core::{
    model::{
        BackupJob, BackupRecord, Bytes, CheckStatus, ClusterName, DrTest, EntityKind, ExecutionStatus,
        JobStatus, Policy, PolicyState, RecordState, RecoveryExecution, RecoveryPlan, RetentionRun, Slot,
        Stored, Timestamp, Verification, Versioned,
    },
    seams::{
        Column, Cursor, DrTestQuery, ExecutionQuery, JobOrder, JobQuery, Narrowing, Page, PlanQuery,
        PolicyQuery, PolicyStateQuery, RecordQuery, RecordTotals, RetentionRunQuery, Scope, SlotQuery, Turn,
        Value, VerificationQuery, Window,
    },
};
use sqlx::{Connection, Row, SqliteConnection};
use uuid::Uuid;

use crate::{
    error::Fault,
    rows::{unsigned, versioned},
    sql::{Arg, Sql},
    tally::{between, totals},
};

/// Which entities, of which kind. Knows the index that has the most of its conditions, since SQLite
/// can't know which is the shortest.
pub(crate) struct Select<'q> {
    pub(crate) kind: EntityKind,
    index: Option<&'static str>,
    /// All that a row has to meet.
    conditions: Sql<'q>,
    /// Those of them that totals are kept for.
    pub(crate) narrowed: Sql<'q>,
    pub(crate) narrowing: Narrowing,
    order: &'static str,
}

/// Newest first.
const NEWEST: &str = "at desc, id desc";

impl<'q> Select<'q> {
    fn new(kind: EntityKind, scope: &'q Scope) -> Self {
        let mut select = Self {
            kind,
            index: None,
            conditions: Sql::new("true"),
            narrowed: Sql::default(),
            narrowing: Narrowing::default(),
            order: NEWEST,
        };
        if let Scope::Tenant(tenant) = scope {
            select.is(Column::Tenant, tenant.as_str()).by("tenant");
        }
        select
    }

    /// Goes by this index of the kind.
    fn by(&mut self, index: &'static str) {
        self.index = Some(index);
    }

    /// A condition that totals are not kept for.
    fn and(&mut self, condition: &str) -> &mut Sql<'q> {
        self.narrowing.otherwise();
        self.implied(condition)
    }

    /// A condition that follows from the others, so that an index is seen.
    fn implied(&mut self, condition: &str) -> &mut Sql<'q> {
        self.conditions.push(" and ").push(condition)
    }

    fn such(&mut self, column: Column, condition: &Sql<'q>) -> &mut Self {
        self.narrowing.by(column);
        self.narrowed.push(" and ").append(condition);
        self.conditions.push(" and ").append(condition);
        self
    }

    fn is(&mut self, column: Column, value: impl Into<Arg<'q>>) -> &mut Self {
        let mut condition = Sql::new(column.name());
        condition.push(" = ").bind(value);
        self.such(column, &condition)
    }

    /// Narrows to `value`, if it is asked for, and goes by an index then.
    fn narrow(&mut self, column: Column, value: Option<impl Into<Arg<'q>>>, index: &'static str) -> bool {
        let asked = value.is_some();
        if let Some(value) = value {
            self.is(column, value).by(index);
        }
        asked
    }

    /// Narrows to labels. They are written out, so that an index of those that have one is seen.
    fn is_any(&mut self, labels: &[&'static str]) {
        match labels {
            [] => {}
            [label] => {
                self.such(Column::Status, &Sql::new(format!("status = '{label}'")));
            }
            labels => {
                self.such(Column::Status, &Sql::new(format!("status in ('{}')", labels.join("', '"))));
            }
        }
    }

    /// Narrows to rows whose id in `column` is one of these: one text however many there are.
    fn among(&mut self, column: Column, ids: impl Iterator<Item = Uuid>) {
        let names: Vec<_> = ids.map(|id| format!("\"{}\"", id.simple())).collect();
        let named = Arg::Text(format!("[{}]", names.join(",")).into());
        self.and(&format!("{column} in (select unhex(value) from json_each(")).bind(named).push("))");
    }

    /// Narrows to entities of these ids, if there are any. Their key is the shortest way.
    fn named(&mut self, ids: impl ExactSizeIterator<Item = Uuid>) {
        if ids.len() > 0 {
            self.among(Column::Id, ids);
            self.index = None;
        }
    }

    fn within(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        self.narrowing.within(from, to);
        self.conditions.append(&between(from, to));
    }

    fn ended_after(&mut self, instant: Option<Timestamp>) {
        if let Some(instant) = instant {
            self.and("(ended_at is null or ended_at > ").bind(Value::Instant(instant)).push(")");
        }
    }

    /// `what` of all that matches.
    pub(crate) fn ask(&self, what: &str) -> Sql<'q> {
        let table = self.kind;
        let mut sql = Sql::new(format!("select {what} from {table}"));
        if let Some(index) = self.index {
            sql.push(&format!(" indexed by {table}_{index}"));
        }
        sql.push(" where ").append(&self.conditions);
        sql
    }

    fn items(&self, window: &Window) -> Sql<'q> {
        let mut sql = self.ask("version, document");
        if let Some(Cursor { at, id }) = window.after
            && self.order != DISPATCH
        {
            let id_column = if self.kind == EntityKind::Slot { "policy" } else { "id" };
            sql.push(&format!(" and (at, {id_column}) < "));
            sql.row([Value::Instant(at).into(), Arg::Uuid(id)]);
        }
        sql.push(" order by ").push(self.order).push(" limit ").bind(up_to(window.limit));
        if window.offset > 0 {
            sql.push(" offset ").bind(up_to(window.offset));
        }
        sql
    }
}

/// The order in which jobs are started.
const DISPATCH: &str = "priority desc, at, id";

/// A number of rows as SQLite takes it.
pub(crate) fn up_to(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The window's part of what matches, and its total: one snapshot.
pub(crate) async fn page<T: Stored>(
    reader: &mut SqliteConnection,
    select: Select<'_>,
    window: &Window,
) -> Result<Page<T>, Fault> {
    if !window.count {
        return Ok(Page { items: items(reader, &select, window).await?, total: None });
    }
    let mut snapshot = reader.begin().await?;
    let total = Some(totals(&mut snapshot, &select).await?.count);
    let items = if window.limit == 0 { Vec::new() } else { items(&mut snapshot, &select, window).await? };
    snapshot.rollback().await?;
    Ok(Page { items, total })
}

async fn items<T: Stored>(
    reader: &mut SqliteConnection,
    select: &Select<'_>,
    window: &Window,
) -> Result<Vec<Versioned<T>>, Fault> {
    let rows = select.items(window).query().fetch_all(reader).await?;
    rows.iter().map(versioned).collect()
}

fn cluster(name: Option<&ClusterName>) -> Option<&str> {
    name.map(ClusterName::as_str)
}

pub(crate) fn jobs(query: &JobQuery) -> Select<'_> {
    let mut select = Select::new(BackupJob::KIND, &query.scope);
    let labels: Vec<_> = query.statuses.iter().map(|status| status.as_str()).collect();
    select.is_any(&labels);
    let unended = |status: &JobStatus| matches!(status, JobStatus::Pending | JobStatus::InProgress);
    let live = query.live.or((!labels.is_empty() && query.statuses.iter().all(unended)).then_some(true));
    if let Some(live) = query.live {
        select.and(if live { "live = 1" } else { "live = 0" });
    } else if live == Some(true) {
        select.implied("live = 1");
    }
    if query.statuses == [JobStatus::InProgress] {
        select.by("running");
    }
    if select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), "cluster") {
        select.by(match (labels.len(), live) {
            (1, _) if query.statuses == [JobStatus::Pending] && query.order == JobOrder::Dispatch => "queue",
            (1, _) => "cluster_status",
            (_, Some(true)) => "live",
            _ => "cluster",
        });
    }
    if select.narrow(Column::Policy, query.policy.map(|id| Arg::Uuid(id.as_uuid())), "policy")
        && live == Some(true)
    {
        select.by("live_policy");
    }
    if let Some(location) = &query.location {
        select.is(Column::Location, Arg::Text(location.to_string().into()));
    }
    if !query.hidden {
        select.such(Column::Hidden, &Sql::new("hidden = 0"));
    }
    select.within(query.from, query.to);
    if let Some(Turn { priority, created_at, id }) = query.before {
        let priority = i64::from(priority.0);
        // The first part is what the index of the queue begins with.
        let earlier = select.and("priority >= ").bind(priority).push(" and (priority > ").bind(priority);
        earlier.push(" or (at, id) < ");
        earlier.row([Value::Instant(created_at).into(), Arg::Uuid(id.as_uuid())]).push(")");
    }
    if query.order == JobOrder::Dispatch {
        select.order = DISPATCH;
    }
    select
}

pub(crate) fn records(query: &RecordQuery) -> Select<'_> {
    let mut select = Select::new(BackupRecord::KIND, &query.scope);
    let labels: Vec<_> = query.states.iter().map(|state| state.as_str()).collect();
    select.is_any(&labels);
    let leaves = |state: &RecordState| matches!(state, RecordState::Expired | RecordState::Deleting);
    let leaving = query.due_by.is_some() || (!labels.is_empty() && query.states.iter().all(leaves));
    let present = leaving || (!labels.is_empty() && !query.states.contains(&RecordState::Deleted));
    if present {
        select.implied("status <> 'deleted'");
    }
    if leaving {
        select.implied("status in ('expired', 'deleting')");
    }
    if let Some(now) = query.due_by {
        // What is being deleted and not deferred is due at once; what expired always says when.
        select.and("(due_at is null or due_at <= ").bind(Value::Instant(now)).push(")");
    }
    if select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), "cluster") {
        select.by(match (labels.len(), leaving, present) {
            (1, ..) => "cluster_status",
            (_, true, _) => "leaving",
            (_, _, true) => "cluster_present",
            _ => "cluster",
        });
    }
    if select.narrow(Column::Policy, query.policy.map(|id| Arg::Uuid(id.as_uuid())), "policy") && present {
        select.by("policy_present");
    }
    if query.manual {
        select.and("policy is null");
        // Its index has what is gone, too.
        if query.cluster.is_some() && !present {
            select.by("manual");
        }
    }
    select.narrow(Column::Chain, query.chain.map(|id| Arg::Uuid(id.as_uuid())), "chain");
    select.named(query.ids.iter().map(|id| id.as_uuid()));
    if let Some(copy) = copies(query) {
        select
            .and("exists (select 1 from json_each(document, '$.copies') copy where ")
            .append(&copy)
            .push(")");
    }
    select.within(query.from, query.to);
    select
}

/// What a query says of copies, if anything.
fn copies(query: &RecordQuery) -> Option<Sql<'_>> {
    if query.location.is_none() && query.backend.is_none() {
        return None;
    }
    let mut sql = Sql::new("true");
    if let Some(location) = &query.location {
        sql.push(" and copy.value ->> '$.location' = ").bind(Arg::Text(location.to_string().into()));
    }
    if let Some(backend) = query.backend {
        sql.push(&format!(" and copy.value ->> '$.location' glob '{}://*'", backend.scheme()));
    }
    Some(sql)
}

/// How many records match, and what their copies that match take.
pub(crate) async fn record_totals(
    reader: &mut SqliteConnection,
    query: &RecordQuery,
) -> Result<RecordTotals, Fault> {
    let select = records(query);
    let Some(copy) = copies(query) else { return totals(reader, &select).await };
    let mut sql = Sql::new(
        "select count(*), coalesce(sum((select sum(copy.value ->> '$.stored') from json_each(copies) copy \
         where copy.value ->> '$.gone_at' is null and ",
    );
    sql.append(&copy).push(")), 0) from (").append(&select.ask("document -> '$.copies' as copies")).push(")");
    let row = sql.query().fetch_one(reader).await?;
    Ok(RecordTotals { count: unsigned(row.try_get(0)?)?, stored: Bytes(unsigned(row.try_get(1)?)?) })
}

pub(crate) fn plans(query: &PlanQuery) -> Select<'_> {
    let mut select = Select::new(RecoveryPlan::KIND, &query.scope);
    select.is_any(query.status.map(|status| status.as_str()).as_slice());
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), "cluster");
    select.narrow(Column::Record, query.record.map(|id| Arg::Uuid(id.as_uuid())), "record");
    select
}

pub(crate) fn executions(query: &ExecutionQuery) -> Select<'_> {
    let mut select = Select::new(RecoveryExecution::KIND, &query.scope);
    select.is_any(query.status.map(|status| status.as_str()).as_slice());
    let active = query.status == Some(ExecutionStatus::Executing);
    let index = if active { "active" } else { "cluster" };
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), index);
    select.narrow(Column::Plan, query.plan.map(|id| Arg::Uuid(id.as_uuid())), "plan");
    select.ended_after(query.active_after);
    select
}

pub(crate) fn policies(query: &PolicyQuery) -> Select<'_> {
    let mut select = Select::new(Policy::KIND, &query.scope);
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), "cluster");
    if let Some(enabled) = query.enabled {
        select.is(Column::Enabled, Value::Flag(enabled));
    }
    select.named(query.ids.iter().map(|id| id.as_uuid()));
    select
}

pub(crate) fn slots(query: &SlotQuery) -> Select<'_> {
    let mut select = Select::new(Slot::KIND, &query.scope);
    if let Some(policy) = query.policy {
        // The key itself is in the order that is asked for.
        select.is(Column::Policy, Arg::Uuid(policy.as_uuid())).index = None;
    }
    select.within(query.from, query.to);
    select.order = "at desc, policy desc";
    select
}

pub(crate) fn verifications(query: &VerificationQuery) -> Select<'_> {
    let mut select = Select::new(Verification::KIND, &query.scope);
    select.is_any(query.status.map(|status| status.as_str()).as_slice());
    let active = query.status == Some(CheckStatus::Running);
    let index = if active { "active" } else { "cluster" };
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), index);
    select.narrow(Column::Record, query.record.map(|id| Arg::Uuid(id.as_uuid())), "record");
    select
}

pub(crate) fn dr_tests(query: &DrTestQuery) -> Select<'_> {
    let mut select = Select::new(DrTest::KIND, &query.scope);
    select.is_any(query.status.map(|status| status.as_str()).as_slice());
    let active = query.status == Some(CheckStatus::Running);
    let index = if active { "active" } else { "cluster" };
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), index);
    select.narrow(Column::Policy, query.policy.map(|id| Arg::Uuid(id.as_uuid())), "policy");
    select.narrow(Column::Record, query.record.map(|id| Arg::Uuid(id.as_uuid())), "record");
    select.ended_after(query.active_after);
    select
}

pub(crate) fn retention_runs(query: &RetentionRunQuery) -> Select<'_> {
    let mut select = Select::new(RetentionRun::KIND, &query.scope);
    select.narrow(Column::Cluster, cluster(query.cluster.as_ref()), "cluster");
    select.narrow(Column::Policy, query.policy.map(|id| Arg::Uuid(id.as_uuid())), "policy");
    select
}

/// The states of the policies that match.
pub(crate) fn policy_states(query: &PolicyStateQuery) -> Sql<'_> {
    let PolicyStateQuery { scope, cluster: asked, policies } = query;
    let mut select = Select::new(PolicyState::KIND, scope);
    if let Some(name) = asked {
        select.is(Column::Cluster, name.as_str()).by("cluster");
    }
    if !policies.is_empty() {
        select.among(Column::Policy, policies.iter().map(|policy| policy.as_uuid()));
    }
    let mut sql = select.ask("version, document");
    sql.push(" order by policy");
    sql
}

/// The states of a cluster's policies that are due, the longest due first.
pub(crate) fn due_policies(cluster: &ClusterName, now: Timestamp, limit: usize) -> Sql<'_> {
    let mut sql =
        Sql::new("select version, document from policy_state indexed by policy_state_due where cluster = ");
    sql.bind(cluster.as_str()).push(" and due_at <= ").bind(Value::Instant(now));
    sql.push(" order by due_at, policy limit ").bind(up_to(limit));
    sql
}

/// When the next thing of a cluster falls due.
pub(crate) fn next_due(cluster: &ClusterName) -> Sql<'_> {
    let mut sql = Sql::new("select min(due) from (");
    for (place, table) in ["policy_state", "job", "record"].into_iter().enumerate() {
        sql.push(if place == 0 { "" } else { " union all " });
        sql.push(&format!("select min(due_at) as due from {table} indexed by {table}_due "));
        sql.push("where due_at is not null and cluster = ").bind(cluster.as_str());
    }
    sql.push(")");
    sql
}

/// Every tenant that owns something: from one to the next, whatever each owns.
pub(crate) fn tenants() -> Sql<'static> {
    let owned = EntityKind::ALL.iter().filter(|kind| kind.columns().contains(&Column::Tenant));
    let steps = owned.map(|kind| {
        format!(
            "select * from (with recursive step(tenant) as (select min(tenant) from {kind} union all \
             select (select min(tenant) from {kind} where tenant > step.tenant) from step \
             where step.tenant is not null) select tenant from step where tenant is not null)"
        )
    });
    Sql::new(format!("{} order by 1", steps.collect::<Vec<_>>().join(" union ")))
}
