//! Against a small GCS of our own, in this process: no emulator with its XML interface is at hand.

mod fake;

use std::sync::Arc;

use aegis_core::{
    seams::ObjectStorage,
    testing::conformance::object_storage::{Fresh, ObjectStorageHarness},
};
use aegis_object_store::{Credentials, RetryLimits, StorageOptions, Transport, open};
use async_trait::async_trait;

use crate::prefix::{install_tls, unique};
pub(crate) use fake::FakeGcs;

struct Fake;

fn options(server: &FakeGcs) -> StorageOptions {
    StorageOptions::default()
        .with_endpoint(server.url())
        .with_transport(Transport::PlainAllowed)
        .with_retry(RetryLimits::nearby(4))
        .with_credentials(Credentials::Unsigned)
}

/// A location of its own on the server.
pub(crate) fn open_at(server: &FakeGcs) -> Arc<dyn ObjectStorage> {
    open(&unique("gs://aegis-test"), &options(server)).unwrap()
}

#[async_trait]
impl ObjectStorageHarness for Fake {
    async fn fresh(&self) -> Option<Fresh> {
        install_tls();
        let server = FakeGcs::start().await;
        Some(Fresh { storage: open_at(&server), guard: Box::new(server) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        let server = fresh.guard.downcast_ref::<FakeGcs>().unwrap();
        open(fresh.storage.uri(), &options(server)).unwrap()
    }
}

aegis_core::object_storage_conformance!(Fake);
