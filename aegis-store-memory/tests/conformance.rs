//! The memory store does what every store must.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    model::Timestamp,
    seams::Store,
    testing::{
        ManualClock,
        conformance::store::{StoreHarness, StoreUnderTest},
    },
};
use aegis_store_memory::MemoryStore;
use async_trait::async_trait;

struct Memory;

struct UnderTest {
    store: Arc<MemoryStore>,
    clock: ManualClock,
}

#[async_trait]
impl StoreHarness for Memory {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let clock = ManualClock::starting_at(Timestamp::from_seconds(1_770_393_600));
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        Some(Box::new(UnderTest { store, clock }))
    }
}

#[async_trait]
impl StoreUnderTest for UnderTest {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<MemoryStore>::clone(&self.store)
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

aegis_core::store_conformance!(Memory);
