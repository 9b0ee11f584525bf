//! The last few packs, whole: so that many small reads become few large ones.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use rustic_core::{Id, RusticResult};

use crate::control::lock;

/// How many packs are kept. Packs are about 32 MiB, so this bounds a restore's memory.
const KEPT: usize = 3;
/// How many packs that were touched once are remembered.
const REMEMBERED: usize = 64;

/// A slot that is filled once, by whoever comes first, while the others wait for it.
type Slot = Arc<Mutex<Option<Bytes>>>;

/// Packs by id, least recently used first.
///
/// A pack is fetched whole when it is read for the second time: reading one small file costs one
/// small request, and a restore, which reads neighbours, costs one request per pack.
#[derive(Default)]
pub(crate) struct PackCache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<(Id, Slot)>,
    touched: VecDeque<Id>,
}

impl PackCache {
    /// The whole pack, or `None` if it is touched for the first time.
    pub(crate) fn whole(
        &self,
        id: Id,
        fetch: impl FnOnce() -> RusticResult<Bytes>,
    ) -> RusticResult<Option<Bytes>> {
        let Some(slot) = lock(&self.state).slot(id) else { return Ok(None) };
        let mut slot = lock(&slot);
        if let Some(pack) = &*slot {
            return Ok(Some(pack.clone()));
        }
        let pack = fetch()?;
        *slot = Some(pack.clone());
        Ok(Some(pack))
    }
}

impl State {
    /// The pack's slot, once it is worth one.
    fn slot(&mut self, id: Id) -> Option<Slot> {
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == id) {
            let entry = self.kept.remove(at)?;
            let slot = Arc::clone(&entry.1);
            self.kept.push_back(entry);
            return Some(slot);
        }
        if !self.touched.contains(&id) {
            self.touched.push_back(id);
            if self.touched.len() > REMEMBERED {
                self.touched.pop_front();
            }
            return None;
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let slot = Slot::default();
        self.kept.push_back((id, Arc::clone(&slot)));
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn id(n: u8) -> Id {
        format!("{n:02x}").repeat(32).parse().unwrap()
    }

    #[test]
    fn a_pack_is_fetched_whole_on_the_second_read_and_then_kept() {
        let (cache, fetched) = (PackCache::default(), Cell::new(0));
        let read = || {
            cache.whole(id(1), || {
                fetched.set(fetched.get() + 1);
                Ok(Bytes::from_static(b"pack"))
            })
        };
        assert_eq!(read().unwrap(), None);
        assert_eq!(read().unwrap(), Some(Bytes::from_static(b"pack")));
        assert_eq!(read().unwrap(), Some(Bytes::from_static(b"pack")));
        assert_eq!(fetched.get(), 1);
    }

    #[test]
    fn only_the_last_few_packs_are_kept() {
        let cache = PackCache::default();
        for n in 0..20 {
            for _ in 0..2 {
                cache.whole(id(n), || Ok(Bytes::new())).unwrap();
            }
        }
        assert_eq!(lock(&cache.state).kept.len(), KEPT);
    }

    #[test]
    fn a_failed_fetch_is_tried_again() {
        let cache = PackCache::default();
        cache.whole(id(1), || Ok(Bytes::new())).unwrap();
        let failure = || Err(rustic_core::RusticError::new(rustic_core::ErrorKind::Backend, "away"));
        cache.whole(id(1), failure).unwrap_err();
        assert_eq!(
            cache.whole(id(1), || Ok(Bytes::from_static(b"x"))).unwrap(),
            Some(Bytes::from_static(b"x"))
        );
    }
}
