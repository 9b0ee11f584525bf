//! Where new ids come from.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use rand::{RngCore, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::model::Timestamp;

/// Mints UUIDv7 ids from a seed, so that the same run mints the same ids.
///
/// The order of ids means nothing: replicas' clocks differ.
pub struct IdSource {
    random: Mutex<StdRng>,
}

impl IdSource {
    /// Ids from a seed. Two engines over one store must not share it.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { random: Mutex::new(StdRng::from_seed(seed)) }
    }

    /// A new id, dated `now`.
    #[must_use]
    pub fn mint<T: From<Uuid>>(&self, now: Timestamp) -> T {
        let mut bytes = [0; 10];
        self.fill(&mut bytes);
        let millis = u64::try_from(now.as_micros().max(0) / 1000).unwrap_or_default();
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().into()
    }

    /// A number to make a name distinct.
    #[must_use]
    pub fn salt(&self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobId;

    #[test]
    fn the_same_seed_mints_the_same_ids() {
        let (one, two) = (IdSource::from_seed([7; 32]), IdSource::from_seed([7; 32]));
        for _ in 0..10 {
            assert_eq!(one.mint::<JobId>(Timestamp::UNIX_EPOCH), two.mint(Timestamp::UNIX_EPOCH));
        }
    }

    #[test]
    fn ids_are_version_7_and_dated() {
        let id: JobId = IdSource::from_seed([7; 32]).mint(Timestamp::from_seconds(1_700_000_000));
        let uuid = id.as_uuid();
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_timestamp().unwrap().to_unix().0, 1_700_000_000);
    }
}
