//! What a caller is told of a call that does not happen.

use crate::approvals;
use serde_json::{Value, json};

/// A denied call: the rule, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// A JSON pointer into the policy, or a word in brackets.
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// Seconds after which the same call may pass; none when waiting does not help.
    pub(crate) retry_after_s: Option<u64>,
    /// The caller must not learn that there is such a tool.
    pub(crate) is_hidden: bool,
    /// What a person is asked, or has said, about it.
    pub(crate) approval: Option<approvals::Id>,
}

impl Denied {
    pub(crate) fn new(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { rule: rule.into(), reason: reason.into(), retry_after_s: None, is_hidden: false, approval: None }
    }

    pub(super) fn unwritten() -> Self {
        Self::new("(audit)", "The audit log cannot be written, so nothing is allowed.")
    }

    pub(super) fn uncounted() -> Self {
        Self::new("(counters)", "The policy's limits cannot be checked at the moment.")
    }

    /// `[POLICY DENIED]` and the reason, as `PolicyLayer` writes it.
    pub(crate) fn text(&self) -> String {
        format!("[POLICY DENIED] {}", self.reason)
    }

    pub(crate) fn data(&self) -> Value {
        let mut data = json!({ "rule": self.rule, "reason": self.reason, "retry_after_s": self.retry_after_s });
        if let (Some(fields), Some(approval)) = (data.as_object_mut(), self.approval) {
            fields.insert("approval".into(), approval.to_string().into());
        }
        data
    }
}

impl From<&exuvia_policies::Denial> for Denied {
    fn from(denial: &exuvia_policies::Denial) -> Self {
        Self {
            rule: denial.rule().into(),
            reason: denial.reason().into(),
            retry_after_s: denial.retry_after_s(),
            is_hidden: denial.is_hidden(),
            approval: None,
        }
    }
}
