//! The router, put together.

use aegis_core::engine::Aegis;
use axum::Router;
use tower::layer::layer_fn;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    api,
    app::App,
    metrics::Metrics,
    openapi::{self, Document},
    options::HttpOptions,
    request::Envelope,
};

/// The API of an engine, to be served as it is or mounted into anyone's router.
///
/// The paths begin with `/api/v1`; beside them are `/health`, `/livez`, `/readyz`,
/// `/metrics` and `/openapi.json`. Nothing runs by it: [start](Aegis::start) the engine for that.
pub fn router(engine: Aegis, options: HttpOptions) -> Router {
    if options.metrics.is_some() {
        Metrics::describe();
    }
    let app = App::new(engine, options);
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", api::v1())
        .merge(api::probes())
        .merge(openapi::routes())
        .split_for_parts();
    app.keep_document(&document);
    let around = app.clone();
    router.layer(layer_fn(move |inner| Envelope::new(around.clone(), inner))).with_state(app)
}
