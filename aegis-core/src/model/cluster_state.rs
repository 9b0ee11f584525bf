//! What goes on in a cluster that keeps other things from starting.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ClusterName, DrTestId, ExecutionId, NamespaceName, NamespaceSelection, Timestamp};

/// The restores that are active in a cluster, over all tenants.
///
/// One entity, so that two restores whose namespaces overlap can't both be committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// The cluster.
    pub cluster: ClusterName,
    /// What is being restored into.
    pub restores: Vec<ActiveRestore>,
}

/// What restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoredBy {
    /// A recovery execution.
    Execution(ExecutionId),
    /// A DR test.
    DrTest(DrTestId),
}

impl fmt::Display for RestoredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution(id) => write!(f, "execution `{id}`"),
            Self::DrTest(id) => write!(f, "DR test `{id}`"),
        }
    }
}

/// A restore that is active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRestore {
    /// What restores.
    pub by: RestoredBy,
    /// What it writes to, by the names at the target.
    pub namespaces: Vec<NamespaceName>,
    /// Since when.
    pub since: Timestamp,
}

impl ClusterState {
    /// A cluster in which nothing goes on.
    #[must_use]
    pub const fn new(cluster: ClusterName) -> Self {
        Self { cluster, restores: Vec::new() }
    }

    /// The first active restore into a namespace that `selection` has.
    #[must_use]
    pub fn restore_into(&self, selection: &NamespaceSelection) -> Option<&ActiveRestore> {
        self.restores.iter().find(|active| active.namespaces.iter().any(|name| selection.matches(name)))
    }

    /// The first active restore into one of `namespaces`.
    #[must_use]
    pub fn restore_into_any(&self, namespaces: &[NamespaceName]) -> Option<&ActiveRestore> {
        self.restores.iter().find(|active| active.namespaces.iter().any(|name| namespaces.contains(name)))
    }
}
