//! Where the event log starts once its beginning was let go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::{ChainHash, ChangesetId, Position, TenantId};

/// Where the event log starts: what was let go of its beginning, and what the rest is linked to.
///
/// Its form as JSON is fixed: what vouches for it in storage rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStart {
    /// Every event up to this one was let go; [`Position::START`] if none was.
    pub position: Position,
    /// The changeset of the first event that ever was, by which the log is named. `None` if nothing was
    /// let go.
    pub log: Option<ChangesetId>,
    /// The newest link up to there of each chain, of what belongs to no tenant, too.
    #[serde(with = "pairs")]
    pub chains: BTreeMap<Option<TenantId>, ChainHash>,
}

impl LogStart {
    /// What the first event that is left of a chain is linked to.
    #[must_use]
    pub fn head(&self, tenant: &Option<TenantId>) -> ChainHash {
        self.chains.get(tenant).copied().unwrap_or(ChainHash::GENESIS)
    }

    /// Whether a log that ends at `head` keeps an event if it starts here, for stores.
    ///
    /// # Errors
    /// `InvalidInput` ([`StoreError::Malformed`]).
    pub fn check(&self, head: Position) -> Result<(), StoreError> {
        if self.position < head {
            return Ok(());
        }
        let reason =
            format!("nothing would be left of a log that ends at {head} and starts after {}", self.position);
        Err(StoreError::Malformed { reason })
    }

    /// A hash over all of it, which tells nothing of whose chains there are.
    ///
    /// # Errors
    /// [`serde_json::Error`] if it can't be written down, which none is that a store answered.
    pub fn digest(&self) -> Result<ChainHash, serde_json::Error> {
        Ok(ChainHash::GENESIS.link_document(&serde_json::to_vec(self)?, self.position))
    }
}

/// Chains as a list of pairs: JSON has no key that is nothing.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{ChainHash, TenantId};

    type Chains = BTreeMap<Option<TenantId>, ChainHash>;

    pub(super) fn serialize<S: Serializer>(chains: &Chains, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(chains)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Chains, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_anchors_rest_on_stays() {
        let start = LogStart {
            position: Position(7),
            log: Some(ChangesetId::from_uuid(uuid::Uuid::from_u128(1))),
            chains: [
                (Some(TenantId::new("acme").unwrap()), ChainHash::from_bytes([1; 32])),
                (None, ChainHash::from_bytes([2; 32])),
            ]
            .into(),
        };
        let json = serde_json::to_string(&start).unwrap();
        let (acme, nobody) = ("01".repeat(32), "02".repeat(32));
        let expected = format!(
            r#"{{"position":7,"log":"00000000-0000-0000-0000-000000000001","chains":[[null,"{nobody}"],["acme","{acme}"]]}}"#
        );
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<LogStart>(&json).unwrap(), start);
        assert_eq!(start.digest().unwrap(), ChainHash::GENESIS.link_document(json.as_bytes(), Position(7)));
    }
}
