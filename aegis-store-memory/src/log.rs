//! The event log: unsealed events in commit order, sealed ones by position, a chain per tenant.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use aegis_core::{
    model::{ChainHash, Event, Position, SealedEvent, TenantId, Timestamp},
    seams::{LogEnd, LogStart, Scope, Sealed, StoreError},
};

/// The events of one tenant, or of none.
#[derive(Debug)]
struct Chain {
    head: ChainHash,
    positions: Vec<Position>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: ChainHash::GENESIS, positions: Vec::new() }
    }
}

/// Every event that was committed.
#[derive(Debug, Default)]
pub(crate) struct Log {
    unsealed: VecDeque<Arc<Event>>,
    start: LogStart,
    /// All that were not let go, without a gap.
    sealed: Vec<SealedEvent>,
    chains: HashMap<Option<TenantId>, Chain>,
}

/// Events to be sealed next, and what they are linked to.
#[derive(Debug)]
pub(crate) struct Batch {
    events: Vec<Arc<Event>>,
    end: LogEnd,
}

impl Log {
    pub(crate) fn push(&mut self, event: Event) {
        self.unsealed.push_back(Arc::new(event));
    }

    /// The oldest unsealed events: `limit`, and what else belongs to the last one's changeset.
    pub(crate) fn batch(&self, limit: usize) -> Batch {
        let mut events: Vec<Arc<Event>> = Vec::new();
        for event in &self.unsealed {
            let is_whole = events.last().is_none_or(|last| last.id.changeset != event.id.changeset);
            if events.len() >= limit && is_whole {
                break;
            }
            events.push(Arc::clone(event));
        }
        let mut end = LogEnd { head: self.head(), ..LogEnd::default() };
        for event in &events {
            if let Some(chain) = self.chains.get(&event.tenant)
                && !end.chains.contains_key(&event.tenant)
            {
                end.chains.insert(event.tenant.clone(), chain.head);
            }
        }
        Batch { events, end }
    }

    /// Takes over a batch that was linked. No other batch may have been in between.
    pub(crate) fn append(&mut self, linked: Vec<SealedEvent>) -> Sealed {
        let count = linked.len();
        self.unsealed.drain(..count.min(self.unsealed.len()));
        for sealed in &linked {
            if !self.chains.contains_key(&sealed.event.tenant) {
                self.chains.insert(sealed.event.tenant.clone(), Chain::default());
            }
            if let Some(chain) = self.chains.get_mut(&sealed.event.tenant) {
                chain.head = sealed.hash;
                chain.positions.push(sealed.position);
            }
        }
        self.sealed.extend(linked);
        Sealed { count, head: self.head() }
    }

    pub(crate) fn head(&self) -> Position {
        self.sealed.last().map_or(Position::START, |sealed| sealed.position)
    }

    pub(crate) const fn start(&self) -> &LogStart {
        &self.start
    }

    /// Lets everything before `start` go.
    pub(crate) fn cut(&mut self, start: LogStart) -> Result<(), StoreError> {
        start.check(self.head())?;
        if start.position > self.start.position {
            self.sealed.drain(..self.index(start.position));
            for chain in self.chains.values_mut() {
                chain.positions.retain(|position| *position > start.position);
            }
            self.start = start;
        }
        Ok(())
    }

    /// How many of the sealed events there are up to `position`.
    fn index(&self, position: Position) -> usize {
        usize::try_from(position.0.saturating_sub(self.start.position.0)).unwrap_or(usize::MAX)
    }

    /// Sealed events after a position.
    pub(crate) fn read(
        &self,
        scope: &Scope,
        after: Position,
        limit: usize,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        if after < self.start.position {
            return Err(StoreError::LogPruned(self.start.position));
        }
        if after > self.head() {
            return Err(StoreError::LogEnds(self.head()));
        }
        let Scope::Tenant(tenant) = scope else {
            return Ok(self.sealed.iter().skip(self.index(after)).take(limit).cloned().collect());
        };
        let positions =
            self.chains.get(&Some(tenant.clone())).map_or(&[][..], |chain| chain.positions.as_slice());
        let first = positions.partition_point(|position| *position <= after);
        let at = |position: &Position| self.sealed.get(self.index(*position).checked_sub(1)?).cloned();
        Ok(positions.iter().skip(first).take(limit).filter_map(at).collect())
    }

    /// Events that are not sealed yet.
    pub(crate) fn unsealed(&self, scope: &Scope, limit: usize) -> Vec<Arc<Event>> {
        let is_seen = |event: &&Arc<Event>| match scope {
            Scope::Everyone => true,
            Scope::Tenant(tenant) => event.tenant.as_ref() == Some(tenant),
        };
        self.unsealed.iter().filter(is_seen).take(limit).cloned().collect()
    }

    /// When the event that was committed last was made.
    pub(crate) fn newest_at(&self) -> Option<Timestamp> {
        let sealed = || self.sealed.last().map(|sealed| sealed.event.at);
        self.unsealed.back().map(|event| event.at).or_else(sealed)
    }
}

impl Batch {
    /// Gives each event its position and links it to what came before it.
    pub(crate) fn link(mut self) -> Result<Vec<SealedEvent>, StoreError> {
        self.end.link(self.events)
    }
}
