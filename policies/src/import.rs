//! Takes in documents of others, in JSON or YAML: `PolicyLayer`'s, those of its proxy Intercept, older ones that have
//! `rules`, `action` and `rate_limit`, and hand-written ones with fields of their own. What cannot be kept is said, and a
//! tool whose rules are not wholly understood is closed: an import must not allow what the original denied.

mod everywhere;
mod pattern;
mod rules;
mod sandbox;
mod values;

use serde_json::{Map, Value, json};
use std::fmt;

use crate::error::{Fault, ParseError, Problem, echo};
use crate::pointer::escape;
use crate::policy::Policy;
use crate::{json, yaml};
use rules::Entry;

/// Fields that only tell people something.
const REMARKS: [&str; 11] = [
    "$schema",
    "author",
    "comment",
    "created_at",
    "description",
    "id",
    "metadata",
    "name",
    "notes",
    "title",
    "updated_at",
];
const ROOT: [&str; 6] = ["version", "default", "hide", "all_tools", "tools", "x-sandbox"];
const TOOL: [&str; 3] = ["require", "deny_if", "limits"];

/// A policy that was taken in, and all that became of it on the way.
#[derive(Debug)]
pub struct Imported {
    pub policy: Policy,
    pub warnings: Vec<Warning>,
}

/// Something that is not as it was in the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// A JSON pointer into the original.
    pub pointer: String,
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl Policy {
    /// Takes in a document: one that begins with `{` is JSON, any other is YAML. An error is one that cannot be taken in at
    /// all.
    pub fn import(document: impl AsRef<[u8]>) -> Result<Imported, ParseError> {
        Self::import_as(document, str::to_owned)
    }

    /// Takes in a document whose names of tools are here what `named` makes of them.
    pub fn import_as(document: impl AsRef<[u8]>, named: impl Fn(&str) -> String) -> Result<Imported, ParseError> {
        let read = |fault| ParseError::new(vec![fault]);
        let value = value(document.as_ref()).map_err(read)?;
        let mut import = Import { warnings: Vec::new(), named: &named };
        let document = match value {
            Value::Object(fields) => import.document(fields).map_err(read)?,
            other => other,
        };
        let policy = Self::parse(document.to_string())?;
        Ok(Imported { policy, warnings: import.warnings })
    }
}

fn value(document: &[u8]) -> Result<Value, Fault> {
    let is_json = document.trim_ascii_start().first() == Some(&b'{');
    if is_json { json::read(document) } else { yaml::read(document) }
}

struct Import<'a> {
    warnings: Vec<Warning>,
    named: &'a dyn Fn(&str) -> String,
}

