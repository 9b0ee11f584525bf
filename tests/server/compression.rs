//! What goes out compressed, and what never does.

use std::{fs, process::Command};

use crate::process::{Place, Server, Store};

/// An answer, as curl has it.
#[derive(Debug)]
struct Answer {
    /// The names of the headers and what they hold, in small letters.
    headers: String,
    /// Unpacked.
    body: Vec<u8>,
    /// Of the body as it came.
    size: usize,
}

impl Answer {
    fn is(&self, encoding: &str) -> bool {
        self.headers.contains(&format!("content-encoding: {encoding}\r\n"))
    }
}

/// Asks for a path by a method, taking these encodings.
fn ask(server: &Server, method: &str, path: &str, encodings: &str) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let told = Command::new("curl")
        .args([
            "--silent",
            "--compressed",
            "--request",
            method,
            "--dump-header",
            "headers",
            "--output",
            "body",
        ])
        .args(["--header", &format!("Accept-Encoding: {encodings}"), "--write-out", "%{size_download}"])
        .arg(format!("{}{path}", server.url))
        .current_dir(folder.path())
        .output()
        .unwrap();
    Answer {
        headers: fs::read_to_string(folder.path().join("headers")).unwrap().to_lowercase(),
        body: fs::read(folder.path().join("body")).unwrap(),
        size: String::from_utf8(told.stdout).unwrap().parse().unwrap(),
    }
}

#[test]
fn a_big_answer_is_compressed_for_whoever_takes_it_so_and_is_the_same() {
    let place = Place::new(Store::Sqlite);
    let server = place.serve();
    let plain = ask(&server, "GET", "/openapi.json", "identity");
    assert!(
        !plain.headers.contains("content-encoding") && plain.size == plain.body.len(),
        "{}",
        plain.headers
    );
    for (encodings, taken) in [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd")] {
        let packed = ask(&server, "GET", "/openapi.json", encodings);
        assert!(packed.is(taken) && packed.headers.contains("vary: "), "{encodings}: {}", packed.headers);
        assert!(packed.body == plain.body, "{encodings}");
        assert!(packed.size * 4 < plain.size, "{encodings}: {} of {} bytes", packed.size, plain.size);
    }
}

#[test]
fn what_is_small_or_secret_or_has_a_version_goes_as_it_is() {
    let place = Place::new(Store::Sqlite);
    let server = place.serve();
    for (method, path) in [
        ("POST", "/api/v1/events/ticket"),
        ("GET", "/readyz"),
        ("GET", "/livez"),
        ("GET", "/health"),
        ("GET", "/"),
        ("GET", "/page/style.css"),
        ("GET", "/api/v1/nowhere"),
    ] {
        let answer = ask(&server, method, path, "gzip, zstd");
        assert!(!answer.headers.contains("content-encoding"), "{method} {path}: {}", answer.headers);
        assert_eq!(answer.size, answer.body.len(), "{method} {path}");
    }
}

#[test]
fn a_server_that_is_told_not_to_compresses_nothing() {
    let place = Place::new(Store::Sqlite);
    let mut command = place.command(&[]);
    command.env("AEGIS_HTTP_COMPRESSION", "false");
    let answer = ask(&Server::start(command), "GET", "/openapi.json", "gzip, zstd");
    assert!(!answer.headers.contains("content-encoding"), "{}", answer.headers);
}
