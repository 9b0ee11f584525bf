//! A simulated year: an hourly policy under failures and outages, by what its retention asks for.
//! Run with `cargo bench -p aegis-core --bench simulation`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up should stop")]

use std::time::Duration;

use aegis_core::{
    model::{
        BackupKind, Bytes, Consistency, CronExpression, KeepRules, PolicyId, RetentionRules, Rpo, Schedule,
        ScheduleOptions, Timestamp, ZoneName,
    },
    rules::retention::SWEEP_INTERVAL,
    rules::simulation::{
        BadBackups, DataModel, OutageKind, RandomOutages, RunModel, Scenario, Share, SimulatedPolicy, Spread,
        simulate,
    },
};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

fn main() {
    divan::main();
}

fn year(cron: &str, keep: KeepRules) -> Scenario {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let policy = SimulatedPolicy {
        id: PolicyId::from_uuid(Uuid::from_u128(7)),
        schedule: Schedule::cron(CronExpression::new(cron).unwrap(), ZoneName::new("Europe/Berlin").unwrap()),
        options: ScheduleOptions::default(),
        retention: RetentionRules { keep, ..RetentionRules::default() },
        kind: BackupKind::Full,
        rpo: Some(Rpo(2 * HOUR)),
        runs: RunModel {
            failure: Share::percent(2),
            duration: Spread::new(minutes(2), minutes(5), minutes(30), minutes(90)),
            timeout: 2 * HOUR,
            consistency: Consistency::FuzzyCopy,
            bad: BadBackups {
                share: Share::per_million(5_000),
                found_after: Spread::new(HOUR, 24 * HOUR, 7 * 24 * HOUR, 14 * 24 * HOUR),
            },
        },
        data: DataModel { size: Bytes(100_000_000_000), daily_change: Share::percent(3) },
    };
    let mut scenario = Scenario::new(vec![policy], 1, Timestamp::from_seconds(1_767_225_600));
    scenario.random_outages = [OutageKind::Engine, OutageKind::Target]
        .map(|kind| RandomOutages {
            kind,
            daily: Share::percent(1),
            length: Spread::new(minutes(10), HOUR, 12 * HOUR, 24 * HOUR),
        })
        .to_vec();
    scenario
}

fn tiers() -> KeepRules {
    KeepRules { hourly: 48, daily: 30, weekly: 12, monthly: 24, ..KeepRules::default() }
}

/// The promise: at most 50 ms.
#[divan::bench]
fn hourly_by_tiers(bencher: divan::Bencher<'_, '_>) {
    let scenario = year("0 * * * *", tiers());
    bencher.bench(|| simulate(&scenario));
}

/// More than 720 records are there at any time.
#[divan::bench]
fn hourly_by_days(bencher: divan::Bencher<'_, '_>) {
    let scenario = year("0 * * * *", KeepRules { days: Some(30), ..KeepRules::default() });
    bencher.bench(|| simulate(&scenario));
}

/// Retention looks as often as the engine does, 24 times more.
#[divan::bench(sample_count = 20)]
fn hourly_by_tiers_swept_hourly(bencher: divan::Bencher<'_, '_>) {
    let scenario = Scenario { sweep_interval: SWEEP_INTERVAL, ..year("0 * * * *", tiers()) };
    bencher.bench(|| simulate(&scenario));
}

#[divan::bench]
fn nightly_by_tiers(bencher: divan::Bencher<'_, '_>) {
    let scenario = year("0 2 * * *", tiers());
    bencher.bench(|| simulate(&scenario));
}
