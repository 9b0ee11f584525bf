//! Requests, as handlers take them in: a path's id, a query, a body, `If-Match`.

use std::{fmt::Write as _, str::FromStr};

use aegis_core::model::{
    DrTestId, JobId, PlanId, PolicyId, RecordId, RetentionRunId, VerificationId, Version,
};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::error::{AppError, ErrorCode};

/// What the path's last segment but fixed ones can name.
pub(crate) trait Named: FromStr + Send {
    /// What people call it.
    const WHAT: &'static str;
}

macro_rules! named {
    ($($id:ty => $what:literal),* $(,)?) => {$(
        impl Named for $id {
            const WHAT: &'static str = $what;
        }
    )*};
}

named! {
    JobId => "job", RecordId => "record", PlanId => "plan", PolicyId => "policy", DrTestId => "DR test",
    RetentionRunId => "retention run", VerificationId => "verification",
}

/// The id that a request names, wherever. One that can't exist is of nothing that exists.
pub(crate) fn id_from<T: Named>(text: &str) -> Result<T, AppError> {
    text.parse().map_err(|_| AppError::not_found(T::WHAT, text))
}

/// The id in the path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: Named, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AppError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| AppError::new(ErrorCode::NotFound, "the path is not UTF-8"))?;
        let Some((_, text)) = params.iter().next() else {
            return Err(AppError::internal("a route without an id asks for one"));
        };
        id_from(text).map(Self)
    }
}

/// The query. What is not known, or not of its type, is refused.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(query)| Self(query))
            .map_err(|error| AppError::new(ErrorCode::BadRequest, error.body_text()))
    }
}

/// A JSON body, with a fingerprint that tells it from others whatever its spaces.
#[derive(Debug)]
pub(crate) struct Body<T> {
    pub(crate) value: T,
    pub(crate) fingerprint: String,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        require_json(request.headers())?;
        read(&bytes_of(request, state).await?)
    }
}

/// A JSON body that may be left out or `null`, which is the same as an empty object.
#[derive(Debug)]
pub(crate) struct OptionalBody<T>(pub(crate) Body<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, state: &S) -> Result<Self, AppError> {
        let typed = require_json(request.headers());
        let bytes = bytes_of(request, state).await?;
        if bytes.is_empty() {
            return read(b"{}").map(Self);
        }
        typed?;
        if *bytes == *b"null" {
            return read(b"{}").map(Self);
        }
        read(&bytes).map(Self)
    }
}

/// The body of a request that has nothing to say.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
pub(crate) struct Nothing {}

fn require_json(headers: &HeaderMap) -> Result<(), AppError> {
    let content = headers.get(header::CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or("");
    let essence = content.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "send the body as JSON: Content-Type: application/json";
    Err(AppError::new(ErrorCode::UnsupportedMediaType, message))
}

async fn bytes_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, AppError> {
    Bytes::from_request(request, state).await.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            AppError::new(ErrorCode::PayloadTooLarge, "the body is larger than is taken here")
        }
        _ => AppError::new(ErrorCode::BadRequest, "the body could not be read"),
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<Body<T>, AppError> {
    let unreadable = |error: serde_json::Error| AppError::new(ErrorCode::BadRequest, error.to_string());
    let document: serde_json::Value = serde_json::from_slice(bytes).map_err(unreadable)?;
    if !document.is_object() {
        return Err(AppError::new(ErrorCode::BadRequest, "the body must be a JSON object"));
    }
    let mut unknown = Vec::new();
    let value = serde_ignored::deserialize(&mut serde_json::Deserializer::from_slice(bytes), |path| {
        unknown.push(path.to_string());
    })
    .map_err(unreadable)?;
    if !unknown.is_empty() {
        return Err(unknown_fields(&unknown));
    }
    Ok(Body { value, fingerprint: fingerprint(&document) })
}

fn unknown_fields(unknown: &[String]) -> AppError {
    let fields: Vec<_> = unknown
        .iter()
        .map(|field| serde_json::json!({"field": field, "message": "it is not known here: leave it out"}))
        .collect();
    let message = format!("there is no field {}", unknown.join(", "));
    AppError::new(ErrorCode::Validation, message).with("fields", fields)
}

/// Objects are written in the order of their keys, so that the same body has the same fingerprint.
fn fingerprint(document: &impl Serialize) -> String {
    let digest = Sha256::digest(serde_json::to_vec(document).unwrap_or_default());
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The version that a change rests on; `None` for whichever is there.
#[derive(Debug)]
pub(crate) struct IfMatch(pub(crate) Option<Version>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        let Some(given) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let given = given.to_str().unwrap_or("").trim();
        if given == "*" {
            return Ok(Self(None));
        }
        let version = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match version.and_then(|version| version.parse().ok()) {
            Some(version) => Ok(Self(Some(Version(version)))),
            None => Err(AppError::new(ErrorCode::BadRequest, "If-Match takes one ETag as it was answered")),
        }
    }
}

/// The `ETag` of what is at this version.
pub(crate) fn etag(version: Version) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Thing {
        #[serde(default)]
        #[expect(dead_code, reason = "only read in")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {}

    #[test]
    fn every_unknown_field_is_named_with_its_path() {
        let error = read::<Thing>(br#"{"inner":{"x":1},"y":2}"#).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Validation);
        assert!(format!("{error:?}").contains("inner") && format!("{error:?}").contains('y'), "{error:?}");
    }

    #[test]
    fn broken_json_and_wrong_types_are_bad_requests() {
        for body in ["", "{", "{}x", "[]", r#"{"inner":5}"#] {
            assert_eq!(read::<Thing>(body.as_bytes()).unwrap_err().code(), ErrorCode::BadRequest, "{body}");
        }
    }

    #[test]
    fn the_same_body_has_the_same_fingerprint_whatever_its_spaces_and_order() {
        let of = |text: &str| fingerprint(&serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(of(r#"{"a":1,"b":2}"#), of("{ \"b\" : 2, \"a\" : 1 }"));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
    }
}
