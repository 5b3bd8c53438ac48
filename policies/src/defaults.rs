//! Fills in the defaults of a tool's JSON Schema. An argument that is absent would otherwise escape a `deny_if` about it.
//!
//! Followed are `properties` and `$ref`s within the schema. A default below `anyOf` and the like is not: which branch
//! applies is the validator's to say.

use serde_json::{Map, Value};

/// Deepest object that defaults are filled into. A schema may refer to itself.
const MAX_DEPTH: usize = 16;

/// Most properties looked at. A schema that refers to itself several times grows with every level, and schemas come
/// from upstream servers.
const MAX_STEPS: usize = 10_000;

/// Longest chain of references; one may lead back to itself.
const MAX_REFS: usize = 16;

#[derive(Debug)]
pub(crate) struct TooMany;

/// Fills defaults into `arguments`, which is an object.
pub(crate) fn fill(arguments: &mut Value, schema: &Value) -> Result<(), TooMany> {
    Filler { schema, steps: 0 }.fill(arguments, schema, MAX_DEPTH)
}

/// Whether the schema makes sure that there is a value at the path: each field of it is required or has a default.
pub(crate) fn is_ensured<'p>(schema: &Value, path: impl Iterator<Item = &'p str>) -> bool {
    let mut at = resolve(schema, schema);
    for field in path {
        let Some(property) = property(at, field) else { return false };
        let required = at.get("required").and_then(Value::as_array);
        let required = required.is_some_and(|names| names.iter().any(|name| name == field));
        if !required && default(schema, property).is_none() {
            return false;
        }
        at = resolve(schema, property);
    }
    true
}

/// The schema of the argument at the path, if the schema names it.
pub(crate) fn at_path<'s, 'p>(schema: &'s Value, path: impl Iterator<Item = &'p str>) -> Option<&'s Value> {
    let mut at = resolve(schema, schema);
    for field in path {
        at = resolve(schema, property(at, field)?);
    }
    Some(at)
}

struct Filler<'s> {
    schema: &'s Value,
    steps: usize,
}

impl Filler<'_> {
    fn fill(&mut self, value: &mut Value, schema: &Value, depth: usize) -> Result<(), TooMany> {
        let (Value::Object(fields), Some(properties)) = (value, properties(resolve(self.schema, schema))) else {
            return Ok(());
        };
        let Some(below) = depth.checked_sub(1) else { return Err(TooMany) };
        for (name, property) in properties {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(TooMany);
            }
            if let (false, Some(default)) = (fields.contains_key(name), default(self.schema, property)) {
                fields.insert(name.clone(), default.clone());
            }
            if let Some(value) = fields.get_mut(name) {
                self.fill(value, property, below)?;
            }
        }
        Ok(())
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

fn property<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    properties(schema)?.get(name)
}

/// A schema and those that its `$ref`s within the document lead to.
fn chain<'s>(document: &'s Value, schema: &'s Value) -> impl Iterator<Item = &'s Value> {
    let next = move |at: &&'s Value| document.pointer(at.get("$ref")?.as_str()?.strip_prefix('#')?);
    std::iter::successors(Some(schema), next).take(MAX_REFS)
}

/// The schema at the end of the references.
fn resolve<'s>(document: &'s Value, schema: &'s Value) -> &'s Value {
    chain(document, schema).last().unwrap_or(schema)
}

/// The default, which may stand beside a `$ref`.
fn default<'s>(document: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    chain(document, schema).find_map(|schema| schema.get("default"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(mut arguments: Value, schema: &Value) -> Value {
        fill(&mut arguments, schema).unwrap();
        arguments
    }

    #[test]
    fn what_is_absent_is_filled_in_and_what_is_there_is_kept() {
        let schema = json!({"properties": {"limit": {"default": 100}, "name": {"type": "string"},
            "page": {"$ref": "#/$defs/Page"}, "last": {"$ref": "#/$defs/Page", "default": {}}},
            "$defs": {"Page": {"properties": {"size": {"default": 10}}}}});
        assert_eq!(filled(json!({}), &schema), json!({"limit": 100, "last": {"size": 10}}));
        assert_eq!(
            filled(json!({"limit": 5, "page": {}}), &schema),
            json!({"limit": 5, "page": {"size": 10}, "last": {"size": 10}})
        );
        assert_eq!(filled(json!({"limit": null}), &schema), json!({"limit": null, "last": {"size": 10}}));
    }

    #[test]
    fn a_default_object_gets_its_own_defaults() {
        let schema = json!({"properties": {"page": {"default": {}, "properties": {"size": {"default": 10}}}}});
        assert_eq!(filled(json!({}), &schema), json!({"page": {"size": 10}}));
    }

    #[test]
    fn a_schema_that_refers_to_itself_does_not_grow_for_ever() {
        let branch = json!({"default": {}, "properties": {"a": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/$defs/b"}}});
        let schema = json!({"$ref": "#/$defs/b", "$defs": {"b": branch}});
        assert!(
            fill(&mut json!({}), &json!({"properties": schema["$defs"]["b"]["properties"], "$defs": schema["$defs"]}))
                .is_err()
        );
        let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
        assert_eq!(filled(json!({}), &circle), json!({}));
    }

    #[test]
    fn a_schema_that_is_too_wide_is_not_followed() {
        let wide = |count: usize| {
            let properties: Map<_, _> = (0..count).map(|index| (index.to_string(), json!({"default": 0}))).collect();
            fill(&mut json!({}), &json!({"properties": properties}))
        };
        assert!(wide(MAX_STEPS).is_ok() && wide(MAX_STEPS + 1).is_err());
    }

    #[test]
    fn a_path_is_ensured_when_each_field_is() {
        let schema = json!({"required": ["charge"], "properties": {"charge": {"required": ["amount"],
            "properties": {"amount": {}, "note": {}, "currency": {"default": "eur"}}}}});
        let ensured = |path: &str| is_ensured(&schema, path.split('.'));
        assert!(ensured("charge.amount") && ensured("charge.currency"));
        assert!(!ensured("charge.note") && !ensured("charge.other") && !ensured("amount"));
    }
}
