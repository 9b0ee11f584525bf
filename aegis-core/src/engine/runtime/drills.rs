//! What a DR test needs before it begins: a record that can be restored, and a place where that
//! harms nothing.

use std::time::Duration;

use super::Core;
use crate::{
    engine::{
        EngineError,
        decide::{Decider, DrPrepared, NameTaken},
    },
    model::{
        BackupRecord, ClusterName, ClusterState, DisplayName, DrDestination, DrPhase, DrRun, DrTarget,
        DrTestId, EntityKey, ExistingResourcePolicy, NamespaceName, Policy, PolicyId, RecordChoice,
        RecordState, RestoreOptions, TenantId, Versioned,
    },
    seams::{
        Capabilities, Changeset, Feature, PolicyQuery, RecordQuery, RestorePurpose, RestoreWork, Scope,
        StoreExt,
    },
};

/// Whose records a DR test chooses from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DrRecords<'a> {
    Policy(&'a Policy),
    Cluster(&'a TenantId, &'a ClusterName),
}

impl DrRecords<'_> {
    fn query(self) -> RecordQuery {
        let (tenant, cluster, policy): (_, _, Option<PolicyId>) = match self {
            Self::Policy(policy) => (&policy.tenant, &policy.cluster, Some(policy.id)),
            Self::Cluster(tenant, cluster) => (tenant, cluster, None),
        };
        let mut query = RecordQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        query.policy = policy;
        query.states = vec![RecordState::Available];
        query
    }

    fn may_be(self, record: &BackupRecord) -> bool {
        let partial_counts = matches!(self, Self::Policy(policy) if policy.count_partial);
        let undisturbed = record.made_during.is_none() || record.verified().is_some();
        record.is_usable() && undisturbed && (!record.partial || partial_counts)
    }
}

impl Core {
    /// What can be said of a DR test's target without a record: that it harms nothing, and that the
    /// target's driver can restore there.
    pub(crate) fn check_dr_target(
        &self,
        tenant: &TenantId,
        source: &ClusterName,
        target: &DrTarget,
    ) -> Result<(), EngineError> {
        let cluster = target.cluster.as_ref().unwrap_or(source);
        let capabilities = self.cluster_of(tenant, cluster)?.driver.capabilities();
        target.validate(source).map_err(|error| EngineError::field("target", error))?;
        let (feature, what) = match target.destination {
            DrDestination::Folder(_) => (Feature::MapToPaths, "restore to a path"),
            DrDestination::Namespaces(_) => (Feature::MapNamespaces, "restore into another namespace"),
        };
        require(capabilities, feature, what)
    }

    /// The record that a DR test restores; each that may be is restorable through its whole chain.
    pub(crate) async fn choose_record(
        &self,
        records: DrRecords<'_>,
        choice: RecordChoice,
    ) -> Result<Versioned<BackupRecord>, EngineError> {
        let now = self.clock.now();
        let window = match choice {
            RecordChoice::Latest => Duration::MAX,
            RecordChoice::RandomWithin(window) => window,
        };
        let from = now.saturating_sub(window);
        let mut left = self.store.records(&records.query()).await?.items;
        left.retain(|record| {
            records.may_be(record) && record.recovery_point.at >= from && record.recovery_point.at <= now
        });
        left.sort_by_key(|record| (record.recovery_point.at, record.id));
        while !left.is_empty() {
            let index = match choice {
                RecordChoice::Latest => left.len() - 1,
                RecordChoice::RandomWithin(_) => {
                    usize::try_from(self.ids.salt()).unwrap_or_default() % left.len()
                }
            };
            let record = left.remove(index);
            if self.is_restorable(&record).await? {
                return Ok(record);
            }
        }
        Err(EngineError::Blocked("there is no record that a DR test could restore".to_owned()))
    }

