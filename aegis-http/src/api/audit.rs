//! `/audit`: every change, in the order in which it was sealed.

use aegis_core::model::{EntityKey, Event, Position, SealedEvent};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Viewer,
    error::{AppError, ErrorCode},
    extract::Params,
    json::Json,
    wire::Time,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditParams {
    /// Those after this position; from where the log starts unless given.
    after: Option<u64>,
    /// The most events; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    /// In the order of their positions.
    events: Vec<EventBody>,
    /// Send as `after` for what follows.
    next: u64,
}

impl EventPage {
    /// These events, with the position that was read up to.
    pub(crate) fn new(events: &[SealedEvent], next: Position) -> Self {
        Self { events: events.iter().map(EventBody::of).collect(), next: next.0 }
    }

    /// As it goes over the wire.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A change: who, what, when.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventBody {
    /// Its place in the log, which is the order of commits.
    position: u64,
    /// The link of the tenant's hash chain, by which a change of the log is found.
    hash: String,
    id: String,
    /// What happened, as `job.completed`.
    kind: String,
    actor: String,
    at: Time,
    /// The kind of thing that changed.
    subject_kind: String,
    /// Its id.
    subject_id: String,
    version_before: Option<u64>,
    version_after: Option<u64>,
    #[serde(flatten)]
    facts: FactsBody,
}

/// The particulars of a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventFacts)]
pub(crate) struct FactsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl EventBody {
    fn of(sealed: &SealedEvent) -> Self {
        let event: &Event = &sealed.event;
        let facts = &event.facts;
        Self {
            position: sealed.position.0,
            hash: sealed.hash.to_string(),
            id: event.id.to_string(),
            kind: event.kind.to_string(),
            actor: event.actor.to_string(),
            at: event.at.into(),
            subject_kind: event.subject.kind().to_string(),
            subject_id: id_of(&event.subject),
            version_before: event.before.map(|version| version.0),
            version_after: event.after.map(|version| version.0),
            facts: FactsBody {
                cluster: facts.cluster.as_ref().map(ToString::to_string),
                policy_id: facts.policy.map(|id| id.to_string()),
                job_id: facts.job.map(|id| id.to_string()),
                record_id: facts.record.map(|id| id.to_string()),
                size_bytes: facts.bytes.map(|bytes| bytes.0),
                duration_seconds: facts.duration.map(|duration| duration.as_secs()),
                reason: facts.reason.clone(),
            },
        }
    }
}

/// The id of what changed, as text.
fn id_of(key: &EntityKey) -> String {
    let key = serde_json::to_value(key).unwrap_or_default();
    match &key["id"] {
        Value::String(id) => id.clone(),
        Value::Object(slot) => {
            let part = |name: &str| slot.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            format!("{}/{}", part("policy"), part("nominal_at"))
        }
        _ => String::new(),
    }
}

/// Every change of what is the tenant's, by cursor: who, what, when.
///
/// What is older than the service keeps events for was let go. Whoever goes on from there, or from a
/// position that the log does not have, is answered with 404: begin without `after`.
#[utoipa::path(
    get, path = "/audit", tag = "Audit", params(AuditParams),
    responses((status = 200, description = "A page of events", body = EventPage))
)]
async fn list_audit(
    State(app): State<App>,
    Viewer(tenant): Viewer,
    Params(params): Params<AuditParams>,
) -> Result<Json<EventPage>, AppError> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(AppError::new(ErrorCode::BadRequest, "limit: use 1 to 1000"));
    }
    let after = match params.after {
        Some(after) => Position(after),
        None => app.engine.log_start().await?,
    };
    let events = tenant.events(after, limit).await?;
    let next = events.last().map_or(after, |event| event.position);
    Ok(Json(EventPage::new(&events, next)))
}
