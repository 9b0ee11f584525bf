//! `Idempotency-Key`: a request that is sent again does nothing twice.

use std::future::Future;

use aegis_core::{
    engine::{EngineError, Once, Tenant},
    model::EntityKey,
};
use axum::{extract::FromRequestParts, http::request::Parts};
use sha2::{Digest, Sha256};

use crate::error::{AppError, ErrorCode};

const HEADER: &str = "idempotency-key";

/// The key of a request, if it has one, for the route that it was sent to.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(Option<(String, String)>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        let Some(key) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        let key = key.ok_or_else(|| {
            AppError::new(ErrorCode::BadRequest, "an Idempotency-Key is 1 to 255 visible ASCII characters")
        })?;
        // Hashed, so that no key can look like a part of the names that it is stored under.
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(Some((format!("{} {}", parts.method, parts.uri.path()), digest))))
    }
}

impl IdempotencyKey {
    /// The tenant, with the request's key if it has one.
    pub(crate) fn of(self, tenant: Tenant, fingerprint: String) -> Tenant {
        match self.0 {
            Some((route, key)) => tenant.once(Once { route, key, fingerprint }),
            None => tenant,
        }
    }
}

/// Does what a request asks for unless it was done under its key before; then answers what became
/// of that, as it is now.
pub(crate) async fn once<T, A, R>(
    tenant: &Tenant,
    act: A,
    replay: impl Fn(EntityKey) -> R + Send + Sync,
) -> Result<T, AppError>
where
    T: Send,
    A: Future<Output = Result<T, EngineError>> + Send,
    R: Future<Output = Result<T, EngineError>> + Send,
{
    if let Some(made) = outcome(tenant).await? {
        return Ok(replay(made).await?);
    }
    let refused = match act.await {
        Ok(done) => return Ok(done),
        Err(refused) => refused,
    };
    // The same request may have been faster, and stand in this one's way.
    match outcome(tenant).await? {
        Some(made) => Ok(replay(made).await?),
        None => Err(refused.into()),
    }
}

async fn outcome(tenant: &Tenant) -> Result<Option<EntityKey>, AppError> {
    tenant.outcome().await.map_err(|error| AppError::from(error).renaming("key", "Idempotency-Key"))
}

/// A key that names something that this route does not make.
pub(crate) fn stray(key: &EntityKey) -> EngineError {
    EngineError::Internal(format!("an idempotency key of this route names {key:?}"))
}
