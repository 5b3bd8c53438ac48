//! Results as a model reads them: structured, and the same as text.

use crate::gate::Denied;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ErrorCode};
use serde::Serialize;
use serde_json::json;

/// A tool's answer, or what was wrong with the question.
pub(super) type Answered = Result<CallToolResult, String>;

pub(super) fn structured(value: &impl Serialize) -> Answered {
    let value = serde_json::to_value(value).map_err(|error| format!("the answer has no form in JSON: {error}"))?;
    Ok(CallToolResult::structured(value))
}

/// A result of a program that failed: the model reads it all, and knows that it failed.
pub(super) fn failed(value: &impl Serialize) -> Answered {
    let value = serde_json::to_value(value).map_err(|error| format!("the answer has no form in JSON: {error}"))?;
    Ok(CallToolResult::structured_error(value))
}

/// What the model reads when its call could not be done as it stands.
pub(super) fn refused(why: String) -> CallToolResult {
    let mut result = CallToolResult::structured_error(json!({ "success": false, "error": { "message": why } }));
    // Output schemas describe successes; and the text alone says it better.
    result.structured_content = None;
    result.content = vec![rmcp::model::ContentBlock::text(why)];
    result
}

/// What the policy refuses: a text, and what a program can act upon.
pub(super) fn denied(denied: &Denied) -> CallToolResult {
    let mut result = CallToolResult::structured_error(denied.data());
    result.content = vec![rmcp::model::ContentBlock::text(denied.text())];
    result
}

/// `shows`: whether a tool may be named.
pub(super) fn unknown_tool(name: &str, shows: impl Fn(&str) -> bool) -> ErrorData {
    let names = super::tools::ALL.iter().map(|tool| tool.name.as_ref()).filter(|name| shows(name));
    let near = crate::executions::nearest(name, names);
    let near = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
    ErrorData::new(ErrorCode::INVALID_PARAMS, format!("there is no tool `{name}`{near}"), None)
}
