//! The guide of the API, run as it stands.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use crate::process::{Place, Store};

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

/// From policy to restored files, every call of the guide, with curl.
fn follow(store: Store) {
    let place = Place::new(store);
    let server = place.serve();
    let Output { status, stdout, stderr } = Command::new("bash")
        .args(["-x", "-c", &script()])
        .env("AEGIS", &server.url)
        .env("RESTORES", place.restores())
        .current_dir(place.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{told}\n{}", String::from_utf8_lossy(&stdout));
    let restored = place.restores().join("documents");
    let compared = Command::new("diff").arg("-r").args([place.documents(), restored]).output().unwrap();
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    assert!(server.stop(), "it stops when it is asked to");
}

#[test]
fn every_call_of_the_guide_works_with_sqlite_and_brings_the_files_back() {
    follow(Store::Sqlite);
}

#[test]
fn every_call_of_the_guide_works_with_postgres_and_brings_the_files_back() {
    let test = "every_call_of_the_guide_works_with_postgres_and_brings_the_files_back";
    if let Some(store) = Store::postgres(test) {
        follow(store);
    }
}

#[tokio::test]
async fn the_guide_lists_every_operation_that_is_served() {
    let place = Place::new(Store::Sqlite);
    let document = place.serve().get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap().iter();
    let served: BTreeSet<String> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<String> = rows.map(|(operation, _)| operation.to_owned()).collect();
    let missing: Vec<_> = served.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/api.md does not list {missing:?}");
}
