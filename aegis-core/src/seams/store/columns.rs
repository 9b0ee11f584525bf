//! What is asked for of each kind of entity: the columns of a store that keeps tables.
//!
//! Such a store keeps an entity as one document ([`Entity::to_document`]) and these values beside
//! it, so that it can find the entity. What they say is derived from the entity here, once, for
//! every store; an entity is always read back from its document.

use std::{borrow::Cow, fmt};

use uuid::Uuid;

use crate::model::{BackupRecord, Bytes, Entity, EntityKind, RecordLifecycle, Timestamp};

/// Something that entities are asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The minted id.
    Id,
    /// The key of a reservation.
    Key,
    /// Whose it is.
    Tenant,
    /// The cluster; of what restores, the target.
    Cluster,
    /// The policy.
    Policy,
    /// The record.
    Record,
    /// The plan.
    Plan,
    /// The chain.
    Chain,
    /// The storage location.
    Location,
    /// The state of its machine, by label.
    Status,
    /// Whether a policy runs.
    Enabled,
    /// Whether the engine has something left to do for a job.
    Live,
    /// Whether lists leave a job out.
    Hidden,
    /// Higher goes first.
    Priority,
    /// The time that lists are ordered by.
    At,
    /// When it ended.
    EndedAt,
    /// When the engine has something to do for it by the clock; of a reservation, when it may be
    /// forgotten.
    DueAt,
    /// What its copies that are there take, in bytes, as far as it is known.
    Stored,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// A UUID.
    Uuid,
    /// A text.
    Text,
    /// An instant, to the microsecond.
    Instant,
    /// A whole number.
    Integer,
    /// Yes or no.
    Flag,
}

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A UUID.
    Uuid(Uuid),
    /// A text.
    Text(Cow<'a, str>),
    /// An instant, to the microsecond.
    Instant(Timestamp),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Flag(bool),
}

impl Column {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Cluster => "cluster",
            Self::Policy => "policy",
            Self::Record => "record",
            Self::Plan => "plan",
            Self::Chain => "chain",
            Self::Location => "location",
            Self::Status => "status",
            Self::Enabled => "enabled",
            Self::Live => "live",
            Self::Hidden => "hidden",
            Self::Priority => "priority",
            Self::At => "at",
            Self::EndedAt => "ended_at",
            Self::DueAt => "due_at",
            Self::Stored => "stored",
        }
    }

    /// What its values are.
    #[must_use]
    pub const fn value_type(self) -> ColumnType {
        match self {
            Self::Id | Self::Policy | Self::Record | Self::Plan | Self::Chain => ColumnType::Uuid,
            Self::Key | Self::Tenant | Self::Cluster | Self::Location | Self::Status => ColumnType::Text,
            Self::Enabled | Self::Live | Self::Hidden => ColumnType::Flag,
            Self::Priority | Self::Stored => ColumnType::Integer,
            Self::At | Self::EndedAt | Self::DueAt => ColumnType::Instant,
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl EntityKind {
    /// The columns that identify an entity of this kind.
    #[must_use]
    pub const fn key_columns(self) -> &'static [Column] {
        match self {
            Self::Job | Self::Record | Self::Plan | Self::Execution => &[Column::Id],
            Self::Policy | Self::Verification | Self::DrTest | Self::RetentionRun => &[Column::Id],
            Self::PolicyState => &[Column::Policy],
            Self::Slot => &[Column::Policy, Column::At],
            Self::ClusterState => &[Column::Cluster],
            Self::Reservation => &[Column::Key],
        }
    }

    /// The columns that an entity of this kind is asked for by, beside those that identify it.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        use Column as C;
        match self {
            Self::Job => &[
                C::Tenant,
                C::Cluster,
                C::Policy,
                C::Location,
                C::Status,
                C::Live,
                C::Hidden,
                C::Priority,
                C::At,
                C::DueAt,
            ],
            Self::Record => {
                &[C::Tenant, C::Cluster, C::Policy, C::Chain, C::Status, C::At, C::DueAt, C::Stored]
            }
            Self::Plan => &[C::Tenant, C::Cluster, C::Record, C::Status, C::At],
            Self::Execution => &[C::Tenant, C::Cluster, C::Plan, C::Status, C::At, C::EndedAt],
            Self::Policy => &[C::Tenant, C::Cluster, C::Enabled, C::At],
            Self::PolicyState => &[C::Tenant, C::Cluster, C::DueAt],
            Self::Slot => &[C::Tenant],
            Self::Verification => &[C::Tenant, C::Cluster, C::Record, C::Status, C::At],
            Self::DrTest => &[C::Tenant, C::Cluster, C::Policy, C::Record, C::Status, C::At, C::EndedAt],
            Self::RetentionRun => &[C::Tenant, C::Cluster, C::Policy, C::At],
            Self::ClusterState => &[],
            Self::Reservation => &[C::Tenant, C::DueAt],
        }
    }
}

