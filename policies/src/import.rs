//! Takes in documents of others: `PolicyLayer`'s, older ones that have `rules`, `action` and `rate_limit`, and hand-written
//! ones with fields of their own. What cannot be kept is said, and a tool whose rules are not wholly understood is closed:
//! an import must not allow what the original denied.

use serde_json::{Map, Value, json};
use std::fmt;

use crate::error::{ParseError, echo};
use crate::json;
use crate::pointer::escape;
use crate::policy::Policy;

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
    /// Takes in a document. An error is one that cannot be taken in at all.
    pub fn import(document: impl AsRef<[u8]>) -> Result<Imported, ParseError> {
        let document = document.as_ref();
        let value = json::read(document).map_err(|fault| ParseError::new(vec![fault]))?;
        let mut import = Import::default();
        let document = match value {
            Value::Object(fields) => import.document(fields),
            other => other,
        };
        let policy = Self::parse(document.to_string())?;
        Ok(Imported { policy, warnings: import.0 })
    }
}

#[derive(Default)]
struct Import(Vec<Warning>);

impl Import {
    fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.0.push(Warning { pointer: echo(pointer), message: message.into() });
    }

    fn document(&mut self, mut fields: Map<String, Value>) -> Value {
        if matches!(fields.get("version"), Some(version) if *version == json!(1) || *version == json!("1.0")) {
            self.warn("/version", "written as \"1\"");
            fields.insert("version".into(), "1".into());
        } else if !fields.contains_key("version") {
            self.warn("/version", "it is missing: taken for \"1\"");
            fields.insert("version".into(), "1".into());
        }
        if !fields.contains_key("default") {
            self.warn("/default", "it is missing: taken for \"deny\"");
            fields.insert("default".into(), "deny".into());
        }
        let mut kept = Map::new();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("tools", Value::Object(tools)) => {
                    let tools = tools.into_iter().map(|(tool, entry)| {
                        let entry = self.tool(&tool, entry);
                        (tool, entry)
                    });
                    let tools: Map<_, _> = tools.collect();
                    kept.insert(name, tools.into());
                }
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
        Value::Object(kept)
    }

    fn remark(&mut self, pointer: &str) {
        self.warn(pointer, "a remark, which is not kept");
    }

    /// A tool's entry; one that always denies where something of it is not understood.
    fn tool(&mut self, tool: &str, entry: Value) -> Value {
        let place = format!("/tools/{}", escape(tool));
        let before = entry.clone();
        let entry = match entry {
            Value::Object(fields) => self.entry(tool, &place, fields),
            other => Ok(other),
        };
        let entry = entry.and_then(|entry| match understood(tool, &entry) {
            Ok(()) => Ok(entry),
            Err(why) => Err(why),
        });
        match entry {
            Ok(entry) => {
                if entry != before && !self.0.iter().any(|warning| warning.pointer.starts_with(&place)) {
                    self.warn(&place, "its rules are written in this form: see that they say the same");
                }
                entry
            }
            Err(why) => {
                self.warn(&place, format!("{why}; every call of this tool is denied until its rules are written anew"));
                json!({ "deny_if": [{ "conditions": [], "on_deny": "The rules of this tool could not be imported." }] })
            }
        }
    }

    fn entry(&mut self, tool: &str, place: &str, mut fields: Map<String, Value>) -> Result<Value, String> {
        let mut rules = Vec::new();
        if let Some(found) = fields.shift_remove("rules") {
            rules = found.as_array().cloned().ok_or("`rules` is no list")?;
        }
        let short: Map<_, _> =
            ["action", "rate_limit", "on_deny"].iter().filter_map(|name| fields.shift_remove_entry(*name)).collect();
        if !short.is_empty() {
            rules.push(short.into());
        }
        let mut kept = Map::new();
        for (name, value) in fields {
            if TOOL.contains(&name.as_str()) {
                kept.insert(name, value);
            } else if REMARKS.contains(&name.as_str()) {
                self.remark(&format!("{place}/{}", escape(&name)));
            } else {
                return Err(format!("`{}` is not understood", echo(&name)));
            }
        }
        let mut entry = Entry { tool, kept };
        for (index, rule) in rules.into_iter().enumerate() {
            let Value::Object(rule) = rule else { return Err("a rule is no object".into()) };
            let rule = self.without_remarks(&format!("{place}/rules/{index}"), rule);
            if entry.add(rule)? {
                self.warn(&format!("{place}/rules/{index}/on_deny"), "limits have words of their own: not kept");
            }
        }
        Ok(Value::Object(entry.kept))
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

/// A tool's entry as it comes to be.
struct Entry<'a> {
    tool: &'a str,
    kept: Map<String, Value>,
}

