//! The seam to what remembers: the catalogue, the event log, the leases.

mod changeset;
mod error;
mod ext;
mod lease;
mod log;
mod query;

use std::{collections::HashMap, fmt, time::Duration};

use async_trait::async_trait;

pub use changeset::{Change, Changeset, Committed, Expect, Write};
pub use error::{Conflict, StoreError};
pub use ext::StoreExt;
pub use lease::{Claim, Fence, Generation, HolderId, Lease, LeaseName};
pub use log::{ProgressReport, Sealed};
pub use query::{
    Cursor, ExecutionQuery, JobOrder, JobQuery, Page, PlanQuery, PolicyQuery, RecordQuery, RecordTotals,
    RetentionRunQuery, Scope, SlotQuery, VerificationQuery, Window,
};

use crate::model::{
    BackupJob, BackupRecord, ClusterName, Entity, EntityKey, OperationId, Policy, PolicyState, Position,
    RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, TenantId, Timestamp, Verification,
    Version, Versioned,
};

/// Where Aegis remembers.
///
/// # Contract for implementors
/// - [`commit`](Self::commit) is the only way to change an entity, and all or nothing. Everything
///   that a read answers was committed, and a read that begins after a commit answered sees it.
/// - A changeset that was applied is never applied again: its id answers as the first time, for at
///   least 24 hours.
/// - Reads never cross the [`Scope`] they are given: what belongs to another tenant does not exist.
/// - Leases are judged by the store's own clock.
/// - A timeout before a request left is `Unavailable`; after, for a commit, `Indeterminate`: it is
///   settled by committing the same changeset again.
/// - Every method is cancel safe: a dropped call has happened whole or not at all.
/// - Nothing is ordered by time but where a query says so; events are ordered by position.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    // ---- the one way to change what matters ----

    /// Applies a changeset: its writes, if all its expectations and fences hold, and one event per
    /// write.
    ///
    /// Idempotency key: [`Changeset::id`].
    ///
    /// # Errors
    /// `VersionConflict` or `AlreadyExists` ([`StoreError::Conflict`], naming what no longer
    /// holds; nothing was written), `Unavailable`, `Indeterminate`, `Internal`.
    async fn commit(&self, changeset: Changeset) -> Result<Committed, StoreError>;

    // ---- reads ----

    /// One entity with its version, or `None`.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`; so for every read.
    async fn get(&self, scope: &Scope, key: &EntityKey) -> Result<Option<(Version, Entity)>, StoreError>;

    /// Jobs that match, in the order that the query names.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn jobs(&self, query: &JobQuery) -> Result<Page<BackupJob>, StoreError>;

    /// Records that match, newest first by `created_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn records(&self, query: &RecordQuery) -> Result<Page<BackupRecord>, StoreError>;

    /// How many records match and what they take in storage, over all pages.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError>;

    /// Recovery plans that match, newest first.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError>;

    /// Recovery executions that match, newest first by `started_at`.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError>;

    /// Policies that match, newest first.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError>;

    /// Slots that match, newest first by nominal time.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError>;

    /// Verifications that match, newest first by `started_at`.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError>;

    /// Retention runs that match, newest first by `started_at`.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError>;

    /// States of policies of `cluster` that are due at `now`, the longest due first. Costs
    /// O(answer), whatever the number of policies.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError>;

    /// When the next thing of `cluster` falls due by the clock: a policy, the retry of a job, the
    /// end of a record's grace time, a deferred deletion. May be in the past; `None` if nothing is
    /// ever due.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError>;

    // ---- leases ----

    /// Claims a lease for `ttl` if nobody else holds it. Each grant to another holder, and each
    /// grant after a lease ran out, is a new generation; the holder's own claim renews.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Internal`. That another holds it is an answer.
    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError>;

    /// Gives a lease back; nothing happens if it is held under another generation by now.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Internal`.
    async fn release(&self, fence: &Fence) -> Result<(), StoreError>;

    // ---- progress: kept beside entities, without version or event ----

    /// Notes how far operations have come, replacing what was noted; the last one wins.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`. Nothing rests on progress, so nobody needs to repeat it.
    async fn report_progress(&self, reports: Vec<ProgressReport>) -> Result<(), StoreError>;

    /// What was noted of these operations; those without a note are left out.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn progress(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ProgressReport>, StoreError>;

    // ---- the event log ----

    /// Gives up to `limit` unsealed events their positions, in commit order, and links them into
    /// their tenants' chains.
    ///
    /// # Errors
    /// `VersionConflict` if the fence no longer holds, `Unavailable`, `Indeterminate` (seal again:
    /// what is sealed stays sealed), `Internal`.
    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError>;

    /// Sealed events after a position, in order. A scope of one tenant leaves out the others'.
    ///
    /// # Errors
    /// `NotFound` if events after `after` were pruned, `Unavailable`, `Internal`.
    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError>;

    /// How far the reader of the log called `name` has come; the start if it never said.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn reader_position(&self, name: &str) -> Result<Position, StoreError>;

    /// Notes how far the reader called `name` has come; never moves it back.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate` (repeat it), `Internal`.
    async fn advance_reader(&self, name: &str, position: Position) -> Result<(), StoreError>;

    /// Forgets what nobody needs any more at `now`: expired reservations, applied changeset ids
    /// older than a day, progress of operations noted more than a week ago. Never an entity that
    /// people see, never an event.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate` (prune again), `Internal`.
    async fn prune(&self, now: Timestamp) -> Result<(), StoreError>;

    /// When the newest event was committed, by the clock of whoever made it; `None` if there is
    /// none. A wall clock that is far behind it has jumped.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Every tenant that owns something, for what is done tenant by tenant.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
}
