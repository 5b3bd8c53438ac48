//! The one way to an upstream tool, whoever asks: a script, `executeTool`, or REST. Each call is decided by the gate,
//! under the grant of the client.

use crate::executions::{Answer, Answering, Caller, Tools};
use crate::gate::{Asked, Asker, Gate, Stop};
use crate::upstream::{Catalog, Tool, Upstreams};
use exuvia_policies::{Arguments, Effect, Policy};
use exuvia_runtime::{Stay, Witness};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Most names offered instead of one that is unknown.
const MOST_OFFERED: usize = 3;
/// Most names of which those are chosen: some may be hidden.
const MOST_LOOKED_AT: usize = 100;

/// Finds tools, checks arguments, calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls {
    upstreams: Upstreams,
    gate: Arc<Gate>,
    within: Duration,
}

impl Calls {
    /// `within`: most time for one call.
    pub(crate) fn new(upstreams: Upstreams, gate: Arc<Gate>, within: Duration) -> Self {
        Self { upstreams, gate, within }
    }

    /// Calls the tool `alias`, and gives what Python would get.
    pub(crate) async fn execute(&self, grant: &str, alias: &str, arguments: Map<String, Value>) -> Answer {
        let catalog = self.catalog_for(alias).await;
        let Some(tool) = find(&catalog, alias) else { return self.unknown(&catalog, grant, alias) };
        self.checked(Asker::client(grant), Arc::clone(tool), Vec::new(), arguments, Witness::none()).await
    }

    async fn checked(
        &self,
        asker: Asker<'_>,
        tool: Arc<Tool>,
        positional: Vec<Value>,
        named: Map<String, Value>,
        witness: Witness,
    ) -> Answer {
        let decided = self.gate.decide(asker, &tool.alias, || {
            // First: what is wrong with the arguments is said in words of the tool's definition.
            self.gate.pinned(asker, &tool)?;
            let arguments = tool.arguments(positional, named).and_then(|arguments| with_defaults(&tool, arguments));
            let arguments = arguments.map_err(Stop::Arguments)?;
            Ok(Asked { arguments, schema: None, definition: Some(tool.digest()) })
        });
        let effect = match decided.await {
            Ok(granted) => granted.spend(),
            Err(Stop::Arguments(why)) => return Answer::error("ToolArgumentError", why),
            Err(Stop::Denied(denied)) if denied.is_hidden => {
                return self.unknown(&self.upstreams.catalog(), asker.grant, &tool.alias);
            }
            Err(Stop::Denied(denied)) => return Answer::Denied(denied),
        };
        let Effect { arguments, receipt, .. } = effect;
        // The decision may have taken a person hours.
        let now = self.upstreams.catalog();
        if now.find(&tool.alias).is_some_and(|now| now.digest() != tool.digest()) {
            self.gate.unsent(receipt);
            return Answer::Denied(self.gate.changed(asker, &tool));
        }
        // What a tool says of itself is a hint; an operator who doubts it has its calls approved or denied.
        let is_repeatable = tool.annotations.read_only || tool.annotations.idempotent;
        if !is_repeatable && let Err(stay) = witness.leaves().await {
            self.gate.unsent(receipt);
            return not_sent(&tool, stay);
        }
        let mut answer = match self.upstreams.call(&tool, object(&arguments), self.within).await {
            Ok(result) => {
                let answer = unwrapped(&tool, result);
                self.gate.settle(receipt, !matches!(answer, Answer::Error(_)));
                answer
            }
            Err(error) => {
                if error.never_left() {
                    self.gate.unsent(receipt);
                } else {
                    self.gate.settle(receipt, false);
                }
                Answer::error("ToolError", format!("`{}`: {error}", tool.alias))
            }
        };
        // Here: before a journal, a program or a client has it.
        if let Some(policy) = self.gate.policy(asker.grant).filter(Policy::redacts) {
            answer.redact(&policy);
        }
        answer
    }
}

fn not_sent(tool: &Tool, stay: Stay) -> Answer {
    match stay {
        Stay::InDoubt => Answer::in_doubt(&tool.alias),
        Stay::Unrecorded(why) => Answer::error(
            "ToolError",
            format!("`{}` was not called, as that cannot be written down: {why}", tool.alias),
        ),
    }
}

/// Arguments with the defaults of the schema: what the tool will use, and so what the policy has to see.
fn with_defaults(tool: &Tool, arguments: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let schema = Value::Object((*tool.input_schema).clone());
    let filled = Arguments::with_defaults(Value::Object(arguments), &schema).map_err(|error| error.to_string())?;
    // Once more: a default has to fit, too.
    tool.arguments(Vec::new(), object(&filled))
}

fn object(arguments: &Arguments) -> Map<String, Value> {
    arguments.value().as_object().cloned().unwrap_or_default()
}

impl Calls {
    /// The catalog. A server that is only just connecting is waited for when the tool may be one of its.
    async fn catalog_for(&self, name: &str) -> Arc<Catalog> {
        let catalog = self.upstreams.catalog();
        if find(&catalog, name).is_some() {
            return catalog;
        }
        self.upstreams.settled_for(name, self.within).await;
        self.upstreams.catalog()
    }

    fn permitted<'a>(&self, catalog: &'a Catalog, caller: &Caller, name: &str) -> Result<&'a Arc<Tool>, Answer> {
        let tool = find(catalog, name).ok_or_else(|| self.unknown(catalog, caller.live.grant(), name))?;
        // What is hidden is not spoken of; the gate denies it.
        if caller.reach.includes(&tool.server, &tool.alias) || !self.gate.shows(caller.live.grant(), &tool.alias) {
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

    fn unknown(&self, catalog: &Catalog, grant: &str, name: &str) -> Answer {
        if let Some(why) = self.upstreams.explain(name) {
            return Answer::error("ToolNotAvailable", format!("`{name}` cannot be called: {why}"));
        }
        let near = catalog.nearest(name, MOST_LOOKED_AT).into_iter().filter(|near| self.gate.shows(grant, near));
        let near: Vec<_> = near.take(MOST_OFFERED).map(|near| format!("`{near}`")).collect();
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
    fn call(
        &self,
        caller: &Caller,
        name: String,
        positional: Vec<Value>,
        named: Map<String, Value>,
        witness: Witness,
    ) -> Answering {
        let (calls, caller) = (self.clone(), caller.clone());
        Box::pin(async move {
            let catalog = calls.catalog_for(&name).await;
            let tool = match calls.permitted(&catalog, &caller, &name) {
                Ok(tool) => Arc::clone(tool),
                Err(refusal) => return refusal,
            };
            let asker = Asker::program(&caller.live);
            calls.checked(asker, tool, positional, named, witness).await
        })
    }

    fn describe(&self, caller: &Caller, name: String) -> Answering {
        let (calls, caller) = (self.clone(), caller.clone());
        Box::pin(async move {
            let catalog = calls.catalog_for(&name).await;
            match calls.permitted(&catalog, &caller, &name) {
                Ok(tool) if calls.gate.offered(caller.live.grant(), vec![tool]).is_empty() => {
                    calls.unknown(&catalog, caller.live.grant(), &name)
                }
                Ok(tool) => match serde_json::to_value(tool.signature()) {
                    Ok(signature) => Answer::Value(signature),
                    Err(error) => Answer::error("ToolError", error.to_string()),
                },
                Err(refusal) => refusal,
            }
        })
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
