//! Decisions: state, an observation and the present instant in; a changeset out. Nothing here
//! waits, reads a clock or touches the outside.

mod backups;
mod deletion;
mod dr_test;
mod execution;
mod exposure;
mod job;
mod record;
mod retention;
mod schedule;
mod verdict;
mod verification;

use crate::{
    engine::IdSource,
    model::{
        ArtifactName, DisplayName, EntityKey, EventFacts, EventKind, Principal, Reservation, ReservationKey,
        TenantId, Timestamp,
    },
    seams::{Changeset, Fence},
};

pub(crate) use backups::{Backups, sample_of};
pub(crate) use deletion::{DeletionStep, operation_of as deletion_operation};
pub(crate) use dr_test::{
    DrOrder, DrPrepared, DrTestStep, DrTestSurroundings, clean_up_of as dr_clean_up_operation, dr_table,
    restore_of as dr_restore_operation,
};
pub(crate) use execution::{ExecutionStep, ExecutionSurroundings, operation_of as execution_operation};
pub(crate) use exposure::{
    PointBook, PolicyStanding, asks_anew, count_alike, counts_by_itself, covers, keep_rpo, note_edit,
    note_newest, rpo_state, rpo_verdict, suspensions, verified_alike,
};
pub(crate) use job::{JobNext, Start, builds_on, job_facts, operation_of as job_operation};
pub(crate) use record::{NewRecord, record_facts};
pub(crate) use retention::{Group, decisions_of, kept_from, point_of};
pub(crate) use schedule::{RunEnd, is_ahead, policy_facts, warn_if_behind, with_due};
pub(crate) use verdict::{expected, run_facts};
pub(crate) use verification::{VerificationStep, operation_of as verification_operation};

/// How long a generated name stays reserved: it holds the second of its making, so that only a
/// clock that was set back could make it again.
const NAME_RESERVED_FOR: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What every decision needs besides its subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decider<'a> {
    /// The present instant.
    pub(crate) now: Timestamp,
    /// Where new ids come from.
    pub(crate) ids: &'a IdSource,
    /// The lease under which it is decided; `None` for what people ask for.
    pub(crate) fence: Option<&'a Fence>,
}

impl Decider<'_> {
    /// A changeset of the engine's own, under its lease.
    pub(crate) fn changeset(&self) -> Changeset {
        self.changeset_by(Principal::engine())
    }

    /// A changeset that `actor` asked for.
    pub(crate) fn changeset_by(&self, actor: Principal) -> Changeset {
        let mut changeset = Changeset::new(self.ids.mint(self.now), actor, self.now);
        changeset.fences.extend(self.fence.cloned());
        changeset
    }

    /// A name for an attempt, reserved in `changeset`. `taken` says that the plain one was refused.
    pub(crate) fn reserve_name(
        &self,
        changeset: &mut Changeset,
        tenant: &TenantId,
        owner: EntityKey,
        name: &DisplayName,
        taken: NameTaken,
    ) -> ArtifactName {
        let artifact = match taken {
            NameTaken::No => ArtifactName::generate(name, self.now),
            NameTaken::Yes => ArtifactName::generate_distinct(name, self.now, self.ids.salt()),
        };
        let reservation = Reservation {
            key: ReservationKey::artifact(&artifact),
            tenant: tenant.clone(),
            owner,
            request_hash: None,
            expires_at: Some(self.now.saturating_add(NAME_RESERVED_FOR)),
        };
        changeset.insert(reservation, EventKind::ReservationMade, EventFacts::default());
        artifact
    }
}

/// Whether the plain name of an attempt was refused as taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameTaken {
    /// Not that we know.
    No,
    /// Yes: make another.
    Yes,
}
