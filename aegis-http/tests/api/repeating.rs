//! Requests sent again, and changes that rest on what was read.

use serde_json::{Value, json};

use crate::world::{Ask, World};

fn job() -> Value {
    json!({"name": "manual", "cluster": "prod-us-east-1"})
}

fn policy() -> Value {
    json!({"name": "daily", "cluster": "prod-us-east-1", "schedule": "0 2 * * *", "retention_days": 30, "rpo_hours": 24})
}

#[tokio::test]
async fn a_request_sent_again_under_its_key_answers_what_it_made() {
    let world = World::open();
    let ask = Ask::new("POST", "/api/v1/backups/jobs").header("idempotency-key", "k1").json(job());
    let first = world.ask(ask.clone()).await.with(201);
    world.run(120).await;
    let again = world.ask(ask).await.with(201);
    assert_eq!(again["job"]["id"], first["job"]["id"]);
    assert_eq!(again["job"]["status"], "completed", "as it is now");
    assert_eq!(world.get("/api/v1/backups/jobs").await.with(200)["total"], 1);
}

#[tokio::test]
async fn a_key_serves_one_body_and_one_route() {
    let world = World::open();
    let ask = |uri: &str, body: Value| Ask::new("POST", uri).header("idempotency-key", "k1").json(body);
    world.ask(ask("/api/v1/backups/jobs", job())).await.with(201);
    let other = json!({"name": "another", "cluster": "prod-us-east-1"});
    let message = world.ask(ask("/api/v1/backups/jobs", other)).await.refused(422, "validation_error");
    assert!(message.contains("Idempotency-Key"), "{message}");
    world.ask(ask("/api/v1/dr/policies", policy())).await.with(201);
}

