//! What goes on in a cluster that keeps other things from starting.

use serde::{Deserialize, Serialize};

use super::{ClusterName, ExecutionId, NamespaceName, NamespaceSelection, Timestamp};

/// The recovery executions that are active in a cluster, over all tenants.
///
/// One entity, so that two executions whose namespaces overlap can't both be committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// The cluster.
    pub cluster: ClusterName,
    /// What is being restored into.
    pub restores: Vec<ActiveRestore>,
}

/// A recovery execution that is active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRestore {
    /// The execution.
    pub execution: ExecutionId,
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
