//! The fields of the API reference's answers, and their types.

use serde_json::Value;

/// Fields and their types; `?` is for what may be `null`.
pub(crate) type Fields = &'static [(&'static str, &'static str)];

pub(crate) const JOB_IN_LISTS: Fields = &[
    ("id", "string"),
    ("name", "string"),
    ("cluster", "string"),
    ("namespaces", "strings"),
    ("status", "string"),
    ("started_at", "time?"),
    ("completed_at", "time?"),
    ("size_bytes", "integer?"),
    ("resource_count", "integer?"),
    ("error_message", "string?"),
];
pub(crate) const JOB: Fields = &[
    ("include_volumes", "boolean"),
    ("storage_backend", "string"),
    ("storage_location", "string"),
    ("ttl_hours", "integer"),
    ("labels", "object"),
    ("velero_backup_name", "string?"),
];
pub(crate) const RECORD_IN_LISTS: Fields = &[
    ("id", "string"),
    ("backup_job_id", "string"),
    ("name", "string"),
    ("cluster", "string"),
    ("namespaces", "strings"),
    ("storage_backend", "string"),
    ("storage_location", "string"),
    ("size_bytes", "integer"),
    ("resource_count", "integer"),
    ("created_at", "time"),
    ("expires_at", "time"),
    ("is_restorable", "boolean"),
];
pub(crate) const RECORD: Fields = &[("velero_backup_name", "string"), ("included_resources", "object")];
pub(crate) const PLAN_IN_LISTS: Fields = &[
    ("id", "string"),
    ("name", "string"),
    ("backup_record_id", "string"),
    ("target_cluster", "string"),
    ("target_namespaces", "strings"),
    ("status", "string"),
    ("created_at", "time"),
    ("description", "string"),
];
pub(crate) const PLAN: Fields = &[
    ("restore_volumes", "boolean"),
    ("namespace_mapping", "object"),
    ("preserve_node_ports", "boolean"),
    ("created_by", "string"),
];
pub(crate) const EXECUTION: Fields = &[
    ("id", "string"),
    ("plan_id", "string"),
    ("status", "string"),
    ("velero_restore_name", "string"),
    ("started_at", "time"),
    ("completed_at", "time?"),
    ("resources_restored", "object?"),
    ("warnings", "strings"),
    ("errors", "strings"),
];
pub(crate) const POLICY_IN_LISTS: Fields = &[
    ("id", "string"),
    ("name", "string"),
    ("cluster", "string"),
    ("schedule", "string"),
    ("schedule_human", "string"),
    ("retention_days", "integer"),
    ("rpo_hours", "integer"),
    ("rto_hours", "integer"),
    ("enabled", "boolean"),
    ("next_run_at", "time"),
    ("last_run_at", "time?"),
    ("last_run_status", "string?"),
];
pub(crate) const POLICY: Fields = &[
    ("description", "string"),
    ("namespaces", "strings"),
    ("exclude_namespaces", "strings"),
    ("include_volumes", "boolean"),
    ("storage_backend", "string"),
    ("storage_location", "string"),
    ("created_at", "time"),
    ("updated_at", "time"),
];
pub(crate) const COMPLIANCE: Fields = &[
    ("overall_status", "string"),
    ("total_policies", "integer"),
    ("compliant_policies", "integer"),
    ("non_compliant_policies", "integer"),
];
pub(crate) const POLICY_COMPLIANCE: Fields = &[
    ("policy_id", "string"),
    ("policy_name", "string"),
    ("cluster", "string"),
    ("rpo_target_hours", "integer"),
    ("rpo_actual_hours", "number?"),
    ("rpo_compliant", "boolean"),
    ("rto_target_hours", "integer"),
    ("rto_estimated_hours", "number?"),
    ("rto_compliant", "boolean"),
    ("last_successful_backup", "time?"),
    ("backup_count_30d", "integer"),
    ("failed_backups_30d", "integer"),
];

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "time" => value
            .as_str()
            .is_some_and(|text| text.ends_with('Z') && text.parse::<aegis_core::model::Timestamp>().is_ok()),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "strings" => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        other => panic!("{other} is no type"),
    }
}

/// Holds a value against its fields and their types.
pub(crate) fn has(value: &Value, fields: Fields) {
    for (name, kind) in fields {
        let field = value.get(name).unwrap_or_else(|| panic!("{name} is missing: {value}"));
        let fits = match kind.strip_suffix('?') {
            Some(kind) => field.is_null() || has_type(field, kind),
            None => has_type(field, kind),
        };
        assert!(fits, "{name} is no {kind}: {field}");
    }
}
