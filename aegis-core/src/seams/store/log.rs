//! What is said of the event log, of what its readers derive from it, and of progress.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::StoreError;
use crate::model::{ChainHash, Event, OperationId, Position, Progress, SealedEvent, TenantId, Timestamp};

/// What sealing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// How many events were sealed now.
    pub count: usize,
    /// The newest position of the log.
    pub head: Position,
}

/// Where the sealed log ends, for stores: what the next events are linked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The newest position.
    pub head: Position,
    /// The newest link of each chain that is gone on with; of what belongs to no tenant, too. A
    /// chain that is not here begins.
    pub chains: HashMap<Option<TenantId>, ChainHash>,
}

impl LogEnd {
    /// Gives each event its position and links it to what came before it in its tenant's chain; the
    /// end moves along.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if an event can't be written down.
    pub fn link(
        &mut self,
        events: impl IntoIterator<Item = Arc<Event>>,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        events.into_iter().map(|event| self.link_one(event)).collect()
    }

    fn link_one(&mut self, event: Arc<Event>) -> Result<SealedEvent, StoreError> {
        let document = serde_json::to_vec(&*event).map_err(|error| StoreError::Internal {
            action: "link an event into its chain",
            source: error.into(),
        })?;
        let (position, hash) = self.link_document(event.tenant.clone(), &document);
        Ok(SealedEvent { position, hash, event })
    }

    /// Gives an event of `tenant` that was written down as `document` its position and its link, without
    /// a look at what it says; the end moves along.
    pub fn link_document(&mut self, tenant: Option<TenantId>, document: &[u8]) -> (Position, ChainHash) {
        self.head = self.head.next();
        let newest = self.chains.entry(tenant).or_insert(ChainHash::GENESIS);
        *newest = newest.link_document(document, self.head);
        (self.head, *newest)
    }
}

/// How far an operation has come, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressReport {
    /// The operation.
    pub operation: OperationId,
    /// When it was last seen.
    pub observed_at: Timestamp,
    /// How far it was.
    pub progress: Progress,
    /// The outer system's own word for where it stands, where it has one.
    pub state: Option<String>,
}

/// A step of a reader along the event log, with what it derived from the events on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderStep {
    /// The reader's name.
    pub reader: String,
    /// Where it is: after this event.
    pub from: Position,
    /// Where it is then.
    pub to: Position,
    /// What it keeps from now on; each row replaces the one under its key.
    pub derived: Vec<DerivedRow>,
}

impl ReaderStep {
    /// A step that derives nothing.
    #[must_use]
    pub fn new(reader: impl Into<String>, from: Position, to: Position) -> Self {
        Self { reader: reader.into(), from, to, derived: Vec::new() }
    }

    /// Whether it goes forward and keeps no row twice, for stores.
    ///
    /// # Errors
    /// `InvalidInput` ([`StoreError::Malformed`]).
    pub fn check(&self) -> Result<(), StoreError> {
        if self.to <= self.from {
            let reason = format!("a step from {} to {} does not go forward", self.from, self.to);
            return Err(StoreError::Malformed { reason });
        }
        let mut seen = HashSet::with_capacity(self.derived.len());
        match self.derived.iter().find(|row| !seen.insert((&row.tenant, &row.key))) {
            None => Ok(()),
            Some(row) => Err(StoreError::Malformed { reason: format!("{} is kept twice", row.key) }),
        }
    }
}

/// Something that a reader derived from the event log and keeps for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedRow {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its key, one per reader and tenant.
    pub key: String,
    /// A text, JSON by custom, that is read back as it was written.
    pub document: Arc<str>,
}

/// Which of the rows that a reader keeps for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedQuery {
    /// The reader's name.
    pub reader: String,
    /// Whose.
    pub tenant: TenantId,
    /// Under which keys.
    pub keys: DerivedKeys,
}

/// Keys of derived rows; they are compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DerivedKeys {
    /// These alone, as far as they are there.
    Named(Vec<String>),
    /// From the first key on, before the second.
    Range(String, String),
}

impl DerivedKeys {
    /// Whether they have `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::Named(keys) => keys.iter().any(|named| named == key),
            Self::Range(from, before) => from.as_str() <= key && key < before.as_str(),
        }
    }
}

/// What a reader of the log keeps, as of a position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// How far the reader had come.
    pub position: Position,
    /// The rows, in order of their keys.
    pub rows: Vec<DerivedRow>,
}
