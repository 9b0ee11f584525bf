//! What each answer of a remote storage means, over a server that answers as it is told.
//!
//! The texts are fixed here: the client's own words decide the class of some of them.

use std::time::Duration;

use aegis_core::seams::{ErrorClass, ObjectKey, ObjectStorage, ObjectStorageError, PutMode, report};
use aegis_object_store::{Credentials, RemoteStorage, RetryLimits, StorageOptions, Transport};
use axum::{Router, http::StatusCode, routing::any};
use tokio::net::TcpListener;

use crate::prefix::install_tls;

fn storage(endpoint: &str) -> RemoteStorage {
    install_tls();
    let mut retry = RetryLimits::nearby(0);
    retry.request_timeout = Duration::from_millis(300);
    let options = StorageOptions::default()
        .with_endpoint(endpoint)
        .with_transport(Transport::PlainAllowed)
        .with_retry(retry)
        .with_credentials(Credentials::S3 {
            access_key_id: "id".to_owned(),
            secret_access_key: "hunter2-secret".into(),
            session_token: Some("hunter2-token".into()),
        });
    RemoteStorage::open(&"s3://bucket/base".parse().unwrap(), &options).unwrap()
}

/// A server that gives every request one answer.
#[expect(clippy::disallowed_methods, reason = "the server is a task beside the test")]
async fn answering(status: u16, body: &'static str) -> RemoteStorage {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router =
        Router::new().fallback(any(move || async move { (StatusCode::from_u16(status).unwrap(), body) }));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    storage(&url)
}

fn key() -> ObjectKey {
    "a/b".parse().unwrap()
}

async fn put(storage: &RemoteStorage, mode: PutMode) -> ObjectStorageError {
    storage.put(&key(), "text".into(), mode).await.unwrap_err()
}

#[tokio::test]
async fn each_answer_to_a_write_has_its_class_and_text() {
    let cases = [
        (403, "<Code>AccessDenied</Code>", ErrorClass::Forbidden, "does not permit us to write `a/b`"),
        (
            403,
            "<Code>SignatureDoesNotMatch</Code>",
            ErrorClass::Unauthenticated,
            "refused our credentials while we tried to write `a/b`",
        ),
        (403, "protected by object lock", ErrorClass::Forbidden, "is locked against deletion"),
        (401, "", ErrorClass::Unauthenticated, "refused our credentials while we tried to write `a/b`"),
        (404, "<Code>NoSuchBucket</Code>", ErrorClass::InvalidInput, "create it, or correct the location"),
        (400, "<Code>ExpiredToken</Code>", ErrorClass::Unauthenticated, "refused our credentials"),
        (400, "", ErrorClass::InvalidInput, "the storage refused the request with status 400"),
        (429, "", ErrorClass::Unavailable, "is unavailable: could not write `a/b`"),
        (503, "<Code>SlowDown</Code>", ErrorClass::Unavailable, "is unavailable: could not write `a/b`"),
        (
            500,
            "",
            ErrorClass::Indeterminate,
            "did not answer when we tried to write `a/b`: it may have happened",
        ),
        (
            504,
            "",
            ErrorClass::Indeterminate,
            "did not answer when we tried to write `a/b`: it may have happened",
        ),
        (501, "", ErrorClass::Unsupported, "can't write `a/b`"),
        (507, "", ErrorClass::Unavailable, "is full: could not write `a/b`; free space or raise the quota"),
        (301, "", ErrorClass::InvalidInput, "set the region of the bucket"),
    ];
    for (status, body, class, text) in cases {
        let error = put(&answering(status, body).await, PutMode::Overwrite).await;
        assert_eq!(error.class(), class, "{status} {body}: {}", report(&error));
        assert!(error.to_string().contains(text), "{status} {body}: {error}");
        assert!(error.to_string().contains("s3://bucket/base/"), "{error}");
    }
}

#[tokio::test]
async fn each_answer_to_a_condition_has_its_class() {
    let update = PutMode::Update(aegis_core::seams::ObjectVersion { e_tag: Some("1".into()), version: None });
    let cases = [
        (412, "", PutMode::Create, ErrorClass::AlreadyExists),
        (409, "", PutMode::Create, ErrorClass::AlreadyExists),
        (409, "<Code>ConditionalRequestConflict</Code>", PutMode::Create, ErrorClass::Unavailable),
        (412, "", update.clone(), ErrorClass::VersionConflict),
        (404, "", update.clone(), ErrorClass::VersionConflict),
        (409, "<Code>ConditionalRequestConflict</Code>", update, ErrorClass::Unavailable),
    ];
    for (status, body, mode, class) in cases {
        let error = put(&answering(status, body).await, mode.clone()).await;
        assert_eq!(error.class(), class, "{status} {body} to {mode:?}: {}", report(&error));
    }
}

#[tokio::test]
async fn a_read_is_never_in_doubt() {
    let storage = answering(500, "").await;
    let error = storage.get(&key()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
}

#[tokio::test]
async fn who_can_not_be_connected_to_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = put(&storage(&url), PutMode::Create).await;
    assert_eq!(error.class(), ErrorClass::Unavailable, "{}", report(&error));
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt() {
    // Connections are accepted by the system, and nobody ever reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let storage = storage(&format!("http://{}", listener.local_addr().unwrap()));
    for mode in [PutMode::Overwrite, PutMode::Create] {
        let error = put(&storage, mode.clone()).await;
        assert_eq!(error.class(), ErrorClass::Indeterminate, "{mode:?}: {}", report(&error));
    }
}

#[tokio::test]
async fn a_storage_that_ignores_conditions_is_found_out_by_the_probe() {
    install_tls();
    let server = crate::gcs::FakeGcs::without_conditions().await;
    let storage = crate::gcs::open_at(&server);
    assert!(storage.capabilities().conditional_create);
    let probe = storage.probe().await.unwrap();
    assert!(!probe.capabilities.conditional_create);
    assert_eq!(probe.capabilities.compare_and_swap, aegis_core::seams::CompareAndSwap::Unsupported);
    assert_eq!(storage.capabilities(), probe.capabilities);
    let error = storage.put(&key(), "text".into(), PutMode::Create).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(error.to_string().ends_with("can't create an object only if it is absent"), "{error}");
}

#[tokio::test]
async fn no_secret_shows_anywhere() {
    let storage = answering(403, "").await;
    let error = put(&storage, PutMode::Overwrite).await;
    let options = StorageOptions::default().with_credentials(Credentials::S3 {
        access_key_id: "id".to_owned(),
        secret_access_key: "hunter2-secret".into(),
        session_token: None,
    });
    let misfit = RemoteStorage::open(&"gs://bucket/".parse().unwrap(), &options).unwrap_err();
    assert_eq!(misfit.class(), ErrorClass::InvalidInput);
    let shown = format!("{options:?} {storage:?} {error:?} {} {misfit:?} {misfit}", report(&error));
    assert!(!shown.contains("hunter2"), "{shown}");
}
