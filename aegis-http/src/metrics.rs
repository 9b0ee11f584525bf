//! Figures for those who run the service: where `/metrics` takes them from, and who may see them.

use std::{fmt, sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};

use crate::auth::TokenHash;

const DURATION: &str = "aegis_http_request_duration_seconds";
const REQUESTS: &str = "aegis_http_requests_total";

/// Where `/metrics` takes the process's figures from, and who may see them.
///
/// The engine and the API count by the `metrics` crate; what has them is the recorder that the
/// embedder installs, and `render` writes down in Prometheus' text format.
///
/// The figures are the service's, over all tenants: a tenant's token does not open them. A router
/// that asks nobody who they are shows them; any other asks for a token that serves this alone.
#[derive(Clone)]
pub struct Metrics {
    render: Arc<dyn Fn() -> String + Send + Sync>,
    token: Option<TokenHash>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Figures that `render` writes down in Prometheus' text format.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { render: Arc::new(render), token: None }
    }

    /// For whoever has this token.
    #[must_use]
    pub const fn with_token(mut self, token: TokenHash) -> Self {
        self.token = Some(token);
        self
    }

    /// Says what each figure of the API means, to the recorder that the embedder has installed.
    pub(crate) fn describe() {
        metrics::describe_histogram!(DURATION, "How long requests took to be answered, by method and route.");
        metrics::describe_counter!(REQUESTS, "Requests that were answered, by method, route and status.");
    }

    pub(crate) fn render(&self) -> String {
        (self.render)()
    }

    /// Whether a token opens these figures.
    pub(crate) fn opens(&self, token: &str) -> bool {
        self.token.is_some_and(|known| known.is_of(token))
    }
}

/// Counts a request. The labels are as many as there are routes, methods and statuses, whatever is asked.
pub(crate) fn count_request(method: &Method, route: Option<String>, status: StatusCode, took: Duration) {
    let method = match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    };
    let route = route.unwrap_or_else(|| "none".to_owned());
    let status = status.as_u16().to_string();
    metrics::histogram!(DURATION, "method" => method, "route" => route.clone()).record(took.as_secs_f64());
    metrics::counter!(REQUESTS, "method" => method, "route" => route, "status" => status).increment(1);
}
