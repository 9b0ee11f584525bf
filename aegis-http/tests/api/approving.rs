//! Plans that need an approval: bound to what would run, by who may, for one execution.

use aegis_core::model::ApprovalRule;
use serde_json::{Value, json};

use crate::world::{Ask, Setting, World, tokens};

async fn world(approval: ApprovalRule) -> World {
    World::new(Setting { access: tokens(), approval, ..Setting::default() })
}

async fn ask(world: &World, method: &str, uri: &str, token: &str, body: Value) -> crate::world::Answer {
    world.ask(Ask::new(method, uri).token(token).json(body)).await
}

/// The path of a plan by `author`, and the hash to approve.
async fn planned(world: &World, author: &str) -> (String, String) {
    let job = json!({"name": "manual", "cluster": "prod-us-east-1"});
    ask(world, "POST", "/api/v1/backups/jobs", author, job).await.with(201);
    world.run(120).await;
    let records = world.ask(Ask::new("GET", "/api/v1/backups/records").token(author)).await.with(200);
    let plan = json!({"name": "recover", "backup_record_id": records["records"][0]["id"]});
    let plan = ask(world, "POST", "/api/v1/recovery/plans", author, plan).await.with(201);
    let uri = format!("/api/v1/recovery/plans/{}", plan["plan"]["id"].as_str().unwrap());
    let shown = world.ask(Ask::new("GET", &uri).token(author)).await.with(200);
    (uri, shown["plan"]["approval_hash"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_unapproved_plan_says_what_is_missing_and_an_approved_one_runs() {
    let world = world(ApprovalRule::One).await;
    let (plan, hash) = planned(&world, "operator").await;
    let execute = plan.replace("/plans/", "/execute/");
    let message =
        ask(&world, "POST", &execute, "operator", json!({"confirmed": true})).await.refused(409, "conflict");
    assert!(message.contains(&hash), "{message}");
    let approve = format!("{plan}/approve");
    ask(&world, "POST", &approve, "operator", json!({"hash": hash})).await.refused(403, "forbidden");
    ask(&world, "POST", &approve, "approver", json!({"hash": "of something else"}))
        .await
        .refused(409, "conflict");
    let approved =
        ask(&world, "POST", &approve, "approver", json!({"hash": hash})).await.with(200)["plan"].take();
    assert_eq!(
        (&approved["status"], &approved["approvals"][0]["by"]),
        (&json!("approved"), &json!("approver"))
    );
    ask(&world, "POST", &execute, "operator", json!({"confirmed": true})).await.with(202);
}

#[tokio::test]
async fn two_people_means_another_than_the_author() {
    let world = world(ApprovalRule::Two).await;
    let (plan, hash) = planned(&world, "approver").await;
    let approve = format!("{plan}/approve");
    ask(&world, "POST", &approve, "approver", json!({"hash": hash})).await.refused(403, "forbidden");
    ask(&world, "POST", &approve, "admin", json!({"hash": hash})).await.with(200);
}

#[tokio::test]
async fn a_running_execution_is_cancelled_once_however_often_it_is_asked() {
    let world = world(ApprovalRule::None).await;
    let (plan, _) = planned(&world, "operator").await;
    let execute = plan.replace("/plans/", "/execute/");
    ask(&world, "POST", &execute, "operator", json!({"confirmed": true})).await.with(202);
    let cancel = Ask::new("POST", &format!("{plan}/cancel")).token("operator").header("idempotency-key", "k");
    world.ask(cancel.clone()).await.with(200);
    world.run(120).await;
    assert_eq!(world.ask(cancel).await.with(200)["plan"]["status"], "cancelled");
    let status = world.ask(Ask::new("GET", &format!("{execute}/status")).token("viewer")).await.with(200);
    assert_eq!(status["execution"]["status"], "cancelled");
    world.ask(Ask::new("POST", &format!("{plan}/cancel")).token("operator")).await.refused(409, "conflict");
}
