//! What stores keep: every kind of entity under one roof.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    BackupJob, BackupRecord, ClusterName, ClusterState, DrTest, DrTestId, ExecutionId, JobId, PlanId, Policy,
    PolicyId, PolicyState, RecordId, RecoveryExecution, RecoveryPlan, Reservation, ReservationKey,
    RetentionRun, RetentionRunId, Slot, TenantId, Timestamp, Verification, VerificationId, machine::labels,
};

/// How often an entity was written: 1 when it was inserted, one more with each update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version of what was just inserted.
    pub const FIRST: Self = Self(1);

    /// The version after one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An entity as it was read, with its version. Cloning shares it.
#[derive(Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// Which version.
    pub version: Version,
    /// The entity.
    pub value: Arc<T>,
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: Arc::clone(&self.value) }
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Ties the kinds of entities together: the enum, the keys, and the way from one to the other.
macro_rules! entities {
    ($($(#[$doc:meta])* $kind:ident($type:ty) = $label:literal, key $key:ty, |$entity:ident| $id:expr, tenant $tenant:expr;)*) => {
        labels! {
            /// The kinds of entities.
            EntityKind { $($(#[$doc])* $kind = $label,)* }
        }

        /// The identity of an entity, over all kinds.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "id", rename_all = "snake_case")]
        pub enum EntityKey { $($(#[$doc])* $kind($key),)* }

        impl EntityKey {
            /// The kind of entity.
            #[must_use]
            pub const fn kind(&self) -> EntityKind {
                match self { $(Self::$kind(_) => EntityKind::$kind,)* }
            }
        }

        /// An entity of any kind. Cloning shares it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Entity { $($(#[$doc])* $kind(Arc<$type>),)* }

        impl Entity {
            /// Its identity.
            #[must_use]
            pub fn key(&self) -> EntityKey {
                match self { $(Self::$kind($entity) => EntityKey::$kind($id),)* }
            }

            /// It as one JSON document, as stores and manifests keep it.
            ///
            /// # Errors
            /// [`serde_json::Error`] if it can't be written down, which no valid entity is.
            pub fn to_document(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$kind($entity) => serde_json::to_string(&**$entity),)* }
            }

            /// The entity of this kind that a document tells of.
            ///
            /// # Errors
            /// [`serde_json::Error`] if the document is of something else.
            pub fn from_document(kind: EntityKind, document: &str) -> Result<Self, serde_json::Error> {
                match kind {
                    $(EntityKind::$kind => serde_json::from_str::<$type>(document).map(Self::from),)*
                }
            }

            /// Whose it is; `None` for what belongs to no tenant.
            #[must_use]
            pub fn tenant(&self) -> Option<&TenantId> {
                match self { $(Self::$kind($entity) => { let _ = $entity; $tenant })* }
            }
        }

        $(
            impl From<$type> for Entity {
                fn from(entity: $type) -> Self {
                    Self::$kind(Arc::new(entity))
                }
            }

            impl From<Arc<$type>> for Entity {
                fn from(entity: Arc<$type>) -> Self {
                    Self::$kind(entity)
                }
            }

            impl Stored for $type {
                type Key = $key;
                const KIND: EntityKind = EntityKind::$kind;

                fn key_of(key: $key) -> EntityKey {
                    EntityKey::$kind(key)
                }

                fn from_entity(entity: Entity) -> Option<Arc<Self>> {
                    if let Entity::$kind(entity) = entity { Some(entity) } else { None }
                }
            }
        )*
    };
}

/// A type that stores keep as an entity.
pub trait Stored: Into<Entity> + Sized + Send + Sync + 'static {
    /// The type of its id.
    type Key;
    /// Its kind.
    const KIND: EntityKind;

    /// The identity of the entity with this id.
    fn key_of(key: Self::Key) -> EntityKey;

    /// The entity, if it is of this kind.
    fn from_entity(entity: Entity) -> Option<Arc<Self>>;
}

/// The identity of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SlotKey {
    /// The policy.
    pub policy: PolicyId,
    /// The nominal time.
    pub nominal_at: Timestamp,
}

entities! {
    /// A backup job.
    Job(BackupJob) = "job", key JobId, |e| e.id, tenant Some(&e.tenant);
    /// A backup record.
    Record(BackupRecord) = "record", key RecordId, |e| e.id, tenant Some(&e.tenant);
    /// A recovery plan.
    Plan(RecoveryPlan) = "plan", key PlanId, |e| e.id, tenant Some(&e.tenant);
    /// A recovery execution.
    Execution(RecoveryExecution) = "execution", key ExecutionId, |e| e.id, tenant Some(&e.tenant);
    /// A DR policy.
    Policy(Policy) = "policy", key PolicyId, |e| e.id, tenant Some(&e.tenant);
    /// What the engine knows of a policy.
    PolicyState(PolicyState) = "policy_state", key PolicyId, |e| e.policy, tenant Some(&e.tenant);
    /// What became of a nominal time.
    Slot(Slot) = "slot", key SlotKey,
        |e| SlotKey { policy: e.policy_id, nominal_at: e.nominal_at }, tenant Some(&e.tenant);
    /// A verification.
    Verification(Verification) = "verification", key VerificationId, |e| e.id, tenant Some(&e.tenant);
    /// A DR test.
    DrTest(DrTest) = "dr_test", key DrTestId, |e| e.id, tenant Some(&e.tenant);
    /// A run of the retention planner.
    RetentionRun(RetentionRun) = "retention_run", key RetentionRunId, |e| e.id, tenant Some(&e.tenant);
    /// What goes on in a cluster; belongs to no tenant.
    ClusterState(ClusterState) = "cluster_state", key ClusterName, |e| e.cluster.clone(), tenant None;
    /// A key that is taken.
    Reservation(Reservation) = "reservation", key ReservationKey, |e| e.key.clone(), tenant Some(&e.tenant);
}
