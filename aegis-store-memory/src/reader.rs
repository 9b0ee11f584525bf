//! The readers of the event log: how far each has come, and what it derived on the way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use aegis_core::{
    model::{Position, TenantId},
    seams::{Conflict, Derived, DerivedKeys, DerivedQuery, DerivedRow, ReaderStep},
};

/// Documents by key.
type Rows = BTreeMap<String, Arc<str>>;

#[derive(Debug, Default)]
struct Reader {
    position: Position,
    tenants: HashMap<TenantId, Rows>,
}

/// Every reader that ever made a step, by name.
#[derive(Debug, Default)]
pub(crate) struct Readers(HashMap<String, Reader>);

impl Readers {
    pub(crate) fn position(&self, name: &str) -> Position {
        self.0.get(name).map_or(Position::START, |reader| reader.position)
    }

    pub(crate) fn positions(&self) -> BTreeMap<String, Position> {
        self.0.iter().map(|(name, reader)| (name.clone(), reader.position)).collect()
    }

    /// Makes a step that was checked, or leaves everything as it was.
    pub(crate) fn advance(&mut self, step: ReaderStep) -> Result<(), Conflict> {
        let found = self.position(&step.reader);
        if found != step.from {
            return Err(Conflict::Moved { reader: step.reader, expected: step.from, found });
        }
        let reader = self.0.entry(step.reader).or_default();
        reader.position = step.to;
        for DerivedRow { tenant, key, document } in step.derived {
            reader.tenants.entry(tenant).or_default().insert(key, document);
        }
        Ok(())
    }

    pub(crate) fn derived(&self, query: &DerivedQuery) -> Derived {
        let Some(reader) = self.0.get(&query.reader) else { return Derived::default() };
        let rows = reader.tenants.get(&query.tenant).map(|rows| select(rows, query)).unwrap_or_default();
        Derived { position: reader.position, rows }
    }
}

fn select(rows: &Rows, query: &DerivedQuery) -> Vec<DerivedRow> {
    let row = |(key, document): (&String, &Arc<str>)| DerivedRow {
        tenant: query.tenant.clone(),
        key: key.clone(),
        document: Arc::clone(document),
    };
    match &query.keys {
        DerivedKeys::Range(from, before) if from < before => {
            rows.range(from.clone()..before.clone()).map(row).collect()
        }
        DerivedKeys::Range(..) => Vec::new(),
        DerivedKeys::Named(keys) => {
            let keys: std::collections::BTreeSet<_> = keys.iter().collect();
            keys.into_iter().filter_map(|key| rows.get_key_value(key)).map(row).collect()
        }
    }
}
