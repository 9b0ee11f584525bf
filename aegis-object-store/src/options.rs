//! How a storage is opened.

use std::{fmt, time::Duration};

use secrecy::SecretString;

/// How to open a storage; the default suits production.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StorageOptions {
    /// When a local write is acknowledged.
    pub durability: Durability,
    /// Who we are to a remote storage.
    pub credentials: Credentials,
    /// Another address than the cloud's own, as `https://s3.example.com`; bucket names follow it as
    /// a path.
    pub endpoint: Option<String>,
    /// The region of the bucket (S3 only; `AWS_REGION`, then `us-east-1`).
    pub region: Option<String>,
    /// Whether the connection must be encrypted.
    pub transport: Transport,
    /// How long and how often a remote storage is tried.
    pub retry: RetryLimits,
}

impl StorageOptions {
    /// These options with other credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// These options with another durability of local writes.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// These options with another address of the service.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// These options with the bucket's region.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// These options with another demand on the connection.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// These options with other limits.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryLimits) -> Self {
        self.retry = retry;
        self
    }
}

/// When a local write is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// After it has reached the disk: it survives a power cut.
    #[default]
    Synced,
    /// After the operating system has it: it survives a crash of the process, and is still whole
    /// or absent then, but not a power cut. For tests and scratch data.
    Buffered,
}

/// Whether the connection to a remote storage must be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// It must.
    #[default]
    TlsOnly,
    /// Plain HTTP is accepted: for test servers on this machine.
    PlainAllowed,
}

/// Who we are to a remote storage.
///
/// `Debug` and errors never show a secret.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// What the cloud's own tools would use: the `AWS_*`, `GOOGLE_*` or `AZURE_*` variables, else
    /// the identity of the workload or machine, which is asked of the cloud's metadata service.
    #[default]
    Environment,
    /// An S3 access key.
    S3 {
        /// Its public part.
        access_key_id: String,
        /// Its secret part.
        secret_access_key: SecretString,
        /// The token of temporary credentials.
        session_token: Option<SecretString>,
    },
    /// The JSON key of a Google service account.
    GcsServiceAccount {
        /// The whole JSON document.
        json: SecretString,
    },
    /// The shared key of an Azure storage account.
    AzureAccount {
        /// The account's name.
        account: String,
        /// Its key.
        access_key: SecretString,
    },
    /// The well-known account of the Azure emulator, whose address is taken from
    /// `AZURITE_BLOB_STORAGE_URL` (default `http://127.0.0.1:10000`).
    AzureEmulator,
    /// None: requests are not signed. For public buckets, and for emulators of S3 and GCS.
    Unsigned,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::S3 { .. } => "S3(redacted)",
            Self::GcsServiceAccount { .. } => "GcsServiceAccount(redacted)",
            Self::AzureAccount { .. } => "AzureAccount(redacted)",
            Self::AzureEmulator => "AzureEmulator",
            Self::Unsigned => "Unsigned",
        })
    }
}

/// How long and how often a remote storage is tried.
///
/// Conditional writes are never repeated inside, whatever these say: after a lost answer a repeated
/// one would be refused by its own effect. Their callers see `Indeterminate` and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryLimits {
    /// How often a request that may be repeated is repeated.
    pub retries: usize,
    /// After this long no repetition begins.
    pub for_at_most: Duration,
    /// How long to wait before the first repetition; later ones wait longer, up to 15 s.
    pub first_pause: Duration,
    /// How long one request may take, from its first byte to the last of its answer.
    pub request_timeout: Duration,
    /// How long it may take to be connected.
    pub connect_timeout: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self {
            retries: 6,
            for_at_most: Duration::from_secs(120),
            first_pause: Duration::from_millis(100),
            request_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl RetryLimits {
    /// So many repetitions at short waits: for servers on this machine, as in tests.
    #[must_use]
    pub fn nearby(retries: usize) -> Self {
        Self {
            retries,
            for_at_most: Duration::from_secs(10),
            first_pause: Duration::from_millis(10),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
        }
    }
}
