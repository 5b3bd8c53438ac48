//! What is right in a document and probably not meant. Nothing here changes a decision.

mod core;
mod sandbox;
mod schema;

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::policy::Policy;

/// Something that the document's author should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Constant, such as `deny-if-fails-open`.
    pub code: &'static str,
    /// A rule's id or a place in the document.
    pub rule: String,
    pub message: String,
}

/// Findings that need nothing but the document.
pub fn lint(policy: &Policy) -> Vec<Finding> {
    findings(policy, None)
}

/// Findings that need the input schemas of the connected servers' tools too, by the tool's name.
pub fn lint_with_tools(policy: &Policy, schemas: &BTreeMap<String, Value>) -> Vec<Finding> {
    findings(policy, Some(schemas))
}

fn findings(policy: &Policy, schemas: Option<&BTreeMap<String, Value>>) -> Vec<Finding> {
    let mut linter = Linter { policy, schemas, findings: Vec::new() };
    linter.core();
    linter.sandbox();
    linter.names_and_types();
    linter.findings
}

struct Linter<'p> {
    policy: &'p Policy,
    schemas: Option<&'p BTreeMap<String, Value>>,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    fn find(&mut self, code: &'static str, rule: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding { code, rule: rule.into(), message: message.into() });
    }
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
