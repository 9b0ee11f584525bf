//! Leases: who may act, for how long, and how late writes are told apart.

use std::{fmt, sync::Arc, time::Duration};

use super::Conflict;
use crate::{
    model::{ClusterName, StorageUri},
    seams::Monotonic,
};

/// What a lease is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName(Arc<str>);

impl LeaseName {
    /// The work of one cluster: its schedule, jobs, restores, checks, deletions.
    #[must_use]
    pub fn cluster(cluster: &ClusterName) -> Self {
        Self(format!("cluster/{cluster}").into())
    }

    /// The cluster whose work it is about, if it is that.
    #[must_use]
    pub fn as_cluster(&self) -> Option<ClusterName> {
        ClusterName::new(self.0.strip_prefix("cluster/")?).ok()
    }

    /// The sealing of the event log.
    #[must_use]
    pub fn sealer() -> Self {
        Self("sealer".into())
    }

    /// The counting of what the event log tells.
    #[must_use]
    pub fn figures() -> Self {
        Self("figures".into())
    }

    /// The keeping of the manifests in one storage location.
    #[must_use]
    pub fn manifests(location: &StorageUri) -> Self {
        Self(format!("manifests/{location}").into())
    }

    /// The anchoring of the event log's chains in one storage location.
    #[must_use]
    pub fn anchors(location: &StorageUri) -> Self {
        Self(format!("anchors/{location}").into())
    }

    /// The delivery of events to one notifier.
    #[must_use]
    pub fn notifier(name: &str) -> Self {
        Self(format!("notifier/{name}").into())
    }

    /// The forgetting of what nobody needs any more.
    #[must_use]
    pub fn pruner() -> Self {
        Self("pruner".into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who holds leases: one running engine. A restarted one is another holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HolderId(pub String);

impl fmt::Display for HolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a lease was granted anew; only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// The condition that a lease is still held, as a changeset carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub name: LeaseName,
    /// The grant.
    pub generation: Generation,
}

/// A lease that was granted.
///
/// The holder counts `valid_for` on its monotonic clock from *before* the claim, and stops acting
/// before it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What its changesets carry.
    pub fence: Fence,
    /// How long it is good for.
    pub valid_for: Duration,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Granted(Lease),
    /// Another has it.
    Held {
        /// Who.
        by: HolderId,
        /// For how long yet, unless it is renewed or given back.
        remaining: Duration,
    },
}

/// What a store knows of a lease: its newest grant, whose generation outlives it. Readings are of
/// the store's own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How often it was granted anew.
    pub generation: Generation,
    /// Who holds it, and until when; `None` once it was given back.
    pub held: Option<(HolderId, Monotonic)>,
}

impl Grant {
    /// Of a lease that nobody ever had.
    pub const NEVER: Self = Self { generation: Generation(0), held: None };

    /// Grants or renews the lease `name`, unless another holds it.
    pub fn claim(&mut self, name: &LeaseName, holder: &HolderId, ttl: Duration, now: Monotonic) -> Claim {
        match self.holder(now) {
            Some((by, until)) if by != holder => {
                return Claim::Held { by: by.clone(), remaining: until.since(now) };
            }
            Some(_) => {}
            None => self.generation = Generation(self.generation.0.saturating_add(1)),
        }
        self.held = Some((holder.clone(), now.after(ttl)));
        let fence = Fence { name: name.clone(), generation: self.generation };
        Claim::Granted(Lease { fence, valid_for: ttl })
    }

    /// Gives the lease back if `fence` is its newest grant.
    pub fn release(&mut self, fence: &Fence) {
        if self.generation == fence.generation {
            self.held = None;
        }
    }

    /// Whether the grant in `fence` is held.
    ///
    /// # Errors
    /// [`Conflict::Fenced`] if it is not.
    pub fn check(&self, fence: &Fence, now: Monotonic) -> Result<(), Conflict> {
        match self.holder(now) {
            Some(_) if self.generation == fence.generation => Ok(()),
            Some(_) | None => Err(Conflict::Fenced { name: fence.name.clone() }),
        }
    }

    fn holder(&self, now: Monotonic) -> Option<&(HolderId, Monotonic)> {
        self.held.as_ref().filter(|(_, until)| now < *until)
    }
}
