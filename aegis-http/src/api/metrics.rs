//! `/metrics`: figures for those who run the service.

use std::fmt::Write as _;

use aegis_core::engine::Connection;
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::{Access, bearer},
    error::{AppError, ErrorBody, ErrorCode},
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

/// The service's figures, over all tenants, in Prometheus' text format.
///
/// Without tokens they are shown to this machine. Else they take a token that serves this alone: no
/// tenant's token shows what is everyone's.
#[utoipa::path(
    get, path = "/metrics", tag = "Service",
    responses(
        (status = 200, description = "The figures", body = String, content_type = "text/plain"),
        (status = 401, description = "It takes the token for figures", body = ErrorBody),
        (status = 404, description = "This service keeps none", body = ErrorBody),
    )
)]
async fn get_metrics(State(app): State<App>, headers: HeaderMap) -> Result<impl IntoResponse, AppError> {
    let Some(metrics) = &app.options.metrics else {
        return Err(AppError::new(ErrorCode::NotFound, "this service keeps no figures"));
    };
    let known = || bearer(&headers).is_some_and(|token| metrics.opens(token));
    if !matches!(app.options.access, Access::Open) && !known() {
        let message = "figures take a token of their own: Authorization: Bearer …";
        return Err(AppError::new(ErrorCode::Unauthorized, message));
    }
    let mut text = own_figures(&app).await;
    text.push_str(&metrics.render());
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// What is known at this instant and nobody counts.
async fn own_figures(app: &App) -> String {
    let health = app.health().await;
    let connected = |connections: &mut dyn Iterator<Item = &Connection>| {
        connections.filter(|connection| connection.is_connected()).count()
    };
    let listening = app.options.max_listeners.saturating_sub(app.places.available_permits());
    let figures = [
        ("aegis_uptime_seconds", "How long the engine has been there.", health.uptime.as_secs()),
        ("aegis_store_up", "Whether the store answers.", u64::from(health.store.is_connected())),
        ("aegis_clusters", "Clusters that are served here.", count(health.clusters.len())),
        ("aegis_clusters_up", "Those whose driver answers.", count(connected(&mut health.clusters.values()))),
        ("aegis_locations", "Storage locations that are known here.", count(health.locations.len())),
        ("aegis_locations_up", "Those that answer.", count(connected(&mut health.locations.values()))),
        ("aegis_event_listeners", "Who listens to live events.", count(listening)),
    ];
    figures.iter().fold(String::new(), |mut text, (name, help, value)| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        text
    })
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
