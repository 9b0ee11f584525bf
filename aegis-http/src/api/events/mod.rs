//! `/events`: every change as it is sealed, over a WebSocket.

mod feed;
mod socket;

use std::{fmt::Write as _, sync::Arc, time::Duration};

use aegis_core::{engine::Tenant, model::Position};
use axum::{
    Json,
    extract::{FromRequestParts, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

pub(crate) use self::feed::Feed;
use super::audit::EventPage;
use crate::{
    app::App,
    auth::{Identity, Role, Viewer, enter},
    error::{AppError, ErrorCode},
    extract::Params,
    wire::Time,
};

/// How long a ticket can be used.
const TICKET: Duration = Duration::from_secs(60);
/// The most bytes that a listener may send at once: nothing of it is read.
const MAX_MESSAGE: usize = 4096;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(listen)).routes(routes!(create_ticket))
}

/// What a browser connects with, which can't send a token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTicket)]
pub(crate) struct TicketBody {
    /// Send as `ticket`. It is good for one connection.
    ticket: String,
    /// Until when it is good.
    expires_at: Time,
}

/// A ticket for one connection to `/events`, for those who can't send a token there: browsers.
///
/// It is good for a minute, once, on any replica; its hash alone is kept.
#[utoipa::path(
    post, path = "/events/ticket", tag = "Events",
    responses((status = 201, description = "The ticket", body = TicketBody))
)]
async fn create_ticket(Viewer(tenant): Viewer) -> Result<(StatusCode, Json<TicketBody>), AppError> {
    let ticket = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let expires_at = tenant.issue_ticket(&hash(&ticket), TICKET).await?.into();
    Ok((StatusCode::CREATED, Json(TicketBody { ticket, expires_at })))
}

fn hash(ticket: &str) -> String {
    Sha256::digest(ticket).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// From where to listen.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventParams {
    /// Events after this position: `next` of what was heard last. What is new unless given.
    after: Option<u64>,
    /// From `POST /events/ticket`, in place of a token.
    ticket: Option<String>,
}

/// Anyone who may listen: by token, or by ticket.
struct Guest {
    tenant: Tenant,
    after: Option<Position>,
}

impl FromRequestParts<App> for Guest {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AppError> {
        let Params(params) = Params::<EventParams>::from_request_parts(parts, app).await?;
        let after = params.after.map(Position);
        let Some(ticket) = params.ticket else {
            let Viewer(tenant) = Viewer::from_request_parts(parts, app).await?;
            return Ok(Self { tenant, after });
        };
        let refused = || AppError::new(ErrorCode::Unauthorized, "this ticket is not known, used or too old");
        let tenant = app.engine.redeem_ticket(&hash(&ticket)).await?.ok_or_else(refused)?;
        let principal = "event-ticket".parse().map_err(AppError::internal)?;
        let tenant = enter(app, Identity { tenant, principal, role: Role::Viewer })?;
        Ok(Self { tenant, after })
    }
}

/// Every change as it happens: a WebSocket.
///
/// Each frame is text: a page of events as `GET /audit` answers it, with several events where several
/// happened. The first frame has none and tells where the connection begins. After a break, connect
/// with `after` set to the last `next`: nothing is lost and nothing comes twice.
///
/// The server closes with 1001 when it stops, 1013 when the listener takes too little or the store is
/// away, each with the position to go on from, and 4410 where the log does not reach back so far.
/// Nothing that is sent to it is read. What each kind of event means is in the table of `docs/events.md`.
#[utoipa::path(
    get, path = "/events", tag = "Events", params(EventParams),
    responses((status = 101, description = "A WebSocket, with such pages as frames", body = EventPage))
)]
async fn listen(
    State(app): State<App>,
    Guest { tenant, after }: Guest,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, AppError> {
    let upgrade = upgrade.map_err(|error| {
        AppError::new(ErrorCode::BadRequest, format!("this is a WebSocket: {}", error.body_text()))
    })?;
    let place = Arc::clone(&app.places).try_acquire_owned().map_err(|_| {
        AppError::new(ErrorCode::Unavailable, "as many listen as this server takes: try again later")
    })?;
    let head = app.engine.head().await?;
    let after = after.unwrap_or(head);
    if after > head {
        let message = format!("after: the log ends at {head}");
        return Err(AppError::new(ErrorCode::BadRequest, message));
    }
    let listener = app.feed.listen(tenant, after);
    Ok(upgrade.max_message_size(MAX_MESSAGE).on_upgrade(|socket| async move {
        socket::serve(socket, listener, app).await;
        drop(place);
    }))
}
