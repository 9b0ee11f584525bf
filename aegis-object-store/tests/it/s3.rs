//! Against an S3 server: `AEGIS_TEST_S3_ENDPOINT`, `AEGIS_TEST_S3_BUCKET`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`.

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

struct S3 {
    bucket: String,
    options: StorageOptions,
}

impl S3 {
    fn from_env() -> Option<Self> {
        let Ok(endpoint) = env::var("AEGIS_TEST_S3_ENDPOINT") else {
            skip("aegis-object-store s3", "AEGIS_TEST_S3_ENDPOINT names no server");
            return None;
        };
        install_tls();
        let bucket = env::var("AEGIS_TEST_S3_BUCKET").unwrap_or_else(|_| "aegis-test".to_owned());
        let options = StorageOptions::default()
            .with_endpoint(endpoint)
            .with_region(env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()))
            .with_transport(Transport::PlainAllowed)
            .with_retry(RetryLimits::nearby(4))
            .with_credentials(Credentials::S3 {
                access_key_id: env::var("AWS_ACCESS_KEY_ID").unwrap(),
                secret_access_key: env::var("AWS_SECRET_ACCESS_KEY").unwrap().into(),
                session_token: None,
            });
        Some(Self { bucket: format!("s3://{bucket}"), options })
    }
}

struct Server;

#[async_trait]
impl ObjectStorageHarness for Server {
    async fn fresh(&self) -> Option<Fresh> {
        let server = S3::from_env()?;
        Some(Fresh { storage: open(&unique(&server.bucket), &server.options).unwrap(), guard: Box::new(()) })
    }

    async fn reopen(&self, fresh: &Fresh) -> Arc<dyn ObjectStorage> {
        open(fresh.storage.uri(), &S3::from_env().unwrap().options).unwrap()
    }
}

aegis_core::object_storage_conformance!(Server);

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_invalid_input_with_the_mend() {
    let Some(server) = S3::from_env() else { return };
    let storage = open(&"s3://no-such-bucket-here/".parse().unwrap(), &server.options).unwrap();
    let error = storage.probe().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("create it, or correct the location"), "{error}");
}
