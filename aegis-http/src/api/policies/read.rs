//! DR policies as requests say them.

use std::{collections::BTreeMap, time::Duration};

use aegis_core::{
    engine::{NewPolicy, PolicyChange},
    model::{
        BackupKind, KeepRules, Labels, NamespaceSelection, Policy, RetentionRules, Rpo, Rto, Schedule,
        ScheduleOptions, Seconds, ZoneName,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    error::AppError,
    wire::{self, Fields, Given},
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
    /// Cron, as `0 2 * * *`, `@daily` and its like, or `@every 15m`.
    #[schema(value_type = String, required)]
    schedule: Option<String>,
    /// Whose wall clock; `UTC` unless given.
    timezone: Option<String>,
    /// What bends the schedule: `jitter`, `start_window` (seconds), `catch_up`, `overlap`, `blackout`.
    #[schema(value_type = Option<Object>)]
    schedule_options: Option<Value>,
    /// How many days records are kept. This, `retention`, or both.
    #[schema(minimum = 1)]
    retention_days: Option<u32>,
    /// What is kept beside.
    retention: Option<RetentionBody>,
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
    priority: Option<i32>,
    /// How deep each new record is verified, as `L3`; not at all unless given.
    verify: Option<String>,
    /// Whether records that lack something count for the RPO; they do not unless said otherwise.
    count_partial: Option<bool>,
    /// Labels of its jobs.
    labels: Option<BTreeMap<String, String>>,
}

/// What a policy keeps. A union: what any rule keeps, stays.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = Retention)]
#[serde(default)]
pub(crate) struct RetentionBody {
    /// Everything of so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) days: Option<u32>,
    /// The newest records.
    pub(super) keep_last: u32,
    /// The newest of each of so many hours.
    pub(super) hourly: u32,
    /// The newest of each of so many days.
    pub(super) daily: u32,
    /// The newest of each of so many ISO weeks.
    pub(super) weekly: u32,
    /// The newest of each of so many months.
    pub(super) monthly: u32,
    /// The newest of each of so many quarters.
    pub(super) quarterly: u32,
    /// The newest of each of so many years.
    pub(super) yearly: u32,
    /// So many usable records stay, whatever the other rules say.
    pub(super) min_keep: u32,
    /// How long an expired record waits before its data goes; 24 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grace_hours: Option<u64>,
}

impl RetentionBody {
    pub(super) fn of(rules: &RetentionRules) -> Self {
        let keep = rules.keep;
        Self {
            days: keep.days,
            keep_last: keep.keep_last,
            hourly: keep.hourly,
            daily: keep.daily,
            weekly: keep.weekly,
            monthly: keep.monthly,
            quarterly: keep.quarterly,
            yearly: keep.yearly,
            min_keep: rules.min_keep,
            grace_hours: Some(rules.grace.as_secs() / 3600),
        }
    }

    /// The rules; what can't be said here stays as it was `before`.
    pub(crate) fn rules(&self, before: RetentionRules) -> RetentionRules {
        RetentionRules {
            keep: KeepRules {
                days: self.days,
                keep_last: self.keep_last,
                hourly: self.hourly,
                daily: self.daily,
                weekly: self.weekly,
                monthly: self.monthly,
                quarterly: self.quarterly,
                yearly: self.yearly,
            },
            min_keep: self.min_keep,
            grace: self
                .grace_hours
                .map_or(before.grace, |hours| Duration::from_secs(hours.saturating_mul(3600))),
            ..before
        }
    }
}

impl CreatePolicy {
    /// Whether volumes were asked for expressly.
    pub(super) fn wants_volumes(&self) -> bool {
        self.include_volumes == Some(true)
    }

    pub(super) fn read(self) -> Result<NewPolicy, AppError> {
        let mut fields = Fields::default();
        let name = fields.require("name", self.name.as_deref());
        let cluster = fields.require("cluster", self.cluster.as_deref());
        let namespaces = wire::selection(&mut fields, "namespaces", self.namespaces, self.exclude_namespaces);
        if self.schedule.is_none() {
            fields.refuse("schedule", "it is missing: give a cron expression");
        }
        let schedule = self.schedule.and_then(|text| schedule(&mut fields, &text, self.timezone.as_deref()));
        let options = self.schedule_options.and_then(|options| options_from(&mut fields, options));
        if self.retention_days.is_none() && self.retention.is_none() {
            fields.refuse("retention_days", "it is missing: say how many days records are kept");
        }
        let retention = retention(self.retention_days, self.retention.as_ref(), RetentionRules::default());
        if let Err(error) = retention.validate() {
            fields.refuse("retention_days", error);
        }
        let location = wire::location(&mut fields, self.storage_location, self.storage_backend);
        let rpo = fields.hours("rpo_hours", self.rpo_hours);
        let rto = fields.hours("rto_hours", self.rto_hours);
        let kind: Option<BackupKind> = fields.parse("kind", self.kind.as_deref());
        let verify = fields.parse("verify", self.verify.as_deref());
        let labels = self.labels.and_then(|labels| fields.take("labels", Labels::new(labels)));
        let new = name.zip(cluster).zip(namespaces.zip(schedule));
        let new = new.map(|((name, cluster), (namespaces, schedule))| {
            let mut new = NewPolicy::new(name, cluster, namespaces, schedule, retention);
            new.description = self.description.unwrap_or_default();
            new.schedule_options = options.unwrap_or_default();
            new.include_volumes = self.include_volumes.unwrap_or(new.include_volumes);
            new.location = location;
            new.rpo = rpo.map(Rpo);
            new.rto = rto.map(Rto);
            new.enabled = self.enabled.unwrap_or(new.enabled);
            new.kind = kind.unwrap_or(new.kind);
            new.priority = self.priority.unwrap_or(new.priority);
            new.verify = verify;
            new.count_partial = self.count_partial.unwrap_or(new.count_partial);
            new.labels = labels.unwrap_or_default();
            new
        });
        fields.finish(new)
    }
}

/// A schedule from its text: cron in a zone, or `@every 15m`.
fn schedule(fields: &mut Fields, text: &str, zone: Option<&str>) -> Option<Schedule> {
    if let Some(period) = text.strip_prefix("@every ") {
        if zone.is_some() {
            fields.refuse("timezone", "`@every` has none: leave it out");
        }
        let mend = "use a number with s, m, h or d, as `@every 15m`";
        let period = fields.take("schedule", period_from(period).ok_or(format!("`{text}`: {mend}")))?;
        return Some(Schedule::Every { period });
    }
    let zone = match zone {
        Some(zone) => fields.parse("timezone", Some(zone)),
        None => Some(ZoneName::UTC),
    };
    let expression = fields.parse("schedule", Some(text));
    expression.zip(zone).map(|(expression, zone)| Schedule::cron(expression, zone))
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

fn options_from(fields: &mut Fields, options: Value) -> Option<ScheduleOptions> {
    fields.take("schedule_options", serde_json::from_value(options))
}

fn retention(days: Option<u32>, body: Option<&RetentionBody>, before: RetentionRules) -> RetentionRules {
    let mut rules = body.map_or_else(|| before.clone(), |body| body.rules(before.clone()));
    rules.keep.days = days.or(rules.keep.days);
    rules
}

/// A change of a policy: what is left out stays, what is `null` is cleared.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct UpdatePolicy {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Given<String>,
    /// A policy's cluster can't be changed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    cluster: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    namespaces: Given<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    exclude_namespaces: Given<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    schedule: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    timezone: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    schedule_options: Given<Value>,
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    retention_days: Given<u32>,
    #[serde(default)]
    #[schema(value_type = Option<RetentionBody>)]
    retention: Given<RetentionBody>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    include_volumes: Given<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    storage_backend: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    storage_location: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    rpo_hours: Given<f64>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    rto_hours: Given<f64>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    enabled: Given<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    kind: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<i32>)]
    priority: Given<i32>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    verify: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    labels: Given<BTreeMap<String, String>>,
}

