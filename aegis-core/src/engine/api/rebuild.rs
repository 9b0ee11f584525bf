//! Rebuilding a lost catalogue from what lies in storage.

use std::collections::BTreeSet;

use super::Tenant;
use crate::{
    engine::{
        EngineError,
        decide::{policy_facts, record_facts, with_due},
        runtime::{Manifest, RETRIES, read_manifests},
    },
    model::{
        BackupJob, BackupRecord, ClusterName, DisplayName, EntityKey, EventFacts, EventKind, Policy,
        PolicyState, RecordCopy, RecordState, Reservation, ReservationKey, StorageUri,
    },
    seams::{Changeset, Conflict, Feature, InventoryRequest, StoreExt},
};

/// What a rebuild came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records that entered the catalogue.
    pub records: usize,
    /// Records that were in it already.
    pub known: usize,
    /// Policies that came back, switched off.
    pub policies: usize,
    /// Manifests whose data is not there: `<artifact>: why`.
    pub without_data: Vec<String>,
    /// Manifests that can't be read: `<key>: why`.
    pub unreadable: Vec<String>,
    /// Data that no manifest speaks of: what a late process left, or others' backups.
    pub without_manifest: Vec<String>,
}

impl Tenant {
    /// Rebuilds the tenant's catalogue from one location: every manifest whose data the cluster's
    /// driver finds becomes a record again, with its job and policy. Policies come back switched
    /// off, and retention is frozen until [`resume_retention`](Self::resume_retention).
    ///
    /// Idempotent: what is in the catalogue stays as it is.
    ///
    /// # Errors
    /// `InvalidInput` (unknown cluster or location), `Unsupported` (a driver without inventory), as
    /// storage and driver answer. What was entered before an error stays; call it again.
    pub async fn rebuild(
        &self,
        cluster: &ClusterName,
        location: &StorageUri,
    ) -> Result<Rebuilt, EngineError> {
        let storage = self.core.storage_for(&self.tenant, location)?;
        let present = self.inventory(cluster, location).await?;
        let (manifests, unreadable) = read_manifests(&**storage, location).await?;
        let mut rebuilt = Rebuilt { unreadable, ..Rebuilt::default() };
        let mut spoken_of = BTreeSet::new();
        let own = manifests
            .into_iter()
            .filter(|manifest| manifest.record.tenant == self.tenant && manifest.record.cluster == *cluster);
        for manifest in own {
            let handle = manifest.record.handle.clone();
            if let Some(stray) = self.stray(&manifest, location) {
                let artifact = &manifest.record.artifact;
                rebuilt.unreadable.push(format!("{artifact}: {stray}"));
            } else if present.contains(&handle) {
                self.enter(manifest, &mut rebuilt).await?;
            } else {
                let artifact = &manifest.record.artifact;
                rebuilt.without_data.push(format!("{artifact}: the driver does not find its data"));
            }
            spoken_of.insert(handle);
        }
        self.core.renew_exposure(&self.tenant, cluster, &self.principal).await?;
        rebuilt.without_manifest = present.difference(&spoken_of).cloned().collect();
        Ok(rebuilt)
    }

