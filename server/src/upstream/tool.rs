//! One tool of a server: what it is called, what it takes, and how a Python program sees it.

use super::names;
use super::schema;
use rmcp::model::JsonObject;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Bounds for what a server says about a tool. A list can be hostile, and is kept in memory.
const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 16 << 10;
const LARGEST_SCHEMA: usize = 256 << 10;
/// Most properties that become parameters.
const MOST_PARAMETERS: usize = 500;

/// A tool under its alias. Two catalogs may give one definition different aliases.
#[derive(Debug)]
pub(crate) struct Tool {
    /// `mcp_<Server>_<tool>`, unique among all tools.
    pub(crate) alias: String,
    pub(super) definition: Arc<Definition>,
}

impl Deref for Tool {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.definition
    }
}

/// A tool as its server defines it.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) server: String,
    /// What the server calls it.
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) description: String,
    pub(crate) input_schema: Arc<JsonObject>,
    pub(crate) output_schema: Option<Arc<JsonObject>>,
    pub(crate) annotations: Annotations,
    pub(super) parameters: Vec<Property>,
    /// None inside when the schema does not compile; compiled at the first call.
    pub(super) validator: OnceLock<Option<Box<jsonschema::Validator>>>,
    /// Of all that the server says about it.
    digest: OnceLock<exuvia_policies::Digest>,
}

/// What a server claims about a tool's effects, with MCP's defaults where it says nothing. Hints, not facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are MCP's four hints, independent of each other")]
pub(crate) struct Annotations {
    pub(crate) read_only: bool,
    pub(crate) destructive: bool,
    pub(crate) idempotent: bool,
    pub(crate) open_world: bool,
}

/// One property of the input schema, as a parameter.
#[derive(Debug)]
pub(super) struct Property {
    /// What Python calls it.
    pub(super) parameter: String,
    /// What the server calls it.
    pub(super) name: String,
    pub(super) required: bool,
}

/// How a Python program sees a tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Signature {
    /// In the order of the schema, which is the order of positional arguments.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) doc: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) annotation: String,
    pub(crate) required: bool,
    /// None both for no default and for the default `null`.
    pub(crate) default: Option<Value>,
}

/// Why a tool is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Unusable {
    #[error("its name is empty or longer than {LONGEST_NAME} bytes")]
    Name,
    #[error("its schemas are larger than {LARGEST_SCHEMA} bytes")]
    Schema,
}

impl Tool {
    /// A tool of which nothing is known but what it takes. None when that cannot be used.
    pub(crate) fn of_schema(alias: &str, schema: &Value) -> Option<Self> {
        let tool = rmcp::model::Tool::new(alias.to_owned(), "", Arc::new(schema.as_object()?.clone()));
        let definition = Arc::new(Definition::new("", tool).ok()?);
        Some(Self { alias: alias.to_owned(), definition })
    }
}

impl Definition {
    /// What `server` says about `tool`, within the bounds. Too long descriptions are cut; the rest is refused.
    pub(super) fn new(server: &str, tool: rmcp::model::Tool) -> Result<Self, Unusable> {
        if tool.name.is_empty() || tool.name.len() > LONGEST_NAME {
            return Err(Unusable::Name);
        }
        let size = |schema: &JsonObject| serde_json::to_string(schema).map_or(usize::MAX, |text| text.len());
        let output = tool.output_schema.as_deref().map_or(0, size);
        if size(&tool.input_schema).saturating_add(output) > LARGEST_SCHEMA {
            return Err(Unusable::Schema);
        }
        let hints = tool.annotations.unwrap_or_default();
        let title = tool.title.or(hints.title).map(|title| cut(&title, LONGEST_NAME));
        Ok(Self {
            server: server.to_owned(),
            name: tool.name.into_owned(),
            title,
            description: cut(tool.description.as_deref().unwrap_or_default(), LONGEST_DESCRIPTION),
            parameters: properties(&tool.input_schema),
            input_schema: tool.input_schema,
            output_schema: tool.output_schema,
            annotations: Annotations {
                read_only: hints.read_only_hint.unwrap_or(false),
                destructive: hints.destructive_hint.unwrap_or(true),
                idempotent: hints.idempotent_hint.unwrap_or(false),
                open_world: hints.open_world_hint.unwrap_or(true),
            },
            validator: OnceLock::new(),
            digest: OnceLock::new(),
        })
    }

    /// The digest of the definition, by which a change is noticed.
    pub(crate) fn digest(&self) -> &exuvia_policies::Digest {
        self.digest.get_or_init(|| exuvia_policies::Digest::of_definition(&self.to_json()))
    }

