//! What surrounds every request: its id, its limits, and the envelope of whatever goes wrong.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

use aegis_core::seams::Monotonic;
use axum::{
    extract::{DefaultBodyLimit, MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{
    FutureExt, TryFutureExt,
    future::{self, BoxFuture, Either},
};
use tower::Service;
use tracing::{Instrument, field};
use uuid::Uuid;

use crate::{
    app::App,
    auth::refuse_strangers,
    error::{AppError, ErrorCode},
    limits::LimitedCall,
    metrics::count_request,
};

/// Where everything is that is taken only while the server serves.
const API: &str = "/api/v1/";
/// The header that carries a request's id, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The layer around everything: gives the request an id and a span, and puts whatever fails below,
/// panics included, into the envelope.
///
/// It is the only layer, and written by hand, because each one costs every request: together, four of
/// axum's took as long as a probe takes to be answered.
#[derive(Clone, Debug)]
pub(crate) struct Envelope<S> {
    app: App,
    inner: S,
}

impl<S> Envelope<S> {
    pub(crate) const fn new(app: App, inner: S) -> Self {
        Self { app, inner }
    }
}

impl<S> Service<Request> for Envelope<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = given_id(request.headers()).unwrap_or_else(|| self.app.request_ids.next());
        let span = tracing::info_span!(
            "request",
            id = id.as_str(),
            method = request.method().as_str(),
            path = request.uri().path(),
            tenant = field::Empty,
        );
        let counted = self.app.options.metrics.is_some().then(|| Counted::new(self.app.clone(), &request));
        DefaultBodyLimit::max(self.app.options.max_body).apply(&mut request);
        let limited = LimitedCall::note(&mut request);
        let answer = match refusal(&self.app, &request) {
            Some(refusal) => Either::Left(future::ready(Ok(refusal))),
            None => Either::Right(self.inner.call(request)),
        };
        let answer = AssertUnwindSafe(answer)
            .catch_unwind()
            .unwrap_or_else(|_| Ok(AppError::internal("a handler panicked").into_response()));
        Box::pin(async move {
            let Ok(answer) = answer.instrument(span).await;
            let mut response = dress(answer, &id);
            if let Some(counted) = counted {
                counted.end(response.status());
            }
            if let Some(limited) = limited {
                limited.tell(response.headers_mut());
            }
            complete(response.headers_mut(), id);
            Ok(response)
        })
    }
}

/// The answer to a request that is not taken, whoever sent it.
fn refusal(app: &App, request: &Request) -> Option<Response> {
    let uri = request.uri();
    if uri.path_and_query().is_some_and(|uri| uri.as_str().len() > app.options.max_uri) {
        let message = format!("the path with its query is longer than {} bytes", app.options.max_uri);
        return Some(AppError::new(ErrorCode::BadRequest, message).into_response());
    }
    if let Err(refusal) = refuse_strangers(&app.options.access, request) {
        return Some(refusal.into_response());
    }
    // Probes and figures are answered whatever the server is at.
    if uri.path().starts_with(API) { app.options.lifecycle.refusal() } else { None }
}

/// What every response says beside its body.
fn complete(headers: &mut HeaderMap, id: String) {
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    // What is one caller's must not lie in anyone's cache, nor be read as anything but what it is.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// A request that is counted once it is answered.
struct Counted {
    app: App,
    method: Method,
    route: Option<String>,
    begun: Monotonic,
}

impl Counted {
    fn new(app: App, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let begun = app.engine.clock().monotonic();
        Self { app, method: request.method().clone(), route, begun }
    }

    fn end(self, status: StatusCode) {
        let took = self.app.engine.clock().monotonic().since(self.begun);
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
