//! Ids: whoever names one that can't exist names nothing, wherever it stands.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn an_id_that_can_not_exist_is_not_found_in_a_query() {
    let world = World::open();
    for query in [
        "backups/jobs?policy_id=x",
        "backups/records?policy_id=x",
        "dr/tests?policy_id=x",
        "dr/tests?record_id=x",
        "dr/compliance/history?policy_id=x",
        "retention/runs?policy_id=x",
    ] {
        world.get(&format!("/api/v1/{query}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_id_in_a_body_is_not_found_whether_it_can_not_exist_or_does_not() {
    let world = World::open();
    for id in ["x", "019c33af-6a60-7fa4-b549-3b713e9f2aff"] {
        let target = json!({"folder": "/restores"});
        for (route, body) in [
            ("recovery/plans", json!({"name": "recover", "backup_record_id": id})),
            ("dr/tests", json!({"backup_record_id": id, "target": target})),
            ("dr/tests", json!({"policy_id": id, "target": target})),
            ("retention/preview", json!({"policy_id": id})),
            ("retention/runs", json!({"policy_id": id})),
        ] {
            world.post(&format!("/api/v1/{route}"), body).await.refused(404, "not_found");
        }
    }
}
