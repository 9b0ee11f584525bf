//! Every statement of this crate: that the database takes it, and that a tenant's stays with the tenant.

use std::time::Duration;

use aegis_core::{
    model::{
        ChangesetId, CheckStatus, ClusterName, Entity, EntityKey, EntityKind, EventFacts, EventKind,
        ExecutionStatus, JobStatus, PlanStatus, PolicyId, Position, Principal, RecordId, RecordState,
        StorageBackend, TenantId, Version,
    },
    seams::{
        Change, Changeset, Cursor, DerivedKeys, DerivedQuery, DerivedRow, DrTestQuery, ExecutionQuery, Fence,
        Generation, HolderId, JobOrder, JobQuery, LeaseName, LogEnd, LogStart, PlanQuery, PolicyQuery,
        PolicyStateQuery, ReaderStep, RecordQuery, RetentionRunQuery, Scope, SlotQuery, Turn,
        VerificationQuery, Window, Write,
    },
    testing::fixtures,
};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::database;
use crate::{commit, lease, log, query, rows, statement::Statement, upkeep};

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn cluster() -> Option<ClusterName> {
    Some(ClusterName::new("c1").unwrap())
}

fn policy() -> Option<PolicyId> {
    Some(fixtures::id(1))
}

fn record() -> Option<RecordId> {
    Some(fixtures::id(2))
}

/// The windows that change a statement's text.
fn windows() -> [Window; 4] {
    let after = Some(Cursor { at: fixtures::START, id: Uuid::nil() });
    [
        Window::ALL,
        Window { limit: 50, offset: 0, after, count: false },
        Window { limit: 50, offset: 10, after, count: true },
        Window { limit: 0, offset: 0, after: None, count: true },
    ]
}

/// Every list, with all of its filters and with none, in each window.
fn lists(scope: &Scope) -> Vec<Statement> {
    let mut lists = Vec::new();
    for window in windows() {
        macro_rules! both {
            ($list:path, $query:ident, |$narrow:ident| $set:expr) => {{
                let wide = $query::new(scope.clone()).with_window(window);
                let mut $narrow = wide.clone();
                $set;
                lists.extend([$list(&wide), $list(&$narrow)]);
            }};
        }
        let at = Some(fixtures::START);
        both!(query::jobs, JobQuery, |q| {
            (q.cluster, q.policy, q.location) = (cluster(), policy(), Some(fixtures::location()));
            (q.from, q.to, q.live) = (at, at, Some(true));
            q.statuses = vec![JobStatus::Pending, JobStatus::InProgress];
        });
        both!(query::jobs, JobQuery, |q| {
            (q.cluster, q.order, q.hidden, q.live) = (cluster(), JobOrder::Dispatch, true, Some(false));
            q.before = Some(Turn::from(&fixtures::job(1)));
            q.statuses = vec![JobStatus::Pending];
        });
        both!(query::records, RecordQuery, |q| {
            (q.cluster, q.policy, q.location) = (cluster(), policy(), Some(fixtures::location()));
            (q.from, q.to, q.due_by, q.chain) = (at, at, at, Some(fixtures::id(3)));
            (q.states, q.backend) = (vec![RecordState::Available], Some(StorageBackend::S3));
            q.manual = true;
        });
        both!(query::record_totals, RecordQuery, |q| {
            (q.location, q.backend) = (Some(fixtures::location()), Some(StorageBackend::Local));
        });
        both!(query::plans, PlanQuery, |q| {
            (q.cluster, q.status, q.record) = (cluster(), Some(PlanStatus::Pending), record());
        });
        both!(query::executions, ExecutionQuery, |q| {
            (q.cluster, q.plan, q.active_after) = (cluster(), Some(fixtures::id(4)), at);
            q.status = Some(ExecutionStatus::Executing);
        });
        both!(query::policies, PolicyQuery, |q| {
            (q.ids, q.cluster, q.enabled) = (vec![fixtures::id(1)], cluster(), Some(true));
        });
        both!(query::slots, SlotQuery, |q| (q.policy, q.from, q.to) = (policy(), at, at));
        both!(query::verifications, VerificationQuery, |q| {
            (q.cluster, q.record, q.status) = (cluster(), record(), Some(CheckStatus::Running));
        });
        both!(query::dr_tests, DrTestQuery, |q| {
            (q.cluster, q.policy, q.record) = (cluster(), policy(), record());
            (q.status, q.active_after) = (Some(CheckStatus::Passed), at);
        });
        both!(query::retention_runs, RetentionRunQuery, |q| {
            (q.cluster, q.policy) = (cluster(), policy());
        });
    }
    lists
}

