//! Looking now and then which namespaces the cluster has, so that a new one is known as new.

use crate::{
    engine::runtime::{Worker, worker::Interrupted},
    model::{ClusterState, Discovery, EventFacts, EventKind},
    seams::{Scope, StoreExt},
};

impl Worker {
    /// Notes which namespaces there are, where that changed since the last look.
    pub(crate) async fn discover_namespaces(&mut self) -> Result<(), Interrupted> {
        let now = self.core.clock.monotonic();
        let interval = self.core.options.discovery_interval;
        if self.discovered_at.is_some_and(|at| now.since(at) < interval) {
            return Ok(());
        }
        self.discovered_at = Some(now);
        let Some(names) = self.namespaces().await else { return Ok(()) };
        let found = self.core.store.find::<ClusterState>(&Scope::Everyone, self.cluster.clone()).await?;
        let at = self.core.clock.now();
        let next = match found.as_ref().and_then(|state| state.discovery.as_ref()) {
            Some(known) => known.after(&names, at),
            None => Some(Discovery::begin(names, at)),
        };
        let Some(next) = next else { return Ok(()) };
        let mut changeset = self.decider().changeset();
        let facts = EventFacts { cluster: Some(self.cluster.clone()), ..EventFacts::default() };
        let state = |mut state: ClusterState| {
            state.discovery = Some(next);
            state
        };
        match found {
            Some(found) => {
                let next = state(ClusterState::clone(&found));
                changeset.update(found.version, next, EventKind::ClusterStateChanged, facts);
            }
            None => {
                let next = state(ClusterState::new(self.cluster.clone()));
                changeset.insert(next, EventKind::ClusterStateChanged, facts);
            }
        }
        self.commit(changeset).await?;
        Ok(())
    }
}
