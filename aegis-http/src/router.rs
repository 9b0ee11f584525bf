//! The router, put together.

use aegis_core::engine::Aegis;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    api,
    app::App,
    auth::refuse_strangers,
    lifecycle::refuse_unless_serving,
    limits::tell_limits,
    metrics::Metrics,
    openapi::{self, Document},
    options::HttpOptions,
    request::envelop,
};

/// The API of an engine, to be served as it is or mounted into anyone's router.
///
/// The paths begin with `/api/v1`; beside them are `/health`, `/livez`, `/readyz`,
/// `/metrics` and `/openapi.json`. Nothing runs by it: [start](Aegis::start) the engine for that.
pub fn router(engine: Aegis, options: HttpOptions) -> Router {
    let max_body = options.max_body;
    if options.metrics.is_some() {
        Metrics::describe();
    }
    let app = App::new(engine, options);
    let gate = from_fn_with_state(app.clone(), refuse_unless_serving);
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", api::v1().layer(from_fn(tell_limits)).layer(gate))
        .merge(api::probes())
        .merge(openapi::routes())
        .split_for_parts();
    app.keep_document(&document);
    router
        .layer(DefaultBodyLimit::max(max_body))
        .layer(from_fn_with_state(app.clone(), refuse_strangers))
        .layer(from_fn_with_state(app.clone(), envelop))
        .with_state(app)
}