impl Entity {
    /// What it says in `column`; `None` if nothing, or if its kind has no such column.
    #[must_use]
    pub fn value(&self, column: Column) -> Option<Value<'_>> {
        if column == Column::Tenant {
            return self.tenant().and_then(|tenant| text(tenant.as_str()));
        }
        match self {
            Self::Job(job) => match column {
                Column::Id => uuid(job.id.as_uuid()),
                Column::Cluster => text(job.cluster.as_str()),
                Column::Policy => job.policy.and_then(|policy| uuid(policy.as_uuid())),
                Column::Location => Some(Value::Text(Cow::Owned(job.location.to_string()))),
                Column::Status => text(job.status.as_str()),
                Column::Live => Some(Value::Flag(job.is_live())),
                Column::Hidden => Some(Value::Flag(job.hidden)),
                Column::Priority => Some(Value::Integer(job.priority.into())),
                Column::At => instant(job.created_at),
                Column::DueAt => job.retry_at.filter(|_| job.is_live()).map(Value::Instant),
                _ => None,
            },
            Self::Record(record) => match column {
                Column::Id => uuid(record.id.as_uuid()),
                Column::Cluster => text(record.cluster.as_str()),
                Column::Policy => record.policy.and_then(|policy| uuid(policy.as_uuid())),
                Column::Chain => uuid(record.chain.as_uuid()),
                Column::Status => text(record.state().as_str()),
                Column::At => instant(record.created_at),
                Column::DueAt => leaves_at(&record.lifecycle).map(Value::Instant),
                Column::Stored => Some(Value::Integer(stored(record))),
                _ => None,
            },
            Self::Plan(plan) => match column {
                Column::Id => uuid(plan.id.as_uuid()),
                Column::Cluster => text(plan.target_cluster.as_str()),
                Column::Record => uuid(plan.record.as_uuid()),
                Column::Status => text(plan.status.as_str()),
                Column::At => instant(plan.created_at),
                _ => None,
            },
            Self::Execution(execution) => match column {
                Column::Id => uuid(execution.id.as_uuid()),
                Column::Cluster => text(execution.target_cluster.as_str()),
                Column::Plan => uuid(execution.plan.as_uuid()),
                Column::Status => text(execution.status.as_str()),
                Column::At => instant(execution.started_at),
                Column::EndedAt => execution.completed_at.map(Value::Instant),
                _ => None,
            },
            Self::Policy(policy) => match column {
                Column::Id => uuid(policy.id.as_uuid()),
                Column::Cluster => text(policy.cluster.as_str()),
                Column::Enabled => Some(Value::Flag(policy.enabled)),
                Column::At => instant(policy.created_at),
                _ => None,
            },
            Self::PolicyState(state) => match column {
                Column::Policy => uuid(state.policy.as_uuid()),
                Column::Cluster => text(state.cluster.as_str()),
                Column::DueAt => state.due_at.map(Value::Instant),
                _ => None,
            },
            Self::Slot(slot) => match column {
                Column::Policy => uuid(slot.policy_id.as_uuid()),
                Column::At => instant(slot.nominal_at),
                _ => None,
            },
            Self::Verification(verification) => match column {
                Column::Id => uuid(verification.id.as_uuid()),
                Column::Cluster => text(verification.cluster.as_str()),
                Column::Record => uuid(verification.record.id.as_uuid()),
                Column::Status => text(verification.status.as_str()),
                Column::At => instant(verification.started_at),
                _ => None,
            },
            Self::DrTest(test) => match column {
                Column::Id => uuid(test.id.as_uuid()),
                Column::Cluster => text(test.target_cluster.as_str()),
                Column::Policy => test.policy.and_then(|policy| uuid(policy.as_uuid())),
                Column::Record => test.run.as_ref().and_then(|run| uuid(run.record.id.as_uuid())),
                Column::Status => text(test.status.as_str()),
                Column::At => instant(test.started_at),
                Column::EndedAt => test.completed_at.map(Value::Instant),
                _ => None,
            },
            Self::RetentionRun(run) => match column {
                Column::Id => uuid(run.id.as_uuid()),
                Column::Cluster => text(run.cluster.as_str()),
                Column::Policy => run.policy.and_then(|policy| uuid(policy.as_uuid())),
                Column::At => instant(run.started_at),
                _ => None,
            },
            Self::ClusterState(state) => match column {
                Column::Cluster => text(state.cluster.as_str()),
                _ => None,
            },
            Self::Reservation(reservation) => match column {
                Column::Key => text(reservation.key.as_str()),
                Column::DueAt => reservation.expires_at.map(Value::Instant),
                _ => None,
            },
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "so that the arms above read alike")]
const fn uuid(id: Uuid) -> Option<Value<'static>> {
    Some(Value::Uuid(id))
}

#[expect(clippy::unnecessary_wraps, reason = "so that the arms above read alike")]
const fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(Cow::Borrowed(text)))
}

#[expect(clippy::unnecessary_wraps, reason = "so that the arms above read alike")]
const fn instant(at: Timestamp) -> Option<Value<'static>> {
    Some(Value::Instant(at))
}

/// When there is something to do for a record that leaves.
const fn leaves_at(lifecycle: &RecordLifecycle) -> Option<Timestamp> {
    match lifecycle {
        RecordLifecycle::Available | RecordLifecycle::Deleted { .. } => None,
        RecordLifecycle::Expired { delete_after, .. } => Some(*delete_after),
        RecordLifecycle::Deleting(deletion) => deletion.deferred_until,
    }
}

fn stored(record: &BackupRecord) -> i64 {
    let Bytes(stored) = record.stored().unwrap_or(Bytes(0));
    i64::try_from(stored).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_column_is_named_twice_in_a_kind() {
        for kind in EntityKind::ALL {
            let mut names: Vec<_> =
                kind.key_columns().iter().chain(kind.columns()).map(|c| c.name()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{kind:?}");
        }
    }
}
