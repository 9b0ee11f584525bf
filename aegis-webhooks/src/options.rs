//! What a webhook is told.

use std::{fmt, time::Duration};

use aegis_core::model::{TenantId, Timestamp};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::filter::EventFilter;

/// Whether a webhook may go to addresses that are not of the open internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PrivateAddresses {
    /// It may not, and only by HTTPS: whoever chose the address can't reach what only we can.
    #[default]
    Refused,
    /// It may, and by plain HTTP, too.
    Permitted,
}

/// Why a webhook can't be. Class `InvalidInput`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The address is none.
    #[error("this is no address of a webhook: write https://HOST/PATH, without user and password")]
    Url,
    /// The secret could be guessed.
    #[error("the webhook's secret is shorter than 16 characters: make a long random one")]
    Secret,
}

/// Where a webhook goes, what it sends, and how long it tries.
#[derive(Clone)]
pub struct WebhookOptions {
    pub(crate) name: String,
    pub(crate) url: Url,
    pub(crate) secret: SecretString,
    pub(crate) events: EventFilter,
    pub(crate) tenants: Vec<TenantId>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) private: PrivateAddresses,
    pub(crate) timeout: Duration,
    pub(crate) patience: Duration,
}

impl WebhookOptions {
    /// Every event of every tenant, to `url`. The engine keeps the place in the log under `name`.
    ///
    /// # Errors
    /// [`WebhookError`] (invalid input).
    pub fn new(
        name: impl Into<String>,
        url: &str,
        secret: impl Into<SecretString>,
    ) -> Result<Self, WebhookError> {
        let url: Url = url.parse().map_err(|_| WebhookError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.host().is_some();
        if !plain || !matches!(url.scheme(), "http" | "https") {
            return Err(WebhookError::Url);
        }
        let secret = secret.into();
        if secret.expose_secret().len() < 16 {
            return Err(WebhookError::Secret);
        }
        Ok(Self {
            name: name.into(),
            url,
            secret,
            events: EventFilter::all(),
            tenants: Vec::new(),
            since: None,
            private: PrivateAddresses::Refused,
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(24 * 3600),
        })
    }

    /// Only these events.
    #[must_use]
    pub fn with_events(mut self, events: EventFilter) -> Self {
        self.events = events;
        self
    }

    /// Only what is these tenants'; everyone's if there are none.
    #[must_use]
    pub fn for_tenants(mut self, tenants: impl IntoIterator<Item = TenantId>) -> Self {
        self.tenants = tenants.into_iter().collect();
        self
    }

    /// Nothing that happened before this: a new webhook begins at the log's beginning.
    #[must_use]
    pub const fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    /// Whether it may go to addresses that are not of the open internet; it may not unless said.
    #[must_use]
    pub const fn with_private_addresses(mut self, private: PrivateAddresses) -> Self {
        self.private = private;
        self
    }

    /// How long a delivery may take; 10 s unless said.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long after its last success a receiver is waited for, before what it does not take
    /// becomes a dead letter; a day unless said.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl fmt::Debug for WebhookOptions {
    /// Without the secret, and without the address's path and query, which may hold one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookOptions")
            .field("name", &self.name)
            .field("host", &self.url.host_str())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
