//! Everything under `x-sandbox`: what `PolicyLayer`'s documents do not have, under one key, so that the rest can be pasted
//! from and to them.

use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use crate::condition::Condition;
use crate::digest::Digest;
use crate::duration;
use crate::hosts::HostPattern;
use crate::packages::Requirement;
use crate::paths::PathPrefix;
use crate::pattern::Pattern;
use crate::secrets::Secret;

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Extensions {
    pub(crate) mode: Mode,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) approve_if: BTreeMap<Box<str>, Vec<ApprovalRule>>,
    #[serde(skip_serializing_if = "EgressRules::is_empty")]
    pub(crate) egress: EgressRules,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) secrets: BTreeMap<Box<str>, Secret>,
    #[serde(skip_serializing_if = "PackageRules::is_empty")]
    pub(crate) packages: PackageRules,
    #[serde(skip_serializing_if = "Caps::is_empty")]
    pub(crate) caps: Caps,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) breaker: Option<BreakerRules>,
    pub(crate) redact: RedactRules,
    /// Digests of the definitions that the operator has seen, by tool.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) pins: BTreeMap<Box<str>, Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tests: Vec<Example>,
}

/// Whether refusals have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Enforce,
    /// Calls are decided and pass, the refusal with them, for the audit.
    Shadow,
}

/// A call that a person has to approve.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ApprovalRule {
    pub(crate) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Arc<str>>,
    /// Seconds.
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) timeout: NonZeroU64,
    #[serde(skip)]
    pub(crate) id: Arc<str>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct EgressRules {
    pub(crate) allow: Vec<EgressRule>,
}

impl EgressRules {
    fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct EgressRule {
    pub(crate) host: HostPattern,
    /// Upper case. None: every method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) methods: Option<BTreeSet<Box<str>>>,
    /// None: the scheme's own port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<BTreeSet<u16>>,
    /// None: every path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paths: Option<BTreeSet<PathPrefix>>,
    #[serde(skip)]
    pub(crate) id: Arc<str>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct PackageRules {
    pub(crate) allow: Vec<Requirement>,
}

impl PackageRules {
    fn is_empty(&self) -> bool {
        self.allow.is_empty()
    }
}

/// Upper bounds on what one run may use. What is none is not bounded by the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Caps {
    /// Seconds from the start of the run to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<u64>,
    /// Seconds of computing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<u64>,
    /// MiB of linear memory and files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Bytes kept of each of stdout and stderr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_bytes: Option<u64>,
    /// Tool calls of one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// Bytes sent and received by one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<u64>,
    /// Runs of one grant at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u64>,
}

impl Caps {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A run's limit under a cap: a policy lowers a limit, and never raises one.
    pub fn lower(limit: u64, cap: Option<u64>) -> u64 {
        cap.map_or(limit, |cap| limit.min(cap))
    }
}

/// When a grant's calls of one tool are stopped for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BreakerRules {
    /// After so many failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<NonZeroU32>,
    /// After so many calls in a row with the same arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identical_calls: Option<NonZeroU32>,
    /// Seconds.
    pub cooldown_s: NonZeroU64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RedactRules {
    pub(crate) secrets: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) patterns: Vec<Pattern>,
}

impl Default for RedactRules {
    fn default() -> Self {
        Self { secrets: true, patterns: Vec::new() }
    }
}

/// One of a document's own `tests`: a call, and what is to become of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Example {
    pub(crate) name: Box<str>,
    pub(crate) call: ExampleCall,
    pub(crate) repeat: NonZeroU32,
    pub(crate) expect: Expectation,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct ExampleCall {
    pub(crate) tool: Box<str>,
    pub(crate) args: Value,
}

/// What is to become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    Allow,
    Deny,
    /// It waits for approval.
    Approve,
}
