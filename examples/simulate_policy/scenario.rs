//! What is played: the policies with their names, and the world that they live in.

use std::time::Duration;

use aegis::{
    model::{KeepRules, PolicyId, RetentionRules, Rpo, Schedule, Timestamp, ZoneName},
    rules::{
        exposure::Window,
        schedule_human,
        simulation::{
            BadBackups, DataModel, Outage, OutageKind, RandomOutages, RunModel, Scenario, Share,
            SimulatedPolicy, Spread,
        },
    },
};
use uuid::Uuid;

use crate::args::{Args, Wanted};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A scenario whose policies have names.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    /// The policies' names, in the scenario's order.
    pub(crate) names: Vec<String>,
}

impl Plan {
    pub(crate) fn of(args: Args) -> Self {
        let own: Vec<_> = args
            .policies
            .iter()
            .zip(1..)
            .map(|(wanted, n)| (schedule_human(&wanted.schedule), policy(&args, wanted, n)))
            .collect();
        let is_demonstration = own.is_empty();
        let (names, policies) = if is_demonstration { demonstration(&args) } else { own }.into_iter().unzip();
        let mut scenario = Scenario::new(policies, args.seed, args.start);
        scenario.length = args.length;
        scenario.acknowledgement = args.acknowledgement;
        if args.outages.is_empty() {
            scenario.random_outages = random_outages();
            if is_demonstration {
                scenario.outages = known_outages(args.start);
            }
        }
        scenario.outages.extend(args.outages);
        Self { scenario, names }
    }
}

fn policy(args: &Args, wanted: &Wanted, number: u128) -> SimulatedPolicy {
    let median = wanted.duration;
    let runs = RunModel {
        failure: args.failure,
        duration: Spread::new(median / 2, median, median * 4, median * 8),
        bad: BadBackups { share: args.bad, found_after: Spread::new(HOUR, DAY, DAY * 5, DAY * 10) },
        ..RunModel::steady(median)
    };
    let id = PolicyId::from_uuid(Uuid::from_u128(number));
    let data = DataModel { size: args.size, daily_change: args.change };
    let policy = SimulatedPolicy::new(id, wanted.schedule.clone(), wanted.retention.clone(), runs, data);
    SimulatedPolicy { rpo: wanted.rpo, ..policy }
}

/// The same data, hourly with tiers and nightly for 35 days.
fn demonstration(args: &Args) -> Vec<(String, SimulatedPolicy)> {
    let tiers = KeepRules { hourly: 48, daily: 30, weekly: 12, monthly: 12, ..KeepRules::default() };
    let wanted = |cron: &str, retention, rpo, duration| {
        let schedule = Schedule::cron(cron.parse().ok()?, ZoneName::UTC);
        Some(Wanted { when: cron.to_owned(), schedule, retention, rpo: Some(Rpo(rpo)), duration })
    };
    let hourly = wanted(
        "0 * * * *",
        RetentionRules { keep: tiers, ..RetentionRules::default() },
        HOUR * 2,
        Duration::from_secs(360),
    );
    let nightly = wanted("0 2 * * *", RetentionRules::days(35), HOUR * 26, Duration::from_secs(1200));
    let named = [("hourly", hourly), ("nightly", nightly)].into_iter().zip(1..);
    named.filter_map(|((name, wanted), n)| Some((name.to_owned(), policy(args, &wanted?, n)))).collect()
}

/// A storage that is away over a weekend in spring, and an engine that is for two days in autumn.
fn known_outages(start: Timestamp) -> Vec<Outage> {
    let outage = |kind, from: Duration, length| {
        let from = start.saturating_add(from);
        Outage { kind, window: Window { from, until: from.saturating_add(length) } }
    };
    vec![
        outage(OutageKind::Target, DAY * 99 + HOUR * 18, HOUR * 60),
        outage(OutageKind::Engine, DAY * 270 + HOUR * 9, HOUR * 50),
    ]
}

fn random_outages() -> Vec<RandomOutages> {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let target = Spread::new(minutes(10), minutes(90), HOUR * 10, HOUR * 20);
    let engine = Spread::new(minutes(5), minutes(45), HOUR * 6, HOUR * 12);
    vec![
        RandomOutages { kind: OutageKind::Target, daily: Share::per_million(20_000), length: target },
        RandomOutages { kind: OutageKind::Engine, daily: Share::per_million(15_000), length: engine },
    ]
}
