//! The whole of it over an S3 server and an Azure one.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aegis_core::{
    engine::SystemClock,
    model::{BackupKind, StorageUri, VerificationLevel},
    seams::{Clock, EndStatus, ObjectStorage},
    testing::skip,
};
use aegis_object_store::{Credentials, RetryLimits, StorageOptions, Transport, open};

use crate::{
    common::Bench,
    round_trip::{furnish, portrait},
};

fn options(credentials: Credentials) -> StorageOptions {
    let _ = rustls::crypto::ring::default_provider().install_default();
    StorageOptions::default()
        .with_transport(Transport::PlainAllowed)
        .with_retry(RetryLimits::nearby(4))
        .with_credentials(credentials)
}

/// A location of its own below `base`.
fn unique(base: &str) -> StorageUri {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let at = SystemClock::new().now().as_micros();
    format!("{base}/files-{}-{at}-{number}/", std::process::id()).parse().unwrap()
}

fn s3() -> Option<Arc<dyn ObjectStorage>> {
    let Ok(endpoint) = env::var("AEGIS_TEST_S3_ENDPOINT") else {
        skip("aegis-files over s3", "AEGIS_TEST_S3_ENDPOINT names no server");
        return None;
    };
    let bucket = env::var("AEGIS_TEST_S3_BUCKET").unwrap_or_else(|_| "aegis-test".to_owned());
    let credentials = Credentials::S3 {
        access_key_id: env::var("AWS_ACCESS_KEY_ID").unwrap(),
        secret_access_key: env::var("AWS_SECRET_ACCESS_KEY").unwrap().into(),
        session_token: None,
    };
    let region = env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    let options = options(credentials).with_endpoint(endpoint).with_region(region);
    Some(open(&unique(&format!("s3://{bucket}")), &options).unwrap())
}

fn azure() -> Option<Arc<dyn ObjectStorage>> {
    if env::var_os("AZURITE_BLOB_STORAGE_URL").is_none() {
        skip("aegis-files over azure", "AZURITE_BLOB_STORAGE_URL names no server");
        return None;
    }
    let container = env::var("AEGIS_TEST_AZURE_CONTAINER").unwrap_or_else(|_| "aegis-test".to_owned());
    Some(open(&unique(&format!("az://{container}")), &options(Credentials::AzureEmulator)).unwrap())
}

async fn goes_round(storage: Arc<dyn ObjectStorage>) {
    let bench = Bench::over(tempfile::tempdir().unwrap(), storage);
    furnish(&bench);
    let (first, ..) = bench.back_up(BackupKind::Full).await;
    bench.write("a/new", "new");
    let (second, ..) = bench.back_up(BackupKind::Incremental).await;
    let (verdict, outcome) = bench.verify(&second, VerificationLevel::Restored).await;
    assert_eq!(verdict.passed, Some(VerificationLevel::Restored), "{outcome:?}");
    let (path, outcome) = bench.restore_to(&second, "whole").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(portrait(&path), portrait(&bench.docs()));
    assert_eq!(bench.delete(&first).await.status, EndStatus::Completed);
    assert_eq!(bench.inventory().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_s3() {
    if let Some(storage) = s3() {
        goes_round(storage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_azure() {
    if let Some(storage) = azure() {
        goes_round(storage).await;
    }
}
