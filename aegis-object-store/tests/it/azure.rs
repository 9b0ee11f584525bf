//! Against the Azure emulator: `AZURITE_BLOB_STORAGE_URL`, `AEGIS_TEST_AZURE_CONTAINER`.

use std::{env, sync::Arc};

use aegis_core::{
    seams::{ErrorClass, ObjectStorage},
    testing::{
        conformance::object_storage::{Fresh, ObjectStorageHarness},
        skip,
    },
};
use aegis_object_store::{Credentials, RetryLimits, StorageOptions, Transport, open};
use async_trait::async_trait;

use crate::prefix::{install_tls, unique};

fn container() -> Option<String> {
    if env::var_os("AZURITE_BLOB_STORAGE_URL").is_none() {
        skip("aegis-object-store azure", "AZURITE_BLOB_STORAGE_URL names no server");
        return None;
    }
    install_tls();
    let container = env::var("AEGIS_TEST_AZURE_CONTAINER").unwrap_or_else(|_| "aegis-test".to_owned());
    Some(format!("az://{container}"))
}

fn options() -> StorageOptions {
    StorageOptions::default()
        .with_transport(Transport::PlainAllowed)
        .with_retry(RetryLimits::nearby(4))
        .with_credentials(Credentials::AzureEmulator)
}

struct Emulator;

#[async_trait]
impl ObjectStorageHarness for Emulator {
    async fn fresh(&self) -> Option<Fresh> {
        let container = container()?;
        Some(Fresh { storage: open(&unique(&container), &options()).unwrap(), guard: Box::new(()) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        open(fresh.storage.uri(), &options()).unwrap()
    }
}

aegis_core::object_storage_conformance!(Emulator);

#[tokio::test]
async fn a_container_that_does_not_exist_is_invalid_input_with_the_mend() {
    if container().is_none() {
        return;
    }
    let storage = open(&"az://no-such-container/".parse().unwrap(), &options()).unwrap();
    let error = storage.probe().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("create it, or correct the location"), "{error}");
}
