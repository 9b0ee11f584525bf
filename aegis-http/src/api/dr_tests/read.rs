//! DR tests as requests say them.

use std::collections::BTreeMap;

use aegis_core::{
    engine::{DrSubject, NewDrTest},
    model::{
        ClusterName, DisplayName, DrDestination, DrKeep, DrTarget, DrTestRule, NamespaceName, RecordChoice,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::policies::{schedule, schedule_text},
    error::AppError,
    extract::id_from,
    wire::Fields,
};

/// A DR test to run: of a policy, of a cluster, or of one record.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RunDrTest {
    /// A record of this policy.
    policy_id: Option<String>,
    /// A record of this cluster, whatever it was made for.
    cluster: Option<String>,
    /// This record.
    backup_record_id: Option<String>,
    /// Any record no older than this, in place of the newest.
    random_within_hours: Option<f64>,
    /// Where to: a cluster, and in it a folder or other namespaces.
    #[schema(value_type = DrTargetBody, required)]
    target: Option<DrTargetBody>,
    /// How deep the record is checked after the restore, as `L3`; not at all unless given.
    verify: Option<String>,
    /// Which of the engine's own checks look at what was restored.
    checks: Option<Vec<String>>,
    /// What of it stays: `nothing`, `if_failed` or `always`; `nothing` unless given.
    keep: Option<String>,
}

/// The DR tests that a policy asks for.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = DrTestRule)]
pub(crate) struct DrRuleBody {
    /// When, as a policy's own schedule is written.
    schedule: String,
    /// Whose wall clock; `UTC` unless given.
    timezone: Option<String>,
    /// Any record no older than this, in place of the newest.
    random_within_hours: Option<f64>,
    /// Where to: a cluster, and in it a folder or other namespaces.
    target: DrTargetBody,
    /// How deep the record is checked after the restore; not at all unless given.
    verify: Option<String>,
    /// Which of the engine's own checks look at what was restored.
    #[serde(default)]
    checks: Vec<String>,
    /// What of it stays: `nothing`, `if_failed` or `always`; `nothing` unless given.
    keep: Option<String>,
}

impl DrRuleBody {
    /// The rule; what is wrong with it is said of the field `dr_test`.
    pub(crate) fn read(&self, fields: &mut Fields) -> Option<DrTestRule> {
        let mut own = Fields::default();
        let schedule = schedule(&mut own, &self.schedule, self.timezone.as_deref());
        let within = own.hours("random_within_hours", self.random_within_hours);
        let target = self.target.read(&mut own);
        let verify = own.parse("verify", self.verify.as_deref());
        let checks = checks(&mut own, &self.checks);
        let keep = self.keep.as_deref().and_then(|keep| own.take("keep", keep_from(keep)));
        fields.adopt("dr_test", own);
        schedule.zip(target).map(|(schedule, target)| DrTestRule {
            schedule,
            select: within.map_or(RecordChoice::Latest, RecordChoice::RandomWithin),
            verify,
            checks,
            target,
            keep: keep.unwrap_or_default(),
        })
    }

    pub(crate) fn of(rule: &DrTestRule) -> Self {
        Self {
            schedule: schedule_text(&rule.schedule),
            timezone: rule.schedule.zone().map(|zone| zone.to_string()),
            random_within_hours: match rule.select {
                RecordChoice::Latest => None,
                RecordChoice::RandomWithin(time) => Some(time.as_secs_f64() / 3600.0),
            },
            target: DrTargetBody::of(&rule.target),
            verify: rule.verify.map(|level| level.to_string()),
            checks: rule.checks.iter().map(ToString::to_string).collect(),
            keep: Some(keep_word(rule.keep).to_owned()),
        }
    }
}

/// Where a DR test restores to: a folder, or other namespaces.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = DrTarget)]
#[serde(default)]
pub(crate) struct DrTargetBody {
    /// The record's own cluster unless given.
    cluster: Option<String>,
    /// A folder below one of the cluster's restore roots.
    folder: Option<String>,
    /// Each namespace to one that nothing lives in.
    namespace_mapping: Option<BTreeMap<String, String>>,
}

