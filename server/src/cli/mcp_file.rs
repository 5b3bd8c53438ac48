//! Changing `mcp.json` in place: comments, order and unknown keys stay as they are.

use crate::upstream::LISTS;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::Value;

/// `text` with one more server.
pub(super) fn insert(text: &str, name: &str, server: &Value) -> Result<String, String> {
    let root = parse(text)?;
    let whole = root.object_value_or_create().ok_or("the file holds no object")?;
    if lists(&whole)?.iter().any(|list| list.get(name).is_some()) {
        return Err(format!("there is a server `{name}` already; remove it first: exuvia mcp remove {name}"));
    }
    let list = match lists(&whole)?.into_iter().next() {
        Some(list) => list,
        None => whole.object_value_or_create(LISTS[0]).ok_or("`mcpServers` must be an object")?,
    };
    list.append(name, input(server));
    Ok(root.to_string())
}

/// `text` without one of its servers.
pub(super) fn remove(text: &str, name: &str) -> Result<String, String> {
    let root = parse(text)?;
    let whole = root.object_value().ok_or("the file holds no object")?;
    let found: Vec<_> = lists(&whole)?.iter().filter_map(|list| list.get(name)).collect();
    if found.is_empty() {
        return Err(format!("there is no server `{name}`"));
    }
    for server in found {
        server.remove();
    }
    Ok(root.to_string())
}

fn parse(text: &str) -> Result<CstRootNode, String> {
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| format!("it is not JSON: {error}"))
}

/// The objects that list servers.
fn lists(whole: &CstObject) -> Result<Vec<CstObject>, String> {
    let mut lists = Vec::new();
    for key in LISTS {
        if whole.get(key).is_some() {
            lists.push(whole.object_value(key).ok_or_else(|| format!("`{key}` must be an object"))?);
        }
    }
    Ok(lists)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(keys) => {
            CstInputValue::Object(keys.iter().map(|(key, value)| (key.clone(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comments_and_unknown_keys_stay() {
        let text =
            "{\n  // mine\n  \"other\": 1,\n  \"servers\": {\n    \"a\": {\"command\": \"x\"}, // first\n  }\n}\n";
        let added = insert(text, "b", &json!({"command": "y", "args": ["-v"]})).unwrap();
        assert_eq!(
            added,
            "{\n  // mine\n  \"other\": 1,\n  \"servers\": {\n    \"a\": {\"command\": \"x\"}, // first\n    \"b\": {\n      \
             \"command\": \"y\",\n      \"args\": [\"-v\"],\n    },\n  }\n}\n"
        );
        let removed = remove(&added, "a").unwrap();
        assert!(removed.contains("// mine") && !removed.contains("\"a\""), "{removed}");
        assert_eq!(remove(&removed, "a").unwrap_err(), "there is no server `a`");
        assert!(insert(&removed, "b", &json!({})).unwrap_err().starts_with("there is a server `b` already"));
    }

    #[test]
    fn a_new_file() {
        let text = insert("{}\n", "a", &json!({"type": "http", "url": "http://h"})).unwrap();
        let expected = "{\n  \"mcpServers\": {\n    \"a\": {\n      \"type\": \"http\",\n      \"url\": \"http://h\"\n    }\n  }\n}\n";
        assert_eq!(text, expected);
        assert_eq!(insert("[]", "a", &json!({})).unwrap_err(), "the file holds no object");
        assert_eq!(insert("{\"servers\": 1}", "a", &json!({})).unwrap_err(), "`servers` must be an object");
    }
}
