//! Leases: who holds what, for how long yet, under which grant.

use std::{collections::HashMap, time::Duration};

use aegis_core::seams::{Claim, Conflict, Fence, Generation, HolderId, Lease, LeaseName, Monotonic};

/// The newest grant of a lease; its generation outlives it.
#[derive(Debug)]
struct Grant {
    generation: Generation,
    /// `None` once it was given back.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    by: HolderId,
    until: Monotonic,
}

impl Grant {
    /// Who holds it at `now`, if anybody does.
    fn holder(&self, now: Monotonic) -> Option<&Held> {
        self.held.as_ref().filter(|held| now < held.until)
    }
}

/// Every lease that was ever granted.
#[derive(Debug, Default)]
pub(crate) struct Leases(HashMap<LeaseName, Grant>);

impl Leases {
    /// Grants or renews a lease, unless another holds it.
    pub(crate) fn claim(
        &mut self,
        name: &LeaseName,
        holder: &HolderId,
        ttl: Duration,
        now: Monotonic,
    ) -> Claim {
        let grant =
            self.0.entry(name.clone()).or_insert_with(|| Grant { generation: Generation(0), held: None });
        match grant.holder(now) {
            Some(held) if held.by != *holder => {
                return Claim::Held { by: held.by.clone(), remaining: held.until.since(now) };
            }
            Some(_) => {}
            None => grant.generation = Generation(grant.generation.0.saturating_add(1)),
        }
        grant.held = Some(Held { by: holder.clone(), until: now.after(ttl) });
        let fence = Fence { name: name.clone(), generation: grant.generation };
        Claim::Granted(Lease { fence, valid_for: ttl })
    }

    /// Gives a lease back if `fence` is its newest grant.
    pub(crate) fn release(&mut self, fence: &Fence) {
        if let Some(grant) = self.0.get_mut(&fence.name).filter(|grant| grant.generation == fence.generation)
        {
            grant.held = None;
        }
    }

    /// Checks that the grant in `fence` is held.
    pub(crate) fn check(&self, fence: &Fence, now: Monotonic) -> Result<(), Conflict> {
        self.0
            .get(&fence.name)
            .filter(|grant| grant.generation == fence.generation && grant.holder(now).is_some())
            .map(|_| ())
            .ok_or_else(|| Conflict::Fenced { name: fence.name.clone() })
    }
}
