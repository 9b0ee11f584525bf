//! Every failure wears the envelope, and says nothing that is not the client's business.

use std::sync::Arc;

use aegis_core::{
    seams::{Clock, MockStore},
    testing::{Fault, FaultPlan, FaultyStore, ManualClock},
};
use aegis_http::{Access, Identity, Role};
use aegis_store_memory::MemoryStore;
use axum::{Extension, Router, routing::get};

use crate::world::{Ask, START, Setting, World};

#[tokio::test]
async fn an_unknown_route_a_wrong_method_and_an_impossible_id_wear_the_envelope() {
    let world = World::open();
    world.get("/nowhere").await.refused(404, "not_found");
    world.get("/api/v1/nowhere").await.refused(404, "not_found");
    let answer = world.delete("/api/v1/backups/jobs").await;
    let allow = answer.headers["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    answer.refused(405, "method_not_allowed");
    world.get("/api/v1/backups/jobs/job-uuid-001").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_by_its_kind() {
    let world = World::open();
    let jobs = "/api/v1/backups/jobs";
    world.post(jobs, "{").await.refused(400, "bad_request");
    world.post(jobs, r#"{"name": 5}"#).await.refused(400, "bad_request");
    let untyped = Ask { body: Some("{}".to_owned()), ..Ask::new("POST", jobs) };
    world.ask(untyped).await.refused(415, "unsupported_media_type");
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(2 * 1024 * 1024));
    world.post(jobs, large).await.refused(413, "payload_too_large");
    let long = format!("{jobs}?cluster={}", "x".repeat(10_000));
    world.get(&long).await.refused(400, "bad_request");
}

#[tokio::test]
async fn a_bad_query_is_refused() {
    let world = World::open();
    for query in
        ["limit=1001", "limit=x", "status=odd", "from=yesterday", "cluster=", "clutser=x", "cursor=x"]
    {
        world.get(&format!("/api/v1/backups/jobs?{query}")).await.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_with_a_mend() {
    let world = World::open();
    let body = r#"{"name": "", "cluster": "x y", "kind": "odd", "storage_backend": "floppy", "surprise": 1}"#;
    world.post("/api/v1/backups/jobs", body).await.refused(422, "validation_error");
    let body = r#"{"name": "", "cluster": "x y", "kind": "odd", "storage_backend": "floppy"}"#;
    let answer = world.post("/api/v1/backups/jobs", body).await.with(422);
    let fields: Vec<_> = answer["error"]["details"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "cluster", "storage_backend", "kind"]);
}

#[tokio::test]
async fn a_failure_carries_the_request_id_of_its_header() {
    let world = World::open();
    let answer = world.ask(Ask::new("GET", "/nowhere").header("x-request-id", "mine-1")).await;
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    assert_eq!(answer.body["error"]["request_id"], "mine-1");
    let answer = world.get("/livez").await;
    assert!(answer.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_store_that_is_away_is_said_so_and_one_that_fails_says_nothing_of_itself() {
    let world = World::new(Setting { store: Some(faulty()), ..Setting::default() });
    let answer = world.get("/api/v1/dr/policies").await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(503, "service_unavailable");
    assert_eq!(world.get("/readyz").await.with(503)["status"], "store_unavailable");
    world.get("/livez").await.with(200);
    assert_eq!(world.get("/health").await.with(503)["status"], "degraded");
}

/// A store that can't be reached.
fn faulty() -> Arc<FaultyStore<MemoryStore>> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(START.parse().unwrap()));
    let plan = FaultPlan::seeded(1, Arc::clone(&clock)).with_probability(1.0, Fault::Refuse);
    Arc::new(FaultyStore::new(Arc::new(MemoryStore::new(clock)), plan))
}

#[tokio::test]
async fn while_it_starts_or_drains_nothing_new_is_taken() {
    let world = World::open();
    world.lifecycle.drain();
    world.get("/api/v1/dr/policies").await.refused(503, "service_unavailable");
    assert_eq!(world.get("/readyz").await.with(503)["status"], "draining");
    world.get("/livez").await.with(200);
    world.get("/health").await.with(200);
    world.lifecycle.serve();
    world.get("/api/v1/dr/policies").await.with(200);
}

#[tokio::test]
async fn an_open_server_answers_only_to_this_machine() {
    let world = World::open();
    let ask = Ask::new("GET", "/api/v1/dr/policies");
    world.ask(ask.clone().header("host", "evil.example")).await.refused(403, "forbidden");
    world.ask(ask.clone().header("origin", "https://evil.example")).await.refused(403, "forbidden");
    world.ask(ask.clone().header("origin", "null")).await.refused(403, "forbidden");
    world.ask(ask.header("origin", "http://127.0.0.1:8082")).await.with(200);
    let guarded = World::guarded();
    let ask = Ask::new("GET", "/api/v1/dr/policies").header("host", "aegis.example").token("viewer");
    guarded.ask(ask).await.with(200);
}

#[tokio::test]
async fn health_names_nothing_to_those_it_does_not_know() {
    let world = World::guarded();
    let body = world.get("/health").await.with(200);
    assert!(!body.to_string().contains("prod-us-east-1"), "{body}");
    let body = world.ask(Ask::new("GET", "/health").token("viewer")).await.with(200);
    assert_eq!(body["clusters"]["prod-us-east-1"], "connected");
    assert!(!body.to_string().contains("elsewhere"), "{body}");
    world.ask(Ask::new("GET", "/health").token("nobody")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn an_embedders_own_layer_says_who_asks() {
    let mut world = World::new(Setting { access: Access::Embedder, ..Setting::default() });
    let policies = "/api/v1/dr/policies";
    world.get(policies).await.refused(401, "unauthorized");
    let (tenant, principal) = ("default".parse().unwrap(), "someone".parse().unwrap());
    world.router = world.router.layer(Extension(Identity { tenant, principal, role: Role::Viewer }));
    world.get(policies).await.with(200);
    world.post(policies, "{}").await.refused(403, "forbidden");
}

#[tokio::test]
async fn it_is_mounted_beside_routes_and_a_fallback_of_ones_own() {
    let mut world = World::open();
    let own =
        Router::new().route("/hello", get(|| async { "\"mine\"" })).fallback(|| async { "\"elsewhere\"" });
    world.router = own.merge(world.router);
    assert_eq!(world.get("/hello").await.with(200), "mine");
    assert_eq!(world.get("/nowhere").await.with(200), "elsewhere");
    world.get("/api/v1/dr/policies").await.with(200);
    world.delete("/api/v1/backups/jobs").await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_handler_that_panics_is_a_fault_of_ours_that_says_nothing_of_itself() {
    // A mock that expects nothing panics when it is called.
    let world = World::new(Setting { store: Some(Arc::new(MockStore::new())), ..Setting::default() });
    let answer = world.get("/api/v1/dr/policies").await;
    assert!(!answer.body.to_string().contains("Mock"), "{}", answer.body);
    answer.refused(500, "internal_error");
    world.get("/livez").await.with(200);
}

#[tokio::test]
async fn words_that_a_store_could_not_keep_are_refused() {
    let world = World::open();
    for description in ["a\\u0000b".to_owned(), "x".repeat(5000)] {
        let body = format!(
            r#"{{"name":"n","cluster":"prod-us-east-1","schedule":"@daily","retention_days":1,"description":"{description}"}}"#
        );
        world.post("/api/v1/dr/policies", body).await.refused(422, "validation_error");
    }
    world.get("/api/v1/backups/jobs?offset=1000001").await.refused(400, "bad_request");
}

#[tokio::test]
async fn answers_are_neither_cached_nor_guessed_at() {
    let world = World::open();
    let answer = world.get("/api/v1/dr/policies").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_body_that_may_be_left_out_may_be() {
    let world = World::open();
    let job = r#"{"name": "manual", "cluster": "prod-us-east-1"}"#;
    world.post("/api/v1/backups/jobs", job).await.with(201);
    world.run(120).await;
    let records = world.get("/api/v1/backups/records").await.with(200);
    let verify = format!("/api/v1/backups/records/{}/verify", records["records"][0]["id"].as_str().unwrap());
    let left_out = world.ask(Ask::new("POST", &verify)).await.with(202);
    assert_eq!(left_out["verification"]["level"], "L4", "the deepest that the driver can");
    world.post(&verify, "null").await.with(202);
    let untyped = Ask { body: Some("{}".to_owned()), ..Ask::new("POST", &verify) };
    world.ask(untyped).await.refused(415, "unsupported_media_type");
}
