//! `x-sandbox` of a document whose tools have other names here: approvals, pins and tests are of those, too.

use serde_json::{Map, Value};

use super::Import;
use super::everywhere::EVERY_TOOL;
use crate::error::{Fault, Problem, echo};
use crate::pointer::escape;

impl Import<'_> {
    /// An error is two tools of one name: which approvals and which pin are meant, nobody knows.
    pub(super) fn sandbox(&self, mut fields: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        for list in ["approve_if", "pins"] {
            if let Some(Value::Object(by_tool)) = fields.get_mut(list) {
                *by_tool = self.by_tool(list, std::mem::take(by_tool))?;
            }
        }
        let tests = fields.get_mut("tests").and_then(Value::as_array_mut);
        for tool in tests.into_iter().flatten().filter_map(|test| test.pointer_mut("/call/tool")) {
            if let Value::String(name) = tool {
                *name = self.name(name);
            }
        }
        Ok(fields)
    }

    fn by_tool(&self, list: &str, by_tool: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        let mut kept = Map::new();
        for (tool, value) in by_tool {
            let name = self.name(&tool);
            if kept.contains_key(&name) {
                let pointer = format!("/x-sandbox/{list}/{}", escape(&tool));
                let why = format!("another tool is `{}` here, too: leave one of them out", echo(&name));
                return Err(Fault { pointer: echo(&pointer), problem: Problem::Invalid(why) });
            }
            kept.insert(name, value);
        }
        Ok(kept)
    }

    /// `*` is no tool, and is refused: renamed, it would be one.
    fn name(&self, tool: &str) -> String {
        if tool == EVERY_TOOL { tool.to_owned() } else { (self.named)(tool) }
    }
}
