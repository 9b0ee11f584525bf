//! Backup records, as people see and protect them.

use std::collections::{BTreeSet, HashMap};

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{point_of, record_facts},
        runtime::Chains,
    },
    model::{
        BackupRecord, DisplayName, EntityKey, EventKind, ExpiredBy, Hold, Policy, PolicyId, RecordId,
        RecordState, RecordStep, Timestamp, Verification, VerificationId, VerificationLevel, Versioned,
    },
    rules::retention::not_before,
    seams::{BrowsePage, BrowseRequest, PolicyQuery, RecordQuery, RecordTotals, VerificationQuery, Window},
};

/// A hold to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    /// Its name; one that exists is replaced.
    pub name: DisplayName,
    /// Why.
    pub reason: String,
    /// Until when; for ever if `None`.
    pub until: Option<Timestamp>,
}

/// A record with what follows from the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// The record.
    pub record: Versioned<BackupRecord>,
    /// Whether it can be restored now: finished, not known bad, its chain whole, not being deleted.
    pub is_restorable: bool,
    /// The earliest time at which the rules would let it go as things stand.
    pub expires_at: Option<Timestamp>,
}

/// What records are judged by: the policies that they were made for, and what they depend on.
struct Grounds {
    policies: HashMap<PolicyId, Versioned<Policy>>,
    chains: Chains,
}

impl Grounds {
    fn view(&self, record: Versioned<BackupRecord>, now: Timestamp) -> RecordView {
        let policy = record.policy.and_then(|id| self.policies.get(&id)).map(|policy| &**policy);
        let point = point_of(&record, policy, now);
        RecordView {
            expires_at: not_before(policy.map(|policy| &policy.retention), &point),
            is_restorable: self.chains.is_whole(record.id),
            record,
        }
    }
}

