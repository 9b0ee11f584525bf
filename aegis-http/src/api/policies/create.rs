//! DR policies as requests make them.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use aegis_core::{
    engine::{NewPolicy, Tenant},
    model::{BackupKind, Labels, RetentionRules, Rpo, Rto, Schedule, ScheduleOptions, Seconds, ZoneName},
};
use serde::Deserialize;
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::retention::RetentionChange;
use crate::{
    api::dr_tests::DrRuleBody,
    error::AppError,
    wire::{self, Fields},
};

/// A policy to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreatePolicy {
    /// Its name; unique.
    #[schema(value_type = String, required)]
    name: Option<String>,
    /// Why it exists.
    description: Option<String>,
    /// What is protected.
    #[schema(value_type = String, required)]
    cluster: Option<String>,
    /// Which namespaces of it; all unless given.
    namespaces: Option<Vec<String>>,
    /// Which of them not; globs are fine.
    exclude_namespaces: Option<Vec<String>>,
    /// Cron, as `0 2 * * *`, `@daily` and its like, or `@every 15m`. This or `frequency`.
    schedule: Option<String>,
    /// The same in four words: `unit` is `hourly` (with `minute`), `daily` (with `time`, as `02:30`),
    /// `weekly` (with `day`, as `monday`, and `time`) or `monthly` (with `day`, 1 to 31, and `time`).
    #[schema(value_type = Option<Object>)]
    frequency: Option<Value>,
    /// Whose wall clock; `UTC` unless given.
    timezone: Option<String>,
    /// What bends the schedule: `jitter`, `start_window` (seconds), `catch_up`, `overlap`, `blackout`.
    #[schema(value_type = Option<Object>)]
    schedule_options: Option<Value>,
    /// How many days records are kept. This, `retention`, or both.
    #[schema(value_type = Option<u32>, minimum = 1)]
    retention_days: Option<Number>,
    /// What is kept beside.
    retention: Option<RetentionChange>,
    /// Whether volumes are wanted; they are unless said otherwise.
    include_volumes: Option<bool>,
    /// What kind of storage: that of the location.
    storage_backend: Option<String>,
    /// Where the data goes: below a configured location; the only one unless given.
    storage_location: Option<String>,
    /// How much may be lost, as time.
    rpo_hours: Option<f64>,
    /// How long getting back may take.
    rto_hours: Option<f64>,
    /// Whether it runs; it does unless said otherwise.
    enabled: Option<bool>,
    /// `full` unless given.
    kind: Option<String>,
    /// Higher goes first; 0 unless given.
    #[schema(value_type = Option<i32>)]
    priority: Option<Number>,
    /// How many attempts a job may have.
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_attempts: Option<Number>,
    /// How long an attempt may run.
    #[schema(value_type = Option<u64>, minimum = 1)]
    timeout_seconds: Option<Number>,
    /// How deep each new record is verified, as `L3`; not at all unless given.
    verify: Option<String>,
    /// Whether records that lack something count for the RPO; they do not unless said otherwise.
    count_partial: Option<bool>,
    /// How deep a record must be verified before it counts for the RPO, as `L2`; not at all unless given.
    count_verified: Option<String>,
    /// The DR tests that prove it; none unless given.
    dr_test: Option<DrRuleBody>,
    /// Labels of its jobs.
    labels: Option<BTreeMap<String, String>>,
}

impl CreatePolicy {
    /// Whether volumes were asked for expressly.
    pub(super) fn wants_volumes(&self) -> bool {
        self.include_volumes == Some(true)
    }

