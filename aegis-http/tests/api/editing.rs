//! What policies take beyond the reference.

use serde_json::{Value, json};

use crate::world::World;

fn policy(name: &str, more: &Value) -> Value {
    let mut body = json!({"name": name, "cluster": "prod-us-east-1", "retention_days": 30});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn created(world: &World, body: &Value) -> Value {
    world.post("/api/v1/dr/policies", body).await.with(201)["policy"].clone()
}

fn wrong_fields(answer: &Value) -> Vec<&str> {
    let fields = answer["error"]["details"]["fields"].as_array().unwrap();
    fields.iter().map(|field| field["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_schedule_in_four_words_runs_as_the_cron_expression_that_means_the_same() {
    let world = World::open();
    let cases = [
        (json!({"unit": "hourly", "minute": 15}), "15 * * * *", "Every hour at :15"),
        (json!({"unit": "daily", "time": "02:30"}), "30 2 * * *", "Daily at 02:30 Europe/Berlin"),
        (
            json!({"unit": "weekly", "day": "monday", "time": "02:00"}),
            "0 2 * * 1",
            "Mondays at 02:00 Europe/Berlin",
        ),
        (
            json!({"unit": "monthly", "day": 1, "time": "03:00"}),
            "0 3 1 * *",
            "Monthly on day 1 at 03:00 Europe/Berlin",
        ),
    ];
    for (index, (frequency, cron, human)) in cases.into_iter().enumerate() {
        let body =
            policy(&format!("p{index}"), &json!({"frequency": frequency, "timezone": "Europe/Berlin"}));
        let policy = created(&world, &body).await;
        assert_eq!((&policy["frequency"], &policy["schedule"]), (&frequency, &json!(cron)));
        assert_eq!(policy["timezone"], "Europe/Berlin");
        let shown = policy["schedule_human"].as_str().unwrap();
        assert!(shown.starts_with(human) || human.starts_with(shown), "{shown} is not {human}");
    }
}

#[tokio::test]
async fn a_schedule_is_given_once() {
    let world = World::open();
    let daily = json!({"unit": "daily", "time": "02:30"});
    let both = policy("both", &json!({"schedule": "@daily", "frequency": daily}));
    assert_eq!(wrong_fields(&world.post("/api/v1/dr/policies", &both).await.with(422)), ["frequency"]);
    let odd = policy("odd", &json!({"frequency": {"unit": "daily", "time": "24:00"}}));
    assert_eq!(wrong_fields(&world.post("/api/v1/dr/policies", &odd).await.with(422)), ["frequency"]);
    let made =
        created(&world, &policy("daily", &json!({"frequency": daily, "timezone": "Europe/Berlin"}))).await;
    let uri = format!("/api/v1/dr/policies/{}", made["id"].as_str().unwrap());
    let weekly = json!({"unit": "weekly", "day": "sunday", "time": "04:00"});
    let changed = world.put(&uri, json!({"frequency": weekly})).await.with(200)["policy"].clone();
    assert_eq!(
        (&changed["frequency"], &changed["timezone"]),
        (&weekly, &json!("Europe/Berlin")),
        "the zone stays"
    );
    let changed = world.put(&uri, json!({"schedule": "0 5 * * *"})).await.with(200)["policy"].clone();
    assert_eq!((&changed["frequency"], &changed["schedule"]), (&Value::Null, &json!("0 5 * * *")));
}

#[tokio::test]
async fn attempts_and_their_time_are_set_and_changed() {
    let world = World::open();
    let body = policy("tries", &json!({"schedule": "@daily", "max_attempts": 5, "timeout_seconds": 600}));
    let made = created(&world, &body).await;
    assert_eq!((&made["max_attempts"], &made["timeout_seconds"]), (&json!(5), &json!(600)));
    let uri = format!("/api/v1/dr/policies/{}", made["id"].as_str().unwrap());
    let changed = world.put(&uri, json!({"max_attempts": 1})).await.with(200)["policy"].clone();
    assert_eq!((&changed["max_attempts"], &changed["timeout_seconds"]), (&json!(1), &json!(600)));
    let none = json!({"max_attempts": 0, "timeout_seconds": 0});
    assert_eq!(wrong_fields(&world.put(&uri, none).await.with(422)), ["max_attempts", "timeout_seconds"]);
}
