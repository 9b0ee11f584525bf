//! What can be asked of a store.

use std::cmp::Reverse;

use uuid::Uuid;

use crate::model::{
    BackupJob, Bytes, ChainId, CheckStatus, ClusterName, ExecutionStatus, JobId, JobStatus, PlanId,
    PlanStatus, PolicyId, RecordId, RecordState, StorageBackend, StorageUri, TenantId, Timestamp, Versioned,
};

/// Whose things a query may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One tenant's.
    Tenant(TenantId),
    /// Everyone's: for the engine's own work, never for an answer to a tenant.
    Everyone,
}

impl Scope {
    /// Whether it covers an entity of `tenant`; one that belongs to nobody is in every scope. (The
    /// event log is stricter: see [`Store::events`](super::Store::events).)
    #[must_use]
    pub fn covers(&self, tenant: Option<&TenantId>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Tenant(own) => tenant.is_none_or(|tenant| tenant == own),
        }
    }
}

/// The place of an entity in a list that is ordered newest first: its time, then its id (of a slot,
/// its policy's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The time that the list is ordered by.
    pub at: Timestamp,
    /// The id, for ties: the greater is the newer.
    pub id: Uuid,
}

/// Which part of what matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At most this many; 0 asks for the total alone.
    pub limit: usize,
    /// Leave out so many first; counted from `after`.
    pub offset: usize,
    /// Only what comes after this place; stable while things are inserted.
    pub after: Option<Cursor>,
    /// Whether to count everything that matches, wherever the window lies.
    pub count: bool,
}

impl Window {
    /// Everything that matches, uncounted.
    pub const ALL: Self = Self { limit: usize::MAX, offset: 0, after: None, count: false };

    /// The first `limit`, uncounted.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { limit, offset: 0, after: None, count: false }
    }
}

/// What a query found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The part that was asked for.
    pub items: Vec<Versioned<T>>,
    /// How many match in all, where that was asked for.
    pub total: Option<u64>,
}

/// How jobs are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// Newest first by `created_at`, then by id.
    NewestFirst,
    /// As they are started: by [`Turn`]. [`Window::after`] has no meaning here.
    Dispatch,
}

/// When a job is started, among others that wait: the highest priority first, then the oldest, then
/// by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// Its priority.
    pub priority: Reverse<i32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its id.
    pub id: JobId,
}

impl From<&BackupJob> for Turn {
    fn from(job: &BackupJob) -> Self {
        Self { priority: Reverse(job.priority), created_at: job.created_at, id: job.id }
    }
}

/// Defines a query: every field narrows; none set is everything in scope.
macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            /// Whose.
            pub scope: Scope,
            $($(#[$fdoc])* pub $field: $type,)*
            /// Which part of what matches.
            pub window: Window,
        }

        impl $name {
            /// Everything in scope.
            #[must_use]
            pub fn new(scope: Scope) -> Self {
                Self { scope, $($field: $default,)* window: Window::ALL }
            }

            /// With this part of what matches.
            #[must_use]
            pub const fn with_window(mut self, window: Window) -> Self {
                self.window = window;
                self
            }
        }
    )*};
}

queries! {
    /// Which jobs.
    JobQuery {
        /// Of this cluster.
        cluster: Option<ClusterName> = None,
        /// In one of these states; any when empty.
        statuses: Vec<JobStatus> = Vec::new(),
        /// With something left to do for the engine, or without.
        live: Option<bool> = None,
        /// Of this policy.
        policy: Option<PolicyId> = None,
        /// Into this location.
        location: Option<StorageUri> = None,
        /// Made at or after this instant.
        from: Option<Timestamp> = None,
        /// Made before this instant.
        to: Option<Timestamp> = None,
        /// Hidden ones, too.
        hidden: bool = false,
        /// Whose turn comes before this one.
        before: Option<Turn> = None,
        /// In which order.
        order: JobOrder = JobOrder::NewestFirst,
    }
    /// Which records.
    RecordQuery {
        /// One of these; any when empty.
        ids: Vec<RecordId> = Vec::new(),
        /// Of this cluster.
        cluster: Option<ClusterName> = None,
        /// Of this policy.
        policy: Option<PolicyId> = None,
        /// Only those that no policy made.
        manual: bool = false,
        /// In one of these states; any when empty.
        states: Vec<RecordState> = Vec::new(),
        /// With a copy in this location, gone or not.
        location: Option<StorageUri> = None,
        /// With a copy in such a storage, gone or not; the same copy, if a location is given, too.
        backend: Option<StorageBackend> = None,
        /// Of this chain.
        chain: Option<ChainId> = None,
        /// Made at or after this instant.
        from: Option<Timestamp> = None,
        /// Made before this instant.
        to: Option<Timestamp> = None,
        /// For which there is something to do at this instant: whose grace time is over, or which
        /// are being deleted and not deferred beyond it.
        due_by: Option<Timestamp> = None,
    }
    /// Which recovery plans.
    PlanQuery {
        /// Into this cluster.
        cluster: Option<ClusterName> = None,
        /// In this state.
        status: Option<PlanStatus> = None,
        /// From this record.
        record: Option<RecordId> = None,
    }
    /// Which recovery executions.
    ExecutionQuery {
        /// Into this cluster.
        cluster: Option<ClusterName> = None,
        /// Of this plan.
        plan: Option<PlanId> = None,
        /// In this state.
        status: Option<ExecutionStatus> = None,
        /// That ended after this instant or have not ended.
        active_after: Option<Timestamp> = None,
    }
    /// Which policies.
    PolicyQuery {
        /// One of these; any when empty.
        ids: Vec<PolicyId> = Vec::new(),
        /// Of this cluster.
        cluster: Option<ClusterName> = None,
        /// Enabled or not.
        enabled: Option<bool> = None,
    }
    /// Which slots.
    SlotQuery {
        /// Of this policy.
        policy: Option<PolicyId> = None,
        /// Whose first nominal time is this or later.
        from: Option<Timestamp> = None,
        /// Whose first nominal time is before this.
        to: Option<Timestamp> = None,
    }
    /// Which verifications.
    VerificationQuery {
        /// By this cluster's driver.
        cluster: Option<ClusterName> = None,
        /// Of this record.
        record: Option<RecordId> = None,
        /// In this state.
        status: Option<CheckStatus> = None,
    }
    /// Which DR tests.
    DrTestQuery {
        /// Into this cluster.
        cluster: Option<ClusterName> = None,
        /// Of this policy.
        policy: Option<PolicyId> = None,
        /// Of this record.
        record: Option<RecordId> = None,
        /// In this state.
        status: Option<CheckStatus> = None,
        /// That ended after this instant or have not ended.
        active_after: Option<Timestamp> = None,
    }
    /// Which retention runs.
    RetentionRunQuery {
        /// Of this cluster.
        cluster: Option<ClusterName> = None,
        /// Of this policy.
        policy: Option<PolicyId> = None,
    }
}

/// Which states of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStateQuery {
    /// Whose.
    pub scope: Scope,
    /// Of policies that protect this cluster.
    pub cluster: Option<ClusterName>,
    /// Of one of these policies; of any when empty.
    pub policies: Vec<PolicyId>,
}

impl PolicyStateQuery {
    /// Everything in scope.
    #[must_use]
    pub const fn new(scope: Scope) -> Self {
        Self { scope, cluster: None, policies: Vec::new() }
    }
}

/// What records come to, over all pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordTotals {
    /// How many.
    pub count: u64,
    /// What they take in storage, as far as it is known.
    pub stored: Bytes,
}
