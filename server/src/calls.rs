//! The one way to an upstream tool, whoever asks: a script, `executeTool`, or REST.

use crate::executions::{Answer, Answering, Caller, Tools};
use crate::upstream::{Catalog, Tool, Upstreams};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Most names offered instead of one that is unknown.
const MOST_OFFERED: usize = 3;

/// Finds tools, checks arguments, calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    upstreams: Upstreams,
    within: Duration,
}

impl Calls {
    /// `within`: most time for one call.
    pub(crate) fn new(upstreams: Upstreams, within: Duration) -> Self {
        Self { upstreams, within }
    }

    /// Calls the tool `alias`, and gives what Python would get.
    pub(crate) async fn execute(&self, alias: &str, arguments: Map<String, Value>) -> Answer {
        let catalog = self.upstreams.catalog();
        let Some(tool) = find(&catalog, alias) else { return self.unknown(&catalog, alias) };
        self.checked(Arc::clone(tool), Vec::new(), arguments).await
    }

    async fn checked(&self, tool: Arc<Tool>, positional: Vec<Value>, named: Map<String, Value>) -> Answer {
        let arguments = match tool.arguments(positional, named) {
            Ok(arguments) => arguments,
            Err(why) => return Answer::error("ToolArgumentError", why),
        };
        match self.upstreams.call(&tool, arguments, self.within).await {
            Ok(result) => unwrapped(&tool, result),
            Err(error) => Answer::error("ToolError", format!("`{}`: {error}", tool.alias)),
        }
    }
}

impl Calls {
    fn permitted<'a>(&self, catalog: &'a Catalog, caller: &Caller, name: &str) -> Result<&'a Arc<Tool>, Answer> {
        let tool = find(catalog, name).ok_or_else(|| self.unknown(catalog, name))?;
        if caller.reach.includes(&tool.server, &tool.alias) {
            return Ok(tool);
        }
        Err(Answer::error(
            "ToolNotAvailable",
            format!(
                "unauthorized: `{alias}` is not among the tools of this execution: add \"{server}\" to `mcp_server_names`, or \
                 \"{alias}\" to `required_tools`",
                alias = tool.alias,
                server = tool.server,
            ),
        ))
    }

    fn unknown(&self, catalog: &Catalog, name: &str) -> Answer {
        if let Some(why) = self.upstreams.explain(name) {
            return Answer::error("ToolNotAvailable", format!("`{name}` cannot be called: {why}"));
        }
        let near: Vec<_> = catalog.nearest(name, MOST_OFFERED).into_iter().map(|near| format!("`{near}`")).collect();
        let offer = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(", ")) };
        Answer::error(
            "ToolNotAvailable",
            format!(
                "there is no tool `{name}`: {offer}`searchTools` finds the tools that are connected, and \
                 `addRemoteMcpServer` connects another server"
            ),
        )
    }
}

impl Tools for Calls {
    fn call(&self, caller: &Caller, name: String, positional: Vec<Value>, named: Map<String, Value>) -> Answering {
        let catalog = self.upstreams.catalog();
        match self.permitted(&catalog, caller, &name) {
            Ok(tool) => {
                tracing::info!(execution = %caller.execution, grant = caller.grant, tool = tool.alias, "call");
                let (calls, tool) = (self.clone(), Arc::clone(tool));
                Box::pin(async move { calls.checked(tool, positional, named).await })
            }
            Err(refusal) => Box::pin(std::future::ready(refusal)),
        }
    }

    fn describe(&self, caller: &Caller, name: &str) -> Answer {
        let catalog = self.upstreams.catalog();
        match self.permitted(&catalog, caller, name) {
            Ok(tool) => match serde_json::to_value(tool.signature()) {
                Ok(signature) => Answer::Value(signature),
                Err(error) => Answer::error("ToolError", error.to_string()),
            },
            Err(refusal) => refusal,
        }
    }
}

/// A tool by its alias; the prefix may be left out, as the SDK's users do.
fn find<'a>(catalog: &'a Catalog, alias: &str) -> Option<&'a Arc<Tool>> {
    catalog.find(alias).or_else(|| catalog.find(&format!("mcp_{alias}")))
}

/// What Python gets of an answer: an error, structured content, a text, or the content as it is.
fn unwrapped(tool: &Tool, result: CallToolResult) -> Answer {
    if result.is_error == Some(true) {
        let text = texts(&result.content).unwrap_or_else(|| "the tool failed and said nothing".into());
        return Answer::error("ToolError", format!("`{}`: {text}", tool.alias));
    }
    if let Some(value) = result.structured_content {
        return Answer::Value(value);
    }
    if let Some(text) = texts(&result.content) {
        return Answer::Text(text);
    }
    match serde_json::to_value(&result.content) {
        Ok(content) => Answer::Value(content),
        Err(error) => Answer::error("ToolError", format!("`{}`: {error}", tool.alias)),
    }
}

/// The text of content that is nothing but text.
fn texts(content: &[ContentBlock]) -> Option<String> {
    let texts: Option<Vec<_>> = content.iter().map(|block| block.as_text().map(|text| text.text.as_str())).collect();
    texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join("\n"))
}
