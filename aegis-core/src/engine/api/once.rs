//! Requests that a client may send again without doing twice what they ask for.

use std::time::Duration;

use super::Tenant;
use crate::{
    engine::EngineError,
    model::{EntityKey, EventFacts, EventKind, Reservation, ReservationKey},
    seams::{Changeset, Conflict, StoreExt},
};

/// How long a key stands at the least.
const STANDS_FOR: Duration = Duration::from_secs(24 * 3600);

/// A client's word that a request is the same as another under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// What is asked for: a key serves one route.
    pub route: String,
    /// The client's key; its own, beside those of others.
    pub key: String,
    /// A fingerprint of the request: the same key with another is refused.
    pub fingerprint: String,
}

impl Tenant {
    /// The same, with a request that takes effect once: the key is taken in the changeset that does
    /// what was asked, and refused where it stands already. Serves one call.
    ///
    /// Ask [`outcome`](Self::outcome) first, and again if the call fails: another of the same request
    /// may have been faster. A key stands for 24 hours at the least.
    #[must_use]
    pub fn once(mut self, once: Once) -> Self {
        self.once = Some(once);
        self
    }

    /// What became of the request that took this key, if one did: the entity that it made or changed.
    ///
    /// # Errors
    /// `InvalidInput` if it was another request; as every call.
    pub async fn outcome(&self) -> Result<Option<EntityKey>, EngineError> {
        let Some(once) = &self.once else { return Ok(None) };
        let key = self.key_of(once);
        let Some(taken) = self.core.store.find::<Reservation>(&self.scope(), key).await? else {
            return Ok(None);
        };
        if taken.request_hash.as_ref() != Some(&once.fingerprint) {
            return Err(EngineError::field("key", "it was used for another request: use a new key for each"));
        }
        Ok(Some(taken.owner.clone()))
    }

    /// Takes the request's key for `owner`, if it has one. First of all writes, so that a conflict
    /// names it before anything that the same request did.
    pub(super) fn take_key(&self, changeset: &mut Changeset, owner: EntityKey) {
        let Some(once) = &self.once else { return };
        let reservation = Reservation {
            key: self.key_of(once),
            tenant: self.tenant.clone(),
            owner,
            request_hash: Some(once.fingerprint.clone()),
            expires_at: Some(changeset.at.saturating_add(STANDS_FOR)),
        };
        changeset.insert(reservation, EventKind::ReservationMade, EventFacts::default());
        changeset.changes.rotate_right(1);
    }

    /// A conflict, unless it is over the request's own key: then it is done already.
    pub(super) fn unless_done(&self, conflict: Conflict) -> Result<Conflict, EngineError> {
        match (&self.once, &conflict) {
            (Some(once), Conflict::Exists { key: EntityKey::Reservation(key) })
                if *key == self.key_of(once) =>
            {
                Err(EngineError::AlreadyExists { what: "request under the key", name: once.key.clone() })
            }
            _ => Ok(conflict),
        }
    }

    fn key_of(&self, once: &Once) -> ReservationKey {
        ReservationKey::idempotency(&self.tenant, &self.principal, &once.route, &once.key)
    }
}
