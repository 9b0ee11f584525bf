//! Where a DR test restores to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{ArtifactName, ClusterName, NamespaceName, RestoreTarget};

/// Where a DR test restores to: nowhere that anything lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTarget {
    /// The cluster to restore into; the record's own if not given.
    pub cluster: Option<ClusterName>,
    /// Where in it.
    pub destination: DrDestination,
}

/// Where in a cluster a DR test restores to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrDestination {
    /// Every namespace of the record, each to a folder of its own in a folder of the test's own
    /// below this one, which lies below one of the cluster's restore roots.
    Folder(String),
    /// These namespaces of the record, each to a namespace that nothing else lives in.
    Namespaces(BTreeMap<NamespaceName, NamespaceName>),
}

/// Why a DR test has no harmless place to restore to. Class `InvalidInput`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrTargetError {
    /// Nothing is mapped.
    #[error("no namespace is mapped: say for each where a DR test restores it to")]
    Nothing,
    /// The record lacks a namespace.
    #[error("the record does not hold `{0}`")]
    NotInRecord(NamespaceName),
    /// It would restore over what is protected.
    #[error("a DR test never restores in place: `{0}` is one of the namespaces that were backed up")]
    InPlace(NamespaceName),
    /// Two namespaces go to one.
    #[error("two namespaces would be restored into `{0}`")]
    Twice(NamespaceName),
    /// The folder is not absolute, or has `..` in it.
    #[error("`{0}` is not an absolute folder: name one below a restore root, without `..`")]
    Folder(String),
}

impl DrTarget {
    /// Where each namespace of a record goes, in a test of this name.
    ///
    /// # Errors
    /// [`DrTargetError`], above all if something would be restored in place.
    pub fn mapping(
        &self,
        source: &ClusterName,
        namespaces: &[NamespaceName],
        test: &ArtifactName,
    ) -> Result<BTreeMap<NamespaceName, RestoreTarget>, DrTargetError> {
        self.validate(source)?;
        match &self.destination {
            DrDestination::Folder(folder) => {
                let folder = folder.trim_end_matches('/');
                let own = |name: &NamespaceName| RestoreTarget::Path(format!("{folder}/{test}/{name}"));
                Ok(namespaces.iter().map(|name| (name.clone(), own(name))).collect())
            }
            DrDestination::Namespaces(targets) => {
                if let Some(missing) = targets.keys().find(|name| !namespaces.contains(name)) {
                    return Err(DrTargetError::NotInRecord(missing.clone()));
                }
                let lives = |name: &&NamespaceName| self.is_in(source) && namespaces.contains(name);
                if let Some(living) = targets.values().find(lives) {
                    return Err(DrTargetError::InPlace(living.clone()));
                }
                let own = |name: &NamespaceName| RestoreTarget::Namespace(name.clone());
                Ok(targets.iter().map(|(name, target)| (name.clone(), own(target))).collect())
            }
        }
    }

    /// What can be said without a record of cluster `source`.
    ///
    /// # Errors
    /// [`DrTargetError`].
    pub fn validate(&self, source: &ClusterName) -> Result<(), DrTargetError> {
        match &self.destination {
            DrDestination::Folder(folder) => {
                let is_sound = folder.starts_with('/') && !folder.split('/').any(|part| part == "..");
                if is_sound { Ok(()) } else { Err(DrTargetError::Folder(folder.clone())) }
            }
            DrDestination::Namespaces(targets) => {
                if targets.is_empty() {
                    return Err(DrTargetError::Nothing);
                }
                let lives = |name: &&NamespaceName| self.is_in(source) && targets.contains_key(*name);
                if let Some(living) = targets.values().find(lives) {
                    return Err(DrTargetError::InPlace(living.clone()));
                }
                let twice =
                    |name: &&NamespaceName| targets.values().filter(|other| other == name).count() > 1;
                targets.values().find(twice).map_or(Ok(()), |name| Err(DrTargetError::Twice(name.clone())))
            }
        }
    }

    /// Whether it lies in `cluster` itself.
    fn is_in(&self, cluster: &ClusterName) -> bool {
        self.cluster.as_ref().is_none_or(|target| target == cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DisplayName, Timestamp};

    fn name(text: &str) -> NamespaceName {
        NamespaceName::new(text).unwrap()
    }

    fn into(target: Option<&str>, pairs: &[(&str, &str)]) -> DrTarget {
        DrTarget {
            cluster: target.map(|target| ClusterName::new(target).unwrap()),
            destination: DrDestination::Namespaces(
                pairs.iter().map(|(from, to)| (name(from), name(to))).collect(),
            ),
        }
    }

    fn map(target: &DrTarget) -> Result<BTreeMap<NamespaceName, RestoreTarget>, DrTargetError> {
        let test = ArtifactName::generate(&DisplayName::new("drill").unwrap(), Timestamp::UNIX_EPOCH);
        target.mapping(&ClusterName::new("prod").unwrap(), &[name("app"), name("db")], &test)
    }

    #[test]
    fn nothing_is_ever_restored_over_what_was_backed_up() {
        assert_eq!(map(&into(None, &[("app", "app")])), Err(DrTargetError::InPlace(name("app"))));
        assert_eq!(map(&into(Some("prod"), &[("app", "db")])), Err(DrTargetError::InPlace(name("db"))));
        assert!(map(&into(None, &[("app", "app-drill")])).is_ok());
        assert!(map(&into(Some("lab"), &[("app", "app")])).is_ok());
    }

    #[test]
    fn a_mapping_is_whole_and_has_no_two_into_one() {
        assert_eq!(map(&into(None, &[])), Err(DrTargetError::Nothing));
        assert_eq!(map(&into(None, &[("gone", "x")])), Err(DrTargetError::NotInRecord(name("gone"))));
        assert_eq!(map(&into(None, &[("app", "x"), ("db", "x")])), Err(DrTargetError::Twice(name("x"))));
    }

    #[test]
    fn a_folder_is_the_tests_own_and_holds_each_namespace_apart() {
        let target = DrTarget { cluster: None, destination: DrDestination::Folder("/lab/".to_owned()) };
        let paths: Vec<_> = map(&target).unwrap().into_values().collect();
        assert_eq!(paths, ["app", "db"].map(|name| RestoreTarget::Path(format!("/lab/oco-drill-0/{name}"))));
        for bad in ["lab", "/lab/../etc", ""] {
            let target = DrTarget { cluster: None, destination: DrDestination::Folder(bad.to_owned()) };
            assert_eq!(map(&target), Err(DrTargetError::Folder(bad.to_owned())));
        }
    }
}
