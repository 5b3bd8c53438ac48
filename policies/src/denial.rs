//! What a caller gets instead of a permit. It says which rule, and no more of the policy than that: neither values of
//! the arguments nor the bounds they were held against.

use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

use crate::approval::Demand;

/// A call that does not happen, for now or for good.
#[derive(Debug)]
pub enum Refusal {
    Denied(Denial),
    /// A person has to approve it first; then it is decided again, by [`Policy::decide_approved`].
    ///
    /// [`Policy::decide_approved`]: crate::Policy::decide_approved
    NeedsApproval(Box<Demand>),
}

impl Refusal {
    /// The id of the rule that refused.
    pub fn rule(&self) -> &str {
        match self {
            Self::Denied(denial) => denial.rule(),
            Self::NeedsApproval(demand) => demand.rule(),
        }
    }

    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial) => Some(denial),
            Self::NeedsApproval(_) => None,
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// A denied call: the rule that denied it, and what the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    kind: DenialKind,
    rule: Arc<str>,
    reason: Arc<str>,
    retry_after_s: Option<u64>,
}

/// What sort of rule denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialKind {
    NoPolicy,
    Hidden,
    DefaultDeny,
    Require,
    DenyIf,
    /// An argument that the policy compares has a type that cannot be compared.
    Mismatch,
    Limit,
    Breaker,
    /// The store of counters did not answer.
    Counters,
    Approval,
    /// The tool's definition is not the one that was pinned.
    Pin,
    Egress,
    Secret,
    Package,
}

impl Denial {
    pub(crate) fn new(kind: DenialKind, rule: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Self {
        Self { kind, rule: rule.into(), reason: reason.into(), retry_after_s: None }
    }

    pub(crate) fn retry_after(self, secs: Option<u64>) -> Self {
        Self { retry_after_s: secs, ..self }
    }

    pub(crate) fn hidden() -> Self {
        Self::new(DenialKind::Hidden, "(hidden)", "Unknown tool.")
    }

    /// For a grant without a policy.
    pub fn no_policy() -> Self {
        Self::new(DenialKind::NoPolicy, "(no policy)", "No policy allows this grant anything.")
    }

    pub fn kind(&self) -> DenialKind {
        self.kind
    }

    /// The rule's id: a JSON pointer, or `(no policy)`, `(hidden)`, `(default deny)` and the like. For the audit always,
    /// for the caller by way of [`Self::data`].
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// A sentence for the caller.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Seconds after which the same call may pass; none when waiting does not help.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The caller must not learn that the tool exists: the answer is that of an unknown tool (-32602).
    pub fn is_hidden(&self) -> bool {
        self.kind == DenialKind::Hidden
    }

    /// The text of the tool result: `[POLICY DENIED] Refund exceeds the policy limit.`
    pub fn text(&self) -> String {
        if self.is_hidden() { self.reason.to_string() } else { format!("[POLICY DENIED] {}", self.reason) }
    }

    /// The structured part of the tool result; none for a hidden tool.
    pub fn data(&self) -> Option<Value> {
        let data = || json!({"rule": *self.rule, "reason": *self.reason, "retry_after_s": self.retry_after_s});
        (!self.is_hidden()).then(data)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl std::error::Error for Denial {}
