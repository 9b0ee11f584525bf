//! A server process of a test's own, in a directory of its own.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use aegis::{engine::SystemClock, seams::Clock, testing::skip};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use uuid::Uuid;

/// What a server remembers in.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Sqlite,
    /// A schema of its own in the tests' database.
    Postgres {
        url: String,
        schema: String,
    },
}

impl Store {
    /// PostgreSQL, if this machine runs it for tests.
    pub(crate) fn postgres(test: &str) -> Option<Self> {
        let Ok(server) = env::var("AEGIS_TEST_POSTGRES") else {
            skip(test, "no AEGIS_TEST_POSTGRES: run it with scripts/test-servers.sh");
            return None;
        };
        let schema = format!("server_{}", Uuid::new_v4().simple());
        Some(Self::Postgres { url: format!("{server}/postgres"), schema })
    }
}

/// A place for a server: its data directory, and documents to protect.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

impl Place {
    pub(crate) fn new(store: Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let documents = folder.path().join("documents");
        fs::create_dir_all(documents.join("books")).unwrap();
        fs::write(documents.join("books/ledger.csv"), "1;apples\n2;pears\n").unwrap();
        fs::write(documents.join("notes.txt"), "not lost\n").unwrap();
        std::os::unix::fs::symlink("notes.txt", documents.join("latest")).unwrap();
        Self { folder, store }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn documents(&self) -> PathBuf {
        self.path().join("documents")
    }

    /// Where the server may restore.
    pub(crate) fn restores(&self) -> PathBuf {
        self.path().join("aegis-data/restores")
    }

    /// The server's command, with these arguments beside its place.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.path()).args(["--listen", "127.0.0.1:0"]).args(arguments);
        if let Store::Postgres { url, schema } = &self.store {
            command.env("AEGIS_STORE_URL", url).env("AEGIS_STORE_SCHEMA", schema);
        }
        command
    }

    /// A server that protects the documents.
    pub(crate) fn serve(&self) -> Server {
        let documents = format!("documents={}", self.documents().display());
        Server::start(self.command(&["--protect", &documents]))
    }
}

/// The example, built by the test command.
pub(crate) fn program() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("examples/server");
    assert!(program.exists(), "build it first: cargo build --all-features --example server");
    program
}

/// A server that runs. It is killed when the test ends.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Kept, so that the server can go on writing to it.
    _output: BufReader<ChildStdout>,
    pub(crate) url: String,
    client: Client,
    token: Option<String>,
}

impl Server {
    /// Runs the command until it says where it is.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        let url = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the server did not start: {told}");
            if let Some(api) = line.trim().strip_prefix("api ") {
                break api.trim().split("/api/v1").next().unwrap().to_owned();
            }
            told += &line;
        };
        Self { child, _output: output, url, client: client(), token: None }
    }

    /// Asked with this token from now on.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await.unwrap();
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(body)).await.unwrap()
    }

    /// The answer, or why there was none.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        self.ask_as("", method, path, body).await
    }

    /// The same under an idempotency key, if it is not empty.
    pub(crate) async fn ask_as(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request = self.request(method, path);
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        answer(request).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// What lies at `path`, once the status at `pointer` is an end.
    pub(crate) async fn ended(&self, path: &str, pointer: &str) -> Value {
        for _ in 0..600 {
            let found = self.get(path).await;
            let status = found.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if !matches!(status, "pending" | "in_progress" | "executing" | "running") {
                return found;
            }
            SystemClock::new().sleep(Duration::from_millis(100)).await;
        }
        panic!("{path} did not end within a minute")
    }

    /// Kills it, as the system would that has no memory left.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Asks it to stop, and waits; whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().unwrap().success()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The answer, as JSON if it is.
pub(crate) async fn answer(request: RequestBuilder) -> reqwest::Result<(StatusCode, Value)> {
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

fn client() -> Client {
    // The first test of the process chooses; the choice is the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

/// What a server says that does not start.
pub(crate) fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}
