//! What is known of a cluster: what it has, and what goes on in it that keeps other things from starting.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{ClusterName, DrTestId, ExecutionId, NamespaceName, NamespaceSelection, Timestamp};

/// The restores that are active in a cluster, over all tenants, and the namespaces that it has.
///
/// One entity, so that two restores whose namespaces overlap can't both be committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// The cluster.
    pub cluster: ClusterName,
    /// What is being restored into.
    pub restores: Vec<ActiveRestore>,
    /// Which namespaces it was seen to have; `None` while nobody could look.
    pub discovery: Option<Discovery>,
}

/// Which namespaces a cluster was seen to have, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// The first look. What was there then may be as old as the cluster.
    pub since: Timestamp,
    /// When each that is there was seen first.
    pub namespaces: BTreeMap<NamespaceName, Timestamp>,
}

impl Discovery {
    /// The first look.
    #[must_use]
    pub fn begin(namespaces: impl IntoIterator<Item = NamespaceName>, at: Timestamp) -> Self {
        Self { since: at, namespaces: namespaces.into_iter().map(|name| (name, at)).collect() }
    }

    /// What is known after another look; `None` if that is the same. One that went and came back is
    /// another.
    #[must_use]
    pub fn after(&self, namespaces: &[NamespaceName], at: Timestamp) -> Option<Self> {
        let first_seen = |name: &NamespaceName| self.namespaces.get(name).copied().unwrap_or(at);
        let next = namespaces.iter().map(|name| (name.clone(), first_seen(name))).collect();
        (next != self.namespaces).then_some(Self { since: self.since, namespaces: next })
    }

    /// Since when a namespace that is there at `now` is there, if it came after the first look.
    #[must_use]
    pub fn appeared_at(&self, namespace: &NamespaceName, now: Timestamp) -> Option<Timestamp> {
        let first_seen = self.namespaces.get(namespace).copied().unwrap_or(now);
        (first_seen > self.since).then_some(first_seen)
    }
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
        Self { cluster, restores: Vec::new(), discovery: None }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<NamespaceName> {
        text.split(' ').map(|name| NamespaceName::new(name).unwrap()).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_was_there_at_the_first_look_never_appeared() {
        let known = Discovery::begin(names("app db"), at(1));
        assert_eq!(known.appeared_at(&names("app")[0], at(9)), None);
        assert_eq!(known.after(&names("app db"), at(2)), None);
    }

    #[test]
    fn what_came_later_appeared_when_it_was_seen_first() {
        let known = Discovery::begin(names("app"), at(1)).after(&names("app db"), at(5)).unwrap();
        let known = known.after(&names("app db web"), at(7)).unwrap();
        assert_eq!(known.appeared_at(&names("db")[0], at(9)), Some(at(5)));
        assert_eq!(known.appeared_at(&names("not-seen-yet")[0], at(9)), Some(at(9)));
    }

    #[test]
    fn what_went_and_came_back_is_new_again() {
        let known = Discovery::begin(names("app db"), at(1)).after(&names("app"), at(5)).unwrap();
        let known = known.after(&names("app db"), at(8)).unwrap();
        assert_eq!(known.appeared_at(&names("db")[0], at(9)), Some(at(8)));
    }
}