    /// The definition as clients and models see it.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({
            "server": self.server,
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": *self.input_schema,
            "outputSchema": self.output_schema.as_deref(),
            "annotations": self.annotations,
        })
    }

    /// Whether both say the same, so that the older one, with its compiled schema, may stay.
    pub(super) fn same(&self, other: &Self) -> bool {
        let part = |one: &Self| (one.title.clone(), one.annotations, one.output_schema.clone());
        self.name == other.name
            && self.description == other.description
            && self.input_schema == other.input_schema
            && part(self) == part(other)
    }

    pub(super) fn property_schema(&self, name: &str) -> Option<&Value> {
        self.input_schema.get("properties")?.as_object()?.get(name)
    }

    /// The Python signature and docstring made from the schema.
    pub(crate) fn signature(&self) -> Signature {
        let mut doc =
            if self.description.is_empty() { self.title.clone().unwrap_or_default() } else { self.description.clone() };
        let mut arguments = String::new();
        let mut parameters = Vec::new();
        for property in &self.parameters {
            let schema = self.property_schema(&property.name).unwrap_or(&Value::Null);
            let annotation = schema::annotation(schema);
            let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
            let described = cut(text("description"), LONGEST_DESCRIPTION);
            let optional = if property.required { "" } else { ", optional" };
            let _ = write!(arguments, "\n    {} ({annotation}{optional})", property.parameter);
            if !described.is_empty() {
                let _ = write!(arguments, ": {}", described.replace('\n', " "));
            }
            let default = schema.get("default").filter(|default| !default.is_null()).cloned();
            parameters.push(Parameter {
                name: property.parameter.clone(),
                annotation,
                required: property.required,
                default,
            });
        }
        if !arguments.is_empty() {
            doc.push_str("\n\nArguments:");
            doc.push_str(&arguments);
        }
        Signature { parameters, doc: doc.trim().to_owned() }
    }
}

fn properties(schema: &JsonObject) -> Vec<Property> {
    let Some(Value::Object(properties)) = schema.get("properties") else { return Vec::new() };
    let required: BTreeSet<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut taken = BTreeSet::new();
    let property = |name: &String| Property {
        parameter: names::distinct(&names::parameter(name), &mut taken),
        name: name.clone(),
        required: required.contains(name.as_str()),
    };
    properties.keys().take(MOST_PARAMETERS).map(property).collect()
}

/// At most `most` bytes of `text`, with a sign that there was more.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(tool: Value) -> Result<Definition, Unusable> {
        Definition::new("Time", serde_json::from_value(tool).unwrap())
    }

    #[test]
    fn a_signature_from_a_schema() {
        let tool = definition(json!({
            "name": "convert", "description": "Converts a time.",
            "inputSchema": {"type": "object", "required": ["time", "from"], "properties": {
                "time": {"type": "string", "description": "As\nHH:MM"},
                "from": {"type": "string"},
                "max-results": {"type": "integer", "default": 10},
            }},
            "annotations": {"readOnlyHint": true}
        }))
        .unwrap();
        let signature = tool.signature();
        let expected = json!([
            {"name": "time", "annotation": "str", "required": true, "default": null},
            {"name": "from_", "annotation": "str", "required": true, "default": null},
            {"name": "max_results", "annotation": "int", "required": false, "default": 10},
        ]);
        assert_eq!(serde_json::to_value(&signature.parameters).unwrap(), expected);
        assert_eq!(
            signature.doc,
            "Converts a time.\n\nArguments:\n    time (str): As HH:MM\n    from_ (str)\n    max_results (int, optional)"
        );
        let expected = Annotations { read_only: true, destructive: true, idempotent: false, open_world: true };
        assert_eq!(tool.annotations, expected);
    }

    #[test]
    fn a_hostile_definition_is_bounded() {
        let refused = |tool: Value| definition(tool).err();
        assert_eq!(refused(json!({"name": "", "inputSchema": {}})), Some(Unusable::Name));
        assert_eq!(refused(json!({"name": "n".repeat(201), "inputSchema": {}})), Some(Unusable::Name));
        let large = json!({"name": "n", "inputSchema": {"title": "x".repeat(LARGEST_SCHEMA)}});
        assert_eq!(refused(large), Some(Unusable::Schema));
        let long = definition(json!({"name": "n", "description": "ä".repeat(LONGEST_DESCRIPTION), "inputSchema": {}}));
        assert_eq!(long.unwrap().description.len(), LONGEST_DESCRIPTION + '…'.len_utf8());
        let odd = definition(json!({"name": "n", "inputSchema": {"properties": 7, "required": {}}})).unwrap();
        assert_eq!(odd.signature(), Signature { parameters: Vec::new(), doc: String::new() });
    }
}