impl UpdatePolicy {
    /// The change of a policy that is as `current` now.
    pub(super) fn read(&self, current: &Policy) -> Result<PolicyChange, AppError> {
        let mut fields = Fields::default();
        let mut change = PolicyChange::default();
        if self.cluster.value().is_some_and(|cluster| cluster != current.cluster.as_str()) {
            fields.refuse("cluster", "a policy stays with its cluster: make another policy");
        }
        self.refuse_nulls(&mut fields);
        change.name = fields.parse("name", self.name.value().map(String::as_str));
        change.description = self.description.cleared().map(|text| text.cloned().unwrap_or_default());
        change.namespaces = self.namespaces(&mut fields, current);
        change.schedule = self.schedule(&mut fields, current);
        change.schedule_options = match self.schedule_options.cleared() {
            Some(Some(options)) => options_from(&mut fields, options.clone()),
            Some(None) => Some(ScheduleOptions::default()),
            None => None,
        };
        change.retention = self.retention(&mut fields, current);
        change.include_volumes = self.include_volumes.value().copied();
        change.location = wire::location(
            &mut fields,
            self.storage_location.value().cloned(),
            self.storage_backend.value().cloned(),
        );
        change.rpo = self.rpo_hours.cleared().map(|hours| fields.hours("rpo_hours", hours.copied()).map(Rpo));
        change.rto = self.rto_hours.cleared().map(|hours| fields.hours("rto_hours", hours.copied()).map(Rto));
        change.enabled = self.enabled.value().copied();
        change.kind = fields.parse("kind", self.kind.value().map(String::as_str));
        change.priority = self.priority.cleared().map(|priority| priority.copied().unwrap_or_default());
        change.verify = self.verify.cleared().map(|level| fields.parse("verify", level.map(String::as_str)));
        change.labels = match self.labels.cleared() {
            Some(labels) => fields.take("labels", Labels::new(labels.cloned().unwrap_or_default())),
            None => None,
        };
        fields.finish(Some(change))
    }

