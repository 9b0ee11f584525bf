//! Slots: the nominal times of a policy, and what became of each.

use serde::{Deserialize, Serialize};

use super::{JobId, PolicyId, TenantId, Timestamp};

/// An entry of the slot ledger: what became of one nominal time of a policy, or of several in a
/// row that ended alike.
///
/// Its identity is its policy and [`Slot::nominal_at`]. No nominal time lies in two entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Whose slot it is.
    pub policy_id: PolicyId,
    /// The owner of the policy.
    pub tenant: TenantId,
    /// The nominal time, the first of them in a range.
    pub nominal_at: Timestamp,
    /// The last nominal time of a range; none if it is a single slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Timestamp>,
    /// How many nominal times it stands for: 1 unless it is a range.
    pub count: u64,
    /// What became of it.
    pub outcome: SlotOutcome,
    /// When that was decided.
    pub settled_at: Timestamp,
}

/// What became of a nominal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum SlotOutcome {
    /// A job was created for it.
    Ran {
        /// The job.
        job: JobId,
    },
    /// The job of another slot stands for it.
    Coalesced {
        /// The nominal time of that slot.
        into: Timestamp,
    },
    /// It was due, and a rule said no.
    Skipped {
        /// Which rule.
        reason: SkipReason,
    },
    /// Its start window passed before anything could start.
    Expired,
    /// It passed with nobody there to start it.
    Missed {
        /// Why.
        reason: MissReason,
    },
}

impl SlotOutcome {
    /// The job that ran for it.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::Ran { job } => Some(*job),
            Self::Coalesced { .. } | Self::Skipped { .. } | Self::Expired | Self::Missed { .. } => None,
        }
    }

    /// The labels that stores keep and the wire shows.
    pub const LABELS: [&str; 5] = ["ran", "coalesced", "skipped", "expired", "missed"];

    /// The stable label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Ran { .. } => "ran",
            Self::Coalesced { .. } => "coalesced",
            Self::Skipped { .. } => "skipped",
            Self::Expired => "expired",
            Self::Missed { .. } => "missed",
        }
    }
}

/// The rule that kept a due slot from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A job of the policy was active.
    Overlap,
    /// Its start lay in a blackout window.
    Blackout,
    /// The policy was disabled.
    Disabled,
    /// The schedule was changed between its nominal time and its start.
    Superseded,
    /// The policy was deleted.
    Deleted,
}

impl SkipReason {
    /// The stable label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Blackout => "blackout",
            Self::Disabled => "disabled",
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
        }
    }
}

/// Why nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissReason {
    /// No engine looked at the policy in time.
    Down,
}

impl MissReason {
    /// The stable label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Down => "down",
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn labels_are_what_is_written() {
        let at = Timestamp::UNIX_EPOCH;
        let outcomes = [
            SlotOutcome::Ran { job: JobId::from_uuid(Uuid::nil()) },
            SlotOutcome::Coalesced { into: at },
            SlotOutcome::Skipped { reason: SkipReason::Overlap },
            SlotOutcome::Expired,
            SlotOutcome::Missed { reason: MissReason::Down },
        ];
        for (outcome, label) in outcomes.into_iter().zip(SlotOutcome::LABELS) {
            let json = serde_json::to_value(outcome).unwrap();
            assert_eq!(json["outcome"], label);
            assert_eq!(outcome.label(), label);
            assert_eq!(serde_json::from_value::<SlotOutcome>(json).unwrap(), outcome);
        }
    }

    #[test]
    fn reasons_are_written_as_their_labels() {
        for reason in [
            SkipReason::Overlap,
            SkipReason::Blackout,
            SkipReason::Disabled,
            SkipReason::Superseded,
            SkipReason::Deleted,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.label());
        }
        assert_eq!(serde_json::to_value(MissReason::Down).unwrap(), MissReason::Down.label());
    }
}
