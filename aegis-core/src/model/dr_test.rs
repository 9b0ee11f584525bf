//! DR tests, also called drills: a record restored somewhere harmless, checked, measured.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    ArtifactName, Bytes, CheckStatus, CheckStep, ClusterName, DisplayName, DrTestId, IssueGroup, Machine,
    NamespaceName, OperationId, PolicyId, Principal, RecordRef, ResourceCounts, RestoreOptions,
    RestoreTarget, Schedule, TenantId, Timestamp, TransitionError, VerificationId, VerificationLevel,
};

/// Which of the records that could be restored a DR test takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordChoice {
    /// The one with the newest recovery point.
    Latest,
    /// Any whose recovery point is no older than this, each as likely as the other.
    RandomWithin(Duration),
}

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

/// The DR tests that a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTestRule {
    /// When. Of times that passed while nobody looked, the latest is made up for, once.
    pub schedule: Schedule,
    /// Which record of the policy.
    pub select: RecordChoice,
    /// How deep the record's own cluster checks it after the restore; not at all if `None`.
    pub verify: Option<VerificationLevel>,
    /// Which of the engine's checks look at what was restored, by name, in this order.
    pub checks: Vec<DisplayName>,
    /// Where to.
    pub target: DrTarget,
}

/// What a DR test does, once a record was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrRun {
    /// The record that it restores.
    pub record: RecordRef,
    /// The instant that the record's data reflects.
    pub recovery_point_at: Timestamp,
    /// Which namespaces of it.
    pub namespaces: Vec<NamespaceName>,
    /// Where to, and how.
    pub options: RestoreOptions,
    /// The identity of the restore that the driver sees.
    pub operation: OperationId,
    /// The operation's name.
    pub name: ArtifactName,
    /// What it is at.
    pub phase: DrPhase,
}

impl DrRun {
    /// The namespaces of the target cluster that it writes to; none where it restores to folders.
    #[must_use]
    pub fn into_namespaces(&self) -> Vec<NamespaceName> {
        let targets = self.options.mapping.values();
        targets
            .filter_map(|target| match target {
                RestoreTarget::Namespace(name) => Some(name.clone()),
                RestoreTarget::Path(_) => None,
            })
            .collect()
    }
}

/// What a DR test is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrPhase {
    /// The record is being restored.
    Restoring,
    /// The record's cluster checks the record.
    Verifying(VerificationId),
    /// The engine's checks look at what was restored.
    Checking,
    /// Nothing more happens.
    Over,
}

/// A restore that a DR test carried out to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrRestore {
    /// How long it took from the test's beginning: the recovery time actual.
    pub duration: Duration,
    /// Bytes that were written.
    pub bytes: Bytes,
    /// How many of what were restored.
    pub restored: ResourceCounts,
}

/// What one of the engine's checks found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrFinding {
    /// The check.
    pub check: DisplayName,
    /// Whether it passed, failed or was not run.
    pub status: CheckStatus,
    /// Why it did not pass, for a person.
    pub reason: Option<String>,
}

/// One DR test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrTest {
    /// Its id.
    pub id: DrTestId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The policy that it proves.
    pub policy: Option<PolicyId>,
    /// The nominal time of the policy's rule that it stands for; none if a person asked for it.
    pub nominal_at: Option<Timestamp>,
    /// Where it restores to.
    pub target_cluster: ClusterName,
    /// How deep the record's own cluster checks it after the restore.
    pub verify: Option<VerificationLevel>,
    /// Which of the engine's checks look at what was restored, in this order.
    pub checks: Vec<DisplayName>,
    /// What it does; `None` if it could not even begin.
    pub run: Option<DrRun>,
    /// Where it stands. Changed by [`apply`](Self::apply) alone.
    pub status: CheckStatus,
    /// Who asked for it.
    pub requested_by: Principal,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How long it may run.
    pub timeout: Duration,
    /// The restore, once it completed.
    pub restore: Option<DrRestore>,
    /// What the engine's checks found.
    pub findings: Vec<DrFinding>,
    /// The highest level that it proved: only of a test that passed.
    pub passed_level: Option<VerificationLevel>,
    /// Why it failed or was not run, for a person.
    pub reason: Option<String>,
    /// Errors of the restore by cause.
    pub errors: Vec<IssueGroup>,
    /// Where what was restored may still lie after the end: no driver removes it.
    pub left_behind: Vec<RestoreTarget>,
}

impl DrTest {
    /// The DR test after `step`.
    ///
    /// # Errors
    /// [`TransitionError`] if it is over already.
    pub fn apply(mut self, step: CheckStep, at: Timestamp) -> Result<Self, TransitionError> {
        self.status = self.status.after(step)?;
        self.completed_at = Some(at);
        if let Some(run) = &mut self.run {
            run.phase = DrPhase::Over;
        }
        Ok(self)
    }

    /// How long getting back took: the restore alone, checks aside.
    #[must_use]
    pub fn recovery_time_actual(&self) -> Option<Duration> {
        self.restore.as_ref().map(|restore| restore.duration)
    }

    /// What would have been lost, as time, had the disaster struck when the test began.
    #[must_use]
    pub fn recovery_point_actual(&self) -> Option<Duration> {
        self.run.as_ref().map(|run| self.started_at.since(run.recovery_point_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
