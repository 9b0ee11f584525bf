//! The API, one module per resource: its handlers, and beside them in `wire` what they read and write.

mod audit;
mod compliance;
mod dead_letters;
mod dr_tests;
pub(crate) mod events;
mod executions;
mod health;
mod history;
mod inventory;
mod jobs;
mod metrics;
mod plans;
mod policies;
mod records;
mod retention;
mod statistics;
mod summary;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// What is served below `/api/v1`.
pub(crate) fn v1() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(jobs::routes())
        .merge(records::routes())
        .merge(plans::routes())
        .merge(executions::routes())
        .merge(policies::routes())
        .merge(compliance::routes())
        .merge(history::routes())
        .merge(summary::routes())
        .merge(retention::routes())
        .merge(dr_tests::routes())
        .merge(inventory::routes())
        .merge(statistics::routes())
        .merge(audit::routes())
        .merge(events::routes())
        .merge(dead_letters::routes())
}

/// What is served beside it, whatever the server is at.
pub(crate) fn probes() -> OpenApiRouter<App> {
    health::routes().merge(metrics::routes())
}
