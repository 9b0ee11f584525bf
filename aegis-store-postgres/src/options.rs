//! How the store gets at its database.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::{migrate::quoted, pool::Pool};

/// A text that is no URL of a PostgreSQL database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUrl;

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no URL of a PostgreSQL database; write postgres://USER@HOST:PORT/DATABASE")
    }
}

impl std::error::Error for InvalidUrl {}

/// Where the database is, and how the store uses it.
///
/// The password, if there is one, is shown by neither `Debug` nor any error.
#[derive(Clone)]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    schema: String,
    connections: u32,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

/// Statements that each connection keeps prepared. Commits have one text for each set of kinds of
/// entities that they write, lists one for each set of filters.
const PREPARED: usize = 1_000;

/// How many connections are kept for leases and sealing.
const RESERVED: u32 = 2;

impl PostgresOptions {
    /// The database at `url`: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
    ///
    /// `sslmode` is `disable`, `allow`, `prefer` (the default), `require`, `verify-ca` or
    /// `verify-full`; certificates are judged by what the system trusts, or by the file that
    /// `sslrootcert` names. What the URL leaves out comes from the variables `PGHOST`, `PGPORT`,
    /// `PGUSER`, `PGDATABASE`, `PGPASSWORD` and from `~/.pgpass`.
    ///
    /// # Errors
    /// [`InvalidUrl`], which does not repeat the text.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(InvalidUrl);
        }
        let connect = PgConnectOptions::from_str(url).map_err(|_| InvalidUrl)?;
        Ok(Self {
            connect: connect.application_name("aegis"),
            schema: "aegis".to_owned(),
            connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        })
    }

    /// At most so many connections; 10 unless said. At least 1. Two more are kept for leases and the
    /// sealing of events, so that slow reads hold up neither, and each stream of hints has one beside them.
    #[must_use]
    pub fn connections(self, connections: u32) -> Self {
        Self { connections: if connections == 0 { 1 } else { connections }, ..self }
    }

    /// How long a call waits for a connection before it is `Unavailable`; 5 s unless said.
    #[must_use]
    pub fn acquire_timeout(self, acquire_timeout: Duration) -> Self {
        Self { acquire_timeout, ..self }
    }

    /// How long a statement may take before the database cancels it; 30 s unless said. At least 1 ms.
    /// Changes of the schema may take longer.
    #[must_use]
    pub fn statement_timeout(self, statement_timeout: Duration) -> Self {
        Self { statement_timeout: statement_timeout.max(Duration::from_millis(1)), ..self }
    }

    /// The schema that has the store's tables, made if it is missing; `aegis` unless said.
    #[must_use]
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..self }
    }

    /// What the database's own lists of its connections call us; `aegis` unless said.
    #[must_use]
    pub fn application_name(self, name: &str) -> Self {
        Self { connect: self.connect.application_name(name), ..self }
    }

    /// Whether certificates are judged by this file of PEM certificates instead of by what the system
    /// trusts.
    #[must_use]
    pub fn root_certificate(self, file: impl Into<PathBuf>) -> Self {
        Self { connect: self.connect.ssl_root_cert(file.into()), ..self }
    }

    pub(crate) fn schema_name(&self) -> &str {
        &self.schema
    }

    /// A pool of one connection that stays open, to listen on.
    pub(crate) fn listening(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(self.acquire_timeout)
            .connect_lazy_with(self.connect.clone())
    }

    pub(crate) const fn most_connections(&self) -> u32 {
        self.connections
    }

    /// A pool for leases and sealing, which connects when it is first used.
    pub(crate) fn reserved_pool(&self) -> Pool {
        self.pool_of(RESERVED)
    }

    /// A pool for all else, which connects when it is first used.
    pub(crate) fn pool(&self) -> Pool {
        self.pool_of(self.connections)
    }

    fn pool_of(&self, places: u32) -> Pool {
        // `jit` and new plans for each value cost more than they bring to statements this small.
        let connect = self.connect.clone().statement_cache_capacity(PREPARED).options([
            ("search_path", quoted(&self.schema)),
            ("statement_timeout", self.statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", "60000".to_owned()),
            ("jit", "off".to_owned()),
        ]);
        Pool::new(connect, places, self.acquire_timeout, self.statement_timeout)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("schema", &self.schema)
            .field("connections", &self.connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}
