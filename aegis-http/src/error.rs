//! Every failure, as clients see it: one envelope, a closed set of codes.

use aegis_core::{
    engine::{EngineError, FieldError},
    model::ArtifactName,
    seams::{DriverError, ErrorClass, report},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::json::Json;

/// How long a client waits before it asks again, where nothing better is known.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Defines the codes, each with its status.
macro_rules! codes {
    // Labels are token trees, since the schema's derive does not see into literals of macros.
    ($($(#[$doc:meta])* $name:ident = $label:tt, $status:ident;)*) => {
        /// What kind of failure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $label)] $name,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The status that it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// As the envelope writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

codes! {
    /// The request can't be read: broken JSON, a wrong JSON type, a bad query value.
    BadRequest = "bad_request", BAD_REQUEST;
    /// Nobody is signed in, or by a token that nobody has.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// Who is signed in may not.
    Forbidden = "forbidden", FORBIDDEN;
    /// There is no such thing for this tenant, or no such route.
    NotFound = "not_found", NOT_FOUND;
    /// The route has no such method; `Allow` names those that it has.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The thing's state, its version or a name stands in the way.
    Conflict = "conflict", CONFLICT;
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE;
    /// The body is not said to be JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The request can be read and makes no sense; `details.fields` says where.
    Validation = "validation_error", UNPROCESSABLE_ENTITY;
    /// Nothing here can do it.
    Unsupported = "unsupported", UNPROCESSABLE_ENTITY;
    /// A driver, Kubernetes or a storage location is away, or did not answer.
    DependencyFailed = "dependency_failed", FAILED_DEPENDENCY;
    /// The driver said no; `details` holds its words.
    Velero = "velero_error", FAILED_DEPENDENCY;
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS;
    /// A fault of ours.
    Internal = "internal_error", INTERNAL_SERVER_ERROR;
    /// The service starts, stops, or can't reach its store.
    Unavailable = "service_unavailable", SERVICE_UNAVAILABLE;
}

impl ErrorCode {
    /// The code of a failure that came without an envelope, by its status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let own = Self::ALL.iter().copied().find(|code| code.status() == status);
        own.unwrap_or(if status.is_client_error() { Self::BadRequest } else { Self::Internal })
    }
}

/// The body of every failure.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorDetail,
}

/// A failure.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// What kind it is.
    pub code: ErrorCode,
    /// What went wrong, for a person.
    pub message: String,
    /// The particulars, by code: `fields` of a `validation_error`, `suggestion` and more.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// Under which the server's log tells more.
    pub request_id: String,
}

/// Why a request was not answered as it asked.
#[derive(Clone, Debug)]
pub struct AppError {
    code: ErrorCode,
    message: String,
    details: Map<String, Value>,
}

impl AppError {
    /// A failure of this kind. `message` is shown to the client.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new() }
    }

    /// With a particular.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// Fields that make no sense.
    #[must_use]
    pub fn fields(fields: &[FieldError]) -> Self {
        let message = match fields {
            [one] => one.to_string(),
            several => format!("{} fields are wrong: see details.fields", several.len()),
        };
        let fields: Vec<Value> =
            fields.iter().map(|field| json!({"field": field.field, "message": field.message})).collect();
        Self::new(ErrorCode::Validation, message).with("fields", fields)
    }

    /// One field that makes no sense.
    pub(crate) fn field(field: &str, message: impl std::fmt::Display) -> Self {
        let fields = vec![json!({"field": field, "message": message.to_string()})];
        Self::new(ErrorCode::Validation, format!("{field}: {message}")).with("fields", fields)
    }

    /// There is no such thing.
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no {what} `{}`", shorten(id)))
    }

    /// A fault of ours: `cause` goes to the log alone.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request met a fault");
        Self::new(
            ErrorCode::Internal,
            "something went wrong here: the server's log tells more under this request id",
        )
    }

    /// What kind it is.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The same, said of a field that this request calls otherwise.
    #[must_use]
    pub(crate) fn renaming(mut self, from: &str, to: &str) -> Self {
        if let Some(Value::Array(fields)) = self.details.get_mut("fields") {
            for field in fields.iter_mut().filter_map(|field| field.get_mut("field")) {
                if field.as_str() == Some(from) {
                    *field = Value::String(to.to_owned());
                    self.message = self.message.replacen(&format!("{from}: "), &format!("{to}: "), 1);
                }
            }
        }
        self
    }

    /// The envelope, once the request's id is known.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let Self { code, message, details } = self;
        let body =
            ErrorBody { error: ErrorDetail { code, message, details, request_id: request_id.to_owned() } };
        (code.status(), Json(body)).into_response()
    }
}

