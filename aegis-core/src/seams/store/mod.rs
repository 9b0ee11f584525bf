//! The seam to what remembers: the catalogue, the event log, the leases.

mod changeset;
mod columns;
mod error;
mod ext;
mod hint;
mod lease;
mod log;
mod matching;
mod query;
mod start;
mod tally;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use changeset::{Change, Changeset, Committed, Expect, Write};
pub use columns::{Column, ColumnType, Value};
pub use error::{Conflict, StoreError};
pub use ext::StoreExt;
pub use hint::{HintBoard, NoHint, StoreHint};
pub use lease::{Claim, Fence, Generation, Grant, HolderId, Lease, LeaseName};
pub use log::{Derived, DerivedKeys, DerivedQuery, DerivedRow, LogEnd, ProgressReport, ReaderStep, Sealed};
pub use query::{
    Cursor, DrTestQuery, ExecutionQuery, JobOrder, JobQuery, Page, PlanQuery, PolicyQuery, PolicyStateQuery,
    RecordQuery, RecordTotals, RetentionRunQuery, Scope, SlotQuery, Turn, VerificationQuery, Window,
};
pub use start::LogStart;
pub use tally::{Cut, Narrowing, Stretches, TallyLevel};

use crate::model::{
    BackupJob, BackupRecord, ClusterName, DrTest, Entity, EntityKey, Event, OperationId, Policy, PolicyState,
    Position, RecoveryExecution, RecoveryPlan, RetentionRun, SealedEvent, Slot, TenantId, Timestamp,
    Verification, Version, Versioned,
};

