//! The audit: one line for each decision, chained so that a line that is cut out, edited or moved shows.
//!
//! A line has the grant, the tool, the rule and the names of the arguments, never their values. `chain` seals lines,
//! `log` writes and rotates the files, `verify` reads them and holds them against the chain.

mod chain;
mod log;
mod verify;

pub(crate) use log::Audit;
pub(crate) use verify::{Verdict, lines, verify};

use crate::approvals;
use crate::gate::Asker;
use exuvia_policies::{Arguments, Digest};
use serde::Serialize;
use std::time::Duration;

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
    /// It would have been refused, had the policy been enforced.
    Shadow,
    /// A person is asked.
    Approval,
    /// The person said yes; the call itself is decided anew.
    Approved,
    /// The person said no.
    Rejected,
}

impl Decision {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Shadow => "shadow",
            Self::Approval => "approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// One decision, as the gate made it.
#[derive(Clone, Copy)]
pub(crate) struct Decided<'a> {
    pub(crate) asker: Asker<'a>,
    pub(crate) tool: &'a str,
    /// The version of the policy.
    pub(crate) policy: Option<&'a Digest>,
    pub(crate) decision: Decision,
    pub(crate) rule: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) arguments: Option<&'a Arguments>,
    pub(crate) took: Duration,
    /// What a person is asked, or has said.
    pub(crate) approval: Option<approvals::Id>,
    /// Who decided, when it was not the policy.
    pub(crate) by: Option<&'static str>,
    /// The secret that it is about.
    pub(crate) secret: Option<&'a str>,
    /// Where an HTTP request is to go.
    pub(crate) to: Option<To<'a>>,
}

/// Where an HTTP request is to go. Its path, headers and body may have what must not be written down.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct To<'a> {
    pub(crate) method: &'a str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// What the host's name led to, where that is why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<std::net::IpAddr>,
}

impl<'a> Decided<'a> {
    /// A refusal of which nothing more is known.
    pub(crate) fn of(asker: Asker<'a>, tool: &'a str) -> Self {
        Self {
            asker,
            tool,
            policy: None,
            decision: Decision::Deny,
            rule: "",
            reason: "",
            arguments: None,
            took: Duration::ZERO,
            approval: None,
            by: None,
            secret: None,
            to: None,
        }
    }
}

/// A line's fields, but for those of the chain.
#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    grant: &'a str,
    tool: &'a str,
    policy: Option<&'a Digest>,
    decision: &'static str,
    rule: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    latency_us: u64,
    /// Names of top-level arguments, sorted.
    arguments: Vec<String>,
    /// The execution whose program made the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<approvals::Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<To<'a>>,
}

/// Most names of arguments in one line, and most characters of one: a caller chooses them.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 128;

impl<'a> Entry<'a> {
    fn new(decided: &Decided<'a>) -> Self {
        let names = decided.arguments.into_iter().flat_map(Arguments::keys).take(MOST_NAMES);
        Self {
            time: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
            grant: decided.asker.grant,
            tool: decided.tool,
            policy: decided.policy,
            decision: decided.decision.name(),
            rule: decided.rule,
            message: decided.reason,
            latency_us: u64::try_from(decided.took.as_micros()).unwrap_or(u64::MAX),
            arguments: names.map(|name| name.chars().take(LONGEST_NAME).collect()).collect(),
            parent: decided.asker.parent.map(|id| id.to_string()),
            approval: decided.approval,
            by: decided.by,
            secret: decided.secret,
            to: decided.to,
        }
    }
}
