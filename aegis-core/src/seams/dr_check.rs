//! The seam to checks of an embedder's own, which look at what a DR test restored.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;

use crate::model::{
    ClusterName, DisplayName, DrTestId, NamespaceName, RecordRef, RestoreTarget, TenantId, Timestamp,
};

/// What a DR test restored, and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredCopy {
    /// The test.
    pub test: DrTestId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The record.
    pub record: RecordRef,
    /// The instant that its data should reflect.
    pub recovery_point_at: Timestamp,
    /// The cluster that it was restored into.
    pub cluster: ClusterName,
    /// Where each namespace lies in it.
    pub targets: BTreeMap<NamespaceName, RestoreTarget>,
}

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrVerdict {
    /// What was restored is as it should be.
    Passed,
    /// It is not.
    Failed {
        /// What is wrong, for a person.
        reason: String,
    },
    /// It could not be looked at, which is never the same as passed.
    NotRun {
        /// Why, for a person.
        reason: String,
    },
}

/// A check of what a DR test restored: files compared with what they should be, rows counted, an
/// application started.
///
/// # Contract for implementors
/// - A check looks and changes nothing of what was restored; what it makes, it removes.
/// - It may be asked again about the same test, after a crash or by another replica, and answers
///   then for what is there then.
/// - It is driven on the engine's own task: it must not block the thread.
/// - Cancel safe: a check that is dropped, as one is whose test ran out of time, leaves nothing.
/// - No reason holds a secret.
#[async_trait]
pub trait DrCheck: fmt::Debug + Send + Sync + 'static {
    /// The name by which DR tests ask for it; unique per engine and stable over restarts.
    fn name(&self) -> &DisplayName;

    /// Looks at what was restored.
    async fn check(&self, restored: &RestoredCopy) -> DrVerdict;
}
