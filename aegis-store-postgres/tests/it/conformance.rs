//! The PostgreSQL store does what every store must.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aegis_core::{
    seams::Store,
    testing::{
        MutantStore, StoreMutation,
        conformance::store::{StoreHarness, StoreUnderTest},
    },
};
use async_trait::async_trait;

use crate::database::{Database, execute};

/// What is broken of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// Something that its database does, replaced by this text.
    Database(&'static str),
    /// A rule, by a store in front of it.
    Rule(StoreMutation),
}

/// A harness over the PostgreSQL store, with something broken or nothing.
pub(crate) struct Postgres(pub(crate) Option<Broken>);

struct UnderTest {
    database: Database,
    store: Arc<dyn Store>,
    passed: Mutex<Duration>,
}

#[async_trait]
impl StoreHarness for Postgres {
    async fn fresh(&self) -> Option<Box<dyn StoreUnderTest>> {
        let database = Database::fresh("store conformance on PostgreSQL").await?;
        if let Some(Broken::Database(text)) = self.0 {
            execute(&mut database.connect().await, text).await;
        }
        let store: Arc<dyn Store> = Arc::new(database.open().await);
        let store = match self.0 {
            Some(Broken::Rule(mutation)) => Arc::new(MutantStore::new(store, mutation)),
            Some(Broken::Database(_)) | None => store,
        };
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

aegis_core::store_conformance!(Postgres(None));
