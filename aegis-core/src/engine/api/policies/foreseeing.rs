//! What would become of a policy if it were changed.

use std::time::Duration;

use super::{super::Tenant, PolicyChange, changing::apply};
use crate::{
    engine::EngineError,
    model::{Bytes, Consistency, Policy, PolicyId, PolicyState, RecentBackup},
    rules::simulation::{DataModel, RunModel, Scenario, Share, SimulatedPolicy, Spread},
    seams::StoreExt,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Tenant {
    /// A year from now on of the policy as `change` would make it, ready to be
    /// [played](crate::rules::simulation::simulate): with another schedule, say, how many points would
    /// be kept, and how much would be lost at worst? Changes nothing.
    ///
    /// The world is the one that the policy's newest ten backups show: how long they took, how much data
    /// there was, how much of it changed. If none of them shows the change, all of it is taken to change
    /// in a day. Runs don't fail and nothing is out of reach, unless the caller adds it to the scenario.
    /// The shelf is empty at the beginning: a
    /// [preview of retention](Tenant::preview_retention) judges the records that are there.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput`, `Unsupported` (a policy that could not be saved so);
    /// `InvalidTransition` (no backup of the policy has shown yet how long one takes, or how much data
    /// there is).
    pub async fn foresee_policy(&self, id: PolicyId, change: &PolicyChange) -> Result<Scenario, EngineError> {
        let policy = apply(&self.find::<Policy>(id).await?, change);
        self.check_policy(&policy.cluster, policy.kind, policy.verify, &policy.retention)?;
        let state = self.core.store.find::<PolicyState>(&self.scope(), id).await?;
        let recent = state.as_ref().map_or(&[][..], |state| &state.recent);
        let consistency =
            self.core.cluster_of(&self.tenant, &policy.cluster)?.driver.capabilities().consistency;
        let (Some(runs), Some(data)) = (runs_like(recent, consistency), data_like(recent)) else {
            return Err(EngineError::Blocked(
                "no backup of this policy has shown yet how long one takes and how much data there is: \
                 run it once, or simulate it with figures of your own"
                    .to_owned(),
            ));
        };
        Ok(Scenario::new(vec![SimulatedPolicy::of(&policy, runs, data)], 0, self.core.clock.now()))
    }
}

/// Runs that take as long as `recent` ones did, newest first.
fn runs_like(recent: &[RecentBackup], consistency: Consistency) -> Option<RunModel> {
    let mut took: Vec<Duration> = recent.iter().map(|backup| backup.took).collect();
    took.sort_unstable();
    let (least, most) = (*took.first()?, *took.last()?);
    let median = *took.get(took.len() / 2)?;
    let steady = RunModel::steady(median);
    Some(RunModel { duration: Spread::new(least, median, most, most), consistency, ..steady })
}

/// Data as large as at the newest backup that told, which changes as fast as the incrementals among
/// `recent` found.
fn data_like(recent: &[RecentBackup]) -> Option<DataModel> {
    let size = recent.iter().find_map(|backup| backup.size)?;
    let changes = recent.windows(2).filter_map(|pair| {
        let ([newer, older], changed) = (pair, pair.first()?.handled?) else { return None };
        (newer.size != newer.handled).then(|| (changed.0, newer.at.since(older.at)))
    });
    let (changed, elapsed) = changes.fold((0, Duration::ZERO), |(sum, length), (changed, elapsed)| {
        (u128::from(changed) + sum, length + elapsed)
    });
    Some(DataModel { size, daily_change: daily_share(changed, elapsed, size) })
}

/// The part of `size` that changes in a day if `changed` bytes did in `elapsed`.
fn daily_share(changed: u128, elapsed: Duration, size: Bytes) -> Share {
    let whole = elapsed.as_millis().saturating_mul(size.0.into());
    let parts = changed.saturating_mul(DAY.as_millis()).saturating_mul(1_000_000).checked_div(whole);
    parts.and_then(|parts| u32::try_from(parts).ok()).map_or(Share::ALL, Share::per_million)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{RecordId, Timestamp};

    const HOUR: i64 = 3600;

    fn backup(at: i64, took: u64, size: u64, handled: u64) -> RecentBackup {
        RecentBackup {
            record: RecordId::from_uuid(Uuid::from_u128(at.unsigned_abs().into())),
            at: Timestamp::from_seconds(at),
            took: Duration::from_secs(took),
            size: Some(Bytes(size)),
            handled: Some(Bytes(handled)),
        }
    }

    #[test]
    fn data_changes_as_fast_as_incrementals_found_it_to() {
        let recent = [
            backup(24 * HOUR, 1, 1000, 10),
            backup(12 * HOUR, 1, 1000, 30),
            backup(0, 1, 1000, 1000), // a full says nothing
        ];
        let data = data_like(&recent).unwrap();
        assert_eq!(data, DataModel { size: Bytes(1000), daily_change: Share::percent(4) });
    }

    #[test]
    fn data_whose_change_nobody_saw_changes_whole_in_a_day() {
        let fulls = [backup(24 * HOUR, 1, 1000, 1000), backup(0, 1, 900, 900)];
        assert_eq!(data_like(&fulls).unwrap().daily_change, Share::ALL);
        assert_eq!(data_like(&fulls[1..]).unwrap().daily_change, Share::ALL);
    }

    #[test]
    fn data_whose_size_nobody_told_is_not_guessed() {
        assert_eq!(data_like(&[]), None);
        let silent = RecentBackup { size: None, handled: None, ..backup(0, 1, 0, 0) };
        assert_eq!(data_like(&[silent]), None);
    }

    #[test]
    fn runs_take_as_long_as_the_newest_did() {
        let recent = [backup(9, 30, 1, 1), backup(8, 10, 1, 1), backup(7, 20, 1, 1)];
        let second = Duration::from_secs(1);
        let runs = runs_like(&recent, Consistency::FuzzyCopy).unwrap();
        assert_eq!(runs.duration, Spread::new(second * 10, second * 20, second * 30, second * 30));
        assert_eq!(runs_like(&[], Consistency::FuzzyCopy), None);
    }
}
