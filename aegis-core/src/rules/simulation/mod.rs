//! What if: policies in a simulated world, from a seed.
//!
//! [`simulate`] lets the rules that the engine runs on, and no others, judge a world that is drawn
//! from a seed: slots are settled by [`settle`](super::settle), records judged by
//! [`retention`](super::retention), attainment swept by [`exposure`](super::exposure). Nothing
//! touches a store, a driver or a clock, and the same scenario always ends alike.
//!
//! The engine looks the instant that something is due, sweeps first when the first job has ended
//! and then each [`sweep_interval`](Scenario::sweep_interval), and judges an expired record once
//! more when its grace time is over. What is not modelled is told in the
//! [guide](crate::guide::simulation).

mod luck;
mod outcome;
mod play;
mod shelf;
#[cfg(test)]
mod tests;
mod world;

use std::time::Duration;

pub use outcome::{Level, PolicyHistory, Run, RunEnd, SimulatedPoint, Simulation, Sweep};
pub use world::{BadBackups, DataModel, Outage, OutageKind, RandomOutages, RunModel, Share, Spread};

use self::{luck::Luck, play::Play, world::Downtime};
use super::{CompiledSchedule, exposure::Window, retention::Acknowledgement};
use crate::model::{
    BackupKind, Policy, PolicyId, RetentionRules, RetentionRulesError, Rpo, Schedule, ScheduleOptions,
    Timestamp,
};

/// The most slots that one policy may have in a scenario; each costs memory.
pub const MAX_SLOTS: u64 = 1_000_000;

/// A policy, reduced to what the simulation looks at, with the world that it lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedPolicy {
    /// Its id: decides its share of the jitter, and its luck.
    pub id: PolicyId,
    /// When it runs.
    pub schedule: Schedule,
    /// What bends the schedule.
    pub options: ScheduleOptions,
    /// What stays.
    pub retention: RetentionRules,
    /// What kind its backups are.
    pub kind: BackupKind,
    /// How much may be lost.
    pub rpo: Option<Rpo>,
    /// How its runs go.
    pub runs: RunModel,
    /// What it protects.
    pub data: DataModel,
}

impl SimulatedPolicy {
    /// Full backups by `schedule`, with no target, in the world of `runs` and `data`.
    #[must_use]
    pub fn new(
        id: PolicyId,
        schedule: Schedule,
        retention: RetentionRules,
        runs: RunModel,
        data: DataModel,
    ) -> Self {
        let options = ScheduleOptions::default();
        Self { id, schedule, options, retention, kind: BackupKind::Full, rpo: None, runs, data }
    }

    /// The policy as it is saved, in the world of `runs` and `data`. The policy's own timeout is
    /// taken, in place of that of `runs`.
    #[must_use]
    pub fn of(policy: &Policy, runs: RunModel, data: DataModel) -> Self {
        Self {
            id: policy.id,
            schedule: policy.schedule.clone(),
            options: policy.schedule_options.clone(),
            retention: policy.retention.clone(),
            kind: policy.kind,
            rpo: policy.rpo,
            runs: RunModel { timeout: policy.timeout, ..runs },
            data,
        }
    }
}

/// What is to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The policies, all created at `start`.
    pub policies: Vec<SimulatedPolicy>,
    /// Outages that are known.
    pub outages: Vec<Outage>,
    /// Outages that come by chance.
    pub random_outages: Vec<RandomOutages>,
    /// What chance is drawn from.
    pub seed: u64,
    /// When it begins.
    pub start: Timestamp,
    /// How long it goes on.
    pub length: Duration,
    /// How often retention looks at the records of a policy.
    pub sweep_interval: Duration,
    /// Whether a person says go whenever a sweep stops and asks.
    pub acknowledgement: Acknowledgement,
}

impl Scenario {
    /// 365 days.
    pub const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    /// How often a scenario sweeps unless it is told otherwise: each 24 hours, so that a year is
    /// quickly played. The engine sweeps each [`SWEEP_INTERVAL`](super::retention::SWEEP_INTERVAL):
    /// what goes may go a day sooner there.
    pub const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 3600);

    /// A year of `policies` from `start` on, without outages, and with nobody to acknowledge.
    #[must_use]
    pub const fn new(policies: Vec<SimulatedPolicy>, seed: u64, start: Timestamp) -> Self {
        Self {
            policies,
            outages: Vec::new(),
            random_outages: Vec::new(),
            seed,
            start,
            length: Self::YEAR,
            sweep_interval: Self::SWEEP_INTERVAL,
            acknowledgement: Acknowledgement::None,
        }
    }

    fn window(&self) -> Window {
        Window { from: self.start, until: self.start.saturating_add(self.length) }
    }

    fn validate(&self) -> Result<(), SimulationError> {
        if self.sweep_interval < Duration::from_secs(1) {
            return Err(SimulationError::SweepInterval);
        }
        for policy in &self.policies {
            let invalid = |source| SimulationError::Retention { policy: policy.id, source };
            policy.retention.validate().map_err(invalid)?;
            let Window { from, until } = self.window();
            let slots = CompiledSchedule::new(&policy.schedule, from).count(from, until);
            if slots > MAX_SLOTS {
                return Err(SimulationError::TooManySlots { policy: policy.id, slots });
            }
        }
        Ok(())
    }
}

/// Why a scenario can't be played. Class `InvalidInput`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulationError {
    /// The retention rules of a policy are not valid.
    #[error("policy `{policy}` can't be simulated with these retention rules")]
    Retention {
        /// The policy.
        policy: PolicyId,
        /// What is wrong.
        source: RetentionRulesError,
    },
    /// More slots than anyone looks at.
    #[error(
        "policy `{policy}` would have {slots} slots: simulate a shorter time, or at most {MAX_SLOTS} slots"
    )]
    TooManySlots {
        /// The policy.
        policy: PolicyId,
        /// How many.
        slots: u64,
    },
    /// Sweeps without a pause.
    #[error("the sweep interval is less than a second: use at least 1 s")]
    SweepInterval,
}

/// Plays `scenario` to its end.
///
/// # Errors
/// [`SimulationError`] (invalid input), saying how to mend it.
pub fn simulate(scenario: &Scenario) -> Result<Simulation, SimulationError> {
    scenario.validate()?;
    let (window, luck) = (scenario.window(), Luck::new(scenario.seed));
    let drawn = scenario.random_outages.iter().flat_map(|random| random.draw(window, luck));
    let mut outages: Vec<Outage> = scenario.outages.iter().copied().chain(drawn).collect();
    outages.sort_by_key(|outage| (outage.window, outage.kind));
    let engine = Downtime::new(&outages, OutageKind::Engine);
    let target = Downtime::new(&outages, OutageKind::Target);
    let play = |policy| Play::new(scenario, policy, &engine, &target).run();
    let policies = scenario.policies.iter().map(play).collect();
    Ok(Simulation { window, outages, policies })
}
