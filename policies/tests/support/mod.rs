//! What the tests share: a policy from its text, and a call of a tool.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use exuvia_policies::{Arguments, Call, Counters, Denial, Grant, Permit, Policy, Refusal, Timestamp};
use serde_json::Value;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_366_800);

pub(crate) fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A policy of one tool, `t`, with `default: deny` and these extensions.
pub(crate) fn tool_policy(tool: &str, extensions: &str) -> Policy {
    policy(&format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}},"x-sandbox":{extensions}}}"#))
}

pub(crate) fn call(
    policy: &Policy,
    grant: &str,
    tool: &str,
    arguments: Value,
    now: Timestamp,
    counters: &dyn Counters,
) -> Result<Permit, Refusal> {
    let (grant, arguments) = (Grant::new(grant), Arguments::new(arguments).unwrap());
    policy.decide(&Call { grant: &grant, tool, arguments: &arguments, definition: None }, now, counters)
}

pub(crate) fn denial(decided: Result<Permit, Refusal>) -> Denial {
    match decided {
        Err(Refusal::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}