    /// What a policy can't be without.
    fn refuse_nulls(&self, fields: &mut Fields) {
        let nulls = [
            ("name", self.name.is_null()),
            ("cluster", self.cluster.is_null()),
            ("namespaces", self.namespaces.is_null()),
            ("schedule", self.schedule.is_null()),
            ("include_volumes", self.include_volumes.is_null()),
            ("storage_backend", self.storage_backend.is_null()),
            ("storage_location", self.storage_location.is_null()),
            ("enabled", self.enabled.is_null()),
            ("kind", self.kind.is_null()),
            ("retention", self.retention.is_null()),
        ];
        for (field, _) in nulls.into_iter().filter(|(_, null)| *null) {
            fields.refuse(field, "it can't be cleared: leave it out to keep it");
        }
    }

    fn namespaces(&self, fields: &mut Fields, current: &Policy) -> Option<NamespaceSelection> {
        if self.namespaces.value().is_none() && self.exclude_namespaces.cleared().is_none() {
            return None;
        }
        let include = self.namespaces.value().cloned();
        let include = include.unwrap_or_else(|| wire::texts(current.namespaces.include()));
        let exclude = match self.exclude_namespaces.cleared() {
            Some(exclude) => exclude.cloned().unwrap_or_default(),
            None => wire::texts(current.namespaces.exclude()),
        };
        wire::selection(fields, "namespaces", Some(include), Some(exclude))
    }

    fn schedule(&self, fields: &mut Fields, current: &Policy) -> Option<Schedule> {
        let kept_zone = || current.schedule.zone().map(|zone| zone.to_string());
        let zone = match self.timezone.cleared() {
            Some(zone) => zone.cloned(),
            None if self.schedule.value().is_none() => return None,
            None => kept_zone().filter(|_| !self.schedule.value().is_some_and(|text| text.starts_with('@'))),
        };
        let text =
            self.schedule.value().cloned().unwrap_or_else(|| super::wire::schedule_text(&current.schedule));
        schedule(fields, &text, zone.as_deref())
    }

    fn retention(&self, fields: &mut Fields, current: &Policy) -> Option<RetentionRules> {
        let (days, body) = (self.retention_days.cleared(), self.retention.value());
        if days.is_none() && body.is_none() {
            return None;
        }
        let mut rules = retention(None, body, current.retention.clone());
        if let Some(days) = days {
            rules.keep.days = days.copied();
        }
        if let Err(error) = rules.validate() {
            fields.refuse("retention_days", error);
        }
        Some(rules)
    }
}
