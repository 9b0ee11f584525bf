//! Health: what the verdicts on policies say about a cluster, an installation and a tenant.
//!
//! [`judge_cluster`] and [`overall`] make the health summary, [`score`] the figure from 0 to 100,
//! and [`Statistics`] the counts behind both. None of them judges anything twice: RPO and RTO
//! verdicts come in as they were made.

mod cluster;
mod score;
mod statistics;

pub use cluster::{
    ClusterFacts, ClusterHealth, HealthReason, HealthStatus, HealthTotals, PolicyHealth, judge_cluster,
    overall,
};
pub use score::{
    Advice, Cap, Component, ComponentKind, CoverageFacts, HealthScore, PolicyScoreFacts, Proof, Ratio,
    RpoFacts, score,
};
pub use statistics::{Facet, Outcome, RunFact, Statistics, Tally, Trend};
