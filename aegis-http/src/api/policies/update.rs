//! DR policies as requests change them.

use std::collections::BTreeMap;

use aegis_core::{
    engine::PolicyChange,
    model::{Labels, NamespaceSelection, Policy, RetentionRules, Rpo, Rto, Schedule, ScheduleOptions},
};
use serde::Deserialize;
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::{
    create::{attempts_from, frequency_from, options_from, schedule, timeout_from},
    retention::RetentionChange,
    wire::schedule_text,
};
use crate::{
    api::dr_tests::DrRuleBody,
    error::AppError,
    wire::{self, Fields, Given},
};

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
    #[schema(value_type = Option<Object>)]
    frequency: Given<Value>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    timezone: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    schedule_options: Given<Value>,
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    retention_days: Given<Number>,
    #[serde(default)]
    #[schema(value_type = Option<RetentionChange>)]
    retention: Given<RetentionChange>,
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
    priority: Given<Number>,
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1)]
    max_attempts: Given<Number>,
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1)]
    timeout_seconds: Given<Number>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    verify: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    count_partial: Given<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    count_verified: Given<String>,
    #[serde(default)]
    #[schema(value_type = Option<DrRuleBody>)]
    dr_test: Given<DrRuleBody>,
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    labels: Given<BTreeMap<String, String>>,
}

impl UpdatePolicy {
    /// Whether volumes were asked for expressly.
    pub(super) fn wants_volumes(&self) -> bool {
        self.include_volumes.value() == Some(&true)
    }

    /// The change of a policy that is as `current` now.
    pub(super) fn read(&self, current: &Policy) -> Result<PolicyChange, AppError> {
        let mut fields = Fields::default();
        let mut change = PolicyChange::default();
        if self.cluster.value().is_some_and(|cluster| cluster != current.cluster.as_str()) {
            fields.refuse("cluster", "a policy stays with its cluster: make another policy");
        }
        self.refuse_nulls(&mut fields);
        change.name = fields.parse("name", self.name.value().map(String::as_str));
        change.description = self
            .description
            .cleared()
            .map(|text| fields.text("description", text.cloned()).unwrap_or_default());
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
            self.storage_location.value().map(String::as_str),
            self.storage_backend.value().map(String::as_str),
            Some(&current.location),
        );
        change.rpo = self.rpo_hours.cleared().map(|hours| fields.hours("rpo_hours", hours.copied()).map(Rpo));
        change.rto = self.rto_hours.cleared().map(|hours| fields.hours("rto_hours", hours.copied()).map(Rto));
        change.enabled = self.enabled.value().copied();
        change.kind = fields.parse("kind", self.kind.value().map(String::as_str));
        change.priority = fields.change("priority", &self.priority).map(Option::unwrap_or_default);
        change.max_attempts = attempts_from(&mut fields, self.max_attempts.value());
        change.timeout = timeout_from(&mut fields, self.timeout_seconds.value());
        change.verify = self.verify.cleared().map(|level| fields.parse("verify", level.map(String::as_str)));
        change.dr_test = self.dr_test.cleared().map(|rule| rule.and_then(|rule| rule.read(&mut fields)));
        change.count_partial = self.count_partial.value().copied();
        change.count_verified = self
            .count_verified
            .cleared()
            .map(|level| fields.parse("count_verified", level.map(String::as_str)));
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
            ("frequency", self.frequency.is_null()),
            ("max_attempts", self.max_attempts.is_null()),
            ("timeout_seconds", self.timeout_seconds.is_null()),
            ("include_volumes", self.include_volumes.is_null()),
            ("storage_backend", self.storage_backend.is_null()),
            ("storage_location", self.storage_location.is_null()),
            ("enabled", self.enabled.is_null()),
            ("kind", self.kind.is_null()),
            ("retention", self.retention.is_null()),
            ("count_partial", self.count_partial.is_null()),
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
        if let Some(frequency) = self.frequency.value() {
            if self.schedule.value().is_some() {
                fields.refuse("frequency", "it says the same as `schedule`: give one of them");
            }
            let zone = self.timezone.cleared().map_or_else(kept_zone, |zone| zone.cloned());
            return frequency_from(fields, frequency.clone(), zone.as_deref());
        }
        let zone = match self.timezone.cleared() {
            Some(zone) => zone.cloned(),
            None if self.schedule.value().is_none() => return None,
            None => kept_zone().filter(|_| !self.schedule.value().is_some_and(|text| text.starts_with('@'))),
        };
        let text = self.schedule.value().cloned().unwrap_or_else(|| schedule_text(&current.schedule));
        schedule(fields, &text, zone.as_deref())
    }

    fn retention(&self, fields: &mut Fields, current: &Policy) -> Option<RetentionRules> {
        let mut rules = current.retention.clone();
        if let Some(change) = self.retention.value() {
            rules = change.apply(fields, rules);
        }
        if let Some(days) = fields.change("retention_days", &self.retention_days) {
            rules.keep.days = days;
        }
        if rules == current.retention {
            return None;
        }
        if let Err(error) = rules.validate() {
            fields.refuse("retention_days", error);
        }
        Some(rules)
    }
}