impl Import<'_> {
    fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.warnings.push(Warning { pointer: echo(pointer), message: message.into() });
    }

    fn document(&mut self, mut fields: Map<String, Value>) -> Result<Value, Fault> {
        self.version_and_default(&mut fields);
        let mut kept = Map::new();
        let mut everywhere = None;
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("tools", Value::Object(mut tools)) => {
                    everywhere = tools.shift_remove("*");
                    kept.insert(name, self.tools(tools).into());
                }
                ("hide", Value::Array(names)) => {
                    kept.insert(name, names.into_iter().map(|name| self.hidden(name)).collect());
                }
                ("x-sandbox", Value::Object(fields)) => {
                    kept.insert(name, self.sandbox(fields)?.into());
                }
                // In YAML, a name with nothing behind it.
                ("tools" | "hide", Value::Null) => {}
                (known, value) if ROOT.contains(&known) => {
                    kept.insert(name, value);
                }
                (remark, _) if REMARKS.contains(&remark) => self.remark(&format!("/{}", escape(remark))),
                (other, _) => self.warn(
                    &format!("/{}", escape(other)),
                    "not understood and left out: what it restricts, if anything, is NOT enforced",
                ),
            }
        }
        if let Some(rules) = everywhere {
            self.everywhere(rules, &mut kept)?;
        }
        Ok(kept.into())
    }

    fn version_and_default(&mut self, fields: &mut Map<String, Value>) {
        match fields.get("version") {
            Some(version) if [json!(1), json!(1.0), json!("1.0")].contains(version) => {
                self.warn("/version", "written as \"1\"");
                fields.insert("version".into(), "1".into());
            }
            Some(_) => {}
            None => {
                self.warn("/version", "it is missing: taken for \"1\"");
                fields.insert("version".into(), "1".into());
            }
        }
        if !fields.contains_key("default") {
            self.warn("/default", "it is missing: taken for \"deny\"");
            fields.insert("default".into(), "deny".into());
        }
    }

    fn hidden(&self, name: Value) -> Value {
        match name {
            Value::String(name) if name != "*" => (self.named)(&name).into(),
            other => other,
        }
    }

    fn tools(&mut self, tools: Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for (tool, entry) in tools {
            let name = (self.named)(&tool);
            let mut entry = self.tool(&tool, &name, entry);
            if kept.contains_key(&name) {
                let place = format!("/tools/{}", escape(&tool));
                self.warn(&place, format!("another tool is `{}` here, too; {CLOSED}", echo(&name)));
                entry = closed();
            }
            kept.insert(name, entry);
        }
        kept
    }

    fn remark(&mut self, pointer: &str) {
        self.warn(pointer, "a remark, which is not kept");
    }

    /// A tool's entry; one that always denies where something of it is not understood.
    fn tool(&mut self, tool: &str, name: &str, entry: Value) -> Value {
        let place = format!("/tools/{}", escape(tool));
        let (before, warned) = (entry.clone(), self.warnings.len());
        match self.understood(tool, name, &place, entry) {
            Ok(entry) => {
                if entry != before && self.warnings.len() == warned {
                    self.warn(&place, "its rules are written in this form: see that they say the same");
                }
                entry
            }
            Err(why) => {
                self.warn(&place, format!("{why}; {CLOSED}"));
                closed()
            }
        }
    }

    /// What is in an entry, as this form has it; an error when that is not all of it, or no right entry.
    fn understood(&mut self, tool: &str, name: &str, place: &str, entry: Value) -> Result<Value, String> {
        let entry = match entry {
            Value::Object(fields) => self.entry(tool, name, place, fields)?,
            Value::Null => json!({}),
            other => other,
        };
        let alone = json!({ "version": "1", "default": "deny", "tools": { name: &entry } });
        match Policy::parse(alone.to_string()) {
            Ok(_) => Ok(entry),
            Err(error) => {
                let faults: Vec<_> = error.faults().iter().map(ToString::to_string).collect();
                Err(faults.join("; "))
            }
        }
    }

    fn entry(&mut self, tool: &str, name: &str, place: &str, mut fields: Map<String, Value>) -> Result<Value, String> {
        let mut rules = match fields.shift_remove("rules") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(rules)) => rules,
            Some(_) => return Err("`rules` is no list".into()),
        };
        let short: Map<_, _> =
            ["action", "rate_limit", "on_deny"].iter().filter_map(|name| fields.shift_remove_entry(*name)).collect();
        if !short.is_empty() {
            rules.push(short.into());
        }
        let mut kept = Map::new();
        for (field, value) in fields {
            if TOOL.contains(&field.as_str()) {
                kept.insert(field, value);
            } else if REMARKS.contains(&field.as_str()) {
                self.remark(&format!("{place}/{}", escape(&field)));
            } else {
                return Err(format!("`{}` is not understood", echo(&field)));
            }
        }
        let mut entry = Entry::new(tool, name, kept);
        for (index, rule) in rules.into_iter().enumerate() {
            let Value::Object(rule) = rule else { return Err("a rule is no object".into()) };
            let rule = self.without_remarks(&format!("{place}/rules/{index}"), rule);
            if entry.add(rule)? {
                self.warn(&format!("{place}/rules/{index}/on_deny"), "limits have words of their own: not kept");
            }
        }
        Ok(entry.into_value())
    }

    fn without_remarks(&mut self, place: &str, rule: Map<String, Value>) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in rule {
            if REMARKS.contains(&name.as_str()) {
                self.remark(&format!("{place}/{}", escape(&name)));
            } else {
                kept.insert(name, value);
            }
        }
        kept
    }
}

/// What becomes of a tool whose rules are not understood.
const CLOSED: &str = "every call of this tool is denied until its rules are written anew";

fn closed() -> Value {
    json!({ "deny_if": [{ "conditions": [], "on_deny": "The rules of this tool could not be imported." }] })
}

fn too_large() -> Fault {
    json::at_root(Problem::TooLargeWrittenOut)
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