#[tokio::test]
async fn a_policy_made_again_under_its_key_is_no_conflict_of_names() {
    let world = World::open();
    let ask = Ask::new("POST", "/api/v1/dr/policies").header("idempotency-key", "k1").json(policy());
    let first = world.ask(ask.clone()).await.with(201);
    assert_eq!(world.ask(ask).await.with(201)["policy"]["id"], first["policy"]["id"]);
    world.post("/api/v1/dr/policies", policy()).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let world = World::open();
    let long = "x".repeat(256);
    for key in ["", &long] {
        let ask = Ask::new("POST", "/api/v1/backups/jobs").header("idempotency-key", key).json(job());
        world.ask(ask).await.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn a_change_rests_on_the_etag_that_it_names() {
    let world = World::open();
    let made = world.ask(Ask::new("POST", "/api/v1/dr/policies").json(policy())).await;
    let etag = made.headers["etag"].to_str().unwrap().to_owned();
    let uri = format!("/api/v1/dr/policies/{}", made.with(201)["policy"]["id"].as_str().unwrap());
    let put =
        |etag: &str, rpo: u32| Ask::new("PUT", &uri).header("if-match", etag).json(json!({"rpo_hours": rpo}));
    let changed = world.ask(put(&etag, 12)).await;
    assert_ne!(changed.headers["etag"].to_str().unwrap(), etag);
    changed.with(200);
    world.ask(put(&etag, 6)).await.refused(409, "conflict");
    world.ask(put("*", 6)).await.with(200);
    world.ask(put("yesterday", 6)).await.refused(400, "bad_request");
}

#[tokio::test]
async fn a_change_keeps_what_it_leaves_out_and_clears_what_is_null() {
    let world = World::open();
    let made = world.post("/api/v1/dr/policies", policy()).await.with(201);
    let uri = format!("/api/v1/dr/policies/{}", made["policy"]["id"].as_str().unwrap());
    let changed = world.put(&uri, json!({"rpo_hours": null, "timezone": "Europe/Berlin"})).await.with(200);
    let changed = &changed["policy"];
    assert!(changed["rpo_hours"].is_null());
    assert_eq!((&changed["schedule"], &changed["timezone"]), (&json!("0 2 * * *"), &json!("Europe/Berlin")));
    assert_eq!(changed["retention_days"], 30);
    let excluded = world.put(&uri, json!({"exclude_namespaces": ["kube-*"]})).await.with(200);
    assert_eq!(
        (&excluded["policy"]["namespaces"], &excluded["policy"]["exclude_namespaces"]),
        (&json!(["*"]), &json!(["kube-*"]))
    );
    for (field, value) in [("schedule", Value::Null), ("cluster", json!("another")), ("enabled", Value::Null)]
    {
        let answer = world.put(&uri, json!({field: value})).await.with(422);
        assert_eq!(answer["error"]["details"]["fields"][0]["field"], field);
    }
}

#[tokio::test]
async fn pages_follow_one_another_by_cursor_without_a_gap() {
    let world = World::open();
    for name in ["one", "two", "three"] {
        world
            .post("/api/v1/backups/jobs", json!({"name": name, "cluster": "prod-us-east-1"}))
            .await
            .with(201);
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    let first = world.get("/api/v1/backups/jobs?limit=2").await.with(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second =
        world.get(&format!("/api/v1/backups/jobs?limit=2&cursor={cursor}&total=false")).await.with(200);
    let names = |page: &Value| -> Vec<String> {
        page["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names(&first), names(&second)),
        (vec!["three".to_owned(), "two".to_owned()], vec!["one".to_owned()])
    );
    assert!(second.get("total").is_none() && second.get("next_cursor").is_none());
}

#[tokio::test]
async fn running_a_policy_rests_on_the_etag_that_it_names() {
    let world = World::open();
    let made = world.ask(Ask::new("POST", "/api/v1/dr/policies").json(policy())).await;
    let etag = made.headers["etag"].to_str().unwrap().to_owned();
    let uri = format!("/api/v1/dr/policies/{}", made.with(201)["policy"]["id"].as_str().unwrap());
    let run = || Ask::new("POST", &format!("{uri}/run")).header("if-match", &etag);
    world.ask(run()).await.with(201);
    world.put(&uri, json!({"rpo_hours": 12})).await.with(200);
    world.ask(run()).await.refused(409, "conflict");
}

#[tokio::test]
async fn what_is_done_with_a_plan_rests_on_the_etag_that_it_names() {
    let world = World::open();
    world.post("/api/v1/backups/jobs", job()).await.with(201);
    world.run(120).await;
    let records = world.get("/api/v1/backups/records").await.with(200);
    let plan = json!({"name": "recover", "backup_record_id": records["records"][0]["id"]});
    let made = world.ask(Ask::new("POST", "/api/v1/recovery/plans").json(plan)).await;
    let stale = made.headers["etag"].to_str().unwrap().to_owned();
    let uri = format!("/api/v1/recovery/plans/{}", made.with(201)["plan"]["id"].as_str().unwrap());
    let hash = world.get(&uri).await.with(200)["plan"]["approval_hash"].clone();
    let approve = |etag: &str| {
        Ask::new("POST", &format!("{uri}/approve")).header("if-match", etag).json(json!({"hash": hash}))
    };
    let approved = world.ask(approve(&stale)).await;
    let fresh = approved.headers["etag"].to_str().unwrap().to_owned();
    approved.with(200);
    world.ask(approve(&stale)).await.refused(409, "conflict");
    let execute = uri.replace("/plans/", "/execute/");
    let execute = |etag: &str, body: Value| Ask::new("POST", &execute).header("if-match", etag).json(body);
    world.ask(execute(&stale, json!({"dry_run": true}))).await.refused(409, "conflict");
    world.ask(execute(&stale, json!({"confirmed": true}))).await.refused(409, "conflict");
    world.ask(execute(&fresh, json!({"confirmed": true}))).await.with(202);
    let cancel = Ask::new("POST", &format!("{uri}/cancel"));
    world.ask(cancel.clone().header("if-match", &stale)).await.refused(409, "conflict");
    world.ask(cancel).await.with(200);
}

#[tokio::test]
async fn a_request_without_anything_to_say_reads_its_body_all_the_same() {
    let world = World::open();
    let made = world.post("/api/v1/dr/policies", policy()).await.with(201);
    let run = format!("/api/v1/dr/policies/{}/run", made["policy"]["id"].as_str().unwrap());
    let ask = Ask::new("POST", &run).header("idempotency-key", "k1");
    let first = world.ask(ask.clone()).await.with(201);
    let again = world.ask(ask.clone().json(json!({}))).await.with(201);
    assert_eq!(first["job"]["id"], again["job"]["id"]);
    world.ask(ask.json(json!({"kind": "full"}))).await.refused(422, "validation_error");
}
