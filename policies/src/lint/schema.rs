//! Findings that the tools' schemas tell: names that no tool and no argument has, and operators on the wrong type.

use serde_json::Value;

use super::Linter;
use crate::condition::{Condition, Test};
use crate::defaults;
use crate::error::{echo, nearest};
use crate::pointer::escape;

impl Linter<'_> {
    pub(super) fn names_and_types(&mut self) {
        let Some(schemas) = self.schemas else { return };
        let (document, extensions) = (self.policy.document(), self.policy.extensions());
        let known = |name: &str| schemas.contains_key(name);
        let listed = document.tools.keys().map(|name| ("/tools", name));
        let hidden = document.hide.iter().filter(|name| ***name != *"*").map(|name| ("/hide", name));
        let approved = extensions.approve_if.keys().map(|name| ("/x-sandbox/approve_if", name));
        let pinned = extensions.pins.keys().map(|name| ("/x-sandbox/pins", name));
        for (place, name) in listed.chain(hidden).chain(approved).chain(pinned).filter(|(_, name)| !known(name)) {
            let near = nearest(name, schemas.keys().map(String::as_str));
            let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            self.find(
                "unknown-tool",
                format!("{place}/{}", escape(name)),
                format!("no connected server has the tool `{}`{near}", echo(name)),
            );
        }
        for (name, tool) in &document.tools {
            let Some(schema) = schemas.get(name.as_ref()) else { continue };
            let asked = extensions.approve_if.get(name).map(Vec::as_slice).unwrap_or_default();
            let asked = asked.iter().map(|rule| (&rule.id, &rule.conditions));
            let rules = tool.require.iter().chain(&tool.deny_if).map(|rule| (&rule.id, &rule.conditions));
            for (id, conditions) in rules.chain(asked) {
                for condition in conditions {
                    self.argument(id, condition, schema);
                }
            }
        }
    }

    fn argument(&mut self, rule: &str, condition: &Condition, schema: &Value) {
        let path = &condition.path;
        let Some(argument) = defaults::at_path(schema, path.fields()) else {
            let message = format!("the tool's schema has no argument `{}`", path.text());
            return self.find("unknown-argument", rule, message);
        };
        let needed: &[&str] = match &condition.test {
            Test::Lt(_) | Test::Lte(_) | Test::Gt(_) | Test::Gte(_) => &["number", "integer"],
            Test::Regex(_) => &["string"],
            Test::Contains(_) => &["string", "array"],
            _ => return,
        };
        let Some(is) = argument.get("type").and_then(Value::as_str) else { return };
        if !needed.contains(&is) {
            let message =
                format!("`{}` is of type {is}, so `{}` denies every call", path.text(), condition.test.operator());
            self.find("wrong-type", rule, message);
        }
    }
}
