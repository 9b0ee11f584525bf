//! Figures for those who run the server, at `/metrics`: what its libraries count by the `metrics` crate.

use std::time::Duration;

use aegis::{engine::SystemClock, http::Metrics, seams::Clock};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{
    config::Config,
    problem::{Problem, Result},
};

/// Where the buckets of requests end, in seconds.
const REQUESTS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Where those of backups, restores and checks end, in seconds: up to a day.
const WORK: &[f64] = &[1.0, 10.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0];
/// How often what was measured is put into its buckets, whether or not anybody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// What has the figures.
#[derive(Debug)]
pub(crate) struct Figures(PrometheusHandle);

impl Figures {
    /// Counts from now on, if there is anybody who may see it.
    ///
    /// # Errors
    /// Something else in this process counts already.
    pub(crate) fn record(config: &Config) -> Result<Option<Self>> {
        if !config.shows_figures() {
            return Ok(None);
        }
        let handle = recorder().map_err(|error| Problem::new(format!("could not keep figures: {error}")))?;
        Ok(Some(Self(handle)))
    }

    /// As the API shows them.
    pub(crate) fn metrics(&self, config: &Config) -> Metrics {
        let handle = self.0.clone();
        let metrics = Metrics::new(move || handle.render());
        match config.metrics {
            Some(token) => metrics.with_token(token),
            None => metrics,
        }
    }

    /// Keeps them small, without an end.
    pub(crate) async fn keep(self) {
        loop {
            SystemClock::new().sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

fn recorder() -> std::result::Result<PrometheusHandle, BuildError> {
    let named = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(named("aegis_http_request_duration_seconds"), REQUESTS)?
        .set_buckets_for_metric(named("aegis_duration_seconds"), WORK)?
        .install_recorder()
}
