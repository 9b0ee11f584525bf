//! The HTTP API of Aegis: an axum router over the engine.
//!
//! [`router`] is all that an embedder needs. It answers the API below `/api/v1`, every failure in
//! one envelope, with its own description at `/openapi.json`, and mounts into anyone's router:
//!
//! ```
//! use std::sync::Arc;
//! use aegis_core::{engine::Aegis, testing::{ManualClock, MemoryObjectStorage, ScriptedDriver}};
//! use aegis_http::{Access, HttpOptions, Identity, Role, Token, TokenHash};
//! use aegis_store_memory::MemoryStore;
//! use axum::{Router, routing::get};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let clock = Arc::new(ManualClock::starting_at("2026-02-06T16:00:00Z".parse()?));
//! # let driver = ScriptedDriver::new(clock.clone());
//! # let storage = MemoryObjectStorage::new("s3://oco-backups/prod-us-east-1/".parse()?, clock.clone());
//! let engine = Aegis::builder()
//!     .store(Arc::new(MemoryStore::new(clock.clone())))
//!     .cluster("prod-us-east-1", Arc::new(driver))
//!     .storage(Arc::new(storage))
//!     .build()?;
//! let ops = Token {
//!     hash: TokenHash::of("a long random secret"), // configure the hash, not the secret
//!     identity: Identity { tenant: "default".parse()?, principal: "ops".parse()?, role: Role::Operator },
//! };
//! let options = HttpOptions::default().with_access(Access::Tokens([ops].into_iter().collect()));
//! let app: Router = Router::new()
//!     .route("/hello", get(|| async { "a route of your own" }))
//!     .merge(aegis_http::router(engine, options));
//! # Ok(())
//! # }
//! ```
//!
//! Without tokens everyone who reaches the port is the admin of the tenant `default`; such a router
//! answers only to requests that name this machine by a loopback name. An embedder who knows their
//! callers already uses [`Access::Embedder`].

mod api;
mod app;
mod auth;
mod error;
mod extract;
mod idempotency;
mod json;
mod lifecycle;
mod limits;
mod metrics;
mod openapi;
mod options;
mod request;
mod router;
mod wire;

pub use auth::{Access, Identity, Role, Token, TokenHash, TokenHashError, Tokens, UnknownRole};
pub use error::{AppError, ErrorBody, ErrorCode, ErrorDetail};
pub use lifecycle::{Lifecycle, Phase};
pub use limits::LimitProfile;
pub use metrics::Metrics;
pub use options::{HttpOptions, StoreKind};
pub use router::router;