/// Every other statement that answers to a tenant.
fn other_reads(tenant: &TenantId) -> Vec<Statement> {
    let scope = Scope::Tenant(tenant.clone());
    let keys = [
        Entity::from(fixtures::job(1)).key(),
        Entity::from(fixtures::record(1)).key(),
        Entity::from(fixtures::plan(1)).key(),
        Entity::from(fixtures::execution(1)).key(),
        Entity::from(fixtures::policy(1)).key(),
        Entity::from(fixtures::policy_state(1)).key(),
        Entity::from(fixtures::slot(1)).key(),
        Entity::from(fixtures::verification(1)).key(),
        EntityKey::DrTest(fixtures::id(1)),
        EntityKey::RetentionRun(fixtures::id(1)),
        EntityKey::ClusterState(fixtures::cluster()),
        EntityKey::Reservation(aegis_core::model::ReservationKey::retention_freeze(tenant)),
    ];
    assert_eq!(keys.len(), EntityKind::ALL.len());
    let mut reads: Vec<_> = keys.iter().map(|key| rows::by_key(&scope, key)).collect();
    for cluster in [None, cluster()] {
        for policies in [Vec::new(), vec![fixtures::id(1)]] {
            let cluster = cluster.clone();
            reads.push(query::policy_states(&PolicyStateQuery { scope: scope.clone(), cluster, policies }));
        }
    }
    reads.push(log::tail(&scope, 10));
    reads.push(log::events(&scope, Position::START, 10));
    let derived = |keys| log::derived(&DerivedQuery { reader: "r".to_owned(), tenant: tenant.clone(), keys });
    reads.push(derived(DerivedKeys::Named(vec!["a".to_owned()])));
    reads.push(derived(DerivedKeys::Range("a".to_owned(), "b".to_owned())));
    reads
}

/// A changeset that writes entities of many kinds in each way, and rests on each kind of condition.
fn changeset() -> Changeset {
    let id = ChangesetId::from_uuid(Uuid::from_u128(1));
    let mut changeset = Changeset::new(id, Principal::engine(), fixtures::START);
    let entities = |number| -> Vec<Entity> {
        vec![
            fixtures::job(number).into(),
            fixtures::record(number).into(),
            fixtures::plan(number).into(),
            fixtures::execution(number).into(),
            fixtures::policy(number).into(),
            fixtures::policy_state(number).into(),
            fixtures::slot(number).into(),
            fixtures::verification(number).into(),
        ]
    };
    let writes = (entities(1).into_iter().map(Write::Insert))
        .chain(entities(2).into_iter().map(|entity| Write::Update(entity, Version::FIRST)))
        .chain(entities(3).into_iter().map(|entity| Write::Delete(entity, Version::FIRST)));
    let change = |write| Change { write, kind: EventKind::JobCreated, facts: EventFacts::default() };
    changeset.changes = writes.map(change).collect();
    for entity in entities(4) {
        changeset.expect_unchanged(entity.key(), Version::FIRST);
    }
    for entity in entities(5) {
        changeset.expect_absent(entity.key());
    }
    changeset.fence(fence());
    changeset
}

fn fence() -> Fence {
    Fence { name: LeaseName::sealer(), generation: Generation(1) }
}

/// What the engine does for everyone.
fn everyones() -> Vec<Statement> {
    let step = |from| ReaderStep {
        derived: vec![DerivedRow { tenant: tenant(), key: "k".to_owned(), document: "{}".into() }],
        ..ReaderStep::new("r", Position(from), Position(9))
    };
    let mut statements = lists(&Scope::Everyone);
    statements.extend([
        query::due_policies(&fixtures::cluster(), fixtures::START, 10),
        query::next_due(&fixtures::cluster()),
        rows::owners(),
        lease::claim(&LeaseName::sealer(), &HolderId("me".to_owned()), Duration::from_secs(1)),
        lease::release(&fence()),
        log::batch(&fence(), 10),
        log::append(&fence(), &[], &[], &LogEnd::default()),
        log::events(&Scope::Everyone, Position::START, 10),
        log::start(),
        log::cut(&LogStart::default(), "{}".to_owned()),
        log::readers(),
        log::newest(),
        log::head(),
        log::reader_position("r"),
        log::step(&step(0)),
        log::step(&step(5)),
        upkeep::note(Vec::new()).unwrap(),
        upkeep::noted(&[fixtures::id(1)]),
    ]);
    statements.push(upkeep::store_now());
    statements.extend(upkeep::prunings(fixtures::START, fixtures::START.into()));
    statements.push(commit::compose(&changeset()).unwrap());
    statements.push(crate::diagnose::look_up(&changeset()));
    statements
}