    pub(super) fn read(self, tenant: &Tenant) -> Result<NewPolicy, AppError> {
        let mut fields = Fields::default();
        let name = fields.require("name", self.name.as_deref());
        let cluster = fields.require("cluster", self.cluster.as_deref());
        let namespaces = wire::selection(&mut fields, "namespaces", self.namespaces, self.exclude_namespaces);
        let zone = self.timezone.as_deref();
        let schedule = match (self.schedule, self.frequency) {
            (Some(text), None) => schedule(&mut fields, &text, zone),
            (None, Some(frequency)) => frequency_from(&mut fields, frequency, zone),
            (None, None) => {
                fields.refuse("schedule", "it is missing: give a cron expression, or a frequency");
                None
            }
            (Some(_), Some(_)) => {
                fields.refuse("frequency", "it says the same as `schedule`: give one of them");
                None
            }
        };
        let options = self.schedule_options.and_then(|options| options_from(&mut fields, options));
        if self.retention_days.is_none() && self.retention.is_none() {
            fields.refuse("retention_days", "it is missing: say how many days records are kept");
        }
        let mut retention = match &self.retention {
            Some(rules) => rules.apply(&mut fields, RetentionRules::default()),
            None => RetentionRules::default(),
        };
        let days = fields.whole("retention_days", self.retention_days.as_ref());
        retention.keep.days = days.or(retention.keep.days);
        if let Err(error) = retention.validate() {
            fields.refuse("retention_days", error);
        }
        let location = wire::location(
            &mut fields,
            self.storage_location.as_deref(),
            self.storage_backend.as_deref(),
            tenant.only_location(),
        );
        let rpo = fields.hours("rpo_hours", self.rpo_hours);
        let rto = fields.hours("rto_hours", self.rto_hours);
        let kind: Option<BackupKind> = fields.parse("kind", self.kind.as_deref());
        let priority = fields.whole("priority", self.priority.as_ref());
        let max_attempts = attempts_from(&mut fields, self.max_attempts.as_ref());
        let timeout = timeout_from(&mut fields, self.timeout_seconds.as_ref());
        let verify = fields.parse("verify", self.verify.as_deref());
        let count_verified = fields.parse("count_verified", self.count_verified.as_deref());
        let dr_test = self.dr_test.and_then(|rule| rule.read(&mut fields));
        let labels = self.labels.and_then(|labels| fields.take("labels", Labels::new(labels)));
        let description = fields.text("description", self.description);
        let new = name.zip(cluster).zip(namespaces.zip(schedule));
        let new = new.map(|((name, cluster), (namespaces, schedule))| {
            let mut new = NewPolicy::new(name, cluster, namespaces, schedule, retention);
            new.description = description.unwrap_or_default();
            new.schedule_options = options.unwrap_or_default();
            new.include_volumes = self.include_volumes.unwrap_or(new.include_volumes);
            new.location = location;
            new.rpo = rpo.map(Rpo);
            new.rto = rto.map(Rto);
            new.enabled = self.enabled.unwrap_or(new.enabled);
            new.kind = kind.unwrap_or(new.kind);
            new.priority = priority.unwrap_or(new.priority);
            new.max_attempts = max_attempts.unwrap_or(new.max_attempts);
            new.timeout = timeout.unwrap_or(new.timeout);
            new.verify = verify;
            new.dr_test = dr_test;
            new.count_partial = self.count_partial.unwrap_or(new.count_partial);
            new.count_verified = count_verified;
            new.labels = labels.unwrap_or_default();
            new
        });
        fields.finish(new)
    }
}

/// A schedule from its text: cron in a zone, or `@every 15m`.
pub(crate) fn schedule(fields: &mut Fields, text: &str, zone: Option<&str>) -> Option<Schedule> {
    if let Some(period) = text.strip_prefix("@every ") {
        if zone.is_some() {
            fields.refuse("timezone", "`@every` has none: leave it out");
        }
        let mend = "use a number with s, m, h or d, as `@every 15m`";
        let period = fields.take("schedule", period_from(period).ok_or(format!("`{text}`: {mend}")))?;
        return Some(Schedule::Every { period });
    }
    let zone = zone_from(fields, zone);
    let expression = fields.parse("schedule", Some(text));
    expression.zip(zone).map(|(expression, zone)| Schedule::cron(expression, zone))
}

/// A schedule in four words.
pub(super) fn frequency_from(fields: &mut Fields, frequency: Value, zone: Option<&str>) -> Option<Schedule> {
    let zone = zone_from(fields, zone);
    let frequency = fields.take("frequency", serde_json::from_value(frequency));
    frequency.zip(zone).map(|(frequency, zone)| Schedule::Frequency { frequency, zone })
}

fn zone_from(fields: &mut Fields, zone: Option<&str>) -> Option<ZoneName> {
    match zone {
        Some(zone) => fields.parse("timezone", Some(zone)),
        None => Some(ZoneName::UTC),
    }
}

/// The longest that an attempt may run: a year.
const LONGEST_TIMEOUT: u64 = 366 * 24 * 3600;

pub(super) fn attempts_from(fields: &mut Fields, attempts: Option<&Number>) -> Option<NonZeroU32> {
    let attempts: u32 = fields.whole("max_attempts", attempts)?;
    fields.take("max_attempts", NonZeroU32::new(attempts).ok_or("use 1 or more"))
}

pub(super) fn timeout_from(fields: &mut Fields, seconds: Option<&Number>) -> Option<Duration> {
    let seconds: u64 = fields.whole("timeout_seconds", seconds)?;
    if !(1..=LONGEST_TIMEOUT).contains(&seconds) {
        fields.refuse("timeout_seconds", format!("use 1 to {LONGEST_TIMEOUT}"));
        return None;
    }
    Some(Duration::from_secs(seconds))
}

fn period_from(text: &str) -> Option<Seconds> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Seconds::new(number.parse::<u32>().ok()?.checked_mul(unit)?).ok()
}

pub(super) fn options_from(fields: &mut Fields, options: Value) -> Option<ScheduleOptions> {
    fields.take("schedule_options", serde_json::from_value(options))
}