    /// Makes everything ready for a DR test of `record`; its name is reserved in `changeset`.
    ///
    /// # Errors
    /// `InvalidInput` (the target), `InvalidTransition` (something is in the way), `Unsupported`;
    /// any other class says nothing about the test.
    pub(crate) async fn prepare_dr_test(
        &self,
        decider: &Decider<'_>,
        changeset: &mut Changeset,
        id: DrTestId,
        record: Versioned<BackupRecord>,
        target: &DrTarget,
    ) -> Result<DrPrepared, EngineError> {
        self.check_dr_target(&record.tenant, &record.cluster, target)?;
        let cluster = target.cluster.as_ref().unwrap_or(&record.cluster);
        let Some(reference) = record.reference() else {
            return Err(EngineError::Blocked(format!("record `{}` has no copy that is there", record.id)));
        };
        let label = DisplayName::new("drill").map_err(|error| EngineError::Internal(error.to_string()))?;
        let owner = EntityKey::DrTest(id);
        let name = decider.reserve_name(changeset, &record.tenant, owner, &label, NameTaken::Yes);
        let mapping = target
            .mapping(&record.cluster, &record.namespaces, &name)
            .map_err(|error| EngineError::field("target", error))?;
        let run = DrRun {
            recovery_point_at: record.recovery_point.at,
            namespaces: mapping.keys().cloned().collect(),
            options: RestoreOptions {
                paths: Vec::new(),
                mapping,
                existing: ExistingResourcePolicy::Fail,
                restore_volumes: true,
                preserve_node_ports: false,
            },
            operation: decider.ids.mint(decider.now),
            clean_up: decider.ids.mint(decider.now),
            name,
            phase: DrPhase::Restoring,
            record: reference,
        };
        let into = run.into_namespaces();
        let state = self.store.find::<ClusterState>(&Scope::Everyone, cluster.clone()).await?;
        self.refuse_overlap(&record.tenant, state.as_deref(), &into).await?;
        self.refuse_living(&record.tenant, cluster, &into).await?;
        if !into.is_empty() {
            self.refuse_occupied(&record.tenant, cluster, &run).await?;
        }
        Ok(DrPrepared { record, cluster: state, run })
    }

    /// Refuses namespaces that a policy of the tenant names: something lives there.
    async fn refuse_living(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
        into: &[NamespaceName],
    ) -> Result<(), EngineError> {
        if into.is_empty() {
            return Ok(());
        }
        let mut query = PolicyQuery::new(Scope::Tenant(tenant.clone()));
        query.cluster = Some(cluster.clone());
        for policy in self.store.policies(&query).await?.items {
            let named = policy.namespaces.include().iter().filter_map(|pattern| pattern.as_name());
            if let Some(living) = named.into_iter().find(|name| into.contains(name)) {
                let policy = &policy.name;
                let message =
                    format!("`{living}` is protected by policy `{policy}`: restore where nothing lives");
                return Err(EngineError::field("target", message));
            }
        }
        Ok(())
    }

    /// Refuses namespaces in which something is already, as far as the driver can tell: what is
    /// there would be neither touched nor restored, and the measurement would be of nothing.
    async fn refuse_occupied(
        &self,
        tenant: &TenantId,
        cluster: &ClusterName,
        run: &DrRun,
    ) -> Result<(), EngineError> {
        let driver = &self.cluster_of(tenant, cluster)?.driver;
        if !driver.capabilities().has(Feature::Preview) {
            return Ok(());
        }
        let work = RestoreWork {
            record: run.record.clone(),
            namespaces: run.namespaces.clone(),
            options: run.options.clone(),
            purpose: RestorePurpose::Trial,
        };
        // A preview that fails proves nothing: the restore itself will say why.
        let Ok(preview) = driver.preview(tenant, &work).await else { return Ok(()) };
        let there = preview.skip.saturating_add(preview.overwrite);
        if there == 0 {
            return Ok(());
        }
        Err(EngineError::Blocked(format!(
            "{there} entries are at the target already, perhaps of an earlier test: remove them"
        )))
    }
}

/// Refuses what a driver does not declare.
fn require(capabilities: &Capabilities, feature: Feature, what: &str) -> Result<(), EngineError> {
    if capabilities.has(feature) {
        return Ok(());
    }
    let driver = capabilities.driver;
    Err(EngineError::Unsupported(format!("the {driver} driver can't {what}")))
}