/// How the database would carry a statement out.
async fn plan(connection: &mut PgConnection, statement: &Statement) -> serde_json::Value {
    let mut explained = statement.clone();
    explained.text = format!("explain (verbose, format json) {}", statement.text);
    let rows = explained.fetch(connection).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {}", statement.text));
    let text: String = rows[0].try_get_unchecked(0).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Whether a part of a plan answers how far something goes and nothing else.
fn is_position_alone(fields: &serde_json::Map<String, serde_json::Value>) -> bool {
    let output = fields.get("Output").and_then(|output| output.as_array());
    let [column] = output.map(Vec::as_slice).unwrap_or_default() else { return false };
    column.as_str().is_some_and(|column| column.ends_with("\"position\""))
}

/// Whose rows a part of a plan reads or changes without a word on whose they are.
fn unscoped(part: &serde_json::Value, found: &mut Vec<String>) {
    match part {
        serde_json::Value::Array(parts) => parts.iter().for_each(|part| unscoped(part, found)),
        serde_json::Value::Object(fields) => {
            if let Some(table) = fields.get("Relation Name").and_then(|name| name.as_str()) {
                let conditions = ["Index Cond", "Filter", "Recheck Cond"];
                let said = conditions.iter().filter_map(|name| fields.get(*name)?.as_str());
                if !said.into_iter().any(|said| said.contains("tenant = ")) && !is_position_alone(fields) {
                    found.push(table.to_owned());
                }
            }
            fields.values().for_each(|part| unscoped(part, found));
        }
        _ => {}
    }
}

async fn connection() -> Option<PgConnection> {
    Some(database::Database::fresh("statements on PostgreSQL").await?.connect().await)
}

#[tokio::test]
async fn every_table_that_a_tenants_question_reads_is_narrowed_to_the_tenant() {
    let Some(mut connection) = connection().await else { return };
    // Of a table with nothing in it, all is read at once, to see how far it goes, too.
    database::execute(&mut connection, "set enable_seqscan = off").await;
    let mut statements = lists(&Scope::Tenant(tenant()));
    statements.extend(other_reads(&tenant()));
    for statement in statements {
        let mut found = Vec::new();
        unscoped(&plan(&mut connection, &statement).await, &mut found);
        // What goes on in a cluster belongs to nobody, and so does how far a reader has come or the log goes.
        found.retain(|table| !["cluster_state", "log_start", "reader"].contains(&table.as_str()));
        assert!(found.is_empty(), "{found:?} in {}", statement.text);
    }
}

#[tokio::test]
async fn a_question_without_its_tenant_would_be_seen() {
    let Some(mut connection) = connection().await else { return };
    for statement in lists(&Scope::Everyone) {
        let mut found = Vec::new();
        unscoped(&plan(&mut connection, &statement).await, &mut found);
        assert!(!found.is_empty(), "{}", statement.text);
    }
}

#[tokio::test]
async fn the_database_takes_every_statement() {
    let Some(mut connection) = connection().await else { return };
    for statement in everyones() {
        plan(&mut connection, &statement).await;
    }
}

#[tokio::test]
async fn what_is_forgotten_is_found_by_its_age() {
    fn conditions(part: &serde_json::Value, index: &str, found: &mut Vec<String>) {
        match part {
            serde_json::Value::Array(parts) => parts.iter().for_each(|part| conditions(part, index, found)),
            serde_json::Value::Object(fields) => {
                if fields.get("Index Name").and_then(|name| name.as_str()) == Some(index) {
                    found.extend(fields.get("Index Cond").map(ToString::to_string));
                }
                fields.values().for_each(|part| conditions(part, index, found));
            }
            _ => {}
        }
    }

    let Some(mut connection) = connection().await else { return };
    // Of a table with nothing in it, all is read at once.
    database::execute(&mut connection, "set enable_seqscan = off").await;
    let indexes = ["reservation_due", "changeset_age", "progress_age"];
    let prunings = upkeep::prunings(fixtures::START, fixtures::START.into());
    for (index, statement) in indexes.into_iter().zip(prunings) {
        let mut found = Vec::new();
        conditions(&plan(&mut connection, &statement).await, index, &mut found);
        assert!(found.iter().any(|condition| condition.contains('<')), "{index} in {}", statement.text);
    }
}

#[test]
fn updates_and_deletions_say_whose_they_change() {
    let statement = commit::compose(&changeset()).unwrap();
    let changing = statement.text.matches(" and t.version = n.read and t.tenant = n.tenant").count();
    assert_eq!(changing, 16, "{}", statement.text);
}

#[tokio::test]
async fn the_schema_knows_the_states_of_every_machine() {
    let Some(mut connection) = connection().await else { return };
    let machines: [(&str, Vec<&str>); 6] = [
        ("job", JobStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("record", RecordState::ALL.iter().map(|state| state.as_str()).collect()),
        ("plan", PlanStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("execution", ExecutionStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("verification", CheckStatus::ALL.iter().map(|status| status.as_str()).collect()),
        ("dr_test", CheckStatus::ALL.iter().map(|status| status.as_str()).collect()),
    ];
    for (table, labels) in machines {
        let text: String = sqlx::query_scalar(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = $1 || '_status'",
        )
        .bind(table)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        let known: Vec<_> = text.split('\'').skip(1).step_by(2).collect();
        assert_eq!(known, labels, "{table}");
    }
}
