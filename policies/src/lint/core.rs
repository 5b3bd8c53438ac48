//! Findings in what `PolicyLayer`'s documents have.

use std::collections::BTreeSet;

use super::Linter;
use crate::condition::{Condition, Test};
use crate::defaults;
use crate::document::{Limit, Tool};
use crate::pattern::Pattern;

impl<'p> Linter<'p> {
    pub(super) fn core(&mut self) {
        let document = self.policy.document();
        if self.policy.allows_unlisted() {
            let message = "every tool that is not listed is allowed, also one that a server adds tomorrow";
            self.find("default-allow", "/default", message);
        }
        if document.hide.contains("*") {
            self.find("all-hidden", "/hide", "all tools are hidden, so no call passes");
        }
        for name in document.hide.iter().filter(|name| document.tools.contains_key(*name)) {
            self.find(
                "hidden-and-listed",
                format!("/tools/{}", crate::pointer::escape(name)),
                "the tool is hidden, so its rules are never reached",
            );
        }
        self.limits(&document.all_tools.limits);
        for (name, tool) in &document.tools {
            self.limits(&tool.limits);
            self.tool(name, tool);
        }
    }

    fn limits(&mut self, limits: &[Limit]) {
        for limit in limits.iter().filter(|limit| limit.max == 0) {
            self.find(
                "limit-of-zero",
                &*limit.id,
                "a limit of 0 denies every call; to deny a tool, leave it out or hide it",
            );
        }
    }

    fn tool(&mut self, name: &'p str, tool: &'p Tool) {
        let required: BTreeSet<&str> =
            tool.require.iter().flat_map(|rule| &rule.conditions).filter_map(demands).collect();
        for rule in &tool.require {
            for condition in &rule.conditions {
                self.unanchored(&rule.id, condition);
            }
        }
        for rule in &tool.deny_if {
            if rule.conditions.is_empty() {
                self.find("always-denied", &*rule.id, "a `deny_if` without conditions denies every call of the tool");
            }
            self.fails_open(name, &rule.id, &rule.conditions, &required);
            for condition in &rule.conditions {
                self.one_spelling(&rule.id, condition);
            }
        }
        let approvals = self.policy.extensions().approve_if.get(name).map(Vec::as_slice).unwrap_or_default();
        for rule in approvals {
            self.fails_open(name, &rule.id, &rule.conditions, &required);
        }
    }

    /// A rule about an argument that may be absent does not match when it is.
    fn fails_open(&mut self, tool: &str, rule: &str, conditions: &[Condition], required: &BTreeSet<&str>) {
        let schema = self.schemas.and_then(|schemas| schemas.get(tool));
        for condition in conditions.iter().filter(|condition| !matches!(condition.test, Test::Exists(_))) {
            let path = &condition.path;
            let ensured = schema.is_some_and(|schema| defaults::is_ensured(schema, path.fields()));
            if ensured || required.contains(path.text()) {
                continue;
            }
            let message = format!(
                "a call without `{0}` is not matched; require it ({{\"path\": \"{0}\", \"op\": \"exists\", \"value\": true}}), or give it a default in the tool's schema",
                path.text()
            );
            self.find("deny-if-fails-open", rule, message);
        }
    }

    /// `api.example.com` without `^` and `$` also matches `https://evil.example/?api.example.com`.
    fn unanchored(&mut self, rule: &str, condition: &Condition) {
        let Test::Regex(pattern) = &condition.test else { return };
        if !is_anchored(pattern) {
            self.find(
                "unanchored-regex",
                rule,
                "the pattern matches anywhere in the text; to require the whole, write `^(?:…)$`",
            );
        }
    }

    /// A text that is denied by its spelling passes in another one.
    fn one_spelling(&mut self, rule: &str, condition: &Condition) {
        let value = match &condition.test {
            Test::Regex(_) | Test::Exists(_) => return,
            test => test.value(),
        };
        let text = value.as_array().into_iter().flatten().chain(Some(&value)).filter_map(|value| value.as_str());
        if text.clone().any(|text| !text.is_ascii()) {
            self.find(
                "one-spelling",
                rule,
                "texts are compared by code point: the same letters may be written with others",
            );
        }
    }
}

/// The path that a condition in `require` makes sure of.
fn demands(condition: &Condition) -> Option<&str> {
    (!matches!(condition.test, Test::Exists(false))).then(|| condition.path.text())
}

fn is_anchored(pattern: &Pattern) -> bool {
    let source = pattern.source();
    (source.starts_with('^') || source.starts_with("\\A")) && (source.ends_with('$') || source.ends_with("\\z"))
}
