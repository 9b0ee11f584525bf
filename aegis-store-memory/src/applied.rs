//! The changesets that were applied, so that a repetition is known.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use aegis_core::{model::ChangesetId, seams::Monotonic};

/// How long a repetition is known at the least.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Ids of applied changesets, and when each was applied.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    ids: HashSet<ChangesetId>,
    oldest_first: VecDeque<(Monotonic, ChangesetId)>,
}

impl Applied {
    pub(crate) fn contains(&self, id: ChangesetId) -> bool {
        self.ids.contains(&id)
    }

    pub(crate) fn note(&mut self, id: ChangesetId, at: Monotonic) {
        self.ids.insert(id);
        self.oldest_first.push_back((at, id));
    }

    /// Forgets ids that were applied longer ago than a repetition has to be known.
    pub(crate) fn prune(&mut self, now: Monotonic) {
        while let Some((_, id)) = self.oldest_first.pop_front_if(|(at, _)| now.since(*at) > KEPT_FOR) {
            self.ids.remove(&id);
        }
    }
}
