//! What a caller is told of a call that does not happen.

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
}

impl Denied {
    pub(crate) fn new(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { rule: rule.into(), reason: reason.into(), retry_after_s: None, is_hidden: false }
    }

    pub(super) fn needs_approval(rule: &str, reason: &str) -> Self {
        Self::new(rule, format!("This call needs a person's approval, and there is nobody to ask: {reason}."))
    }

    /// `[POLICY DENIED]` and the reason, as `PolicyLayer` writes it.
    pub(crate) fn text(&self) -> String {
        format!("[POLICY DENIED] {}", self.reason)
    }

    pub(crate) fn data(&self) -> Value {
        json!({ "rule": self.rule, "reason": self.reason, "retry_after_s": self.retry_after_s })
    }
}

impl From<&exuvia_policies::Denial> for Denied {
    fn from(denial: &exuvia_policies::Denial) -> Self {
        Self {
            rule: denial.rule().into(),
            reason: denial.reason().into(),
            retry_after_s: denial.retry_after_s(),
            is_hidden: denial.is_hidden(),
        }
    }
}
