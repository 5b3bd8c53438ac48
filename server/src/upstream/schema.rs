//! What a JSON Schema says, in Python's words. Only reads; checking values is `arguments`' work.

use serde_json::{Map, Value};

/// How deep a type is written out; below that it is its outermost word.
const DEEPEST: usize = 3;
/// Most alternatives that are written out.
const MOST_ALTERNATIVES: usize = 12;

/// The Python type of values that `schema` allows, for a signature.
pub(super) fn annotation(schema: &Value) -> String {
    written(schema, DEEPEST)
}

fn written(schema: &Value, depth: usize) -> String {
    let Value::Object(schema) = schema else { return "Any".into() };
    if let Some(value) = schema.get("const") {
        return literal(std::slice::from_ref(value)).unwrap_or_else(|| "Any".into());
    }
    if let Some(Value::Array(values)) = schema.get("enum")
        && let Some(literal) = literal(values)
    {
        return literal;
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = schema.get(key) {
            return union(
                alternatives.iter().map(|one| if depth == 0 { "Any".into() } else { written(one, depth - 1) }),
            );
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => of_type(name, schema, depth),
        Some(Value::Array(names)) => {
            union(names.iter().map(|name| of_type(name.as_str().unwrap_or_default(), schema, depth)))
        }
        _ if schema.contains_key("properties") => "dict".into(),
        _ => "Any".into(),
    }
}

fn of_type(name: &str, schema: &Map<String, Value>, depth: usize) -> String {
    match name {
        "string" => "str".into(),
        "integer" => "int".into(),
        "number" => "float".into(),
        "boolean" => "bool".into(),
        "object" => "dict".into(),
        "null" => "None".into(),
        "array" => match schema.get("items") {
            Some(items) if depth > 0 => match written(items, depth - 1) {
                any if any == "Any" => "list".into(),
                items => format!("list[{items}]"),
            },
            _ => "list".into(),
        },
        _ => "Any".into(),
    }
}

fn union(types: impl Iterator<Item = String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for one in types.take(MOST_ALTERNATIVES + 1) {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    if distinct.is_empty() || distinct.len() > MOST_ALTERNATIVES || distinct.iter().any(|one| one == "Any") {
        return "Any".into();
    }
    distinct.join(" | ")
}

/// `Literal[…]`, when all values can stand in one and they are few.
fn literal(values: &[Value]) -> Option<String> {
    if values.is_empty() || values.len() > MOST_ALTERNATIVES {
        return None;
    }
    let plain = |value: &Value| match value {
        Value::String(text) if text.len() <= 100 => Some(python(value)),
        Value::Bool(_) | Value::Null => Some(python(value)),
        Value::Number(number) if number.is_i64() => Some(number.to_string()),
        _ => None,
    };
    let all: Option<Vec<_>> = values.iter().map(plain).collect();
    Some(format!("Literal[{}]", all?.join(", ")))
}

/// A JSON value as Python writes it.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        // JSON's escapes are Python's, but for surrogates, which serde_json does not write.
        other => other.to_string(),
    }
}

/// Whether `null` is one of the values that `schema` allows. What cannot be told from the schema's own words is allowed:
/// the check comes later.
pub(super) fn allows_null(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return schema != &Value::Bool(false) };
    if let Some(value) = schema.get("const") {
        return value.is_null();
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.contains(&Value::Null);
    }
    match schema.get("type") {
        Some(Value::String(name)) => return name == "null",
        Some(Value::Array(names)) => return names.iter().any(|name| name == "null"),
        _ => {}
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = schema.get(key) {
            return alternatives.iter().any(allows_null);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types() {
        for (schema, expected) in [
            (json!({"type": "string"}), "str"),
            (json!({"type": ["integer", "null"]}), "int | None"),
            (json!({"type": "array", "items": {"type": "number"}}), "list[float]"),
            (json!({"type": "array", "items": {}}), "list"),
            (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "str | None"),
            (json!({"enum": ["a", "b\n"]}), "Literal[\"a\", \"b\\n\"]"),
            (json!({"const": true}), "Literal[True]"),
            (json!({"$ref": "#/$defs/x"}), "Any"),
            (json!(true), "Any"),
        ] {
            assert_eq!(annotation(&schema), expected, "{schema}");
        }
        let mut deep = json!({"type": "string"});
        for _ in 0..50 {
            deep = json!({"type": "array", "items": deep});
        }
        assert_eq!(annotation(&deep), "list[list[list[list]]]");
    }

    #[test]
    fn null() {
        assert!(allows_null(&json!({"anyOf": [{"type": "string"}, {"type": "null"}]})));
        assert!(!allows_null(&json!({"type": "string", "default": null})));
        assert!(!allows_null(&json!({"enum": ["a"]})));
        assert!(allows_null(&json!({"$ref": "#/x"})));
    }
}
