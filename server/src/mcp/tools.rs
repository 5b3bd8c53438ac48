//! The tools that this server has: names and parameters are DataGen's, the words are ours.

use super::schema;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// All tools, in the order in which clients see them.
pub(super) static ALL: LazyLock<Vec<Tool>> = LazyLock::new(all);

/// Those that tell of the tools of all servers.
pub(super) const LIST_SERVERS: [&str; 3] = ["searchTools", "getToolDetails", "listTools"];

const EXECUTE: &str = "\
Run a Python script in a fresh, isolated CPython 3.13 (NumPy and pandas built in) and wait for its result.

Use it for anything that needs computation, data wrangling, or several tool calls in a row: one script replaces many \
single calls. For work that may take longer than five minutes use asyncExecuteCode and checkCodeExecStatus.

- Tools of the connected MCP servers are plain functions named mcp_<Server>_<tool>, e.g. mcp_Supabase_list_projects(). \
Call them with keyword arguments and without await. What they return is already parsed: a dict or list where the tool \
answered JSON, else a string. Find names with searchTools; never guess them. A failing tool raises ToolError.
- Name the servers or tools that the script uses in mcp_server_names or required_tools, or leave both out to have all.
- input_vars are global variables. The value of the script's last expression is `result`. Names in output_vars are read \
from the globals at the end. print() goes to stdout, and is shown even when the script fails.
- Several calls at once: concurrent.futures.ThreadPoolExecutor().map(f, items) overlaps all waits.
- Built in: the standard library, numpy, pandas, httpx, requests, PyYAML, python-dateutil, Jinja2, tabulate, openpyxl, \
beautifulsoup4. Files written to /mnt/data (the working directory) \
are listed in artifacts and kept: write what the user should get there. /tmp is scratch. There are no subprocesses and no sockets.

Without session_id each run starts from nothing. With one (any name you choose) it goes on where the last call with that name ended, as in \
a notebook: variables, imports and files are there; reset_session begins it anew. If the script raises, the answer has the traceback with \
the line; fix the script and run it again.";

const SUBMIT: &str = "\
Submit a Python script and get its execution_uuid at once, while it runs. For long work: polling loops, many tool calls, \
anything that may take minutes or hours. Takes what executeCode takes, without its limit of five minutes. The script is \
stored before this answers, and goes on when you disconnect. In it, exuvia_progress(0.4, \"loading\") tells whoever asks for its \
status how far it is. Give an idempotency_key if you may have to submit the same script again after a broken connection.

Afterwards call checkCodeExecStatus with the execution_uuid and wait_seconds (up to 60), until status is completed, failed, \
cancelled or timed_out. The id is yours alone, and the result is kept for days.";

const STATUS: &str = "\
Where an execution is and what it gave: status (pending, running, waiting_approval, completed, failed, cancelled, timed_out), its output so \
far, and at the end result, output_vars and error. Give wait_seconds so that the answer comes when the execution ends or that \
time has passed; do not poll in a tight loop. Give `since` (the `next` of the answer before) to get only what was printed \
since then.";

