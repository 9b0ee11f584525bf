//! The OpenAPI document: generated from the handlers, completed with what they all share.

use std::collections::BTreeSet;

use axum::{extract::State, http::header, response::IntoResponse};
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, openapi::OpenApi as Generated};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    error::{AppError, ErrorBody, ErrorCode},
};

/// What does not come from a handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aegis",
        description = "Disaster recovery: can we get it back, how far back, how fast, and how do we know?"
    ),
    components(schemas(ErrorBody))
)]
pub(crate) struct Document;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_openapi))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "Service",
    responses((status = 200, description = "OpenAPI 3.1", body = Value))
)]
async fn get_openapi(State(app): State<App>) -> impl IntoResponse {
    match app.document.get() {
        Some(document) => ([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response(),
        None => AppError::internal("the router has no document").into_response(),
    }
}

/// The generated document with what all operations share: how to sign in, how they fail, and which
/// headers they take.
pub(crate) fn complete(generated: &Generated) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(generated)?;
    document["components"]["securitySchemes"] = json!({"bearer": {"type": "http", "scheme": "bearer"}});
    document["components"]["responses"] = error_responses();
    document["security"] = json!([{"bearer": []}, {}]);
    let mut taken = Vec::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                references(&operation["requestBody"], &mut taken);
                complete_operation(path, method, operation);
            }
        }
    }
    close(&mut document, taken);
    Ok(document)
}

/// What a body does not know is refused, and the document says so: of the schemas that bodies name,
/// and of those that these name.
fn close(document: &mut Value, mut taken: Vec<String>) {
    let mut closed = BTreeSet::new();
    while let Some(reference) = taken.pop() {
        let Some(schema) = document.pointer_mut(reference.trim_start_matches('#')) else { continue };
        if closed.insert(reference) && schema.get("properties").is_some() {
            references(schema, &mut taken);
            schema["additionalProperties"] = json!(false);
        }
    }
}

/// Every reference in a part of the document.
fn references(part: &Value, found: &mut Vec<String>) {
    match part {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    for status in statuses(path, method) {
        let declared = &mut operation["responses"][status];
        if declared.is_null() {
            *declared = json!({"$ref": format!("#/components/responses/{status}")});
        }
    }
    if !is_api(path) {
        operation["security"] = json!([]);
        return;
    }
    if method == "post" && path != TICKET {
        let key = json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Sent again under the same key, a request does nothing twice. Kept for 24 hours.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
}

/// A ticket is a secret that nobody keeps, so that it can't be answered again.
const TICKET: &str = "/api/v1/events/ticket";

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

/// With which statuses an operation can fail.
fn statuses(path: &str, method: &str) -> Vec<&'static str> {
    let mut statuses = vec!["400", "403", "500"];
    if is_api(path) {
        // What a path, a query or a body names may not be there.
        statuses.extend(["401", "404", "424", "429", "503"]);
        if matches!(method, "post" | "put" | "delete") {
            statuses.extend(["409", "413", "415"]);
        }
        statuses.push("422");
    }
    statuses
}

/// One response per status, which names the codes that come with it.
fn error_responses() -> Value {
    let mut codes: Map<String, Value> = Map::new();
    for code in ErrorCode::ALL {
        let names = codes.entry(code.status().as_str()).or_insert_with(|| json!([]));
        if let Some(names) = names.as_array_mut() {
            names.push(json!(code.as_str()));
        }
    }
    let described = codes.into_iter().map(|(status, names)| {
        let names: Vec<_> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut response = json!({
            "description": format!("`{}`", names.join("` or `")),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}},
        });
        if status == "429" {
            response["headers"] = limit_headers();
        }
        (status, response)
    });
    Value::Object(described.collect())
}

/// What a call that is counted tells, refused or not.
fn limit_headers() -> Value {
    let header = |description| json!({"description": description, "schema": {"type": "integer"}});
    json!({
        "Retry-After": header("Seconds until the call may be made again."),
        "X-RateLimit-Limit": header("How many calls of this class are taken in their span of time."),
        "X-RateLimit-Remaining": header("How many are left now."),
        "X-RateLimit-Reset": header("When one more is free, in Unix seconds."),
    })
}
