//! `/webhooks/dead-letters`: events that a receiver did not take.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, auth::Viewer, error::AppError, json::Json, wire::Time};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_dead_letters))
}

/// Events that webhooks did not take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    /// By webhook, in the order of the log.
    dead_letters: Vec<DeadLetterBody>,
}

/// An event that a webhook did not take.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct DeadLetterBody {
    /// Whose it was to be.
    webhook: String,
    /// Where in the log the event is: ask `/audit` for one event after the position before.
    position: u64,
    /// Why it was not taken.
    reason: String,
    /// When it was given up.
    at: Time,
}

/// The events that webhooks did not take for as long as they are waited for.
#[utoipa::path(
    get, path = "/webhooks/dead-letters", tag = "Webhooks",
    responses((status = 200, description = "The dead letters", body = DeadLetterList))
)]
async fn list_dead_letters(Viewer(tenant): Viewer) -> Result<Json<DeadLetterList>, AppError> {
    let letters = tenant.dead_letters().await?.into_iter().map(|letter| DeadLetterBody {
        webhook: letter.notifier,
        position: letter.position.0,
        reason: letter.reason,
        at: letter.at.into(),
    });
    Ok(Json(DeadLetterList { dead_letters: letters.collect() }))
}