impl Entry<'_> {
    /// Adds a rule of the older form. Whether its `on_deny` is lost.
    fn add(&mut self, mut rule: Map<String, Value>) -> Result<bool, String> {
        let on_deny = rule.shift_remove("on_deny");
        let conditions = rule.shift_remove("conditions");
        let (action, rate) = (rule.shift_remove("action"), rule.shift_remove("rate_limit"));
        if let Some((name, _)) = rule.into_iter().next() {
            return Err(format!("`{}` in a rule is not understood", echo(&name)));
        }
        let with_words = |conditions: Value| match &on_deny {
            Some(words) => json!({ "conditions": conditions, "on_deny": words }),
            None => json!({ "conditions": conditions }),
        };
        match (action.as_ref().and_then(Value::as_str), rate, conditions) {
            (Some("deny"), None, conditions) => {
                self.push("deny_if", with_words(conditions.unwrap_or(json!([]))));
            }
            (None | Some("allow"), Some(rate), None) => {
                let (max, window) = rate_of(&rate)?;
                let number = self.kept.get("limits").and_then(Value::as_array).map_or(0, Vec::len);
                let counter = format!("{}_rate_{}", self.tool.to_lowercase(), number + 1);
                self.push("limits", json!({ "counter": counter, "window": window, "max": max, "scope": "grant" }));
                return Ok(on_deny.is_some());
            }
            (None, None, Some(conditions)) => self.push("require", with_words(conditions)),
            (Some("allow"), None, None) => {}
            _ => return Err("a rule is not understood".into()),
        }
        Ok(false)
    }

    fn push(&mut self, list: &str, value: Value) {
        let list = self.kept.entry(list).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }
}

/// `5/hour`, or `{"max": 10, "window": 60}` with the window in seconds or by name.
fn rate_of(rate: &Value) -> Result<(Value, &'static str), String> {
    let (max, window) = match rate {
        Value::String(text) => {
            let (max, window) =
                text.split_once('/').ok_or_else(|| format!("the rate `{}` is not understood", echo(text)))?;
            (max.trim().parse::<u64>().map_or(Value::Null, Value::from), Value::from(window.trim()))
        }
        Value::Object(fields) if fields.len() == 2 => {
            let of = |name| fields.get(name).cloned().unwrap_or_default();
            (of("max"), of("window"))
        }
        _ => return Err("a rate is not understood".into()),
    };
    let name = match (window.as_u64(), window.as_str()) {
        (Some(60), _) | (_, Some("minute" | "min" | "m")) => "minute",
        (Some(3600), _) | (_, Some("hour" | "h")) => "hour",
        (Some(86_400), _) | (_, Some("day" | "d")) => "day",
        _ => return Err(format!("a window of {window} cannot be had: there are minute, hour and day")),
    };
    if max.as_u64().is_none() { Err("a rate has no whole number".into()) } else { Ok((max, name)) }
}

