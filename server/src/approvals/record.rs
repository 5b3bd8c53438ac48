//! What is kept of one approval: all that a person has to see, and what they said.

use super::Id;
use crate::executions;
use exuvia_policies::{Approval, ApprovalState, Demand, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::{Duration, UNIX_EPOCH};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) id: Id,
    /// What it is bound to, and where it is. The fields below are for people: nothing is decided by them.
    pub(crate) approval: Approval,
    /// Who asks: the label of a grant.
    pub(crate) grant: String,
    pub(crate) tool: String,
    /// Canonical JSON.
    pub(crate) arguments: Box<RawValue>,
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// The version of the policy.
    pub(crate) policy: String,
    pub(crate) asked: Timestamp,
    /// The execution whose program waits; none for a client's own call, which is made again.
    pub(crate) execution: Option<executions::Id>,
    pub(crate) execution_name: Option<String>,
    /// Why it is asked once more.
    pub(crate) note: Option<String>,
    /// What the person said.
    pub(crate) words: Option<String>,
}

/// An approval as the operator sees it.
#[derive(Debug, Serialize)]
pub(crate) struct View<'a> {
    id: Id,
    state: ApprovalState,
    grant: &'a str,
    tool: &'a str,
    rule: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    policy: &'a str,
    asked_at: String,
    expires_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_uuid: Option<executions::Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a RawValue>,
}

impl Record {
    pub(super) fn new(demand: &Demand, approval: Approval, now: Timestamp) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: Id::new(),
            approval,
            grant: demand.grant().as_str().into(),
            tool: demand.tool().into(),
            arguments: RawValue::from_string(demand.arguments().as_json().into())?,
            rule: demand.rule().into(),
            reason: demand.reason().into(),
            policy: demand.policy().to_string(),
            asked: now,
            execution: None,
            execution_name: None,
            note: None,
            words: None,
        })
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.approval.expires()
    }

    /// Whether it was asked for the same call, whatever the policy was then.
    pub(super) fn is_like(&self, demand: &Demand) -> bool {
        self.grant == demand.grant().as_str()
            && self.tool == demand.tool()
            && self.arguments.get() == demand.arguments().as_json()
    }

    /// `whole`: with the arguments.
    pub(crate) fn view(&self, whole: bool) -> View<'_> {
        View {
            id: self.id,
            state: self.approval.state(),
            grant: &self.grant,
            tool: &self.tool,
            rule: &self.rule,
            reason: &self.reason,
            note: self.note.as_deref(),
            policy: &self.policy,
            asked_at: time(self.asked),
            expires_at: time(self.approval.expires()),
            execution_uuid: self.execution,
            execution_name: self.execution_name.as_deref(),
            arguments: whole.then_some(&*self.arguments),
        }
    }
}

/// RFC 3339, in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(at.as_millis())).to_string()
}
