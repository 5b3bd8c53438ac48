//! Rules of the tool `*`, which Intercept holds every call against. Here, limits over all tools have a place of their own,
//! and other rules are written to each tool that is named; the others are denied, as nothing could hold them to the rules.

use serde_json::{Map, Value, json};

use super::{Import, closed, too_large};
use crate::error::Fault;
use crate::json::MAX_BYTES;

/// What Intercept calls it.
pub(super) const EVERY_TOOL: &str = "*";

/// What it is called while its rules are read: no tool may be called `*` here.
const NAME: &str = "all";

impl Import<'_> {
    /// Writes the rules of every tool into the document `kept`, whose tools are there already.
    pub(super) fn everywhere(&mut self, rules: Value, kept: &mut Map<String, Value>) -> Result<(), Fault> {
        let rules = match self.understood(EVERY_TOOL, NAME, "/tools/*", rules) {
            Ok(rules) => rules,
            Err(why) => {
                self.warn(
                    "/tools/*",
                    format!("{why}; every call of every tool is denied until its rules are written anew"),
                );
                closed()
            }
        };
        let Value::Object(mut rules) = rules else { return Ok(()) };
        if let Some(limits) = rules.shift_remove("limits") {
            self.warn("/tools/*", "its limits are in `all_tools`");
            append(kept.entry("all_tools").or_insert_with(|| json!({})), "limits", &limits);
        }
        if rules.is_empty() {
            return Ok(());
        }
        self.warn("/tools/*", "its rules are with each tool that is named, and tools that are not named are denied");
        kept.insert("default".into(), "deny".into());
        let Some(tools) = kept.get_mut("tools").and_then(Value::as_object_mut) else { return Ok(()) };
        // As many copies as there are tools: bounded before the first is made.
        let size = Value::from(rules.clone()).to_string().len();
        if size.saturating_mul(tools.len()) > MAX_BYTES {
            return Err(too_large());
        }
        for entry in tools.values_mut() {
            for (list, added) in &rules {
                append(entry, list, added);
            }
        }
        Ok(())
    }
}

/// Adds to a list of an entry; what is none is left to the reader of policies.
fn append(entry: &mut Value, list: &str, added: &Value) {
    let Value::Object(fields) = entry else { return };
    let list = fields.entry(list).or_insert_with(|| json!([]));
    if let (Some(list), Some(added)) = (list.as_array_mut(), added.as_array()) {
        list.extend(added.iter().cloned());
    }
}
