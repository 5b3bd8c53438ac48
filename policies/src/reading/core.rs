//! Reads what `PolicyLayer`'s documents have.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use super::{Ids, Reader};
use crate::document::{AllTools, Default, Document, Limit, Scope, Tool};
use crate::pointer::Pointer;
use crate::window::Window;

impl Reader {
    pub(super) fn document(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Document> {
        let fields = self.object(at, value, &["version", "default", "hide", "all_tools", "tools", "x-sandbox"])?;
        let version = self.required(at, fields, "version");
        let version = version.and_then(|value| self.word(&at.field("version"), value, "version", &[("1", "1")]));
        let default = self.required(at, fields, "default");
        let words = [("allow", Default::Allow), ("deny", Default::Deny)];
        let default = default.and_then(|value| self.word(&at.field("default"), value, "default", &words));
        let hide = fields.get("hide").map_or(Some(BTreeSet::new()), |value| self.hide(&at.field("hide"), value));
        let all_tools = fields.get("all_tools");
        let all_tools =
            all_tools.map_or_else(|| Some(AllTools::default()), |value| self.all_tools(&at.field("all_tools"), value));
        let tools = fields.get("tools");
        let tools = tools.map_or_else(|| Some(BTreeMap::new()), |value| self.tools(&at.field("tools"), value));
        let extensions = match fields.get("x-sandbox") {
            Some(value) => Some(Box::new(self.extensions(&at.field("x-sandbox"), value)?)),
            None => None,
        };
        Some(Document {
            version: version?,
            default: default?,
            hide: hide?,
            all_tools: all_tools?,
            tools: tools?,
            extensions,
        })
    }

    fn hide(&mut self, at: &Pointer<'_>, value: &Value) -> Option<BTreeSet<Box<str>>> {
        let mut hidden = BTreeSet::new();
        self.list(at, value, |reader, at, value| {
            let text = reader.text(at, value)?;
            let name = reader.name(at, text)?;
            // `delete_*` would be taken for a name, and hide nothing.
            if name.contains('*') && name != "*" {
                return reader.invalid(at, "`*` alone hides all tools; it is no wildcard within a name");
            }
            if !hidden.insert(name.into()) {
                return reader.invalid(at, "this name is there twice");
            }
            Some(())
        })?;
        Some(hidden)
    }

    fn all_tools(&mut self, at: &Pointer<'_>, value: &Value) -> Option<AllTools> {
        let fields = self.object(at, value, &["limits"])?;
        Some(AllTools { limits: self.limits(at, fields)? })
    }

    fn tools(&mut self, at: &Pointer<'_>, value: &Value) -> Option<BTreeMap<Box<str>, Tool>> {
        let mut tools = BTreeMap::new();
        for (name, value) in self.map(at, value)? {
            let at = at.field(name);
            let known = self.tool_name(&at, name);
            let tool = self.tool(&at, value);
            if let (Some(name), Some(tool)) = (known, tool) {
                tools.insert(name.into(), tool);
            }
        }
        Some(tools)
    }

    /// A tool's name as a key: no wildcard, as it would be taken for a name that no tool has.
    pub(super) fn tool_name<'v>(&mut self, at: &Pointer<'_>, name: &'v str) -> Option<&'v str> {
        let name = self.name(at, name)?;
        if name.contains('*') {
            return self.invalid(
                at,
                "tools are named one by one; `default` is for the others, and `all_tools` for limits over all",
            );
        }
        Some(name)
    }

    fn tool(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Tool> {
        let fields = self.object(at, value, &["require", "deny_if", "limits"])?;
        let require = fields.get("require");
        let require = require.map_or(Some(Vec::new()), |value| self.require(&at.field("require"), value));
        let deny_if = fields.get("deny_if");
        let deny_if = deny_if.map_or(Some(Vec::new()), |value| self.deny_if(&at.field("deny_if"), value));
        let limits = self.limits(at, fields);
        Some(Tool { require: require?, deny_if: deny_if?, limits: limits?, id: at.to_string().into() })
    }

    fn limits(&mut self, at: &Pointer<'_>, fields: &Map<String, Value>) -> Option<Vec<Limit>> {
        let Some(value) = fields.get("limits") else { return Some(Vec::new()) };
        let at = at.field("limits");
        let mut ids = Ids::of(&at);
        let mut counters = BTreeSet::new();
        self.list(&at, value, |reader, at, value| {
            let limit = reader.limit(at, value, &mut ids)?;
            // Both would count in the one counter, and every call twice.
            if !counters.insert((limit.counter.clone(), limit.window)) {
                let message = format!("the counter `{}` is there twice for one {}", limit.counter, limit.window.name());
                return reader.invalid(&at.field("counter"), message);
            }
            Some(limit)
        })
    }

    fn limit(&mut self, at: &Pointer<'_>, value: &Value, ids: &mut Ids) -> Option<Limit> {
        let fields = self.object(at, value, &["counter", "window", "max", "scope"])?;
        let counter = self.required(at, fields, "counter").and_then(|value| {
            let at = at.field("counter");
            let text = self.text(&at, value)?;
            self.name(&at, text)
        });
        let windows = Window::ALL.map(|window| (window.name(), window));
        let window = self.required(at, fields, "window");
        let window = window.and_then(|value| self.word(&at.field("window"), value, "window", &windows));
        let max = self.required(at, fields, "max");
        let max = max.and_then(|value| self.integer(&at.field("max"), value, 0, "an integer of at least 0"));
        let scope = self.required(at, fields, "scope");
        let scope = scope.and_then(|value| self.word(&at.field("scope"), value, "scope", &[("grant", Scope::Grant)]));
        let counter = counter?;
        Some(Limit { counter: counter.into(), window: window?, max: max?, scope: scope?, id: ids.id(counter) })
    }
}