/// Enough of a client's text to recognise it.
fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

impl IntoResponse for AppError {
    /// Without a body: the outermost layer, which knows the request's id, writes it.
    fn into_response(self) -> Response {
        let code = self.code;
        let mut response = code.status().into_response();
        match code {
            ErrorCode::Unauthorized => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorCode::Unavailable | ErrorCode::RateLimited => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<EngineError> for AppError {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Invalid(fields) => Self::fields(fields),
            EngineError::Driver { source, artifact } => of_driver(source, artifact.as_ref()),
            EngineError::Storage(cause) => {
                tracing::warn!(error = %report(&error), "a storage location did not do its part");
                Self::new(of_storage(cause.class()), "the storage location could not do it: is it reachable?")
            }
            EngineError::Store(cause) => of_store(&error, cause.class()),
            _ => of_engine(&error),
        }
    }
}

/// What the engine itself refused.
fn of_engine(error: &EngineError) -> AppError {
    let code = match error.class() {
        ErrorClass::InvalidInput => ErrorCode::Validation,
        ErrorClass::NotFound => ErrorCode::NotFound,
        ErrorClass::AlreadyExists | ErrorClass::VersionConflict | ErrorClass::InvalidTransition => {
            ErrorCode::Conflict
        }
        ErrorClass::Unauthenticated => ErrorCode::Unauthorized,
        ErrorClass::Forbidden => ErrorCode::Forbidden,
        ErrorClass::Unsupported => ErrorCode::Unsupported,
        ErrorClass::Unavailable => ErrorCode::Unavailable,
        ErrorClass::RateLimited => ErrorCode::RateLimited,
        ErrorClass::Indeterminate | ErrorClass::Internal => return AppError::internal(report(error)),
    };
    AppError::new(code, error.to_string())
}

/// What a driver refused or could not do.
fn of_driver(source: &DriverError, artifact: Option<&ArtifactName>) -> AppError {
    tracing::warn!(error = %report(source), "a driver did not do its part");
    let code = match source.class() {
        ErrorClass::InvalidInput => ErrorCode::Validation,
        ErrorClass::NotFound => ErrorCode::NotFound,
        ErrorClass::AlreadyExists | ErrorClass::VersionConflict | ErrorClass::InvalidTransition => {
            ErrorCode::Conflict
        }
        ErrorClass::Unsupported => ErrorCode::Unsupported,
        ErrorClass::Unauthenticated | ErrorClass::Forbidden | ErrorClass::Internal => ErrorCode::Velero,
        ErrorClass::Unavailable | ErrorClass::Indeterminate | ErrorClass::RateLimited => {
            ErrorCode::DependencyFailed
        }
    };
    let detail = source.detail();
    let mut error = AppError::new(code, detail.message.clone());
    if code == ErrorCode::Velero {
        error = error.with("velero_error", detail.message.clone());
        if let Some(artifact) = artifact {
            error = error.with("velero_backup_name", artifact.to_string());
        }
    }
    if let Some(suggestion) = &detail.suggestion {
        error = error.with("suggestion", suggestion.clone());
    }
    error
}

/// What a storage location could not do: whatever it is, it is not this service that failed.
const fn of_storage(class: ErrorClass) -> ErrorCode {
    match class {
        ErrorClass::NotFound => ErrorCode::NotFound,
        ErrorClass::Unsupported => ErrorCode::Unsupported,
        ErrorClass::InvalidInput
        | ErrorClass::AlreadyExists
        | ErrorClass::VersionConflict
        | ErrorClass::InvalidTransition
        | ErrorClass::Unauthenticated
        | ErrorClass::Forbidden
        | ErrorClass::Unavailable
        | ErrorClass::Indeterminate
        | ErrorClass::RateLimited
        | ErrorClass::Internal => ErrorCode::DependencyFailed,
    }
}

/// What the store could not do; its words are for the log.
fn of_store(error: &EngineError, class: ErrorClass) -> AppError {
    match class {
        ErrorClass::NotFound => AppError::new(ErrorCode::NotFound, "the log does not reach back so far"),
        ErrorClass::AlreadyExists | ErrorClass::VersionConflict => {
            AppError::new(ErrorCode::Conflict, "it has changed meanwhile: read it again and decide again")
        }
        ErrorClass::Unavailable | ErrorClass::RateLimited => {
            tracing::warn!(error = %report(error), "the store is away");
            AppError::new(
                ErrorCode::Unavailable,
                "the store can't be reached: nothing was changed, try again",
            )
        }
        ErrorClass::Indeterminate => {
            tracing::warn!(error = %report(error), "the store did not answer");
            AppError::new(
                ErrorCode::Unavailable,
                "the store did not answer, and it may have happened: look, or send it again under the same Idempotency-Key",
            )
        }
        ErrorClass::InvalidInput
        | ErrorClass::InvalidTransition
        | ErrorClass::Unauthenticated
        | ErrorClass::Forbidden
        | ErrorClass::Unsupported
        | ErrorClass::Internal => AppError::internal(report(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_the_contract_have_its_statuses() {
        let expected = [
            ("bad_request", 400),
            ("unauthorized", 401),
            ("forbidden", 403),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("conflict", 409),
            ("payload_too_large", 413),
            ("unsupported_media_type", 415),
            ("validation_error", 422),
            ("unsupported", 422),
            ("dependency_failed", 424),
            ("velero_error", 424),
            ("rate_limited", 429),
            ("internal_error", 500),
            ("service_unavailable", 503),
        ];
        let ours: Vec<_> =
            ErrorCode::ALL.iter().map(|code| (code.as_str(), code.status().as_u16())).collect();
        assert_eq!(ours, expected);
    }

    #[test]
    fn a_driver_that_is_away_is_a_failed_dependency_and_one_that_says_no_is_quoted() {
        let away = AppError::from(EngineError::from(DriverError::unavailable("the cluster is away")));
        assert_eq!(away.code, ErrorCode::DependencyFailed);
        let source = DriverError::forbidden("AccessDenied").with_suggestion("give it write access");
        let artifact = ArtifactName::try_from("oco-manual-backup-prod-1707235200").unwrap();
        let denied = AppError::from(EngineError::Driver { source, artifact: Some(artifact) });
        assert_eq!(denied.code, ErrorCode::Velero);
        assert_eq!(denied.details["velero_backup_name"], "oco-manual-backup-prod-1707235200");
        assert_eq!(denied.details["velero_error"], "AccessDenied");
        assert_eq!(denied.details["suggestion"], "give it write access");
    }

    #[test]
    fn a_fault_of_ours_says_nothing_of_its_cause() {
        let error = AppError::from(EngineError::Internal("password=hunter2 at /srv/secret".to_owned()));
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(!error.message.contains("hunter2") && error.details.is_empty());
    }

    #[test]
    fn a_field_is_called_as_the_request_calls_it() {
        let error = AppError::from(EngineError::field("cluster", "there is no cluster `x`"));
        let error = error.renaming("cluster", "target_cluster");
        assert_eq!(error.details["fields"][0]["field"], "target_cluster");
        assert!(error.message.starts_with("target_cluster: "), "{}", error.message);
    }
}
