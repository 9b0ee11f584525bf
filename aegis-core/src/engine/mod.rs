//! The engine: what to do next, decided by pure functions and carried out by a thin runtime.

mod aegis;
mod api;
mod clock;
mod decide;
mod error;
mod ids;
mod options;
mod runtime;

pub use aegis::Aegis;
pub use api::*;
pub use clock::SystemClock;
pub use error::{EngineError, FieldError};
pub use ids::IdSource;
pub use options::{ClusterOptions, EngineOptions, TenantOptions};
pub use runtime::{AegisBuilder, BuildError, Connection, Health, LogVerification, Manifest, Running};
