//! What a driver can do, as data.

use std::collections::BTreeSet;

use crate::model::{BackupKind, Consistency, VerificationLevel, machine_labels};

machine_labels! {
    /// Something that a driver may or may not be able to do.
    Feature {
        /// A running backup can be cancelled.
        CancelBackup = "cancel_backup",
        /// A running restore can be cancelled.
        CancelRestore = "cancel_restore",
        /// A restore can be previewed.
        Preview = "preview",
        /// A record's entries can be listed.
        Browse = "browse",
        /// A location's contents can be listed.
        Inventory = "inventory",
        /// Chosen paths of a record can be restored.
        SelectPaths = "select_paths",
        /// A namespace can be restored under another namespace's name.
        MapNamespaces = "map_namespaces",
        /// A namespace can be restored to a path below a restore root.
        MapToPaths = "map_to_paths",
        /// A restore can overwrite what differs.
        UpdateExisting = "update_existing",
        /// What a trial restore made can be removed again.
        CleanUp = "clean_up",
        /// Volumes can be left out or included.
        Volumes = "volumes",
        /// Backups depend on one another, and deletion must respect it.
        Chains = "chains",
        /// Recovery to a chosen instant between backups.
        PointInTime = "point_in_time",
    }
}

/// What a driver can do. What is not declared answers `Unsupported`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The driver's name in messages and metrics, as `files`.
    pub driver: &'static str,
    /// Kinds of backup that it can make.
    pub kinds: BTreeSet<BackupKind>,
    /// Levels up to which it can verify a record by itself.
    pub verification: BTreeSet<VerificationLevel>,
    /// What else it can do.
    pub features: BTreeSet<Feature>,
    /// What instant its backups reflect.
    pub consistency: Consistency,
}

impl Capabilities {
    /// A driver that can make full backups and nothing else yet.
    #[must_use]
    pub fn new(driver: &'static str, consistency: Consistency) -> Self {
        Self {
            driver,
            kinds: BTreeSet::from([BackupKind::Full]),
            verification: BTreeSet::new(),
            features: BTreeSet::new(),
            consistency,
        }
    }

    /// With these kinds of backup.
    #[must_use]
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = BackupKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// With these levels of verification.
    #[must_use]
    pub fn with_verification(mut self, levels: impl IntoIterator<Item = VerificationLevel>) -> Self {
        self.verification = levels.into_iter().collect();
        self
    }

    /// With these features.
    #[must_use]
    pub fn with_features(mut self, features: impl IntoIterator<Item = Feature>) -> Self {
        self.features = features.into_iter().collect();
        self
    }

    /// Whether `feature` is declared.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}
