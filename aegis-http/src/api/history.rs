//! `/dr/compliance/history`: how policies kept their RPO over a time.

use std::time::Duration;

use aegis_core::{
    engine::{Listing, PolicyAttainment},
    model::{StorageUri, Timestamp},
    rules::exposure::{Attainment, Exposure, Objective},
    seams::{PolicyQuery, Scope},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Viewer,
    error::AppError,
    extract::{Params, id_from},
    json::Json,
    wire::{Time, days_ago, list_params},
};

/// How far back it goes unless the request says otherwise.
const USUAL_DAYS: u64 = 30;
/// How long a time it can tell of.
const MOST_DAYS: u64 = 366;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_compliance_history))
}

list_params! {
    /// Which policies, over which time.
    HistoryParams {
        /// This policy alone.
        policy_id: Option<String>,
        /// Its first instant, at most 366 days before `to`; 30 days ago unless given.
        #[param(value_type = Option<String>, format = DateTime)]
        from: Option<Timestamp>,
        /// The instant after its last; now unless given.
        #[param(value_type = Option<String>, format = DateTime)]
        to: Option<Timestamp>,
    }
}

/// How policies kept their RPO.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryAnswer {
    history: Vec<AttainmentBody>,
    /// How many policies match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// How a policy kept its RPO, by both books.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyAttainment)]
pub(crate) struct AttainmentBody {
    policy_id: String,
    from: Time,
    to: Time,
    assessed_at: Time,
    /// As was known then: a point counts until it was found bad.
    as_known: BookBody,
    /// As is known now: a point that was found bad never counted.
    restated: BookBody,
    /// How exposure was spread over the counted time, as was known then.
    spread: SpreadBody,
    /// For how long the RPO might be missed, and was, as was known then.
    error_budget: BudgetBody,
    /// What would be lost at `assessed_at` if one location alone were left; one that could give
    /// nothing back is not named.
    by_location: Vec<LocationExposureBody>,
}

/// The exposures that were not exceeded for half and for 95 % of the time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExposureSpread)]
pub(crate) struct SpreadBody {
    /// `null` where nothing counts, or where it was unbounded.
    p50_seconds: Option<u64>,
    /// `null` where nothing counts, or where it was unbounded.
    p95_seconds: Option<u64>,
}

/// What an objective leaves of the counted time, and what of that is spent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorBudget)]
pub(crate) struct BudgetBody {
    /// The share of the time in which the RPO is to be kept.
    objective_pct: f64,
    allowed_seconds: u64,
    spent_seconds: u64,
    left_seconds: u64,
    overspent_seconds: u64,
}

/// What would be lost if this location alone were left.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LocationExposure)]
pub(crate) struct LocationExposureBody {
    storage_location: String,
    record_id: Option<String>,
    recovery_point_at: Option<Time>,
    /// `null` if it could give nothing back.
    exposure_seconds: Option<u64>,
}

impl LocationExposureBody {
    fn of((location, exposure): (&StorageUri, &Exposure)) -> Self {
        let newest = match exposure {
            Exposure::Unprotected => None,
            Exposure::Since { id, at, exposure } => Some((*id, *at, *exposure)),
        };
        Self {
            storage_location: location.to_string(),
            record_id: newest.map(|(id, _, _)| id.to_string()),
            recovery_point_at: newest.map(|(_, at, _)| at.into()),
            exposure_seconds: newest.map(|(_, _, exposure)| exposure.as_secs()),
        }
    }
}

/// How a policy kept its RPO.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attainment)]
pub(crate) struct BookBody {
    /// Per cent of the counted time; `null` where nothing counts.
    attainment_pct: Option<f64>,
    /// The same with suspensions counted.
    raw_attainment_pct: Option<f64>,
    counted_seconds: u64,
    compliant_seconds: u64,
    /// `null` where nothing counts, or where it was unbounded.
    worst_exposure_seconds: Option<u64>,
    unprotected_seconds: u64,
    violations: u64,
    longest_violation_seconds: u64,
}

impl BookBody {
    fn of(attainment: &Attainment) -> Self {
        Self {
            attainment_pct: attainment.share.percent(),
            raw_attainment_pct: attainment.raw.percent(),
            counted_seconds: attainment.share.counted.as_secs(),
            compliant_seconds: attainment.share.compliant.as_secs(),
            worst_exposure_seconds: attainment.worst_exposure.map(|worst| worst.as_secs()),
            unprotected_seconds: attainment.unprotected.as_secs(),
            violations: attainment.violations.count,
            longest_violation_seconds: attainment.violations.longest.as_secs(),
        }
    }
}

impl AttainmentBody {
    fn of(attainment: &PolicyAttainment) -> Self {
        Self {
            policy_id: attainment.policy.to_string(),
            from: attainment.window.from.into(),
            to: attainment.window.until.into(),
            assessed_at: attainment.assessed_at.into(),
            as_known: BookBody::of(&attainment.as_known),
            restated: BookBody::of(&attainment.restated),
            spread: SpreadBody {
                p50_seconds: attainment.spread.p50.map(|exposure| exposure.as_secs()),
                p95_seconds: attainment.spread.p95.map(|exposure| exposure.as_secs()),
            },
            error_budget: BudgetBody {
                objective_pct: Objective::DEFAULT.percent(),
                allowed_seconds: attainment.budget.allowed.as_secs(),
                spent_seconds: attainment.budget.spent.as_secs(),
                left_seconds: attainment.budget.left().as_secs(),
                overspent_seconds: attainment.budget.overspent().as_secs(),
            },
            by_location: attainment.by_location.iter().map(LocationExposureBody::of).collect(),
        }
    }
}

/// The exact share of a time, of 366 days at most, in which policies kept their RPO.
#[utoipa::path(
    get, path = "/dr/compliance/history", tag = "DR compliance", params(HistoryParams),
    responses((status = 200, description = "A page of policies", body = HistoryAnswer))
)]
async fn get_compliance_history(
    Viewer(tenant): Viewer,
    Params(params): Params<HistoryParams>,
) -> Result<Json<HistoryAnswer>, AppError> {
    let page = params.page();
    let window = page.window()?;
    let from = params.from.unwrap_or_else(|| days_ago(&tenant, USUAL_DAYS));
    let to = params.to.unwrap_or_else(|| tenant.now());
    if to.since(from) > Duration::from_secs(MOST_DAYS * 24 * 3600) {
        let message = format!("it is more than {MOST_DAYS} days before `to`: ask for one year at a time");
        return Err(AppError::field("from", message));
    }
    let (policies, total, last) = match params.policy_id.as_deref() {
        Some(policy) => (vec![tenant.policy(id_from(policy)?).await?], Some(1), None),
        None => {
            let query = PolicyQuery::new(Scope::Tenant(tenant.id().clone())).with_window(window);
            let Listing { items, total } = tenant.policies(query).await?;
            let last = items.last().map(|view| (view.policy.created_at, view.policy.id.as_uuid()));
            (items, total, last)
        }
    };
    let next_cursor = page.next_cursor(policies.len(), last);
    let attained = tenant.attainments(&policies, from, to).await?;
    Ok(Json(HistoryAnswer { history: attained.iter().map(AttainmentBody::of).collect(), total, next_cursor }))
}
