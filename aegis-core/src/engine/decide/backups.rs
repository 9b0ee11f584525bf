//! What the newest backups of a policy come to.

use std::time::Duration;

use crate::{
    model::{PolicyState, RecentBackup, Timestamp},
    rules::rto::{self, RestoreSize, RtoBasis, RtoEstimate, RtoInput, RtoSample, STALE_AFTER},
};

/// What the newest backups of a policy come to, as far as they alone decide it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backups {
    /// The longest that one of them took.
    pub(crate) longest: Option<Duration>,
    /// What a restore of the newest usable record would write; `None` if that one is not among them.
    pub(crate) size: Option<RestoreSize>,
    /// How long that restore would take by their speed, with no time to decide.
    estimate: Option<RtoEstimate>,
    /// Until when all of them are evidence.
    fresh_until: Timestamp,
}

impl Backups {
    pub(crate) fn of(state: Option<&PolicyState>, now: Timestamp) -> Self {
        let recent = state.map_or(&[][..], |state| &state.recent);
        let size = restore_size(state);
        let samples: Vec<_> = recent.iter().map(sample_of).collect();
        let estimate = size.and_then(|size| {
            let input = RtoInput {
                samples: &samples,
                backups: None,
                size,
                assumption: None,
                decision_time: Duration::ZERO,
                now,
            };
            rto::estimate(&input)
        });
        let oldest = recent.iter().map(|backup| backup.at).min();
        let fresh_until = oldest.map_or(Timestamp::MAX, |at| at.saturating_add(STALE_AFTER));
        Self { longest: state.and_then(PolicyState::longest_backup), size, estimate, fresh_until }
    }

    /// How long the restore would take; `None` if that is to be worked out anew.
    pub(crate) fn estimate_at(&self, now: Timestamp) -> Option<Option<RtoEstimate>> {
        (self.size.is_some() && now <= self.fresh_until).then_some(self.estimate)
    }
}

fn restore_size(state: Option<&PolicyState>) -> Option<RestoreSize> {
    let Some((state, newest)) = state.and_then(|state| Some((state, state.newest_usable?))) else {
        return Some(RestoreSize::Nothing);
    };
    let kept = state.recent.iter().find(|backup| backup.record == newest.record)?;
    Some(kept.size.map_or(RestoreSize::Unknown, RestoreSize::Known))
}

/// What a backup says of a restore.
pub(crate) fn sample_of(backup: &RecentBackup) -> RtoSample {
    RtoSample {
        basis: RtoBasis::BackupThroughput,
        at: backup.at,
        duration: backup.took,
        bytes: backup.handled,
        succeeded: true,
    }
}
