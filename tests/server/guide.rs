//! The guide of the API, run as it stands.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

use serde_json::Value;

use crate::process::{Place, Server, Store};

const GUIDE: &str = include_str!("../../docs/api.md");

/// The shell blocks of the guide, as one script.
fn script() -> String {
    let mut script = String::from("set -euo pipefail\n");
    let mut in_block = false;
    for line in GUIDE.lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block => script.extend([line, "\n"]),
            _ => {}
        }
    }
    script
}

/// What curl says of each call: a line that is found among whatever else is written there.
const CURLRC: &str = "write-out = \"%{stderr}\\ncalled %{method} %{url_effective}\\n\"\n";

/// From policy to restored files, every call of the guide, with curl; and that these are all that are served.
async fn follow(store: Store) {
    let place = Place::new(store);
    let server = place.serve();
    fs::write(place.path().join(".curlrc"), CURLRC).unwrap();
    let Output { status, stdout, stderr } = Command::new("bash")
        .args(["-x", "-c", &script()])
        .env("AEGIS", &server.url)
        .env("RESTORES", place.restores())
        .env("CURL_HOME", place.path())
        .current_dir(place.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{told}\n{}", String::from_utf8_lossy(&stdout));
    let restored = place.restores().join("documents");
    let compared = Command::new("diff").arg("-r").args([place.documents(), restored]).output().unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));

    let mut left = operations(&server).await;
    for (method, path) in told.lines().filter_map(|line| called(line, &server.url)) {
        left.retain(|operation| !is_call(operation, method, path));
    }
    assert!(left.is_empty(), "docs/api.md does not show how to call {left:#?}");
    assert!(server.stop(), "it stops when it is asked to");
}

/// The method and the path of a call, if the line tells of one.
fn called<'a>(line: &'a str, server: &str) -> Option<(&'a str, &'a str)> {
    let (method, url) = line.strip_prefix("called ")?.split_once(' ')?;
    let path = url.strip_prefix(server)?;
    Some((method, path.split('?').next().unwrap_or(path)))
}

/// Whether an operation, as `GET /api/v1/backups/jobs/{job_id}`, is what was called.
fn is_call(operation: &str, method: &str, path: &str) -> bool {
    let Some((of, template)) = operation.split_once(' ') else { return false };
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let same = |(pattern, part): (&&str, &&str)| pattern == part || pattern.starts_with('{');
    of == method && template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// Every operation that is served, by the document that says so.
async fn operations(server: &Server) -> BTreeSet<String> {
    let document = server.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let of_path = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.flat_map(of_path).collect()
}

#[tokio::test]
async fn the_guide_shows_every_operation_and_works_with_sqlite_and_brings_the_files_back() {
    follow(Store::Sqlite).await;
}

#[tokio::test]
async fn the_guide_shows_every_operation_and_works_with_postgres_and_brings_the_files_back() {
    let test = "the_guide_shows_every_operation_and_works_with_postgres_and_brings_the_files_back";
    if let Some(store) = Store::postgres(test) {
        follow(store).await;
    }
}

#[tokio::test]
async fn the_guide_lists_every_operation_that_is_served_and_no_other() {
    let place = Place::new(Store::Sqlite);
    let mut served = operations(&place.serve()).await;
    // The document does not list itself.
    served.insert("GET /openapi.json".to_owned());
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = rows.map(|(operation, _)| operation.to_owned()).collect();
    assert_eq!(listed, served);
}
