//! From a location and options to a client of the object_store crate.

use std::sync::Arc;

use aegis_core::{
    model::{StorageBackend, StorageUri},
    seams::ObjectStorageError,
};
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
    aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder,
    gcp::{GcpCredential, GoogleCloudStorageBuilder},
};
use secrecy::ExposeSecret;

use crate::{
    attempt::{Attempt, Verb},
    options::{Credentials, RetryLimits, StorageOptions, Transport},
};

/// Whether the client may repeat a request by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeats {
    Limited,
    Never,
}

pub(super) fn connect(
    uri: &StorageUri,
    options: &StorageOptions,
    repeats: Repeats,
) -> Result<Arc<dyn ObjectStore>, ObjectStorageError> {
    let attempt = Attempt::new(uri, Verb::Open);
    let bucket = uri.bucket().unwrap_or_default();
    let retry = retry_config(&options.retry, repeats);
    match uri.backend() {
        StorageBackend::S3 => s3(bucket, options, retry, &attempt),
        StorageBackend::Gcs => gcs(bucket, options, retry, &attempt),
        StorageBackend::AzureBlob => azure(bucket, options, retry, &attempt),
        StorageBackend::Local => Err(attempt.invalid("it is a local directory; open it as one")),
    }
}

fn s3(
    bucket: &str,
    options: &StorageOptions,
    retry: RetryConfig,
    attempt: &Attempt<'_>,
) -> Result<Arc<dyn ObjectStore>, ObjectStorageError> {
    let mut builder = match &options.credentials {
        Credentials::Environment => AmazonS3Builder::from_env(),
        Credentials::S3 { access_key_id, secret_access_key, session_token } => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(access_key_id)
                .with_secret_access_key(secret_access_key.expose_secret());
            match session_token {
                Some(token) => builder.with_token(token.expose_secret()),
                None => builder,
            }
        }
        Credentials::Unsigned => AmazonS3Builder::new().with_skip_signature(true),
        other => return Err(misfit(attempt, other)),
    };
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    // One request per deletion: locked objects are then refused one by one, and not in a summary.
    let builder = builder
        .with_bucket_name(bucket)
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_client_options(client_options(options));
    Ok(Arc::new(builder.build().map_err(|error| refused(attempt, &error))?))
}

fn gcs(
    bucket: &str,
    options: &StorageOptions,
    retry: RetryConfig,
    attempt: &Attempt<'_>,
) -> Result<Arc<dyn ObjectStore>, ObjectStorageError> {
    let mut builder = match &options.credentials {
        Credentials::Environment => GoogleCloudStorageBuilder::from_env(),
        Credentials::GcsServiceAccount { json } => {
            GoogleCloudStorageBuilder::new().with_service_account_key(json.expose_secret())
        }
        // Given credentials, even empty ones, keep the builder from looking for the machine's own.
        Credentials::Unsigned => GoogleCloudStorageBuilder::new().with_skip_signature(true).with_credentials(
            Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() })),
        ),
        other => return Err(misfit(attempt, other)),
    };
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let builder =
        builder.with_bucket_name(bucket).with_retry(retry).with_client_options(client_options(options));
    Ok(Arc::new(builder.build().map_err(|error| refused(attempt, &error))?))
}

fn azure(
    container: &str,
    options: &StorageOptions,
    retry: RetryConfig,
    attempt: &Attempt<'_>,
) -> Result<Arc<dyn ObjectStore>, ObjectStorageError> {
    let mut builder = match &options.credentials {
        Credentials::Environment => MicrosoftAzureBuilder::from_env(),
        Credentials::AzureAccount { account, access_key } => {
            MicrosoftAzureBuilder::new().with_account(account).with_access_key(access_key.expose_secret())
        }
        Credentials::AzureEmulator => MicrosoftAzureBuilder::new().with_use_emulator(true),
        other => return Err(misfit(attempt, other)),
    };
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let builder =
        builder.with_container_name(container).with_retry(retry).with_client_options(client_options(options));
    Ok(Arc::new(builder.build().map_err(|error| refused(attempt, &error))?))
}

fn client_options(options: &StorageOptions) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(options.retry.request_timeout)
        .with_connect_timeout(options.retry.connect_timeout)
        .with_allow_http(options.transport == Transport::PlainAllowed)
}

fn retry_config(limits: &RetryLimits, repeats: Repeats) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: limits.first_pause, ..BackoffConfig::default() },
        max_retries: match repeats {
            Repeats::Limited => limits.retries,
            Repeats::Never => 0,
        },
        retry_timeout: limits.for_at_most,
    }
}

fn misfit(attempt: &Attempt<'_>, credentials: &Credentials) -> ObjectStorageError {
    attempt.invalid(format!("it takes no credentials of the kind {credentials:?}"))
}

/// The client's own words name what is missing or malformed, and never a value.
fn refused(attempt: &Attempt<'_>, error: &object_store::Error) -> ObjectStorageError {
    attempt.invalid(error.to_string())
}