impl DrTargetBody {
    fn of(target: &DrTarget) -> Self {
        let cluster = target.cluster.as_ref().map(ToString::to_string);
        let texts = |(from, to): (&NamespaceName, &NamespaceName)| (from.to_string(), to.to_string());
        match &target.destination {
            DrDestination::Folder(folder) => {
                Self { cluster, folder: Some(folder.clone()), namespace_mapping: None }
            }
            DrDestination::Namespaces(mapping) => {
                Self { cluster, folder: None, namespace_mapping: Some(mapping.iter().map(texts).collect()) }
            }
        }
    }

    fn read(&self, fields: &mut Fields) -> Option<DrTarget> {
        let cluster = fields.parse("target.cluster", self.cluster.as_deref());
        let destination = match (&self.folder, &self.namespace_mapping) {
            (Some(folder), None) => {
                DrDestination::Folder(fields.text("target.folder", Some(folder.clone()))?)
            }
            (None, Some(mapping)) => DrDestination::Namespaces(namespaces(fields, mapping)),
            _ => {
                fields.refuse("target", "give it a folder or a namespace_mapping, and not both");
                return None;
            }
        };
        Some(DrTarget { cluster, destination })
    }
}

fn namespaces(
    fields: &mut Fields,
    mapping: &BTreeMap<String, String>,
) -> BTreeMap<NamespaceName, NamespaceName> {
    let mut name = |text: &str| fields.parse("target.namespace_mapping", Some(text));
    mapping.iter().filter_map(|(from, to)| name(from).zip(name(to))).collect()
}

impl RunDrTest {
    pub(super) fn read(self) -> Result<NewDrTest, AppError> {
        let mut fields = Fields::default();
        let choice = fields.hours("random_within_hours", self.random_within_hours);
        let choice = choice.map_or(RecordChoice::Latest, RecordChoice::RandomWithin);
        let subject = self.subject(&mut fields, choice)?;
        if self.target.is_none() {
            fields.refuse("target", "it is missing: say where to restore to");
        }
        let target = self.target.as_ref().and_then(|target| target.read(&mut fields));
        let verify = fields.parse("verify", self.verify.as_deref());
        let checks = checks(&mut fields, self.checks.as_deref().unwrap_or_default());
        let keep = self.keep.as_deref().and_then(|keep| fields.take("keep", keep_from(keep)));
        let new = subject.zip(target).map(|(subject, target)| {
            let mut new = NewDrTest::new(subject, target);
            new.verify = verify;
            new.checks = checks;
            new.keep = keep.unwrap_or_default();
            new
        });
        fields.finish(new)
    }

    fn subject(&self, fields: &mut Fields, choice: RecordChoice) -> Result<Option<DrSubject>, AppError> {
        Ok(match (&self.policy_id, &self.cluster, &self.backup_record_id) {
            (Some(policy), None, None) => Some(DrSubject::Policy(id_from(policy)?, choice)),
            (None, Some(cluster), None) => {
                let cluster: Option<ClusterName> = fields.parse("cluster", Some(cluster));
                cluster.map(|cluster| DrSubject::Cluster(cluster, choice))
            }
            (None, None, Some(record)) => Some(DrSubject::Record(id_from(record)?)),
            _ => {
                fields.refuse("policy_id", "give exactly one of policy_id, cluster and backup_record_id");
                None
            }
        })
    }
}

fn checks(fields: &mut Fields, names: &[String]) -> Vec<DisplayName> {
    names.iter().filter_map(|name| fields.parse("checks", Some(name))).collect()
}

const fn keep_word(keep: DrKeep) -> &'static str {
    match keep {
        DrKeep::Nothing => "nothing",
        DrKeep::IfFailed => "if_failed",
        DrKeep::Always => "always",
    }
}

fn keep_from(text: &str) -> Result<DrKeep, String> {
    match text {
        "nothing" => Ok(DrKeep::Nothing),
        "if_failed" => Ok(DrKeep::IfFailed),
        "always" => Ok(DrKeep::Always),
        other => Err(format!("`{other}` is none of nothing, if_failed, always")),
    }
}
