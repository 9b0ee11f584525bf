//! Webhooks of Aegis: signed [CloudEvents](https://cloudevents.io) to an HTTP address, from the event
//! log, at least once and in the log's order.
//!
//! A [`Webhook`] is a [`Notifier`](aegis_core::seams::Notifier): the engine keeps its place in the log
//! and repeats what was not taken.
//!
//! ```
//! use std::sync::Arc;
//! use aegis_core::engine::SystemClock;
//! use aegis_webhooks::{EventFilter, Webhook, WebhookOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # drop(rustls::crypto::ring::default_provider().install_default());
//! let options = WebhookOptions::new("pager", "https://pager.example.com/aegis", "a long random secret")?
//!     .with_events(["job.failed", "job.partially_failed"].map(str::parse).into_iter().collect::<Result<_, _>>()?);
//! let webhook = Webhook::new(options, Arc::new(SystemClock::new()));
//! // Aegis::builder().notifier(Arc::new(webhook))
//! # Ok(())
//! # }
//! ```
//!
//! # What is sent
//! One `POST` per event, `Content-Type: application/cloudevents+json`, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) are: `webhook-id` is the event's own id, by
//! which a receiver knows repetitions; `webhook-timestamp` is when it was sent, in seconds;
//! `webhook-signature` is `v1,` and the base64 of the HMAC-SHA256 of `ID.TIMESTAMP.BODY`. A secret
//! that begins with `whsec_` is base64.
//!
//! # What counts
//! An answer of the class 2xx is taken. `410 Gone` is a refusal; anything else, silence included, is
//! repeated by the engine, and holds up what comes after it, until the webhook's patience ends. Then
//! events are refused until one is taken again. A refused event is a dead letter, which the engine
//! keeps.
//!
//! # Where it may go
//! The host is resolved for each delivery, and the connection goes to an address that was looked at:
//! one that is private, of this machine, or otherwise not of the open internet is refused, unless the
//! options permit it. Redirections are not followed, and no proxy is used.

mod address;
mod deliver;
mod filter;
mod options;
mod sign;

pub use deliver::Webhook;
pub use filter::{EventFilter, EventPattern, UnknownEvents};
pub use options::{PrivateAddresses, WebhookError, WebhookOptions};
