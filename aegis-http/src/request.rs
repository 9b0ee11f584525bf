//! What surrounds every request: its id, its limits, and the envelope of whatever goes wrong.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU64, Ordering},
};

use aegis_core::seams::Monotonic;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::{Instrument, field};
use uuid::Uuid;

use crate::{
    app::App,
    error::{AppError, ErrorCode},
    metrics::count_request,
};

/// The header that carries a request's id, both ways.
const REQUEST_ID: &str = "x-request-id";

/// The outermost layer: gives the request an id and a span, and puts whatever fails below, panics
/// included, into the envelope.
pub(crate) async fn envelop(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = given_id(request.headers()).unwrap_or_else(|| app.request_ids.next());
    let counted = app.options.metrics.is_some().then(|| Counted::new(&app, &request));
    let span = tracing::info_span!(
        "request",
        id = id.as_str(),
        method = %request.method(),
        path = request.uri().path(),
        tenant = field::Empty,
    );
    let answer = async {
        if request.uri().path_and_query().is_some_and(|uri| uri.as_str().len() > app.options.max_uri) {
            let message = format!("the path with its query is longer than {} bytes", app.options.max_uri);
            return AppError::new(ErrorCode::BadRequest, message).into_response();
        }
        AssertUnwindSafe(next.run(request))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| AppError::internal("a handler panicked").into_response())
    };
    let mut response = dress(answer.instrument(span).await, &id);
    if let Some(counted) = counted {
        counted.end(&app, response.status());
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    // What is one caller's must not lie in anyone's cache, nor be read as anything but what it is.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A request that is counted once it is answered.
struct Counted {
    method: Method,
    route: Option<String>,
    begun: Monotonic,
}

impl Counted {
    fn new(app: &App, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        Self { method: request.method().clone(), route, begun: app.engine.clock().monotonic() }
    }

    fn end(self, app: &App, status: StatusCode) {
        let took = app.engine.clock().monotonic().since(self.begun);
        count_request(&self.method, self.route, status, took);
    }
}

/// New ids of requests: no other process's, and no random number for each.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl Default for RequestIds {
    fn default() -> Self {
        let (process, _) = Uuid::new_v4().as_u64_pair();
        Self { process, next: AtomicU64::new(0) }
    }
}

impl RequestIds {
    fn next(&self) -> String {
        Uuid::from_u64_pair(self.process, self.next.fetch_add(1, Ordering::Relaxed)).to_string()
    }
}

/// The id that the client gave, if it can be one.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let is_plain = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain).map(ToOwned::to_owned)
}

/// A response as it goes out: a failure gets its envelope, unless it has a JSON body of its own.
fn dress(mut response: Response, id: &str) -> Response {
    let status = response.status();
    let error = match response.extensions_mut().remove::<AppError>() {
        Some(error) => error,
        None if !status.is_client_error() && !status.is_server_error() => return response,
        None if is_json(&response) => return response,
        None => AppError::new(ErrorCode::of_status(status), message_of(status)),
    };
    let mut enveloped = error.render(id);
    for (name, value) in response.headers() {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH) {
            enveloped.headers_mut().append(name, value.clone());
        }
    }
    enveloped
}

fn is_json(response: &Response) -> bool {
    let content = response.headers().get(header::CONTENT_TYPE);
    content.is_some_and(|content| content.as_bytes().starts_with(b"application/json"))
}

const fn message_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is no such route: see /openapi.json",
        StatusCode::METHOD_NOT_ALLOWED => "this route has no such method: see the header Allow",
        _ => "the request was refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_request_id_is_kept_if_it_can_be_one() {
        let with = |id: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_static(id));
            given_id(&headers)
        };
        assert_eq!(with("abc-1.2_3").as_deref(), Some("abc-1.2_3"));
        for odd in ["", "a b", "<script>"] {
            assert_eq!(with(odd), None);
        }
        assert_eq!(given_id(&HeaderMap::new()), None);
    }

    #[test]
    fn no_two_requests_have_the_same_new_id_whichever_router_they_came_to() {
        let (ours, theirs) = (RequestIds::default(), RequestIds::default());
        let ids = std::collections::BTreeSet::from([ours.next(), ours.next(), theirs.next(), theirs.next()]);
        assert_eq!(ids.len(), 4);
    }
}
