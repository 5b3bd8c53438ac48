//! What tells a model how to use the server: instructions, a resource, a prompt.

use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, ReadResourceResult, Resource,
    ResourceContents, Role,
};
use serde_json::json;

pub(super) const INSTRUCTIONS: &str = "\
Runs Python (CPython 3.13, NumPy, pandas) in a sandbox. Inside it, the tools of the connected MCP servers are plain functions \
named mcp_<Server>_<tool>. Use searchTools to find them, executeCode to run a script that answers within five minutes, and \
asyncExecuteCode with checkCodeExecStatus (wait_seconds: 60) for longer work. Prefer one script over many single tool calls. \
The resource exuvia://guide/executeCode says more.";

const URI: &str = "exuvia://guide/executeCode";
const GUIDE: &str = include_str!("guide.md");
const PROMPT: &str = "solve_with_code";

pub(super) fn resource() -> Resource {
    let mut resource = Resource::new(URI, "how to use executeCode");
    resource.title = Some("How to use executeCode".into());
    resource.description = Some("How scripts call tools, take inputs, give results, and run for long.".into());
    resource.mime_type = Some("text/markdown".into());
    resource.size = Some(GUIDE.len() as u64);
    resource
}

pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    if uri != URI {
        let known = json!({ "uri": uri, "known": [URI] });
        return Err(ErrorData::resource_not_found(format!("there is no resource `{uri}`"), Some(known)));
    }
    Ok(ReadResourceResult::new(vec![ResourceContents::text(GUIDE, URI).with_mime_type("text/markdown")]))
}

pub(super) fn prompt() -> Prompt {
    let mut task = PromptArgument::new("task");
    task.description = Some("What is to be done, in a sentence or two.".into());
    task.required = Some(true);
    let mut prompt =
        Prompt::new(PROMPT, Some("Solve a task with one Python script that calls tools"), Some(vec![task]));
    prompt.title = Some("Solve with code".into());
    prompt
}

pub(super) fn get_prompt(request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    if request.name != PROMPT {
        return Err(ErrorData::invalid_params(format!("there is no prompt `{}`", request.name), None));
    }
    let task = request.arguments.as_ref().and_then(|arguments| arguments.get("task")).and_then(|task| task.as_str());
    let Some(task) = task.filter(|task| !task.trim().is_empty()) else {
        return Err(ErrorData::invalid_params("the prompt needs the argument `task`", None));
    };
    let text = format!(
        "{task}\n\nDo this with executeCode: find the tools you need with searchTools, read their parameters with \
         getToolDetails, then write one Python script that does all of it and ends with an expression that is the answer. \
         Use asyncExecuteCode if it may take longer than five minutes.\n\n{GUIDE}"
    );
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}