impl Tenant {
    /// One record.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn record(&self, id: RecordId) -> Result<RecordView, EngineError> {
        let record = self.find::<BackupRecord>(id).await?;
        self.view_record(record).await
    }

    /// Records that match; the scope of `query` is overridden by this tenant's.
    ///
    /// # Errors
    /// As every call.
    pub async fn records(&self, mut query: RecordQuery) -> Result<Listing<RecordView>, EngineError> {
        query.scope = self.scope();
        let page = self.core.store.records(&query).await?;
        let (grounds, now) = (self.grounds(&page.items).await?, self.core.clock.now());
        let items = page.items.into_iter().map(|record| grounds.view(record, now)).collect();
        Ok(Listing { items, total: page.total })
    }

    /// How many records match and what they take, over all pages.
    ///
    /// # Errors
    /// As every call.
    pub async fn record_totals(&self, mut query: RecordQuery) -> Result<RecordTotals, EngineError> {
        query.scope = self.scope();
        Ok(self.core.store.record_totals(&query).await?)
    }

    async fn view_record(&self, record: Versioned<BackupRecord>) -> Result<RecordView, EngineError> {
        let grounds = self.grounds(std::slice::from_ref(&record)).await?;
        Ok(grounds.view(record, self.core.clock.now()))
    }

    /// What records are judged by, read for all of them at once.
    async fn grounds(&self, records: &[Versioned<BackupRecord>]) -> Result<Grounds, EngineError> {
        let ids: BTreeSet<_> = records.iter().filter_map(|record| record.policy).collect();
        let policies = if ids.is_empty() {
            Vec::new()
        } else {
            let mut query = PolicyQuery::new(self.scope());
            query.ids = ids.into_iter().collect();
            self.core.store.policies(&query).await?.items
        };
        Ok(Grounds {
            policies: policies.into_iter().map(|policy| (policy.id, policy)).collect(),
            chains: self.core.chains(&self.tenant, records.iter().map(|record| &**record)).await?,
        })
    }

    /// Whether a record and everything that it depends on can be used.
    pub(super) async fn is_restorable(&self, record: &BackupRecord) -> Result<bool, EngineError> {
        self.core.is_restorable(record).await
    }

    /// Sets a hold: the record stays until it is lifted or runs out, whatever the rules say. An
    /// expired record comes back. Idempotent.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if its data is being removed already.
    pub async fn hold_record(&self, id: RecordId, hold: HoldRequest) -> Result<RecordView, EngineError> {
        let record = self
            .change::<BackupRecord>(id, |decider, record, changeset| {
                let hold = Hold {
                    name: hold.name.clone(),
                    reason: hold.reason.clone(),
                    set_by: self.principal.clone(),
                    set_at: decider.now,
                    until: hold.until,
                };
                decider.hold_record(record, hold, changeset)
            })
            .await?;
        self.view_record(record).await.map_err(EngineError::after_change)
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// `NotFound` (the record, or a hold of this name).
    pub async fn release_record(&self, id: RecordId, name: &DisplayName) -> Result<RecordView, EngineError> {
        let record = self
            .change::<BackupRecord>(id, |decider, record, changeset| {
                decider.release_record(record, name, changeset)
            })
            .await?;
        self.view_record(record).await.map_err(EngineError::after_change)
    }

    /// Marks a record as never to expire, or lets the rules decide again. Idempotent.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if its data is being removed already.
    pub async fn protect_record(&self, id: RecordId, protected: bool) -> Result<RecordView, EngineError> {
        let record = self
            .change::<BackupRecord>(id, |decider, record, changeset| {
                decider.protect_record(record, protected, changeset)
            })
            .await?;
        self.view_record(record).await.map_err(EngineError::after_change)
    }

    /// Deletes a record by a person's word: it expires now, without grace, and goes with the next pass,
    /// after what depends on it. Asked once more about one that goes already, it changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` with the reasons if something guards it or the rules' floors keep
    /// it (a lock, the last good one, what a descendant needs), or while retention is frozen.
    pub async fn delete_record(&self, id: RecordId) -> Result<RecordView, EngineError> {
        let principal = self.principal.clone();
        let by = ExpiredBy::Person(principal.clone());
        self.refuse_while_frozen().await?;
        let record = self.find::<BackupRecord>(id).await?;
        // What guards it is looked at once more when it is marked.
        if record.guarded_by(self.now()).is_none()
            && matches!(record.state(), RecordState::Available | RecordState::Expired)
            && let Some(why) = self.core.kept_from(&record, &by).await?
        {
            return Err(EngineError::Blocked(format!("record `{id}` can't be deleted: {why}")));
        }
        let record = self
            .change::<BackupRecord>(id, |decider, record, mut changeset| {
                if let Some(guard) = record.guarded_by(decider.now) {
                    return Err(EngineError::Blocked(format!(
                        "record `{}` can't be deleted: {guard}",
                        record.id
                    )));
                }
                if record.state() == RecordState::Deleting {
                    return Ok(changeset);
                }
                let mut next = BackupRecord::clone(record);
                if next.state() == RecordState::Expired {
                    next = next.apply(RecordStep::Reinstate, decider.now)?;
                }
                let reason = format!("{principal} asked for it");
                let step = RecordStep::Expire { by: by.clone(), delete_after: decider.now, reason };
                let next = next.apply(step, decider.now)?;
                changeset.update(record.version, next, EventKind::RecordExpired, record_facts(record));
                Ok(changeset)
            })
            .await?;
        self.view_record(record).await.map_err(EngineError::after_change)
    }

    /// Asks for a check of a record.
    ///
    /// # Errors
    /// `NotFound`; `InvalidTransition` if its data is gone or going; `Unsupported` if its driver
    /// does not check so deep.
    pub async fn verify_record(
        &self,
        id: RecordId,
        level: VerificationLevel,
    ) -> Result<Versioned<Verification>, EngineError> {
        let record = self.find::<BackupRecord>(id).await?;
        let capabilities = self.core.cluster_of(&self.tenant, &record.cluster)?.driver.capabilities();
        if !capabilities.verification.contains(&level) {
            let driver = capabilities.driver;
            return Err(EngineError::Unsupported(format!(
                "the {driver} driver does not verify up to {level}"
            )));
        }
        let verification = std::sync::Mutex::new(None::<VerificationId>);
        let timeout = self.core.options.verification_timeout;
        self.change::<BackupRecord>(id, |decider, record, mut changeset| {
            if !matches!(record.state(), RecordState::Available | RecordState::Expired) {
                let state = record.state();
                return Err(EngineError::Blocked(format!("record `{id}` can't be verified: it is {state}")));
            }
            let mut next = BackupRecord::clone(record);
            let by = self.principal.clone();
            let Some(new) = decider.new_verification(&mut changeset, &mut next, level, by, timeout) else {
                return Err(EngineError::Blocked(format!(
                    "record `{id}` has no copy that could be verified"
                )));
            };
            *verification.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(new.id);
            let facts = record_facts(record);
            changeset.update(record.version, next, EventKind::RecordUseChanged, facts.clone());
            self.take_key(&mut changeset, EntityKey::Verification(new.id));
            changeset.insert(new, EventKind::VerificationStarted, facts);
            Ok(changeset)
        })
        .await?;
        let minted = *verification.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match minted {
            Some(verification) => {
                self.find::<Verification>(verification).await.map_err(EngineError::after_change)
            }
            None => Err(EngineError::Internal("a verification was committed without an id".to_owned())),
        }
    }

    /// One verification.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn verification(&self, id: VerificationId) -> Result<Versioned<Verification>, EngineError> {
        self.find::<Verification>(id).await
    }

    /// Verifications of a record, newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn verifications(
        &self,
        record: RecordId,
        window: Window,
    ) -> Result<Listing<Versioned<Verification>>, EngineError> {
        self.find::<BackupRecord>(record).await?;
        let mut query = VerificationQuery::new(self.scope()).with_window(window);
        query.record = Some(record);
        let page = self.core.store.verifications(&query).await?;
        Ok(Listing { items: page.items, total: page.total })
    }

    /// One page of a record's entries directly below `path`.
    ///
    /// # Errors
    /// `NotFound`, `Unsupported`, and as the driver answers.
    pub async fn browse_record(
        &self,
        id: RecordId,
        path: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<BrowsePage, EngineError> {
        let record = self.find::<BackupRecord>(id).await?;
        let served = self.core.cluster_of(&self.tenant, &record.cluster)?;
        let Some(reference) = record.reference() else {
            return Err(EngineError::Blocked(format!("record `{id}` has no copy that is there")));
        };
        let artifact = record.artifact.clone();
        let request = BrowseRequest {
            tenant: self.tenant.clone(),
            record: reference,
            path: path.to_owned(),
            after,
            limit: limit.clamp(1, 1000),
        };
        let answer = self.core.answer_of(served.driver.browse(&request)).await;
        answer.map_err(|error| EngineError::of_driver(error, artifact))
    }
}
