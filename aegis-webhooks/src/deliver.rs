//! Delivering: one signed request to an address that was looked at.

use std::{net::SocketAddr, sync::Arc};

use aegis_core::{
    model::SealedEvent,
    seams::{Clock, Monotonic, Notifier, NotifyError},
};
use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url, redirect::Policy};
use serde_json::{Value, json};
use tokio::{net::lookup_host, sync::Mutex};

use crate::{
    address::is_public,
    options::{PrivateAddresses, WebhookOptions},
    sign::signature,
};

/// A receiver of events over HTTP. See the [crate's documentation](crate) for what it is sent.
#[derive(Debug)]
pub struct Webhook {
    options: WebhookOptions,
    clock: Arc<dyn Clock>,
    /// Since when nothing was taken any more.
    failing: Mutex<Option<Monotonic>>,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("{0} can't be resolved: check the webhook's host")]
    Unresolved(String),
    #[error("{0} is not of the open internet: permit private addresses for this webhook if it is meant")]
    Private(String),
    #[error("plain HTTP is not permitted: use https")]
    Plain,
    #[error("the receiver did not answer: {0}")]
    Silent(String),
    #[error("the receiver answered {0}")]
    Answered(StatusCode),
}

impl Webhook {
    /// A webhook of these options.
    #[must_use]
    pub fn new(options: WebhookOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock, failing: Mutex::new(None) }
    }

    fn wants(&self, event: &SealedEvent) -> bool {
        let event = &event.event;
        let tenants = &self.options.tenants;
        self.options.events.wants(event.kind)
            && self.options.since.is_none_or(|since| event.at >= since)
            && (tenants.is_empty() || event.tenant.as_ref().is_some_and(|tenant| tenants.contains(tenant)))
    }

    async fn deliver(&self, event: &SealedEvent) -> Result<(), Undelivered> {
        let (client, url) = (self.client().await?, self.options.url.clone());
        let (id, body) = (event.event.id.to_string(), message(event).to_string());
        let now = self.clock.now().as_seconds().unsigned_abs();
        let request = client
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature(&self.options.secret, &id, now, &body))
            .body(body);
        let answer = request.send().await.map(|answer: Response| answer.status());
        // The address may hold a secret: it is left out of what is told.
        match answer.map_err(|error| Undelivered::Silent(error.without_url().to_string()))? {
            status if status.is_success() => Ok(()),
            status => Err(Undelivered::Answered(status)),
        }
    }

    /// A client that can only go to the addresses that were looked at now.
    async fn client(&self) -> Result<Client, Undelivered> {
        let options = &self.options;
        let strict = options.private == PrivateAddresses::Refused;
        if strict && options.url.scheme() != "https" {
            return Err(Undelivered::Plain);
        }
        let host = options.url.host_str().unwrap_or_default();
        let addresses = resolve(&options.url).await?;
        if let Some(inward) = addresses.iter().find(|address| strict && !is_public(address.ip())) {
            return Err(Undelivered::Private(inward.ip().to_string()));
        }
        let client = Client::builder()
            .resolve_to_addrs(host, &addresses)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(options.timeout)
            .build();
        client.map_err(|error| Undelivered::Silent(error.to_string()))
    }

    /// What a failure means for the event: again later, or never.
    async fn judge(&self, why: Undelivered) -> NotifyError {
        let now = self.clock.monotonic();
        let since = *self.failing.lock().await.get_or_insert(now);
        let gone = matches!(why, Undelivered::Answered(StatusCode::GONE));
        if gone || now.since(since) >= self.options.patience {
            NotifyError::Refused { reason: why.to_string() }
        } else {
            NotifyError::Unavailable { source: Box::new(why) }
        }
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &str {
        &self.options.name
    }

    async fn notify(&self, event: &SealedEvent) -> Result<(), NotifyError> {
        if !self.wants(event) {
            return Ok(());
        }
        match self.deliver(event).await {
            Ok(()) => {
                *self.failing.lock().await = None;
                Ok(())
            }
            Err(why) => Err(self.judge(why).await),
        }
    }
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, Undelivered> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((bare, port)).await.map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    if found.is_empty() { Err(Undelivered::Unresolved(host.to_owned())) } else { Ok(found) }
}

/// An event as a CloudEvent.
fn message(sealed: &SealedEvent) -> Value {
    let event = &sealed.event;
    let tenant = event.tenant.as_ref().map(ToString::to_string);
    json!({
        "specversion": "1.0",
        "id": event.id.to_string(),
        "source": format!("/aegis/{}", tenant.as_deref().unwrap_or_default()),
        "type": format!("aegis.{}", event.kind),
        "time": event.at.to_string(),
        "datacontenttype": "application/json",
        "data": {
            "position": sealed.position.0,
            "hash": sealed.hash.to_string(),
            "tenant": tenant,
            "subject": event.subject,
            "actor": event.actor.to_string(),
            "facts": event.facts,
        },
    })
}
