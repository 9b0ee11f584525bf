//! A server of a test's own, to be killed: its writes are flushed, as in earnest.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

/// A running server, or a killed one.
pub(crate) struct Server {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Option<Child>,
}

/// The user that PostgreSQL runs as where the test runs as root, which it refuses to.
const OTHER_USER: [&str; 4] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];

impl Server {
    /// A new one with a database `aegis`, or `None` once the skip was said.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[]).await
    }

    /// The same with settings of its own.
    pub(crate) async fn start_with(test: &str, settings: &[&str]) -> Option<Self> {
        let Some(programs) = std::env::var_os("AEGIS_TEST_POSTGRES_BIN") else {
            aegis_core::testing::skip(
                test,
                "no PostgreSQL programs: run bash scripts/test.sh, or set AEGIS_TEST_POSTGRES_BIN",
            );
            return None;
        };
        let directory = TempDir::with_prefix("aegis-postgres-").unwrap();
        if rustix::process::getuid().is_root() {
            assert!(Command::new("chown").arg("postgres").arg(directory.path()).status().unwrap().success());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { programs: programs.into(), directory, port, settings, process: None };
        let mut initdb = server.command("initdb");
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        let made = initdb.arg("-D").arg(server.data()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run().await;
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        sqlx::query("create database aegis").execute(&mut admin).await.unwrap();
        Some(server)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if rustix::process::getuid().is_root() {
            let [name, arguments @ ..] = OTHER_USER;
            let mut command = Command::new(name);
            command.args(arguments).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.directory.path());
        command
    }

    /// Starts it and waits until it answers. What a killed one left may have to go first.
    #[expect(clippy::disallowed_methods, reason = "a real server takes real time")]
    pub(crate) async fn run(&mut self) {
        for _ in 0..300 {
            if self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some()) {
                let mut command = self.command("postgres");
                command.arg("-D").arg(self.data()).args(["-c", "listen_addresses=127.0.0.1", "-c"]);
                command.arg(format!("port={}", self.port)).arg("-c");
                command.arg(format!("unix_socket_directories={}", self.directory.path().display()));
                command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
                let quiet = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
                self.process = Some(quiet.spawn().unwrap());
            }
            if PgConnection::connect(&self.url("postgres")).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not start");
    }

    /// Kills its first process, as the machine's failure would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