    /// What of a manifest points out of what is rebuilt: whoever can write to storage must not be
    /// able to put things into another tenant's, cluster's or location's name.
    fn stray(&self, manifest: &Manifest, location: &StorageUri) -> Option<&'static str> {
        let Manifest { record, job, policy, .. } = manifest;
        if job.tenant != record.tenant || job.cluster != record.cluster || job.id != record.job {
            return Some("its job is not the record's");
        }
        let foreign = |policy: &Policy| policy.tenant != record.tenant || Some(policy.id) != record.policy;
        if policy.as_ref().is_some_and(foreign) {
            return Some("its policy is not the record's");
        }
        let elsewhere = |copy: &RecordCopy| self.core.storage_for(&self.tenant, &copy.location).is_err();
        if record.copies.iter().any(elsewhere)
            || !record.copies.iter().any(|copy| location.contains(&copy.location))
        {
            return Some("it names a location that is not the tenant's or not this one");
        }
        None
    }

    /// The handles of everything that lies in a location.
    async fn inventory(
        &self,
        cluster: &ClusterName,
        location: &StorageUri,
    ) -> Result<BTreeSet<String>, EngineError> {
        let served = self.core.cluster_of(&self.tenant, cluster)?;
        if !served.driver.capabilities().has(Feature::Inventory) {
            let driver = served.driver.capabilities().driver;
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver can't list what lies in a location"
            )));
        }
        let mut request = InventoryRequest {
            tenant: self.tenant.clone(),
            location: location.clone(),
            after: None,
            limit: 1000,
        };
        let mut handles = BTreeSet::new();
        loop {
            let page = served.driver.inventory(&request).await?;
            handles.extend(page.items.into_iter().map(|item| item.handle));
            if page.next.is_none() {
                return Ok(handles);
            }
            request.after = page.next;
        }
    }

    async fn enter(&self, manifest: Manifest, rebuilt: &mut Rebuilt) -> Result<(), EngineError> {
        if manifest.record.state() == RecordState::Deleted {
            return Ok(());
        }
        let mut policy_name = manifest.policy.as_ref().map(|policy| policy.name.clone());
        for _ in 0..RETRIES {
            if self.core.store.find::<BackupRecord>(&self.scope(), manifest.record.id).await?.is_some() {
                rebuilt.known += 1;
                return Ok(());
            }
            let policy = self.lost_policy(&manifest, policy_name.as_ref()).await?;
            let conflict = self.commit(self.entering(&manifest, policy.as_ref()).await?).await?;
            match (conflict, policy) {
                (None, policy) => {
                    rebuilt.records += 1;
                    rebuilt.policies += usize::from(policy.is_some());
                    return Ok(());
                }
                // Another policy has the name by now; the record's own comes back all the same.
                (Some(Conflict::Exists { key: EntityKey::Reservation(key) }), Some(policy))
                    if key == ReservationKey::policy_name(&self.tenant, &policy.name) =>
                {
                    policy_name =
                        Some(DisplayName::new(format!("rebuilt-{}", policy.id)).unwrap_or(policy.name));
                }
                // Someone else rebuilds at the same time: look again.
                (Some(_), _) => {}
            }
        }
        Err(EngineError::VersionConflict { what: "record" })
    }

    /// The policy of a manifest under `name`, if the catalogue does not have it.
    async fn lost_policy(
        &self,
        manifest: &Manifest,
        name: Option<&DisplayName>,
    ) -> Result<Option<Policy>, EngineError> {
        let (Some(policy), Some(name)) = (&manifest.policy, name) else { return Ok(None) };
        let known = self.core.store.find::<Policy>(&self.scope(), policy.id).await?.is_some();
        Ok((!known).then(|| Policy { name: name.clone(), ..policy.clone() }))
    }

    async fn entering(&self, manifest: &Manifest, policy: Option<&Policy>) -> Result<Changeset, EngineError> {
        let known_job = self.core.store.find::<BackupJob>(&self.scope(), manifest.job.id).await?.is_some();
        let frozen = self.is_retention_frozen().await?;
        let decider = self.decider();
        let mut changeset = self.changeset(&decider);
        if !frozen {
            self.freeze_retention(&mut changeset);
        }
        if !known_job {
            changeset.insert(settled_job(manifest), EventKind::JobCreated, record_facts(&manifest.record));
        }
        if let Some(policy) = policy {
            self.enter_policy(&mut changeset, policy, decider.now);
        }
        let mut record = manifest.record.clone();
        // Who used it then is gone with the catalogue that knew them.
        record.uses.clear();
        let facts = record_facts(&record);
        changeset.insert(record, EventKind::RecordRebuilt, facts);
        Ok(changeset)
    }

    fn freeze_retention(&self, changeset: &mut Changeset) {
        let key = ReservationKey::retention_freeze(&self.tenant);
        let freeze = Reservation {
            owner: EntityKey::Reservation(key.clone()),
            key,
            tenant: self.tenant.clone(),
            request_hash: None,
            expires_at: None,
        };
        changeset.insert(freeze, EventKind::ReservationMade, EventFacts::default());
    }

    fn enter_policy(&self, changeset: &mut Changeset, policy: &Policy, now: crate::model::Timestamp) {
        let mut policy = policy.clone();
        policy.enabled = false;
        policy.effective_at = now;
        let name = Reservation {
            key: ReservationKey::policy_name(&self.tenant, &policy.name),
            tenant: self.tenant.clone(),
            owner: EntityKey::Policy(policy.id),
            request_hash: None,
            expires_at: None,
        };
        let facts = policy_facts(&policy);
        changeset.insert(name, EventKind::ReservationMade, EventFacts::default());
        // Its records are judged from now and then on, as soon as retention is resumed.
        let state = PolicyState { next_sweep_at: Some(now), ..PolicyState::new(&policy) };
        changeset.insert(with_due(state, now), EventKind::PolicyStateChanged, facts.clone());
        changeset.insert(policy, EventKind::PolicyCreated, facts);
    }
}

/// The job of a manifest as it ended: the manifest was written just before.
fn settled_job(manifest: &Manifest) -> BackupJob {
    let record = &manifest.record;
    let mut job = manifest.job.clone();
    job.status = if record.partial {
        crate::model::JobStatus::PartiallyFailed
    } else {
        crate::model::JobStatus::Completed
    };
    job.completed_at = Some(record.created_at);
    job.late_operation = None;
    job.retry_at = None;
    for attempt in job.attempts.iter_mut().filter(|attempt| attempt.operation == record.operation) {
        attempt.ended_at = Some(record.created_at);
    }
    job.result = Some(crate::model::JobResult {
        record: record.id,
        sizes: record.sizes,
        counts: record.counts.clone(),
    });
    job
}
