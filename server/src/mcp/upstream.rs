//! The tools that speak of other tools.

use super::answer::{self, Answered, failed, structured};
use super::arguments::read;
use crate::app::App;
use crate::executions::{Answer, ends};
use crate::upstream::{self, Added, Flow, Status, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Tools in one answer of `searchTools`, and of `listTools` on one page.
const MOST_FOUND: usize = 20;
const PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchArguments {
    query: String,
}

pub(super) fn search(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let SearchArguments { query } = read(given)?;
    let catalog = app.upstreams.catalog();
    let found = app.gate.offered(grant, catalog.search(&query, usize::MAX)).into_iter();
    let tools: Vec<_> = found.take(MOST_FOUND).map(|tool| short(tool)).collect();
    structured(&json!({ "tools": tools, "servers": servers(app) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DetailsArguments {
    tool_name: String,
}

pub(super) fn details(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let DetailsArguments { tool_name } = read(given)?;
    let catalog = app.upstreams.catalog();
    let shown = app.gate.offered(grant, catalog.find(&tool_name).into_iter().collect());
    let Some(tool) = shown.first() else { return Err(unknown(app, grant, &tool_name)) };
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

pub(super) fn list(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let ListArguments { after } = read(given)?;
    let catalog = app.upstreams.catalog();
    let shown = app.gate.offered(grant, catalog.tools().iter().collect()).into_iter();
    let rest = shown.filter(|tool| after.as_ref().is_none_or(|after| tool.alias > *after));
    let page: Vec<_> = rest.take(PAGE + 1).collect();
    let next = page.get(PAGE).and_then(|_| page.get(PAGE - 1)).map(|tool| tool.alias.clone());
    let tools: Vec<_> = page.iter().take(PAGE).map(|tool| short(tool)).collect();
    structured(&json!({ "tools": tools, "next": next, "servers": servers(app) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecuteArguments {
    tool_alias_name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

pub(super) async fn execute(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let ExecuteArguments { tool_alias_name, parameters } = read(given)?;
    match app.calls.execute(grant, &tool_alias_name, parameters).await {
        Answer::Value(value) => shown(app, grant, value).await,
        Answer::Text(text) => shown(app, grant, parsed(text)).await,
        Answer::Denied(denied) => Ok(answer::denied(&denied)),
        Answer::Error(refusal) => failed(&json!({ "success": false, "error": refusal })),
    }
}

/// A tool's answer; one that is too long is its head and its tail, and whole as a file, which a script can be given.
async fn shown(app: &App, grant: &str, value: Value) -> Answered {
    let whole = value.to_string();
    let Some(ends) = ends(&whole, app.executor.longest_value()) else {
        return structured(&json!({ "success": true, "result": value }));
    };
    let (shelf, grant) = (app.shelf.clone(), grant.to_owned());
    let kept = tokio::task::spawn_blocking(move || shelf.give(&grant, "answer.json", &mut whole.as_bytes())).await;
    let kept = kept.map_err(|error| error.to_string())?;
    let more = match kept {
        Ok(file) => json!({ "result": file }),
        Err(why) => json!({ "warning": format!("all of it is not kept: {why}") }),
    };
    structured(&json!({ "success": true, "result": ends, "truncated": true, "more": more }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArguments {}

pub(super) fn secrets(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let NoArguments {} = read(given)?;
    structured(&json!({ "secrets": app.secrets.listed(app.gate.policy(grant).as_ref()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddArguments {
    server_name: String,
    server_url: Option<String>,
    #[serde(default)]
    env_args: BTreeMap<String, String>,
    template_id: Option<String>,
    credentials: Option<BTreeMap<String, String>>,
}

pub(super) async fn add(app: &App, given: Map<String, Value>) -> Answered {
    let AddArguments { server_name, server_url, mut env_args, template_id, credentials } = read(given)?;
    if let Some(template) = template_id {
        return Err(format!(
            "`template_id` is `{template}`: this server has no catalogue of servers; give the `server_url` instead"
        ));
    }
    env_args.extend(credentials.unwrap_or_default());
    let url =
        server_url.ok_or("`server_url` is missing: give the address of the MCP server, as in https://host/mcp")?;
    let added = app.remotes.add(&server_name, &url, &env_args).await.map_err(|error| upstream::chain(&error))?;
    outcome(&server_name, added)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateArguments {
    server_name: String,
    server_url: Option<String>,
    env_args: Option<BTreeMap<String, String>>,
}

pub(super) async fn update(app: &App, given: Map<String, Value>) -> Answered {
    let UpdateArguments { server_name, server_url, env_args } = read(given)?;
    let updated = app.remotes.update(&server_name, server_url.as_deref(), env_args.as_ref()).await;
    outcome(&server_name, updated.map_err(|error| upstream::chain(&error))?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedArguments {
    server_name: String,
}

pub(super) async fn remove(app: &App, given: Map<String, Value>) -> Answered {
    let NamedArguments { server_name } = read(given)?;
    app.remotes.remove(&server_name).await.map_err(|error| upstream::chain(&error))?;
    structured(&json!({ "success": true, "server_name": server_name }))
}

pub(super) async fn reauthorize(app: &App, given: Map<String, Value>) -> Answered {
    let NamedArguments { server_name } = read(given)?;
    let begun = app.remotes.oauth.reauthorize(&server_name).await.map_err(|error| upstream::chain(&error))?;
    outcome(&server_name, Added::RequiresAuth(begun))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowArguments {
    flow_id: String,
}

pub(super) fn flow(app: &App, given: Map<String, Value>) -> Answered {
    let FlowArguments { flow_id } = read(given)?;
    let flow = app.remotes.oauth.status(&flow_id).ok_or_else(|| {
        format!("there is no flow `{flow_id}`, or it ended long ago: ReAuthRemoteMcpServer begins another")
    })?;
    let (status, error) = match flow {
        Flow::Pending => ("pending", None),
        Flow::Authorized => ("authorized", None),
        Flow::Expired => ("expired", Some("the address was not opened in time: begin again".to_owned())),
        Flow::Failed { error } => ("failed", Some(error)),
    };
    let server = app.remotes.oauth.server(&flow_id);
    structured(&json!({ "flow_id": flow_id, "server_name": server, "status": status, "error": error }))
}

fn outcome(server: &str, added: Added) -> Answered {
    match added {
        Added::Ready { tools } => {
            structured(&json!({ "success": true, "server_name": server, "status": "ready", "tools": tools }))
        }
        Added::RequiresAuth(begun) => structured(&json!({
            "success": true,
            "server_name": server,
            "status": "needs_authorization",
            "requires_auth": true,
            "auth_url": begun.auth_url,
            "flow_id": begun.flow_id,
            "message": "Ask the user to open auth_url; then call checkRemoteMcpOauthStatus with flow_id until it is authorized.",
        })),
        Added::Down { error } => structured(&json!({
            "success": false,
            "server_name": server,
            "status": "down",
            "error": error,
            "message": "The server is kept, and connected as soon as that works.",
        })),
    }
}

/// The upstream servers, as clients see them.
pub(crate) fn servers(app: &App) -> Vec<Value> {
    app.upstreams.servers().iter().map(server).collect()
}

fn server(status: &Status) -> Value {
    let retry_in_s = status.state.retry_in().map(|time| time.as_secs());
    json!({
        "name": status.name,
        "transport": status.transport,
        "status": status.state.word(),
        "detail": status.state.to_string(),
        "retry_in_s": retry_in_s,
    })
}

/// A text as the value that it is the JSON of, or else itself.
pub(crate) fn parsed(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn short(tool: &Tool) -> Value {
    json!({ "name": tool.alias, "server": tool.server, "description": tool.description })
}

fn unknown(app: &App, grant: &str, name: &str) -> String {
    let catalog = app.upstreams.catalog();
    let near = catalog.nearest(name, 100).into_iter().filter(|near| app.gate.shows(grant, near));
    let near: Vec<_> = near.take(3).collect();
    let near = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
    format!("there is no tool `{name}`: `searchTools` finds those that are connected.{near}")
}
