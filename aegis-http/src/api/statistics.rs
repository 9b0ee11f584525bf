//! `/statistics`: what the backups of a time came to.

use std::collections::BTreeMap;

use aegis_core::{
    engine::StatisticsAnswer,
    model::Timestamp,
    rules::health::{Tally, Trend},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Viewer,
    error::AppError,
    extract::Params,
    json::Json,
    wire::{Time, days_ago},
};

/// How far back the figures go unless the request says otherwise.
const USUAL_DAYS: u64 = 30;
/// Seconds of a day in UTC.
const DAY: i64 = 86_400;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_statistics))
}

/// Of which time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatisticsParams {
    /// Its day is the first; 30 days ago unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Its day is the last; now unless given.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// What the backups came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatisticsBody {
    statistics: FiguresBody,
}

/// What the backups of whole days in UTC came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
pub(crate) struct FiguresBody {
    from: Time,
    to: Time,
    /// Up to which position of the event log runs are counted.
    as_of: u64,
    total: TallyBody,
    by_kind: BTreeMap<String, TallyBody>,
    by_cluster: BTreeMap<String, TallyBody>,
    by_policy: BTreeMap<String, TallyBody>,
    by_day: Vec<DayBody>,
    /// As many days before.
    before: TallyBody,
    trend: TrendBody,
    last_24h: TallyBody,
    last_7d: TallyBody,
}

/// Sums over runs that ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tally)]
pub(crate) struct TallyBody {
    runs: u64,
    completed: u64,
    partially_failed: u64,
    failed: u64,
    cancelled: u64,
    /// From 0 to 1, cancelled runs aside; `null` without any.
    success_rate: Option<f64>,
    average_duration_seconds: Option<u64>,
    average_size_bytes: Option<u64>,
    /// What they added to the storage.
    added_bytes: u64,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayTally)]
pub(crate) struct DayBody {
    /// Its first instant, in UTC.
    day: Time,
    #[serde(flatten)]
    tally: TallyBody,
}

/// How the time differs from as many days before; `null` where either is unknown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trend)]
pub(crate) struct TrendBody {
    /// By how much the success rate rose.
    success_rate: Option<f64>,
    /// The average size by the former one.
    size: Option<f64>,
    /// The average duration by the former one.
    duration: Option<f64>,
}

impl TallyBody {
    fn of(tally: &Tally) -> Self {
        Self {
            runs: tally.runs(),
            completed: tally.completed,
            partially_failed: tally.partially_failed,
            failed: tally.failed,
            cancelled: tally.cancelled,
            success_rate: tally.success_rate(),
            average_duration_seconds: tally.mean_duration().map(|duration| duration.as_secs()),
            average_size_bytes: tally.mean_size().map(|size| size.0),
            added_bytes: tally.added().0,
        }
    }
}

fn tallies<K: ToString>(tallies: &BTreeMap<K, Tally>) -> BTreeMap<String, TallyBody> {
    tallies.iter().map(|(key, tally)| (key.to_string(), TallyBody::of(tally))).collect()
}

impl FiguresBody {
    fn of(answer: &StatisticsAnswer) -> Self {
        let Trend { success_rate, size, duration } = answer.trend;
        let day = |(day, tally): (&i64, &Tally)| DayBody {
            day: Timestamp::from_seconds(day.saturating_mul(DAY)).into(),
            tally: TallyBody::of(tally),
        };
        Self {
            from: answer.from.into(),
            to: answer.to.into(),
            as_of: answer.as_of.0,
            total: TallyBody::of(&answer.statistics.total),
            by_kind: tallies(&answer.statistics.by_kind),
            by_cluster: tallies(&answer.statistics.by_cluster),
            by_policy: tallies(&answer.statistics.by_policy),
            by_day: answer.statistics.by_day.iter().map(day).collect(),
            before: TallyBody::of(&answer.before),
            trend: TrendBody { success_rate, size, duration },
            last_24h: TallyBody::of(&answer.last_24h),
            last_7d: TallyBody::of(&answer.last_7d),
        }
    }
}

/// What the backups of a time came to: counts, success, sizes and durations.
#[utoipa::path(
    get, path = "/statistics", tag = "Statistics", params(StatisticsParams),
    responses((status = 200, description = "The figures", body = StatisticsBody))
)]
async fn get_statistics(
    Viewer(tenant): Viewer,
    Params(params): Params<StatisticsParams>,
) -> Result<Json<StatisticsBody>, AppError> {
    let from = params.from.unwrap_or_else(|| days_ago(&tenant, USUAL_DAYS));
    let to = params.to.unwrap_or_else(|| tenant.now());
    let answer = tenant.statistics(from, to).await?;
    Ok(Json(StatisticsBody { statistics: FiguresBody::of(&answer) }))
}
