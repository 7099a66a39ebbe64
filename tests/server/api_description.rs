//! `/openapi.json` and the page at `/docs`: what they tell is what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{JSON, Setup, TEXT, TestServer, on_both_transports};

on_both_transports! {
    every_operation_that_is_described_is_there,
    what_is_answered_has_the_form_that_is_described,
}

async fn description(server: &TestServer) -> Value {
    let answer = server.http("GET", "/openapi.json", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

/// Methods with the paths that they are described at.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// What a schema is, wherever it is written down.
fn resolved<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            description.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"))
        }
        None => schema,
    }
}

async fn every_operation_that_is_described_is_there(setup: Setup) {
    let server = setup.start().await;
    let description = description(&server).await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description["openapi"]);
    let operations = operations(&description);
    assert!(operations.len() >= 33, "{}", operations.len());
    let mut ids = BTreeSet::new();
    for (method, path, operation) in &operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        let filled = path
            .replace("{hub}", "elsewhere")
            .replace("{group}", "g%2F1")
            .replace("{user}", "u")
            .replace("{connection}", "00000000000000000000000000000000")
            .replace("{permission}", "sendToGroup");
        assert!(!filled.contains('{'), "{filled}");
        let bodies = &operation["requestBody"]["content"];
        let (headers, body) = match (bodies.get("text/plain"), bodies.get("application/json")) {
            (Some(_), _) => (vec![TEXT], "x"),
            (None, Some(_)) => (vec![JSON], r#"{"groups":["a"]}"#),
            (None, None) => (vec![], ""),
        };
        let answer = server.api(method, &filled, &headers, body).await;
        let described = operation["responses"].as_object().unwrap();
        assert!(described.contains_key(&answer.status.to_string()), "{method} {path}: {}", answer.body);
        assert!(answer.header("x-ms-error-code") != Some("Error.NotFound"), "{method} {path} is nowhere");
        // What the path names is described, and a parameter that has no name in it is not of the path.
        let parameters = operation["parameters"].as_array().unwrap();
        for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
            assert!(path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap())), "{path}");
        }
        let named = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
        assert_eq!(named, path.matches('{').count(), "{path}");
    }
    // The other way round: what is not described is not there.
    for (method, path, _) in &operations {
        for other in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
            let is_described = operations.iter().any(|(known, at, _)| known == other && at == path);
            if method != other && !is_described {
                let answer = server.api(other, &path.replace(['{', '}'], ""), &[], "").await;
                // `/health` is told to whoever asks with HEAD; with other methods it is a path as any.
                assert_eq!(answer.status, 405, "{other} {path}: {}", answer.body);
            }
        }
    }
}

/// Whether a value has what its schema requires, and nothing that it does not know.
fn check(description: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolved(description, schema);
    if let Some(parts) = schema["allOf"].as_array() {
        let mut known = BTreeSet::new();
        for part in parts {
            let part = resolved(description, part);
            known.extend(part["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            check_object(description, part, value, at);
        }
        for name in value.as_object().unwrap().keys() {
            assert!(known.contains(name), "{at}.{name} is not described");
        }
        return;
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for name in object.keys() {
            assert!(properties.contains_key(name), "{at}.{name} is not described");
        }
        check_object(description, schema, value, at);
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().for_each(|value| check(description, items, value, &format!("{at}[]")));
    }
}

fn check_object(description: &Value, schema: &Value, value: &Value, at: &str) {
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{at}.{name} is missing");
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(description, property, value, &format!("{at}.{name}"));
        }
    }
}

async fn what_is_answered_has_the_form_that_is_described(setup: Setup) {
    let server = setup.start().await;
    let description = description(&server).await;
    let (mut mark, mut kenji) = (server.demo(1).await, server.demo(2).await);
    for name in ["shop/eu", "shop/us", "shop/eu/south"] {
        mark.join(name).await;
        kenji.join(name).await;
    }
    for (path, query) in [
        ("/api/hubs", ""),
        ("/api/hubs/{hub}/groups", "?delimiter=/&maxpagesize=1"),
        ("/api/hubs/{hub}/groups/{group}/:count", ""),
        ("/api/hubs/{hub}/groups/{group}/connections", "?maxpagesize=1"),
        ("/api/hubs/{hub}/connections", "?maxpagesize=1"),
        ("/api/hubs/{hub}/connections/{connection}", ""),
        ("/api/hubs/{hub}/connections/{connection}/groups", "?maxpagesize=1"),
        ("/api/me", ""),
        ("/api/server/overview", ""),
        ("/api/server/config", ""),
    ] {
        let filled = path.replace("{hub}", "chat").replace("{group}", "shop%2Feu").replace("{connection}", mark.id());
        let value = server.api_get(&format!("{filled}{query}")).await;
        let schema = description
            .pointer(&format!("/paths/{}/get/responses/200/content/application~1json/schema", path.replace('/', "~1")));
        check(&description, schema.unwrap_or_else(|| panic!("{path}")), &value, path);
        assert_eq!(query.contains("maxpagesize"), value["nextLink"].is_string(), "{path}: {value}");
    }
    let refused = server.api("GET", "/api/hubs/chat/connections/nobody", &[], "").await;
    check(&description, &description["components"]["schemas"]["Error"], &refused.json(), "Error");
}
