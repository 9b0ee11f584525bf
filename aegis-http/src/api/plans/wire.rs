//! Recovery plans on the wire.

use std::collections::BTreeMap;

use aegis_core::{
    engine::{NewPlan, Tenant},
    model::{ClusterName, ExistingResourcePolicy, NamespaceName, RecordId, RecoveryPlan, RestoreTarget},
    seams::Feature,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ExecutionBody;
use crate::{
    error::AppError,
    extract::id_from,
    wire::{self, Fields, Time},
};

/// A recovery plan to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreatePlan {
    /// What people call it.
    #[schema(value_type = String, required)]
    name: Option<String>,
    /// Why it exists.
    description: Option<String>,
    /// What to restore from.
    #[schema(value_type = String, required)]
    backup_record_id: Option<String>,
    /// Where to; the record's own cluster unless given.
    target_cluster: Option<String>,
    /// Which namespaces of the record; all unless given.
    target_namespaces: Option<Vec<String>>,
    /// Whether volumes are restored; they are unless said otherwise.
    restore_volumes: Option<bool>,
    /// Where namespaces go that do not go back in place: to another, or to an absolute path.
    namespace_mapping: Option<BTreeMap<String, String>>,
    /// Whether node ports are kept.
    preserve_node_ports: Option<bool>,
    /// What to do about what is there and differs: `none` leaves it, `update` overwrites it, `fail`
    /// touches nothing. `none` unless given.
    existing_resource_policy: Option<String>,
    /// What of the namespaces; all of them unless given.
    selection: Option<SelectionBody>,
}

/// What of the namespaces to restore.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = RestoreSelection)]
pub(crate) struct SelectionBody {
    /// Only these paths within the namespaces.
    #[serde(default)]
    paths: Vec<String>,
}

/// What a request asked for expressly, that not every driver has.
pub(super) struct Asked {
    volumes: bool,
    node_ports: bool,
}

impl Asked {
    pub(super) fn warnings(&self, tenant: &Tenant, target: &ClusterName) -> Vec<String> {
        let volumes = self.volumes.then_some("restore_volumes");
        let ports = self.node_ports.then_some("preserve_node_ports");
        let fields = volumes.into_iter().chain(ports);
        fields.filter_map(|field| wire::without(tenant, target, Feature::Volumes, field)).collect()
    }
}

impl CreatePlan {
    pub(super) fn asked(&self) -> Asked {
        Asked {
            volumes: self.restore_volumes == Some(true),
            node_ports: self.preserve_node_ports == Some(true),
        }
    }

    pub(super) fn read(self) -> Result<NewPlan, AppError> {
        let mut fields = Fields::default();
        let name = fields.require("name", self.name.as_deref());
        let record = fields.require::<String>("backup_record_id", self.backup_record_id.as_deref());
        let record: Option<RecordId> = record.as_deref().map(id_from).transpose()?;
        let target_cluster = fields.parse("target_cluster", self.target_cluster.as_deref());
        let namespaces = wire::selection(&mut fields, "target_namespaces", self.target_namespaces, None);
        let mapping = mapping(&mut fields, self.namespace_mapping.unwrap_or_default());
        let existing: Option<ExistingResourcePolicy> =
            fields.parse("existing_resource_policy", self.existing_resource_policy.as_deref());
        let description = fields.text("description", self.description);
        let paths = self.selection.unwrap_or_default().paths.into_iter();
        let paths: Vec<String> = paths.filter_map(|path| fields.text("selection", Some(path))).collect();
        let new = name.zip(record).zip(namespaces).map(|((name, record), namespaces)| {
            let mut new = NewPlan::new(name, record);
            new.description = description.unwrap_or_default();
            new.target_cluster = target_cluster;
            new.namespaces = namespaces;
            let options = &mut new.options;
            options.mapping = mapping;
            options.paths = paths;
            options.existing = existing.unwrap_or(options.existing);
            options.restore_volumes = self.restore_volumes.unwrap_or(options.restore_volumes);
            options.preserve_node_ports = self.preserve_node_ports.unwrap_or(options.preserve_node_ports);
            new
        });
        fields.finish(new)
    }
}

/// A target that begins with a slash is a path; any other is a namespace.
fn mapping(fields: &mut Fields, mapping: BTreeMap<String, String>) -> BTreeMap<NamespaceName, RestoreTarget> {
    let mut read = BTreeMap::new();
    for (from, to) in mapping {
        let from = fields.parse("namespace_mapping", Some(&from));
        let to = if to.starts_with('/') {
            fields.text("namespace_mapping", Some(to)).map(RestoreTarget::Path)
        } else {
            fields.parse("namespace_mapping", Some(&to)).map(RestoreTarget::Namespace)
        };
        read.extend(from.zip(to));
    }
    read
}

/// Someone's word that a plan may be executed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ApprovePlan {
    /// The plan's `approval_hash` as it was read.
    #[schema(value_type = String, required)]
    pub(super) hash: Option<String>,
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanAnswer {
    /// The plan.
    pub(super) plan: PlanBody,
}

/// A page of plans.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanList {
    /// The plans, the newest first.
    pub(super) plans: Vec<PlanBody>,
    /// How many match in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

/// A recovery plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecoveryPlan)]
pub(crate) struct PlanBody {
    id: String,
    name: String,
    backup_record_id: String,
    target_cluster: String,
    target_namespaces: Vec<String>,
    restore_volumes: bool,
    namespace_mapping: BTreeMap<String, String>,
    preserve_node_ports: bool,
    description: String,
    /// `pending`, `approved`, `executing`, `completed`, `failed` or `cancelled`.
    status: String,
    created_at: Time,
    created_by: String,
    updated_at: Time,
    existing_resource_policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<SelectionBody>,
    approvals: Vec<ApprovalBody>,
    /// What an approval of it as it would run now must name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approval_hash: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    /// Its executions, the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) execution_history: Option<Vec<ExecutionBody>>,
}

/// Someone's word that a plan may be executed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalBody {
    by: String,
    at: Time,
    /// For what: it serves while this is the plan's `approval_hash`.
    hash: String,
}

impl PlanBody {
    /// As lists have it.
    pub(super) fn of(plan: &RecoveryPlan) -> Self {
        let options = &plan.options;
        let target = |target: &RestoreTarget| match target {
            RestoreTarget::Namespace(name) => name.to_string(),
            RestoreTarget::Path(path) => path.clone(),
        };
        Self {
            id: plan.id.to_string(),
            name: plan.name.to_string(),
            backup_record_id: plan.record.to_string(),
            target_cluster: plan.target_cluster.to_string(),
            target_namespaces: wire::texts(plan.namespaces.include()),
            restore_volumes: options.restore_volumes,
            namespace_mapping: options
                .mapping
                .iter()
                .map(|(from, to)| (from.to_string(), target(to)))
                .collect(),
            preserve_node_ports: options.preserve_node_ports,
            description: plan.description.clone(),
            status: plan.status.to_string(),
            created_at: plan.created_at.into(),
            created_by: plan.created_by.to_string(),
            updated_at: plan.updated_at.into(),
            existing_resource_policy: options.existing.to_string(),
            selection: (!options.paths.is_empty()).then(|| SelectionBody { paths: options.paths.clone() }),
            approvals: plan
                .approvals
                .iter()
                .map(|approval| ApprovalBody {
                    by: approval.by.to_string(),
                    at: approval.at.into(),
                    hash: approval.hash.0.clone(),
                })
                .collect(),
            approval_hash: None,
            warnings: Vec::new(),
            execution_history: None,
        }
    }
}
