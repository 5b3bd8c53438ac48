//! A policy document as it was read: typed, checked, and printed again as what was read.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::condition::Condition;
use crate::extensions::Extensions;
use crate::window::Window;

/// The whole document. `BTreeMap`s, so that the order in which it names tools can matter to nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    pub(crate) version: &'static str,
    pub(crate) default: Default,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) hide: BTreeSet<Box<str>>,
    #[serde(skip_serializing_if = "AllTools::is_empty")]
    pub(crate) all_tools: AllTools,
    pub(crate) tools: BTreeMap<Box<str>, Tool>,
    #[serde(rename = "x-sandbox", skip_serializing_if = "Option::is_none")]
    pub(crate) extensions: Option<Box<Extensions>>,
}

/// What becomes of a tool that `tools` does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Default {
    Allow,
    Deny,
}

/// Quotas over every call.
#[derive(Debug, Clone, Serialize, core::default::Default)]
pub(crate) struct AllTools {
    pub(crate) limits: Vec<Limit>,
}

impl AllTools {
    fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }
}

/// The rules of one tool.
#[derive(Debug, Clone, Serialize, core::default::Default)]
pub(crate) struct Tool {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) require: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny_if: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) limits: Vec<Limit>,
    /// The id of the tool's own entry, `/tools/<name>`.
    #[serde(skip)]
    pub(crate) id: Arc<str>,
}

/// Conditions, all of which must hold, and what a caller is told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_deny: Option<Arc<str>>,
    /// As denials and the audit name it: `/tools/create_charge/deny_if/args.amount-gt`.
    #[serde(skip)]
    pub(crate) id: Arc<str>,
}

/// At most `max` calls in each window.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limit {
    pub(crate) counter: Box<str>,
    pub(crate) window: Window,
    pub(crate) max: u64,
    pub(crate) scope: Scope,
    /// As denials and the audit name it: `/tools/executeCode/limits/executecode_rate`.
    #[serde(skip)]
    pub(crate) id: Arc<str>,
}

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    Grant,
}
