//! Backup records, as people see and protect them.

use std::collections::HashMap;

use super::{Listing, Tenant};
use crate::{
    engine::{
        EngineError,
        decide::{point_of, record_facts},
        runtime::ChainLink,
    },
    model::{
        BackupRecord, DisplayName, EntityKey, EventKind, ExpiredBy, Hold, Policy, PolicyId, RecordId,
        RecordState, RecordStep, Timestamp, Verification, VerificationId, VerificationLevel, Versioned,
    },
    rules::retention::not_before,
    seams::{BrowsePage, BrowseRequest, RecordQuery, RecordTotals, StoreExt, VerificationQuery, Window},
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

/// What the records of a list rest on, as far as it was read.
#[derive(Default)]
struct Known {
    policies: HashMap<PolicyId, Option<Versioned<Policy>>>,
    links: HashMap<RecordId, Option<ChainLink>>,
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
        let mut known = Known::default();
        for record in &page.items {
            known.links.insert(record.id, Some(ChainLink::of(record)));
        }
        let mut items = Vec::with_capacity(page.items.len());
        for record in page.items {
            items.push(self.view_among(record, &mut known).await?);
        }
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
        self.view_among(record, &mut Known::default()).await
    }

    /// A record of several: what more than one of them rests on is read once.
    async fn view_among(
        &self,
        record: Versioned<BackupRecord>,
        known: &mut Known,
    ) -> Result<RecordView, EngineError> {
        if let Some(id) = record.policy.filter(|id| !known.policies.contains_key(id)) {
            known.policies.insert(id, self.core.store.find::<Policy>(&self.scope(), id).await?);
        }
        let policy = record.policy.and_then(|id| known.policies.get(&id)?.as_ref());
        let now = self.core.clock.now();
        let point = point_of(&record, policy.map(|policy| &**policy), now);
        let rules = policy.map(|policy| &policy.retention);
        Ok(RecordView {
            expires_at: not_before(rules, &point),
            is_restorable: self.core.is_restorable_among(&record, &mut known.links).await?,
            record,
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
