//! Backup records on the wire.

use std::collections::BTreeMap;

use aegis_core::{
    engine::RecordView,
    model::{BackupRecord, Hold, RecordCopy},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::jobs::SizesBody,
    wire::{self, Time, lines},
};

/// A record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordAnswer {
    /// The record.
    pub(super) record: RecordBody,
}

/// A page of records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordList {
    /// The records, the newest first.
    pub(super) records: Vec<RecordBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// What all that match take in storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_size_bytes: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// A backup record: a recovery point in the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupRecord)]
pub(crate) struct RecordBody {
    id: String,
    backup_job_id: String,
    name: String,
    cluster: String,
    namespaces: Vec<String>,
    storage_backend: String,
    /// The folder of this backup.
    storage_location: String,
    size_bytes: Option<u64>,
    resource_count: u64,
    created_at: Time,
    /// The earliest time at which the rules would let it go, as things stand; `null` if none.
    expires_at: Option<Time>,
    /// Whether it can be used now: finished, not known bad, its chain whole, not being deleted.
    is_restorable: bool,
    /// `available`, `expired`, `deleting` or `deleted`.
    state: String,
    /// The instant that the data reflects.
    recovery_point_at: Time,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_id: Option<String>,
    /// The record that it can't be restored without.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    chain_id: String,
    /// Whether a part of what was asked for is missing.
    partial: bool,
    /// The highest level that passed; `null` if none did.
    verification: Option<Verified>,
    /// Why it is of no use, if it was found so.
    #[serde(skip_serializing_if = "Option::is_none")]
    found_bad: Option<String>,
    holds: Vec<HoldBody>,
    /// Whether people marked it as never to expire.
    protected: bool,
    /// Until when its storage itself refuses deletion.
    locked_until: Option<Time>,
    sizes: SizesBody,
    checksum: Option<String>,
    encryption: Option<EncryptionBody>,
    labels: BTreeMap<String, String>,
    copies: Vec<CopyBody>,
    warnings: Vec<String>,
    errors: Vec<String>,
    /// The name under which it was made, whatever the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    velero_backup_name: Option<String>,
    /// How many of what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    included_resources: Option<BTreeMap<String, u64>>,
}

/// How well a record has been proven.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified {
    /// From `L0`, a mere entry, to `L5`, a working application.
    level: String,
    /// When.
    at: Time,
}

/// A person's word that a record stays.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub(crate) struct HoldBody {
    name: String,
    reason: String,
    set_by: String,
    set_at: Time,
    /// Until when; for ever if `null`.
    until: Option<Time>,
}

/// How stored bytes are encrypted; never the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Encryption)]
pub(crate) struct EncryptionBody {
    algorithm: String,
    key_id: Option<String>,
}

/// One place where a record's bytes lie.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordCopy)]
pub(crate) struct CopyBody {
    storage_location: String,
    available_at: Time,
    /// Since when it is not there any more.
    gone_at: Option<Time>,
    size_bytes: Option<u64>,
    locked_until: Option<Time>,
    last_verified_at: Option<Time>,
}

impl RecordBody {
    /// As lists have it.
    pub(crate) fn of(view: &RecordView) -> Self {
        let record: &BackupRecord = &view.record;
        let copy = record.copies.iter().find(|copy| copy.gone_at.is_none()).or(record.copies.first());
        let sizes = SizesBody::of(&record.sizes);
        Self {
            id: record.id.to_string(),
            backup_job_id: record.job.to_string(),
            name: record.name.to_string(),
            cluster: record.cluster.to_string(),
            namespaces: wire::texts(record.selection.include()),
            storage_backend: copy.map_or_else(String::new, |copy| copy.location.backend().to_string()),
            storage_location: copy.map_or_else(String::new, |copy| folder(copy, record)),
            size_bytes: record.stored().map(|stored| stored.0),
            resource_count: record.counts.total(),
            created_at: record.created_at.into(),
            expires_at: view.expires_at.map(Time),
            is_restorable: view.is_restorable,
            state: record.state().to_string(),
            recovery_point_at: record.recovery_point.at.into(),
            kind: record.kind.to_string(),
            policy_id: record.policy.map(|id| id.to_string()),
            parent_id: record.parent.map(|id| id.to_string()),
            chain_id: record.chain.to_string(),
            partial: record.partial,
            verification: record
                .verified()
                .map(|(level, at)| Verified { level: level.to_string(), at: at.into() }),
            found_bad: record.found_bad.as_ref().map(|bad| bad.reason.clone()),
            holds: record.holds.iter().map(HoldBody::of).collect(),
            protected: record.protected,
            locked_until: record.locked_until().map(Time),
            sizes,
            checksum: record.checksum.clone(),
            encryption: record.encryption.as_ref().map(|encryption| EncryptionBody {
                algorithm: encryption.algorithm.clone(),
                key_id: encryption.key_id.clone(),
            }),
            labels: wire::labels(&record.labels),
            copies: record.copies.iter().map(|copy| CopyBody::of(copy, record)).collect(),
            warnings: lines(&record.warnings),
            errors: lines(&record.errors),
            velero_backup_name: None,
            included_resources: None,
        }
    }

    /// As it is shown by itself.
    pub(crate) fn detailed(view: &RecordView) -> Self {
        Self {
            velero_backup_name: Some(view.record.artifact.to_string()),
            included_resources: Some(view.record.counts.0.clone()),
            ..Self::of(view)
        }
    }
}

/// Where the backup lies in a location: a folder by its name.
fn folder(copy: &RecordCopy, record: &BackupRecord) -> String {
    copy.location.join(record.artifact.as_str()).unwrap_or_else(|_| copy.location.clone()).to_string()
}

impl CopyBody {
    fn of(copy: &RecordCopy, record: &BackupRecord) -> Self {
        Self {
            storage_location: folder(copy, record),
            available_at: copy.available_at.into(),
            gone_at: copy.gone_at.map(Time),
            size_bytes: copy.stored.map(|bytes| bytes.0),
            locked_until: copy.locked_until.map(Time),
            last_verified_at: copy.last_verified_at.map(Time),
        }
    }
}

impl HoldBody {
    fn of(hold: &Hold) -> Self {
        Self {
            name: hold.name.to_string(),
            reason: hold.reason.clone(),
            set_by: hold.set_by.to_string(),
            set_at: hold.set_at.into(),
            until: hold.until.map(Time),
        }
    }
}
