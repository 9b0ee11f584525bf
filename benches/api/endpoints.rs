//! How long each endpoint that reads takes, asked by one caller.

use std::time::Instant;

use crate::{
    Sizes,
    client::{Client, Question},
    world::{Jobs, World},
};

/// The time that nearly every answer stays below, in milliseconds: of most endpoints, and of those that
/// tell of all policies at once.
const USUAL: f64 = 20.0;
const OF_ALL: f64 = 60.0;

/// What is asked, by the number of the call.
fn paths(jobs: Jobs, number: u64) -> Vec<(&'static str, String, f64)> {
    let v1 = |path: &str| format!("/api/v1{path}");
    let job = jobs.any(number);
    let (id, time) = (Jobs::id(job), Jobs::time(job));
    let (policy, record) = (Jobs::id(number % 10_000), Jobs::id(number % 100 * 8_640 + number % 700));
    vec![
        ("livez", "/livez".to_owned(), USUAL),
        ("readyz", "/readyz".to_owned(), USUAL),
        ("health", "/health".to_owned(), USUAL),
        ("OpenAPI", "/openapi.json".to_owned(), USUAL),
        ("a job", v1(&format!("/backups/jobs/{id}")), USUAL),
        ("its progress", v1(&format!("/backups/jobs/{id}/progress")), USUAL),
        ("jobs", v1("/backups/jobs"), USUAL),
        ("jobs of a time", v1(&format!("/backups/jobs?to={time}")), USUAL),
        ("jobs of a cluster", v1(&format!("/backups/jobs?cluster=c3&to={time}")), USUAL),
        ("jobs that failed", v1("/backups/jobs?status=failed"), USUAL),
        ("jobs of a policy", v1(&format!("/backups/jobs?policy_id={}", Jobs::id(number % 999 + 1))), USUAL),
        ("records", v1("/backups/records"), USUAL),
        ("records of a policy", v1(&format!("/backups/records?policy_id={}", Jobs::id(number % 100))), USUAL),
        ("a record", v1(&format!("/backups/records/{record}")), USUAL),
        ("its chain", v1(&format!("/backups/records/{record}/chain")), USUAL),
        ("its verifications", v1(&format!("/backups/records/{record}/verifications")), USUAL),
        ("plans", v1("/recovery/plans"), USUAL),
        ("DR tests", v1("/dr/tests"), USUAL),
        ("a policy", v1(&format!("/dr/policies/{policy}")), USUAL),
        ("its slots", v1(&format!("/dr/policies/{policy}/slots")), USUAL),
        ("50 policies", v1("/dr/policies?limit=50"), USUAL),
        ("all policies", v1("/dr/policies"), OF_ALL),
        ("compliance", v1("/dr/compliance"), OF_ALL),
        ("health summary", v1("/health/summary"), OF_ALL),
        ("clusters", v1("/clusters"), USUAL),
        ("storage locations", v1("/storage/locations"), USUAL),
        ("statistics", v1("/statistics"), USUAL),
        ("audit", v1("/audit"), USUAL),
        ("retention groups", v1("/retention/groups"), USUAL),
        ("retention runs", v1(&format!("/retention/runs?policy_id={policy}")), USUAL),
        ("dead letters", v1("/webhooks/dead-letters"), USUAL),
    ]
}

pub(crate) async fn all(world: &World, sizes: &Sizes) {
    let mut client = Client::connect(world.ours).await;
    let asked = paths(world.jobs, 0);
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
