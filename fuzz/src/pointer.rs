//! JSON Pointers, beside those of serde_json.

use regrant_core::protocol::{ApiReply, Profile, read_api_reply};
use serde_json::{Value, json};

/// A pointer in the first line, and a JSON text after it.
pub fn pointer(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(path) = std::str::from_utf8(&data[..end]) else { return };
    let Ok(value) = serde_json::from_slice::<Value>(data.get(end + 1..).unwrap_or_default()) else {
        return;
    };
    // The star is an addition of ours.
    if path.split('/').any(|step| step == "*") || depth(&value) > 32 {
        return;
    }
    // Written anew, so that no member comes twice.
    let body = value.to_string();
    let rule = |test: Value| {
        json!({
            "name": "own",
            "api": [{ "name": "there", "class": "RateLimited", "when": { "json": [test] } }],
        })
    };
    let holds = |test: Value| {
        let profile = Profile::of(&rule(test).to_string()).ok()?;
        let reply = ApiReply {
            scheme: Some("Bearer"),
            status: 400,
            body: body.as_bytes(),
            ..ApiReply::default()
        };
        Some(read_api_reply(&reply, Some(&profile)).rule == "own.there")
    };
    let there = value.pointer(path);
    let Some(is_text) = holds(json!({ "path": path, "contains": "" })) else {
        // No pointer, or longer than a profile may be.
        return assert!(!path.starts_with('/') && !path.is_empty() || path.len() > 60_000);
    };
    assert_eq!(is_text, there.is_some_and(Value::is_string), "{path} in {body}");
    let is_null = holds(json!({ "path": path, "null": true }));
    assert_eq!(is_null, Some(there.is_some_and(Value::is_null)), "{path} in {body}");
    if let Some(Value::String(text)) = there {
        assert_eq!(holds(json!({ "path": path, "eq": text })), Some(true), "{path} in {body}");
        let other = format!("{text}.");
        assert_eq!(holds(json!({ "path": path, "eq": other })), Some(false), "{path} in {body}");
    }
}

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(values) => values.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    1 + inner.unwrap_or(0)
}
