//! Tickets: what lets someone in once, a short time after they were given it.

use std::time::Duration;

use super::Tenant;
use crate::{
    engine::{
        Aegis, EngineError,
        runtime::{Outcome, commit},
    },
    model::{EntityKey, EventFacts, EventKind, Principal, Reservation, ReservationKey, TenantId, Timestamp},
    seams::{Scope, StoreExt},
};

impl Tenant {
    /// Notes that whoever comes with the ticket of this hash within `valid_for` may enter for this
    /// tenant, once. Answers until when. It is kept in the store, so that every engine over it
    /// knows it; the ticket itself is kept nowhere.
    ///
    /// # Errors
    /// `AlreadyExists` if the hash is another ticket's; as every call.
    pub async fn issue_ticket(&self, hash: &str, valid_for: Duration) -> Result<Timestamp, EngineError> {
        let (changeset, expires_at) = {
            let decider = self.decider();
            let expires_at = decider.now.saturating_add(valid_for);
            let key = ReservationKey::ticket(hash);
            let ticket = Reservation {
                owner: EntityKey::Reservation(key.clone()),
                key,
                tenant: self.tenant.clone(),
                request_hash: None,
                expires_at: Some(expires_at),
            };
            let mut changeset = self.changeset(&decider);
            changeset.insert(ticket, EventKind::ReservationMade, EventFacts::default());
            (changeset, expires_at)
        };
        match self.commit(changeset).await? {
            None => Ok(expires_at),
            Some(_) => Err(EngineError::AlreadyExists { what: "ticket", name: hash.to_owned() }),
        }
    }
}

impl Aegis {
    /// Whom the ticket of this hash lets in, if it was issued, is not over and was not used: it is
    /// used up by this call. Of several calls at once, on whichever engine, one is let in.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn redeem_ticket(&self, hash: &str) -> Result<Option<TenantId>, EngineError> {
        let core = self.core();
        let key = ReservationKey::ticket(hash);
        let found = core.store.find::<Reservation>(&Scope::Everyone, key).await?;
        let now = core.clock.now();
        let Some(ticket) = found.filter(|ticket| ticket.expires_at.is_some_and(|end| now < end)) else {
            return Ok(None);
        };
        let mut changeset = core.decider(None).changeset_by(Principal::engine());
        changeset.delete(&ticket, EventKind::ReservationReleased, EventFacts::default());
        match commit(core, changeset).await? {
            Outcome::Applied => Ok(Some(ticket.tenant.clone())),
            Outcome::Conflict(_) => Ok(None),
        }
    }
}
