//! Every operation of the OpenAPI document: done by who may, refused to who may not, blind to what
//! is another tenant's, and firm with bad input.

use std::collections::{BTreeMap, BTreeSet};

use aegis_core::engine::DrSubject;
use aegis_core::rules::retention::Acknowledgement;
use aegis_core::{
    engine::{Execute, HoldRequest, NewDrTest, NewJob, NewPlan, NewPolicy, Tenant},
    model::{DrDestination, DrTarget, NamespaceSelection, RecordId, RetentionRules, Schedule, ZoneName},
};
use aegis_http::ErrorCode;
use serde_json::Value;

use crate::world::{Answer, Ask, CLUSTER, World};

/// What comes of an operation, and who may.
struct Case {
    operation: &'static str,
    /// The least role; nobody needs to be known where it is empty.
    role: &'static str,
    /// What is put in place of the path's parameters, where it is not what they are called.
    path: &'static str,
    body: &'static str,
    status: u16,
    bad: Bad,
}

/// Input that is refused.
enum Bad {
    /// There is none: the operation takes nothing.
    None,
    /// An id that can't exist.
    Id,
    /// A query.
    Query(&'static str),
    /// A body that makes no sense.
    Body(&'static str),
}

const fn case(
    operation: &'static str,
    role: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    bad: Bad,
) -> Case {
    Case { operation, role, path, body, status, bad }
}

const CASES: &[Case] = &[
    case("GET /health", "", "", "", 200, Bad::None),
    case("GET /livez", "", "", "", 200, Bad::None),
    case("GET /readyz", "", "", "", 200, Bad::None),
    case("GET /openapi.json", "", "", "", 200, Bad::None),
    case("GET /metrics", "metrics", "", "", 200, Bad::None),
    case(
        "POST /api/v1/backups/jobs",
        "operator",
        "",
        r#"{"name":"n","cluster":"prod-us-east-1"}"#,
        201,
        Bad::Body(r#"{"name":"n"}"#),
    ),
    case("GET /api/v1/backups/jobs", "viewer", "", "", 200, Bad::Query("limit=x")),
    case("GET /api/v1/backups/jobs/{job_id}", "viewer", "", "", 200, Bad::Id),
    case("DELETE /api/v1/backups/jobs/{job_id}", "operator", "", "", 204, Bad::Id),
    case("GET /api/v1/backups/jobs/{job_id}/progress", "viewer", "", "", 200, Bad::Id),
    case("GET /api/v1/backups/records", "viewer", "", "", 200, Bad::Query("storage_backend=floppy")),
    case("GET /api/v1/backups/records/{record_id}", "viewer", "", "", 200, Bad::Id),
    case(
        "DELETE /api/v1/backups/records/{record_id}",
        "admin",
        "/api/v1/backups/records/{free_record_id}",
        "",
        202,
        Bad::Id,
    ),
    case("GET /api/v1/backups/records/{record_id}/chain", "viewer", "", "", 200, Bad::Id),
    case("GET /api/v1/backups/records/{record_id}/files", "viewer", "", "", 200, Bad::Query("limit=0")),
    case(
        "POST /api/v1/backups/records/{record_id}/verify",
        "operator",
        "",
        r#"{"level":"L2"}"#,
        202,
        Bad::Body(r#"{"level":"L9"}"#),
    ),
    case("GET /api/v1/backups/records/{record_id}/verifications", "viewer", "", "", 200, Bad::Id),
    case(
        "PUT /api/v1/backups/records/{record_id}/holds/{name}",
        "operator",
        "",
        r#"{"reason":"a case"}"#,
        200,
        Bad::Body("{}"),
    ),
    case("DELETE /api/v1/backups/records/{record_id}/holds/{name}", "admin", "", "", 204, Bad::Id),
    case(
        "POST /api/v1/recovery/plans",
        "operator",
        "",
        r#"{"name":"n","backup_record_id":"{record_id}"}"#,
        201,
        Bad::Body(r#"{"name":"n"}"#),
    ),
    case("GET /api/v1/recovery/plans", "viewer", "", "", 200, Bad::Query("status=odd")),
    case("GET /api/v1/recovery/plans/{plan_id}", "viewer", "", "", 200, Bad::Id),
    case("DELETE /api/v1/recovery/plans/{plan_id}", "operator", "", "", 204, Bad::Id),
    case(
        "POST /api/v1/recovery/plans/{plan_id}/approve",
        "approver",
        "",
        r#"{"hash":"{hash}"}"#,
        200,
        Bad::Body("{}"),
    ),
    case("POST /api/v1/recovery/plans/{plan_id}/cancel", "operator", "", "", 200, Bad::Id),
    case(
        "POST /api/v1/recovery/execute/{plan_id}",
        "operator",
        "",
        r#"{"confirmed":true}"#,
        202,
        Bad::Body("{}"),
    ),
    case(
        "GET /api/v1/recovery/execute/{plan_id}/status",
        "viewer",
        "/api/v1/recovery/execute/{executed_plan_id}/status",
        "",
        200,
        Bad::Id,
    ),
    case(
        "POST /api/v1/dr/policies",
        "admin",
        "",
        r#"{"name":"n","cluster":"prod-us-east-1","schedule":"@daily","retention_days":1}"#,
        201,
        Bad::Body(r#"{"name":"n","cluster":"prod-us-east-1","schedule":"odd","retention_days":1}"#),
    ),
    case("GET /api/v1/dr/policies", "viewer", "", "", 200, Bad::Query("enabled=odd")),
    case("GET /api/v1/dr/policies/{policy_id}", "viewer", "", "", 200, Bad::Id),
    case(
        "PUT /api/v1/dr/policies/{policy_id}",
        "admin",
        "",
        r#"{"rpo_hours":12}"#,
        200,
        Bad::Body(r#"{"rpo_hours":0}"#),
    ),
    case("DELETE /api/v1/dr/policies/{policy_id}", "admin", "", "", 204, Bad::Id),
    case("POST /api/v1/dr/policies/{policy_id}/run", "operator", "", "", 201, Bad::Id),
    case("GET /api/v1/dr/policies/{policy_id}/slots", "viewer", "", "", 200, Bad::Query("limit=1001")),
    case("GET /api/v1/dr/compliance", "viewer", "", "", 200, Bad::Query("cluster=a%20b")),
    case("GET /api/v1/dr/compliance/history", "viewer", "", "", 200, Bad::Query("from=yesterday")),
    case(
        "POST /api/v1/dr/tests",
        "operator",
        "",
        r#"{"backup_record_id":"{record_id}","target":{"folder":"/restores"}}"#,
        202,
        Bad::Body(r#"{"backup_record_id":"{record_id}","target":{}}"#),
    ),
    case("GET /api/v1/dr/tests", "viewer", "", "", 200, Bad::Query("status=odd")),
    case("GET /api/v1/dr/tests/{test_id}", "viewer", "", "", 200, Bad::Id),
    case(
        "POST /api/v1/dr/tests/{test_id}/cancel",
        "operator",
        "/api/v1/dr/tests/{running_test_id}/cancel",
        "",
        200,
        Bad::Id,
    ),
    case("GET /api/v1/retention/groups", "viewer", "", "", 200, Bad::Query("cluster=a%20b")),
    case("POST /api/v1/retention/resume", "admin", "", "", 204, Bad::None),
    case("PUT /api/v1/backups/records/{record_id}/protection", "operator", "", "", 200, Bad::Id),
    case("DELETE /api/v1/backups/records/{record_id}/protection", "admin", "", "", 204, Bad::Id),
    case(
        "POST /api/v1/retention/preview",
        "viewer",
        "",
        r#"{"policy_id":"{policy_id}"}"#,
        200,
        Bad::Body("{}"),
    ),
    case("POST /api/v1/retention/runs", "admin", "", r#"{"policy_id":"{policy_id}"}"#, 201, Bad::Body("{}")),
    case(
        "GET /api/v1/retention/runs",
        "viewer",
        "/api/v1/retention/runs?policy_id={policy_id}",
        "",
        200,
        Bad::Query(""),
    ),
    case("GET /api/v1/retention/runs/{run_id}", "viewer", "", "", 200, Bad::Id),
    case("GET /api/v1/health/summary", "viewer", "", "", 200, Bad::None),
    case("GET /api/v1/clusters", "viewer", "", "", 200, Bad::None),
    case("GET /api/v1/storage/locations", "viewer", "", "", 200, Bad::None),
    case("GET /api/v1/statistics", "viewer", "", "", 200, Bad::Query("to=never")),
    case("GET /api/v1/audit", "viewer", "", "", 200, Bad::Query("limit=0")),
    case("GET /api/v1/events", "viewer", "", "", 101, Bad::Query("after=x")),
    case("POST /api/v1/events/ticket", "viewer", "", "", 201, Bad::None),
    case("GET /api/v1/webhooks/dead-letters", "viewer", "", "", 200, Bad::None),
];

/// A world in which there is one of everything, and what is put in place of parameters.
struct Furnished {
    world: World,
    ids: BTreeMap<&'static str, String>,
}

async fn furnished() -> Furnished {
    let world = World::guarded();
    let tenant = world.engine.default_tenant().unwrap();
    let mut ids = BTreeMap::from([("name", "legal".to_owned())]);
    // The newest one can't be deleted.
    let free = backed_up(&world, &tenant, &mut ids).await;
    ids.insert("free_record_id", free.to_string());
    let record = backed_up(&world, &tenant, &mut ids).await;
    ids.insert("record_id", record.to_string());
    let hold = HoldRequest { name: "legal".parse().unwrap(), reason: "a case".to_owned(), until: None };
    tenant.hold_record(record, hold).await.unwrap();
    let daily = Schedule::cron("@daily".parse().unwrap(), ZoneName::UTC);
    let (name, cluster) = ("daily".parse().unwrap(), CLUSTER.parse().unwrap());
    let policy = NewPolicy::new(name, cluster, NamespaceSelection::all(), daily, RetentionRules::days(30));
    let policy = tenant.create_policy(policy).await.unwrap().policy.id;
    ids.insert("policy_id", policy.to_string());
    let run = tenant.run_retention(policy, Acknowledgement::None).await.unwrap();
    ids.insert("run_id", run.id.to_string());
    for key in ["executed_plan_id", "plan_id"] {
        let plan = tenant.create_plan(NewPlan::new("recover".parse().unwrap(), record)).await.unwrap();
        if key == "executed_plan_id" {
            tenant.execute_plan(plan.plan.id, Execute::Confirmed).await.unwrap();
            world.run(120).await;
        }
        ids.insert(key, plan.plan.id.to_string());
        ids.insert("hash", plan.hash.unwrap().0);
    }
    let target = DrTarget { cluster: None, destination: DrDestination::Folder("/restores".to_owned()) };
    let test = tenant.run_dr_test(NewDrTest::new(DrSubject::Record(record), target)).await.unwrap();
    ids.insert("test_id", test.id.to_string());
    world.run(300).await;
    let target = DrTarget { cluster: None, destination: DrDestination::Folder("/restores".to_owned()) };
    let test = tenant.run_dr_test(NewDrTest::new(DrSubject::Record(record), target)).await.unwrap();
    ids.insert("running_test_id", test.id.to_string());
    Furnished { world, ids }
}

async fn backed_up(world: &World, tenant: &Tenant, ids: &mut BTreeMap<&'static str, String>) -> RecordId {
    let new = NewJob::new("manual".parse().unwrap(), CLUSTER.parse().unwrap(), NamespaceSelection::all());
    let job = tenant.create_job(new).await.unwrap().job.id;
    world.run(120).await;
    ids.insert("job_id", job.to_string());
    tenant.job(job).await.unwrap().job.result.as_ref().unwrap().record
}

impl Case {
    fn method(&self) -> &'static str {
        self.operation.split_once(' ').unwrap().0
    }

    fn template(&self) -> &'static str {
        if self.path.is_empty() { self.operation.split_once(' ').unwrap().1 } else { self.path }
    }

    fn ask(&self, uri: &str, body: &str) -> Ask {
        let ask = Ask::new(self.method(), uri);
        if body.is_empty() { ask } else { ask.json(body) }
    }
}

impl Furnished {
    fn fill(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (key, id)| text.replace(&format!("{{{key}}}"), id))
    }

    fn ask(&self, case: &Case) -> Ask {
        case.ask(&self.fill(case.template()), &self.fill(case.body))
    }

    /// The same with input that is to be refused.
    fn bad(&self, case: &Case) -> Option<Ask> {
        let path = self.fill(case.operation.split_once(' ').unwrap().1);
        match case.bad {
            Bad::None => None,
            Bad::Id => {
                let template = case.operation.split_once(' ').unwrap().1;
                let start = template.find('{').unwrap();
                let end = template.find('}').unwrap();
                let path = format!("{}no-such-id{}", &template[..start], &template[end + 1..]);
                Some(case.ask(&self.fill(&path), &self.fill(case.body)))
            }
            Bad::Query(query) => Some(case.ask(&format!("{path}?{query}"), "")),
            Bad::Body(body) => Some(case.ask(&path, &self.fill(body))),
        }
    }

    async fn by(&self, ask: Ask, token: &str) -> Answer {
        self.world.ask(ask.token(token)).await
    }
}

/// Every operation of the document, as `GET /path`.
fn documented(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

#[tokio::test]
async fn every_operation_of_the_document_has_a_case_and_every_case_an_operation() {
    let world = World::open();
    let documented = documented(&world.get("/openapi.json").await.with(200));
    let tested: BTreeSet<String> = CASES.iter().map(|case| case.operation.to_owned()).collect();
    assert_eq!(documented, tested);
    assert_eq!(tested.len(), CASES.len(), "no operation has two cases");
}

#[tokio::test]
async fn every_operation_is_done_for_who_may() {
    for case in CASES {
        let furnished = furnished().await;
        if case.status == 101 {
            let served = furnished.world.serve().await;
            served.listen("", Some(case.role)).await.unwrap();
            continue;
        }
        let ask = furnished.ask(case);
        let answer = match case.role {
            "" => furnished.world.ask(ask).await,
            role => furnished.by(ask, role).await,
        };
        assert_eq!(answer.status.as_u16(), case.status, "{}: {}", case.operation, answer.body);
    }
}

#[tokio::test]
async fn every_operation_is_refused_to_who_is_not_known_and_to_who_may_not() {
    let furnished = furnished().await;
    for case in CASES.iter().filter(|case| !case.role.is_empty()) {
        furnished.world.ask(furnished.ask(case)).await.refused(401, "unauthorized");
        furnished.by(furnished.ask(case), "no such token").await.refused(401, "unauthorized");
        let lesser = match case.role {
            // No tenant's token opens what is everyone's.
            "metrics" => {
                furnished.by(furnished.ask(case), "admin").await.refused(401, "unauthorized");
                continue;
            }
            "operator" => "viewer",
            "approver" => "operator",
            "admin" => "approver",
            // Known, and nothing of theirs is served here.
            _ => "outsider",
        };
        furnished.by(furnished.ask(case), lesser).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn nothing_of_a_tenant_is_shown_to_another_or_counted_for_them() {
    let furnished = furnished().await;
    for case in CASES.iter().filter(|case| !case.role.is_empty()) {
        let answer = furnished.by(furnished.ask(case), "stranger").await;
        let names_ours = case.template().contains('{');
        if names_ours {
            answer.refused(404, "not_found");
            continue;
        }
        if furnished.fill(case.body) != case.body {
            answer.refused(404, "not_found");
            continue;
        }
        let body = answer.body.to_string();
        let shown = furnished.ids.iter().filter(|(key, _)| key.ends_with("_id") && !case.body.contains(*key));
        for (key, id) in shown {
            assert!(!body.contains(id.as_str()), "{} shows {key}: {body}", case.operation);
        }
        if let Some(total) = answer.body.get("total") {
            assert_eq!(total, 0, "{}", case.operation);
        }
    }
}

#[tokio::test]
async fn every_operation_refuses_bad_input() {
    let furnished = furnished().await;
    for case in CASES {
        let Some(ask) = furnished.bad(case) else { continue };
        let answer = furnished.by(ask, "admin").await;
        let expected = match case.bad {
            Bad::None | Bad::Id => 404,
            Bad::Query(_) => 400,
            Bad::Body(_) => 422,
        };
        assert_eq!(answer.status.as_u16(), expected, "{}: {}", case.operation, answer.body);
        assert!(answer.body["error"]["request_id"].is_string(), "{}", case.operation);
    }
}

/// Every reference of the document, wherever it stands.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_refers_to_nothing_that_is_not_in_it_and_names_each_operation_once() {
    let document = World::open().get("/openapi.json").await.with(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let mut names = BTreeSet::new();
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
    {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{}", operation["operationId"]);
    }
}

#[tokio::test]
async fn the_document_calls_failures_as_the_envelope_does() {
    let document = World::open().get("/openapi.json").await.with(200);
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(document["components"]["schemas"]["ErrorCode"]["enum"], serde_json::json!(codes));
}

#[tokio::test]
async fn the_document_says_that_bodies_take_nothing_unknown() {
    let document = World::open().get("/openapi.json").await.with(200);
    for schema in
        ["CreateJob", "UpdatePolicy", "VerifyRecord", "RetentionChange", "DrTarget", "RestoreSelection"]
    {
        let closed = &document["components"]["schemas"][schema]["additionalProperties"];
        assert_eq!(closed, false, "{schema}");
    }
}

#[tokio::test]
async fn every_operation_declares_its_failures_by_the_envelope() {
    let document = World::open().get("/openapi.json").await.with(200);
    let envelope = "#/components/schemas/ErrorBody";
    for status in ["400", "401", "403", "404", "405", "409", "413", "415", "422", "424", "429", "500", "503"]
    {
        let schema = format!("/components/responses/{status}/content/application~1json/schema/$ref");
        assert_eq!(document.pointer(&schema).and_then(Value::as_str), Some(envelope), "{status}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let declares = |status: &str| operation["responses"].get(status).is_some();
            assert!(declares("500") && declares("400"), "{method} {path}");
            if path.starts_with("/api/") {
                assert!(["401", "403", "503"].into_iter().all(declares), "{method} {path}");
                assert!(!path.contains('{') || declares("404"), "{method} {path}");
            }
            assert!(operation["operationId"].is_string(), "{method} {path}");
        }
    }
}
