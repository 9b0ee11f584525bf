//! The PostgreSQL store does what every store must.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    seams::Store,
    testing::conformance::store::{StoreHarness, StoreUnderTest},
};
use async_trait::async_trait;

use crate::database::Database;

/// A harness over the PostgreSQL store.
struct Postgres;

struct UnderTest {
    database: Database,
    store: Arc<dyn Store>,
    passed: Mutex<Duration>,
}

#[async_trait]
impl StoreHarness for Postgres {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let database = Database::fresh("store conformance on PostgreSQL").await?;
        let store = Arc::new(database.open().await);
        Some(Box::new(UnderTest { database, store, passed: Mutex::default() }))
    }
}

#[async_trait]
impl StoreUnderTest for UnderTest {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    async fn pass(&self, by: Duration) {
        let passed = {
            let mut passed = self.passed.lock().unwrap();
            *passed += by;
            *passed
        };
        self.database.shift_clock(passed).await;
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(self.database.open().await))
    }
}

aegis_core::store_conformance!(Postgres);
