//! How long each endpoint that reads takes, asked by one caller.

use std::time::Instant;

use serde_json::Value;

use crate::{
    Sizes,
    client::{Client, Question},
    filled::{POLICIES, ROOM, history::OF_EACH},
    world::{Jobs, LIVED, World},
};

/// The time that nearly every answer stays below, in milliseconds: of most endpoints, and of those that
/// tell of all policies at once.
const USUAL: f64 = 20.0;
const OF_ALL: f64 = 60.0;
/// The socket of live events.
const EVENTS: &str = "/api/v1/events";

/// What is asked, by the number of the call.
fn paths(jobs: Jobs, number: u64) -> Vec<(&'static str, String, f64)> {
    let v1 = |path: &str| format!("/api/v1{path}");
    let job = jobs.any(number);
    let (id, time) = (Jobs::id(job), Jobs::time(job));
    // Of the policies, of those of them that have a history, and of what was done with that.
    let (policy, lived) = (Jobs::id(number % POLICIES), Jobs::id(number % LIVED));
    let (first, any) = (Jobs::id(number % LIVED * ROOM), Jobs::id(number % LIVED * ROOM + number % 700));
    let done = Jobs::id(number % OF_EACH);
    let files = format!("/backups/records/{}/files", Jobs::id(0));
    vec![
        ("livez", "/livez".to_owned(), USUAL),
        ("readyz", "/readyz".to_owned(), USUAL),
        ("health", "/health".to_owned(), USUAL),
        ("figures", "/metrics".to_owned(), USUAL),
        ("OpenAPI", "/openapi.json".to_owned(), USUAL),
        ("a job", v1(&format!("/backups/jobs/{id}")), USUAL),
        ("its progress", v1(&format!("/backups/jobs/{id}/progress")), USUAL),
        ("jobs", v1("/backups/jobs"), USUAL),
        ("jobs of a time", v1(&format!("/backups/jobs?to={time}")), USUAL),
        ("jobs of a cluster", v1(&format!("/backups/jobs?cluster=c3&to={time}")), USUAL),
        ("jobs that failed", v1("/backups/jobs?status=failed"), USUAL),
        ("jobs of a policy", v1(&format!("/backups/jobs?policy_id={}", Jobs::id(number % 999 + 1))), USUAL),
        ("records", v1("/backups/records"), USUAL),
        ("records of a policy", v1(&format!("/backups/records?policy_id={lived}")), USUAL),
        ("a record", v1(&format!("/backups/records/{any}")), USUAL),
        ("its chain", v1(&format!("/backups/records/{any}/chain")), USUAL),
        ("its verifications", v1(&format!("/backups/records/{first}/verifications")), USUAL),
        ("its files", v1(&format!("{files}?path=app")), USUAL),
        ("its next files", v1(&format!("{files}?path=app&after=file-{}", number % 5_000)), USUAL),
        ("plans", v1("/recovery/plans"), USUAL),
        ("a plan", v1(&format!("/recovery/plans/{done}")), USUAL),
        ("its execution", v1(&format!("/recovery/execute/{done}/status")), USUAL),
        ("DR tests", v1("/dr/tests"), USUAL),
        ("DR tests of a policy", v1(&format!("/dr/tests?policy_id={lived}")), USUAL),
        ("a DR test", v1(&format!("/dr/tests/{done}")), USUAL),
        ("a policy", v1(&format!("/dr/policies/{policy}")), USUAL),
        ("its slots", v1(&format!("/dr/policies/{lived}/slots")), USUAL),
        ("50 policies", v1("/dr/policies?limit=50"), USUAL),
        ("all policies", v1("/dr/policies"), OF_ALL),
        ("compliance", v1("/dr/compliance"), OF_ALL),
        ("a policy's past", v1(&format!("/dr/compliance/history?policy_id={lived}")), USUAL),
        ("50 policies' pasts", v1(&format!("/dr/compliance/history?offset={}", POLICIES - LIVED)), OF_ALL),
        ("health summary", v1("/health/summary"), OF_ALL),
        ("clusters", v1("/clusters"), USUAL),
        ("storage locations", v1("/storage/locations"), USUAL),
        ("statistics", v1("/statistics"), USUAL),
        ("audit", v1("/audit"), USUAL),
        ("audit from somewhere", v1(&format!("/audit?after={}", number * 97 % 200_000)), USUAL),
        ("retention groups", v1("/retention/groups"), USUAL),
        ("retention runs", v1(&format!("/retention/runs?policy_id={lived}")), USUAL),
        ("a retention run", v1(&format!("/retention/runs/{done}")), USUAL),
        ("dead letters", v1("/webhooks/dead-letters"), USUAL),
    ]
}

/// That nothing is left out that the service answers to a `GET`, but the live events, which are a socket.
async fn miss_nothing(client: &mut Client, asked: &[(&str, String, f64)]) {
    let document: Value = serde_json::from_slice(&client.ask(Question::get("/openapi.json")).await).unwrap();
    let served = document["paths"].as_object().unwrap().iter();
    let reads =
        served.filter(|(_, operations)| operations.get("get").is_some()).map(|(template, _)| template);
    let is_asked = |template: &str| asked.iter().any(|(_, path, _)| is_of(path, template));
    let missing: Vec<_> = reads.filter(|template| *template != EVENTS && !is_asked(template)).collect();
    assert!(missing.is_empty(), "these are not measured: {missing:?}");
}

/// Whether a path is of a template, as `/api/v1/backups/jobs/{job_id}`.
fn is_of(path: &str, template: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    let same = |(part, pattern): (&str, &str)| part == pattern || pattern.starts_with('{');
    path.split('/').count() == template.split('/').count()
        && path.split('/').zip(template.split('/')).all(same)
}

pub(crate) async fn all(world: &World, sizes: &Sizes) {
    let mut client = Client::connect(world.ours).await;
    let asked = paths(world.jobs, 0);
    miss_nothing(&mut client, &asked).await;
    for (index, (what, path, target)) in asked.into_iter().enumerate() {
        // The first answer may read what later ones know, and is not counted.
        let began = Instant::now();
        let bytes = client.ask(Question::get(path)).await.len();
        let first = began.elapsed().as_secs_f64() * 1e3;
        let calls = if first > 200.0 { 20 } else { sizes.calls as u64 };
        let mut took = Vec::new();
        for number in 1..=calls {
            let Some((_, path, _)) = paths(world.jobs, number).into_iter().nth(index) else { return };
            let began = Instant::now();
            client.ask(Question::get(path)).await;
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1)).copied();
        let (p50, p99) = (at(50).unwrap_or(f64::NAN), at(99).unwrap_or(f64::NAN));
        println!("| {what} | {bytes} | {p50:.2} ms | {p99:.2} ms (first {first:.0}) | < {target} ms |");
    }
}
