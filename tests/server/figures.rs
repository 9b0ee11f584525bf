//! What the server tells those who run it, and how often a tenant may ask, as configured.

use std::{
    env,
    fs::{self, File},
    process::{Command, Output},
};

use aegis::{http::TokenHash, testing::skip};
use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{Place, Server, Store, answer};

/// A server of this configuration, in which `HASH` stands for that of the token `operator`.
fn configured(place: &Place, configuration: &str) -> Server {
    let configuration = configuration.replace("HASH", &TokenHash::of("operator").to_string());
    fs::write(place.path().join("aegis.toml"), configuration).unwrap();
    fs::write(place.path().join("metrics.token"), "a long random token\n").unwrap();
    Server::start(place.command(&["--config", "aegis.toml", "--protect", "documents=documents"]))
}

const TOKENS: &str = r#"
[[auth.tokens]]
name = "ops"
sha256 = "HASH"
roles = ["operator"]
"#;

async fn figures(server: &Server, token: &str) -> (u16, Value) {
    let ask = server.request(Method::GET, "/metrics").bearer_auth(token);
    let (status, body) = answer(ask).await.unwrap();
    (status.as_u16(), body)
}

/// The alerts that the documentation has.
fn alerts() -> &'static str {
    let documented = include_str!("../../docs/operations.md");
    documented.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap()
}

/// Prometheus' own checker, if this machine has it.
fn promtool(test: &str) -> Option<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| folder.join("promtool").exists()) {
        return Some(Command::new("promtool"));
    }
    skip(test, "no promtool: run scripts/setup.sh promtool");
    None
}

/// That the checker finds nothing wrong.
fn assert_passes(mut check: Command) {
    let Output { status, stdout, stderr } = check.output().unwrap();
    let told = String::from_utf8_lossy(&[stdout, stderr.clone()].concat()).into_owned();
    assert!(status.success() && stderr.is_empty(), "{told}");
}

#[tokio::test]
async fn figures_pass_prometheus_own_check_and_tell_of_what_was_done() {
    let Some(mut check) = promtool("figures_pass_prometheus_own_check_and_tell_of_what_was_done") else {
        return;
    };
    let place = Place::new(Store::Sqlite);
    let server = place.serve();
    let (_, job) = server.post("/api/v1/backups/jobs", json!({"name": "now", "cluster": "local"})).await;
    let job = format!("/api/v1/backups/jobs/{}", job["job"]["id"].as_str().unwrap());
    server.ended(&job, "/job/status").await;
    let (status, text) = figures(&server, "").await;
    assert_eq!(status, 200, "{text}");
    let text = text.as_str().unwrap();
    for line in [
        "aegis_store_up 1",
        "aegis_events_total{kind=\"job.completed\"} 1",
        "aegis_events_total{kind=\"job.failed\"} 0",
        "aegis_duration_seconds_count{kind=\"job.completed\",cluster=\"local\"} 1",
        "aegis_http_requests_total{method=\"POST\",route=\"/api/v1/backups/jobs\",status=\"201\"} 1",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("aegis_http_request_duration_seconds_bucket{"), "{text}");
    fs::write(place.path().join("figures"), text).unwrap();
    check.args(["check", "metrics"]).stdin(File::open(place.path().join("figures")).unwrap());
    assert_passes(check);
}

#[tokio::test]
async fn the_alerts_of_the_documentation_are_valid_and_rest_on_figures_that_are_there() {
    let test = "the_alerts_of_the_documentation_are_valid_and_rest_on_figures_that_are_there";
    let Some(mut check) = promtool(test) else { return };
    let place = Place::new(Store::Sqlite);
    fs::write(place.path().join("alerts.yml"), alerts()).unwrap();
    check.args(["check", "rules", "--lint-fatal", "alerts.yml"]).current_dir(place.path());
    assert_passes(check);
    let server = place.serve();
    server.get("/livez").await;
    let (_, text) = figures(&server, "").await;
    let named = alerts().split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    for figure in named.filter(|word| word.starts_with("aegis_")) {
        let is_it = |line: &str| line.starts_with(figure) && line[figure.len()..].starts_with(['{', ' ']);
        assert!(text.as_str().unwrap().lines().any(is_it), "there is no {figure} in\n{text}");
    }
}

#[tokio::test]
async fn where_there_are_tokens_figures_take_one_of_their_own() {
    let place = Place::new(Store::Sqlite);
    let without = configured(&place, TOKENS);
    assert_eq!(figures(&without, "a long random token").await.0, 404);
    assert!(without.stop());
    let server = configured(&place, &format!("{TOKENS}[metrics]\ntoken_file = \"metrics.token\"\n"));
    assert_eq!(figures(&server, "operator").await.0, 401);
    assert_eq!(figures(&server, "a long random token").await.0, 200);
}

const TENANTS: &str = r#"
[clusters.local]
driver = "files"
tenants = ["default", "clicking"]
[tenants.clicking]
limits = "interactive"
[[auth.tokens]]
name = "clicker"
tenant = "clicking"
sha256 = "OTHER"
roles = ["operator"]
"#;

#[tokio::test]
async fn a_tenant_is_limited_where_the_configuration_says_so_and_nowhere_else() {
    let place = Place::new(Store::Sqlite);
    let tenants = TENANTS.replace("OTHER", &TokenHash::of("clicker").to_string());
    let server = configured(&place, &format!("{TOKENS}{tenants}"));
    let back_up = async |token: &str| {
        let ask = server.request(Method::POST, "/api/v1/backups/jobs").bearer_auth(token);
        let ask = ask.header("Content-Type", "application/json");
        ask.body(json!({"name": "now", "cluster": "local"}).to_string()).send().await.unwrap()
    };
    for left in (0..10).rev() {
        let made = back_up("clicker").await;
        assert_eq!((made.status().as_u16(), &made.headers()["x-ratelimit-remaining"]), (201, &left.into()));
        let unlimited = back_up("operator").await;
        assert_eq!((unlimited.status().as_u16(), unlimited.headers().get("x-ratelimit-limit")), (201, None));
    }
    let refused = back_up("clicker").await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
}
