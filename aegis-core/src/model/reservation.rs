//! Keys that at most one thing may have at a time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ArtifactName, DisplayName, EntityKey, Principal, TenantId, Timestamp};

/// A key that at most one changeset can take: a policy's name, an artifact's name, a client's
/// idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationKey(String);

impl ReservationKey {
    /// The name of a policy; unique per tenant.
    #[must_use]
    pub fn policy_name(tenant: &TenantId, name: &DisplayName) -> Self {
        Self(format!("policy-name/{tenant}/{name}"))
    }

    /// The name of what an attempt makes; unique everywhere.
    #[must_use]
    pub fn artifact(name: &ArtifactName) -> Self {
        Self(format!("artifact/{name}"))
    }

    /// The order that nothing of a tenant expires: taken by a rebuild, until a person gives it back.
    #[must_use]
    pub fn retention_freeze(tenant: &TenantId) -> Self {
        Self(format!("retention-freeze/{tenant}"))
    }

    /// A ticket, by its hash; unique everywhere.
    #[must_use]
    pub fn ticket(hash: &str) -> Self {
        Self(format!("ticket/{hash}"))
    }

    /// A client's idempotency key; unique per tenant, principal and route.
    #[must_use]
    pub fn idempotency(tenant: &TenantId, principal: &Principal, route: &str, key: &str) -> Self {
        Self(format!("idempotency/{tenant}/{route}/{principal}/{key}"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReservationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The key.
    pub key: ReservationKey,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it was taken for.
    pub owner: EntityKey,
    /// A fingerprint of the request that took it, where a repetition must be the same.
    pub request_hash: Option<String>,
    /// When it may be forgotten; never if `None`.
    pub expires_at: Option<Timestamp>,
}
