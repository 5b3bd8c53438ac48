//! The tools that speak of other tools.

use super::answer::{Answered, failed, structured};
use super::arguments::read;
use crate::app::App;
use crate::executions::Answer;
use crate::upstream::Tool;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Tools in one answer of `searchTools`, and of `listTools` on one page.
const MOST_FOUND: usize = 20;
const PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
}

pub(super) fn search(app: &App, given: Map<String, Value>) -> Answered {
    let SearchArguments { query } = read(given)?;
    let catalog = app.upstreams.catalog();
    let tools: Vec<_> = catalog.search(&query, MOST_FOUND).into_iter().map(|tool| short(tool)).collect();
    structured(&json!({ "tools": tools, "servers": app.upstreams.servers() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DetailsArguments {
    tool_name: String,
}

pub(super) fn details(app: &App, given: Map<String, Value>) -> Answered {
    let DetailsArguments { tool_name } = read(given)?;
    let catalog = app.upstreams.catalog();
    let Some(tool) = catalog.find(&tool_name) else { return Err(unknown(app, &tool_name)) };
    structured(&json!({
        "name": tool.alias,
        "server": tool.server,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
    }))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ListArguments {
    after: Option<String>,
}

pub(super) fn list(app: &App, given: Map<String, Value>) -> Answered {
    let ListArguments { after } = read(given)?;
    let catalog = app.upstreams.catalog();
    let rest = catalog.tools().iter().filter(|tool| after.as_ref().is_none_or(|after| tool.alias > *after));
    let page: Vec<_> = rest.take(PAGE + 1).collect();
    let next = page.get(PAGE).and_then(|_| page.get(PAGE - 1)).map(|tool| tool.alias.clone());
    let tools: Vec<_> = page.iter().take(PAGE).map(|tool| short(tool)).collect();
    structured(&json!({ "tools": tools, "next": next, "servers": app.upstreams.servers() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecuteArguments {
    tool_alias_name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

pub(super) async fn execute(app: &App, given: Map<String, Value>) -> Answered {
    let ExecuteArguments { tool_alias_name, parameters } = read(given)?;
    match app.calls.execute(&tool_alias_name, parameters).await {
        Answer::Value(value) => structured(&json!({ "success": true, "result": value })),
        Answer::Text(text) => structured(&json!({ "success": true, "result": parsed(text) })),
        Answer::Error(refusal) => failed(&json!({ "success": false, "error": refusal })),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

pub(super) fn secrets(given: Map<String, Value>) -> Answered {
    let NoArguments {} = read(given)?;
    structured(&json!({ "secrets": [] }))
}

/// A text as the value that it is the JSON of, or else itself.
pub(crate) fn parsed(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn short(tool: &Tool) -> Value {
    json!({ "name": tool.alias, "server": tool.server, "description": tool.description })
}

fn unknown(app: &App, name: &str) -> String {
    let catalog = app.upstreams.catalog();
    let near = catalog.nearest(name, 3);
    let near = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
    format!("there is no tool `{name}`: `searchTools` finds those that are connected.{near}")
}