fn all() -> Vec<Tool> {
    let code = || object(schema::code());
    let job = || object(schema::job());
    let execution = || object(schema::execution());
    vec![
        tool("executeCode", "Run Python", EXECUTE, code(), changes()).with_raw_output_schema(execution()),
        tool("asyncExecuteCode", "Submit Python", SUBMIT, job(), changes())
            .with_raw_output_schema(object(schema::submitted())),
        tool("checkCodeExecStatus", "Check an execution", STATUS, object(schema::status()), reads())
            .with_raw_output_schema(execution()),
        tool("cancelCodeExec", "Cancel an execution", CANCEL, object(schema::cancel()), changes().idempotent(true))
            .with_raw_output_schema(object(schema::cancelled())),
        tool("listCodeExecs", "List executions", LIST_EXECS, object(schema::list_executions()), reads())
            .with_raw_output_schema(object(schema::executions())),
        tool("searchTools", "Search tools", SEARCH, object(schema::search()), reads())
            .with_raw_output_schema(object(schema::tools())),
        tool("getToolDetails", "Describe a tool", DETAILS, object(schema::details()), reads())
            .with_raw_output_schema(object(schema::tool())),
        tool("listTools", "List tools", LIST_TOOLS, object(schema::list_tools()), reads())
            .with_raw_output_schema(object(schema::tools())),
        tool("executeTool", "Call one tool", EXECUTE_TOOL, object(schema::execute_tool()), changes())
            .with_raw_output_schema(object(schema::tool_result())),
        tool("addRemoteMcpServer", "Add an MCP server", ADD_SERVER, object(schema::add_server()), changes())
            .with_raw_output_schema(object(schema::server_outcome())),
        tool(
            "updateRemoteMcpServer",
            "Change an MCP server",
            UPDATE_SERVER,
            object(schema::update_server()),
            changes(),
        )
        .with_raw_output_schema(object(schema::server_outcome())),
        tool("removeRemoteMcpServer", "Remove an MCP server", REMOVE_SERVER, object(schema::one_server()), changes())
            .with_raw_output_schema(object(schema::server_outcome())),
        tool("ReAuthRemoteMcpServer", "Authorize again", REAUTHORIZE, object(schema::one_server()), changes())
            .with_raw_output_schema(object(schema::server_outcome())),
        tool("checkRemoteMcpOauthStatus", "Check an authorization", FLOW, object(schema::flow()), reads())
            .with_raw_output_schema(object(schema::flow_status())),
        tool("getUserSecrets", "List secrets", SECRETS, object(schema::nothing()), reads())
            .with_raw_output_schema(object(schema::secrets())),
    ]
}

const CANCEL: &str = "\
Stop an execution that is pending or running. What it printed so far stays readable through checkCodeExecStatus.";

const LIST_EXECS: &str = "\
Your executions, the newest first, with their status. For when an execution_uuid was lost, or to see what is running.";

const SEARCH: &str = "\
Find tools of the connected MCP servers by what they do. Answers their names (mcp_<Server>_<tool>), which are the functions \
to call in executeCode, with their descriptions. Use getToolDetails for a tool's parameters.";

const DETAILS: &str =
    "The parameters of one tool, as JSON Schema. Read them before the first call of a tool in a script.";

const LIST_TOOLS: &str = "\
All tools of the connected MCP servers, in pages of 200 (give the `next` of a page as `after`), and the state of each server. \
searchTools is shorter when you know what you are looking for.";

const EXECUTE_TOOL: &str = "\
Call one tool of a connected MCP server and get its result, without a script. For several calls, or to work with results, \
use executeCode.";

const ADD_SERVER: &str = "\
Connect a remote MCP server, so that its tools can be called. Give its address, and its token in env_args as API_KEY, \
BEARER_TOKEN, ACCESS_TOKEN, TOKEN or AUTHORIZATION, if it needs one. If it wants OAuth, the answer has requires_auth with an \
auth_url that the user must open; call checkRemoteMcpOauthStatus with its flow_id afterwards. The server is kept across restarts.";

const UPDATE_SERVER: &str = "\
Change the address of a server that was added with addRemoteMcpServer, or its token (env_args), or just read its tools anew.";

const REMOVE_SERVER: &str =
    "Disconnect a server that was added with addRemoteMcpServer, and forget it with its tokens.";

const REAUTHORIZE: &str = "\
Begin a new OAuth authorization of a connected MCP server; its configuration stays. Answers an auth_url for the user to open.";

const FLOW: &str = "\
Whether the user has completed an OAuth authorization: pending, authorized, expired (after 15 minutes) or failed.";

const SECRETS: &str = "The names of the secrets that scripts may use, with masked values. Values are never shown.";

fn tool(
    name: &'static str,
    title: &str,
    description: &'static str,
    input: Arc<JsonObject>,
    annotations: ToolAnnotations,
) -> Tool {
    Tool::new(name, description, input).with_title(title).with_annotations(annotations)
}

fn changes() -> ToolAnnotations {
    ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true)
}

fn reads() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false)
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}