/// Where Aegis remembers.
///
/// # Contract for implementors
/// - [`commit`](Self::commit) is the only way to change an entity, and all or nothing. Everything
///   that a read answers was committed, and a read that begins after a commit answered sees it.
/// - A changeset that was applied is never applied again: its id answers [`Committed::Already`], for
///   at least 24 hours by the store's own clock, whatever else it says. One that was refused was not
///   applied and may be committed again.
/// - Reads never cross the [`Scope`] they are given: what belongs to another tenant does not exist.
///   Keys are unique over all tenants, though: an insert of another tenant's key is refused.
/// - An answer to a query is one snapshot: its page and its total are of one moment.
/// - Leases are judged by the store's own clock: held while their time is not over, free from then on.
/// - A timeout before a request left is `Unavailable`; after, for a commit, `Indeterminate`: it is
///   settled by committing the same changeset again.
/// - Every method is cancel safe: a dropped call has happened whole or not at all.
/// - Nothing is ordered by time but where a query says so; events are ordered by position.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync + 'static {
    // ---- the one way to change what matters ----

    /// Applies a changeset: its writes, if all its expectations and fences hold, and one event per
    /// write, in the changeset's order. Everything is judged by what was there before the changeset.
    /// Without writes it only checks.
    ///
    /// An entity's version is 1 after its insert and grows by 1 with each update; what is deleted
    /// and inserted again begins anew. An entity never goes to another tenant.
    ///
    /// Idempotency key: [`Changeset::id`].
    ///
    /// # Errors
    /// `InvalidInput` ([`StoreError::Malformed`]: two writes of one key, or an update or a deletion
    /// under another tenant), `VersionConflict` or `AlreadyExists` ([`StoreError::Conflict`], naming
    /// the first that no longer holds, fences before expectations before writes; nothing was
    /// written), `Unavailable`, `Indeterminate`, `Internal`.
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

    /// How many records match, and what their copies take that are there and match, over all pages.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn record_totals(&self, query: &RecordQuery) -> Result<RecordTotals, StoreError>;

    /// Recovery plans that match, newest first by `created_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn plans(&self, query: &PlanQuery) -> Result<Page<RecoveryPlan>, StoreError>;

    /// Recovery executions that match, newest first by `started_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<RecoveryExecution>, StoreError>;

    /// Policies that match, newest first by `created_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, StoreError>;

    /// Slots that match, newest first by nominal time, then by policy.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn slots(&self, query: &SlotQuery) -> Result<Page<Slot>, StoreError>;

    /// Verifications that match, newest first by `started_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn verifications(&self, query: &VerificationQuery) -> Result<Page<Verification>, StoreError>;

    /// DR tests that match, newest first by `started_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn dr_tests(&self, query: &DrTestQuery) -> Result<Page<DrTest>, StoreError>;

    /// Retention runs that match, newest first by `started_at`, then by id.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn retention_runs(&self, query: &RetentionRunQuery) -> Result<Page<RetentionRun>, StoreError>;

    /// The states of the policies that match, in order of their policies' ids: all of them, in one
    /// read.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn policy_states(
        &self,
        query: &PolicyStateQuery,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError>;

    /// States of policies of `cluster` that are due at `now`, the longest due first, then by policy.
    /// Costs O(answer), whatever the number of policies.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn due_policies(
        &self,
        cluster: &ClusterName,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Versioned<PolicyState>>, StoreError>;

    /// When the next thing of `cluster` falls due by the clock: a policy, the retry of a live job,
    /// the end of a record's grace time, a deferred deletion. May be in the past; `None` if nothing
    /// is ever due. A deletion that is under way is observed, not waited for.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn next_due(&self, cluster: &ClusterName) -> Result<Option<Timestamp>, StoreError>;

    // ---- leases ----

    /// Claims a lease for `ttl` from now, if nobody else holds it. The claim of who holds it renews
    /// it under its generation; every other grant, also to whom it ran out for or who gave it back,
    /// is a new and greater one.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate`, `Internal`. That another holds it is an answer.
    async fn claim(&self, name: &LeaseName, holder: &HolderId, ttl: Duration) -> Result<Claim, StoreError>;

    /// Gives a lease back; nothing happens if it was granted under another generation since.
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

    /// Gives unsealed events their positions, dense and in commit order, those of one changeset
    /// together and in its order, and links them into their tenants' chains; what belongs to no tenant
    /// has a chain of its own. Takes `limit` events, if there are as many, and what else belongs to the
    /// last one's changeset: whoever sees one event of a changeset can read all of them.
    ///
    /// # Errors
    /// `VersionConflict` if the fence no longer holds, `Unavailable`, `Indeterminate` (seal again:
    /// what is sealed stays sealed), `Internal`.
    async fn seal(&self, fence: &Fence, limit: usize) -> Result<Sealed, StoreError>;

    /// Sealed events after a position, in order, at most `limit`. A scope of one tenant sees its
    /// own alone: neither others' nor those that belong to no tenant.
    ///
    /// # Errors
    /// `NotFound` if events after `after` were let go ([`StoreError::LogPruned`], with where the log
    /// starts) or if the log ends before `after` ([`StoreError::LogEnds`]), `Unavailable`, `Internal`.
    async fn events(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError>;

    /// Events that were committed and are not sealed yet, at most `limit`, in no promised order. Scopes
    /// are those of [`events`](Self::events). What is neither here nor in an answer of `events` that
    /// is asked for afterwards was not committed when this was asked.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn unsealed(&self, scope: &Scope, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;

    /// The position of the event that was sealed last; the start if there is none. Whoever goes on
    /// from here misses nothing that is sealed afterwards.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn head(&self) -> Result<Position, StoreError>;

    /// Where the log starts: at its first event, unless its beginning was [let go](Self::cut_log).
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn log_start(&self) -> Result<LogStart, StoreError>;

    /// Lets the log's beginning go. From then on the log starts at `start`, which says what the events
    /// that are left are linked to; what came before is gone for every reader, all of it at once. Nothing
    /// happens if it starts there or later already. [`prune`](Self::prune) frees the room.
    ///
    /// # Errors
    /// `InvalidInput` ([`StoreError::Malformed`]: the newest event would go), `Unavailable`,
    /// `Indeterminate` (let it go again), `Internal`.
    async fn cut_log(&self, start: LogStart) -> Result<(), StoreError>;

    /// Every reader of the log that ever stepped on, by its name, and how far it has come.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn readers(&self) -> Result<BTreeMap<String, Position>, StoreError>;

    /// How far the reader of the log called `name` has come; the start if it never said.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn reader_position(&self, name: &str) -> Result<Position, StoreError>;

    /// Moves a reader of the log on, if it is where the step begins, and keeps what it derived from
    /// the events on the way: all of it or nothing, so that no event counts twice, whoever else reads
    /// under that name. Without versions and without events.
    ///
    /// # Errors
    /// `InvalidInput` ([`StoreError::Malformed`]: a step that does not go forward, or that keeps one
    /// row twice), `VersionConflict` ([`Conflict::Moved`]; nothing was kept), `Unavailable`,
    /// `Indeterminate` (ask for the reader's position: it is at the step's end, or nothing happened),
    /// `Internal`.
    async fn advance_reader(&self, step: ReaderStep) -> Result<(), StoreError>;

    /// What a reader of the log keeps for a tenant, in order of the keys' bytes, and how far it had
    /// come when it was so: one snapshot.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError>;

    /// Forgets what nobody needs any more: reservations that expired at or before `now`, which until
    /// then stand; by the store's own clock, ids of changesets applied more than a day ago and
    /// progress noted more than a week ago; events that were [let go](Self::cut_log). Without events.
    /// Never an entity that people see, never an event that the log has.
    ///
    /// # Errors
    /// `Unavailable`, `Indeterminate` (prune again), `Internal`.
    async fn prune(&self, now: Timestamp) -> Result<(), StoreError>;

    /// When the event that was committed last was made, sealed or not, by the clock of whoever made
    /// it; `None` if there is none. A wall clock that is far behind it has jumped.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn newest_event_at(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Every tenant that owns something, in order, for what is done tenant by tenant.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;

    // ---- hints ----

    /// What it may be worth to look at, for those who wait: what was committed, sealed or given back
    /// through this handle or another one of the same data.
    ///
    /// It begins with [`StoreHint::Everything`] once it hears what others do, and says that again
    /// after a break. A hint comes after the change, and never holds it up; it may come late, more
    /// than once, once for many changes, or for nothing. It may be lost, too, so that nothing rests on
    /// it and whoever waits for one also looks now and then by itself. Each call gives a stream of its
    /// own, and may take a connection of its own for it; a dropped one is forgotten.
    fn hints(&self) -> BoxStream<'static, StoreHint>;
}
