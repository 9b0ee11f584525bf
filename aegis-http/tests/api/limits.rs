//! How often a tenant may ask, and what it is told of it.

use aegis_http::LimitProfile;

use crate::world::{Answer, Ask, Setting, World, tokens};

const JOB: &str = r#"{"name": "manual", "cluster": "prod-us-east-1"}"#;

fn limited() -> World {
    World::new(Setting { access: tokens(), limits: LimitProfile::Interactive, ..Setting::default() })
}

async fn create(world: &World, token: &str) -> Answer {
    world.ask(Ask::new("POST", "/api/v1/backups/jobs").json(JOB).token(token)).await
}

fn header(answer: &Answer, name: &str) -> i64 {
    answer.headers[name].to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_backups_are_made_in_an_hour_and_the_next_when_it_was_said() {
    let world = limited();
    for left in (0..10).rev() {
        let made = create(&world, "operator").await;
        assert_eq!((header(&made, "x-ratelimit-limit"), header(&made, "x-ratelimit-remaining")), (10, left));
        made.with(201);
    }
    world.run(600).await;
    let refused = create(&world, "operator").await;
    assert_eq!(header(&refused, "retry-after"), 3000);
    let now = world.engine.default_tenant().unwrap().now().as_micros() / 1_000_000;
    assert_eq!(header(&refused, "x-ratelimit-reset"), now + 3000 + 1);
    assert_eq!(header(&refused, "x-ratelimit-remaining"), 0);
    refused.refused(429, "rate_limited");
    world.run(3000).await;
    create(&world, "operator").await.with(201);
}

#[tokio::test]
async fn who_may_not_or_is_of_another_tenant_uses_up_nothing() {
    let world = limited();
    for _ in 0..20 {
        create(&world, "viewer").await.refused(403, "forbidden");
        let stranger = create(&world, "stranger").await;
        assert!(!stranger.headers.contains_key("x-ratelimit-limit"), "nothing is limited for it");
    }
    assert_eq!(header(&create(&world, "operator").await, "x-ratelimit-remaining"), 9);
}

#[tokio::test]
async fn what_is_urgent_goes_on_when_nothing_else_may() {
    let world = limited();
    let mut last = create(&world, "operator").await.with(201);
    for _ in 0..9 {
        last = create(&world, "operator").await.with(201);
    }
    create(&world, "operator").await.refused(429, "rate_limited");
    let job = format!("/api/v1/backups/jobs/{}", last["job"]["id"].as_str().unwrap());
    for _ in 0..60 {
        let cancelled = world.ask(Ask::new("DELETE", &job).token("operator")).await;
        assert_ne!(cancelled.status.as_u16(), 429);
    }
    world.ask(Ask::new("DELETE", &job).token("operator")).await.refused(429, "rate_limited");
    let nothing = "/api/v1/recovery/execute/00000000-0000-0000-0000-000000000000";
    let executed = world.ask(Ask::new("POST", nothing).token("operator")).await;
    assert_ne!(executed.status.as_u16(), 429, "cancelling takes nothing from executing");
}

#[tokio::test]
async fn nothing_is_limited_unless_it_is_asked_for_and_reading_never() {
    let world = World::guarded();
    for _ in 0..30 {
        let made = create(&world, "operator").await;
        assert!(!made.headers.contains_key("x-ratelimit-limit"));
        made.with(201);
    }
    let world = limited();
    for _ in 0..200 {
        world.ask(Ask::new("GET", "/api/v1/backups/jobs").token("viewer")).await.with(200);
    }
}

#[tokio::test]
async fn what_is_counted_is_in_the_document() {
    let document = World::open().get("/openapi.json").await.with(200);
    let source = include_str!("../../src/limits.rs");
    let counted = source.lines().filter_map(|line| line.trim().strip_prefix("(Method::"));
    let mut count = 0;
    for line in counted {
        let (method, rest) = line.split_once(", \"").unwrap();
        let path = rest.split_once('"').unwrap().0;
        assert!(document["paths"][path][method.to_lowercase()].is_object(), "{method} {path}");
        count += 1;
    }
    assert!(count > 5, "{count} classes were found");
}

#[tokio::test]
async fn a_router_that_is_mounted_below_a_path_is_limited_and_drained_all_the_same() {
    let mut world = limited();
    world.router = axum::Router::new().nest("/recovery", world.router);
    let create = || Ask::new("POST", "/recovery/api/v1/backups/jobs").json(JOB).token("operator");
    for _ in 0..10 {
        world.ask(create()).await.with(201);
    }
    world.ask(create()).await.refused(429, "rate_limited");
    world.lifecycle.drain();
    world.ask(create()).await.refused(503, "service_unavailable");
    world.get("/recovery/livez").await.with(200);
}