/// Whether an entry is a right one, and else what is wrong with it.
fn understood(tool: &str, entry: &Value) -> Result<(), String> {
    let alone = json!({ "version": "1", "default": "deny", "tools": { tool: entry } });
    Policy::parse(alone.to_string()).map(drop).map_err(|error| {
        let faults: Vec<_> = error.faults().iter().map(ToString::to_string).collect();
        faults.join("; ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(document: &Value) -> (Value, Vec<String>) {
        let Imported { policy, warnings } = Policy::import(document.to_string()).unwrap();
        (policy.to_json(), warnings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_document_that_is_right_is_taken_as_it_is() {
        for document in [include_str!("../documents/executeCode.json"), include_str!("../tests/full.json")] {
            let Imported { policy, warnings } = Policy::import(document).unwrap();
            assert_eq!(policy.to_json(), Policy::parse(document).unwrap().to_json());
            assert_eq!(warnings, []);
        }
    }

    #[test]
    fn older_forms_are_written_in_ours() {
        let (policy, warnings) = imported(&json!({ "version": 1, "description": "ours", "tools": {
            "a": { "action": "deny", "on_deny": "No." },
            "b": { "rate_limit": { "max": 10, "window": 60 } },
            "c": { "rules": [
                { "name": "cap", "conditions": [{ "path": "args.amount", "op": "lte", "value": 5 }], "on_deny": "Too much." },
                { "rate_limit": "3/hour", "on_deny": "Too often." },
                { "action": "deny", "conditions": [{ "path": "args.to", "op": "eq", "value": "x" }] },
            ] },
            "d": { "action": "allow" },
        } }));
        let expected = Policy::parse(json!({ "version": "1", "default": "deny", "tools": {
            "a": { "deny_if": [{ "conditions": [], "on_deny": "No." }] },
            "b": { "limits": [{ "counter": "b_rate_1", "window": "minute", "max": 10, "scope": "grant" }] },
            "c": {
                "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 5 }], "on_deny": "Too much." }],
                "limits": [{ "counter": "c_rate_1", "window": "hour", "max": 3, "scope": "grant" }],
                "deny_if": [{ "conditions": [{ "path": "args.to", "op": "eq", "value": "x" }] }],
            },
            "d": {},
        } }).to_string());
        assert_eq!(policy, expected.unwrap().to_json());
        let in_our_form = "its rules are written in this form: see that they say the same";
        assert_eq!(
            warnings,
            [
                "/version: written as \"1\"".to_owned(),
                "/default: it is missing: taken for \"deny\"".to_owned(),
                "/description: a remark, which is not kept".to_owned(),
                format!("/tools/a: {in_our_form}"),
                format!("/tools/b: {in_our_form}"),
                "/tools/c/rules/0/name: a remark, which is not kept".to_owned(),
                "/tools/c/rules/1/on_deny: limits have words of their own: not kept".to_owned(),
                format!("/tools/d: {in_our_form}"),
            ]
        );
    }

    /// Seen to fail with entries that are kept without what was not understood.
    #[test]
    fn a_tool_that_is_not_understood_is_closed_and_others_are_not() {
        for (entry, why) in [
            (json!({ "denyif": [] }), "`denyif` is not understood"),
            (
                json!({ "rate_limit": { "max": 1, "window": 7 } }),
                "a window of 7 cannot be had: there are minute, hour and day",
            ),
            (json!({ "rules": [{ "state": {} }] }), "`state` in a rule is not understood"),
            (json!({ "action": "ask" }), "a rule is not understood"),
            (
                json!({ "deny_if": [{ "conditions": [{ "path": "args.a", "op": "like", "value": 1 }] }] }),
                "/tools/t/deny_if/0/conditions/0/op: unknown operator `like`",
            ),
        ] {
            let (policy, warnings) =
                imported(&json!({ "version": "1", "default": "allow", "tools": { "t": entry, "other": {} } }));
            assert_eq!(policy["tools"]["t"]["deny_if"][0]["conditions"], json!([]), "{why}");
            assert!(policy["tools"]["other"]["deny_if"].is_null() || policy["tools"]["other"]["deny_if"] == json!([]));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].starts_with(&format!("/tools/t: {why}")), "{warnings:?}");
            assert!(warnings[0].ends_with("; every call of this tool is denied until its rules are written anew"));
        }
    }

    #[test]
    fn what_cannot_be_taken_in_at_all_is_an_error() {
        for document in [
            "",
            "[]",
            "{\"version\": \"2\"}",
            "{\"version\": \"1\", \"version\": \"1\"}",
            "{\"all_tools\": {\"limit\": []}}",
        ] {
            assert!(Policy::import(document).is_err(), "{document}");
        }
    }
}
