//! JSON Schemas of what the tools take and answer.

use serde_json::{Value, json};

pub(super) fn code() -> Value {
    json!({
        "type": "object",
        "properties": {
            "script": { "type": "string", "description": "The Python code to run." },
            "name": { "type": "string", "description": "A short name, to find the execution by." },
            "description": { "type": "string", "description": "What the code does, for whoever reads the log." },
            "session_id": { "type": "string", "description": "A name of your choice: calls with the same one share variables, imports and files, one after the other." },
            "reset_session": { "type": "boolean", "description": "Begin the session anew, whatever is in it." },
            "input_vars": { "type": "object", "description": "Variables for the script, as JSON values; each becomes a global.",
                "additionalProperties": true },
            "output_vars": { "description": "Variables to read at the end: names with types, {\"total\": \"int\"}, or a list of names.",
                "anyOf": [{ "type": "object", "additionalProperties": true }, { "type": "array", "items": { "type": "string" } }] },
            "required_tools": { "type": "array", "items": { "type": "string" },
                "description": "Tools that the script calls, e.g. [\"mcp_Supabase_list_projects\"]." },
            "additional_imports": { "type": "array", "items": { "type": "string" },
                "description": "Packages that the script imports, as in [\"humanize\", \"rich>=13\"]. NumPy, pandas, httpx, requests and other usual ones are built in and need no entry; others have to be all Python, and allowed by the policy." },
            "local": { "type": "boolean", "description": "Accepted and without effect: code always runs in this server's sandbox." },
            "mcp_server_names": { "type": "array", "items": { "type": "string" },
                "description": "MCP servers whose tools the script calls, e.g. [\"Supabase\"]." },
            "timeout": { "type": "number", "description": "Seconds after which the script is stopped. executeCode: 30 to 300, default 300. asyncExecuteCode: no limit unless given." },
            "files": { "type": "array", "items": { "anyOf": [{ "type": "string" }, {
                "type": "object",
                "properties": { "id": { "type": "string" }, "name": { "type": "string" } },
                "required": ["id"],
                "additionalProperties": false,
            }] }, "description": "Files that the script finds in /mnt/data: ids of POST /v1/files, or {\"id\": …, \"name\": \"in/rows.csv\"}." },
            "required_secrets": { "type": "array", "items": { "type": "string" },
                "description": "Secrets that the script uses, as global variables; getUserSecrets lists them. Each is a placeholder: put it into a request as if it were the value, which takes its place when the request leaves for a host that the policy lists." },
        },
        "required": ["script"],
        "additionalProperties": false,
    })
}

/// What code takes that nobody waits for.
pub(super) fn job() -> Value {
    let own = [
        (
            "priority",
            json!({ "type": "string", "enum": ["low", "normal", "high"],
            "description": "Which of your executions begins first when several wait for their turn." }),
        ),
        (
            "run_at",
            json!({ "anyOf": [{ "type": "string" }, { "type": "number" }],
            "description": "When to begin, in UTC: \"2027-01-31T08:00:00Z\", or seconds since 1970. At once if left out." }),
        ),
        (
            "idempotency_key",
            json!({ "type": "string", "minLength": 1, "maxLength": 200,
            "description": "A key of your own: the same submission with the same key again is the same execution." }),
        ),
    ];
    let mut schema = code();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.extend(own.map(|(name, parameter)| (name.to_owned(), parameter)));
    }
    schema
}

pub(super) fn status() -> Value {
    json!({
        "type": "object",
        "properties": {
            "execution_uuid": { "type": "string", "description": "What asyncExecuteCode answered." },
            "wait_seconds": { "type": "number", "minimum": 0, "maximum": 60,
                "description": "Answer when the execution ends, or after so many seconds." },
            "since": { "type": "string", "description": "The `next` of an earlier answer: only output after it is given." },
        },
        "required": ["execution_uuid"],
        "additionalProperties": false,
    })
}

pub(super) fn cancel() -> Value {
    json!({
        "type": "object",
        "properties": { "execution_uuid": { "type": "string", "description": "The execution to stop." } },
        "required": ["execution_uuid"],
        "additionalProperties": false,
    })
}

pub(super) fn list_executions() -> Value {
    json!({
        "type": "object",
        "properties": {
            "status": { "type": "string", "enum": states(), "description": "Only executions of this status." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100, "description": "Most executions to list; 20 if left out." },
            "before": { "type": "string", "description": "Only executions submitted before this execution_uuid." },
        },
        "additionalProperties": false,
    })
}

pub(super) fn search() -> Value {
    json!({
        "type": "object",
        "properties": { "query": { "type": "string", "description": "Words for what the tool should do." } },
        "required": ["query"],
        "additionalProperties": false,
    })
}

pub(super) fn details() -> Value {
    json!({
        "type": "object",
        "properties": { "tool_name": { "type": "string", "description": "A name that searchTools gave." } },
        "required": ["tool_name"],
        "additionalProperties": false,
    })
}

pub(super) fn list_tools() -> Value {
    json!({
        "type": "object",
        "properties": { "after": { "type": "string", "description": "The `next` of the page before." } },
        "additionalProperties": false,
    })
}

pub(super) fn execute_tool() -> Value {
    json!({
        "type": "object",
        "properties": {
            "tool_alias_name": { "type": "string", "description": "A name that searchTools gave." },
            "parameters": { "type": "object", "additionalProperties": true, "description": "The tool's arguments, by name." },
        },
        "required": ["tool_alias_name"],
        "additionalProperties": false,
    })
}

pub(super) fn add_server() -> Value {
    json!({
        "type": "object",
        "properties": {
            "server_name": { "type": "string", "description": "A short name; it becomes part of the tools' names: mcp_<server_name>_<tool>." },
            "server_url": { "type": "string", "description": "The address of a streamable HTTP MCP server." },
            "env_args": { "type": "object", "additionalProperties": { "type": "string" },
                "description": "Tokens (API_KEY, BEARER_TOKEN, ACCESS_TOKEN, TOKEN, AUTHORIZATION), headers by their names, or variables of the address." },
            "template_id": { "type": "string", "description": "Not available here: give server_url." },
            "credentials": { "type": "object", "additionalProperties": { "type": "string" }, "description": "The same as env_args." },
        },
        "required": ["server_name"],
        "additionalProperties": false,
    })
}

pub(super) fn update_server() -> Value {
    json!({
        "type": "object",
        "properties": {
            "server_name": { "type": "string", "description": "A server that addRemoteMcpServer added." },
            "server_url": { "type": "string", "description": "Its new address." },
            "env_args": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Its new token or headers." },
        },
        "required": ["server_name"],
        "additionalProperties": false,
    })
}

pub(super) fn one_server() -> Value {
    json!({
        "type": "object",
        "properties": { "server_name": { "type": "string", "description": "The server's name." } },
        "required": ["server_name"],
        "additionalProperties": false,
    })
}

pub(super) fn flow() -> Value {
    json!({
        "type": "object",
        "properties": { "flow_id": { "type": "string", "description": "What came with the auth_url." } },
        "required": ["flow_id"],
        "additionalProperties": false,
    })
}

pub(super) fn server_outcome() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean" },
            "server_name": { "type": "string" },
            "status": { "type": "string" },
            "tools": { "type": "array", "items": { "type": "string" } },
            "requires_auth": { "type": "boolean" },
            "auth_url": { "type": "string" },
            "flow_id": { "type": "string" },
            "error": { "type": "string" },
            "message": { "type": "string" },
        },
        "required": ["success", "server_name"],
    })
}

pub(super) fn flow_status() -> Value {
    json!({
        "type": "object",
        "properties": {
            "flow_id": { "type": "string" },
            "server_name": { "type": ["string", "null"] },
            "status": { "type": "string", "enum": ["pending", "authorized", "expired", "failed"] },
            "error": { "type": ["string", "null"] },
        },
        "required": ["flow_id", "status"],
    })
}

pub(super) fn nothing() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

pub(super) fn execution() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": ["boolean", "null"], "description": "Null while the execution is under way." },
            "execution_uuid": { "type": "string" },
            "status": { "type": "string", "enum": states() },
            "name": { "type": "string" },
            "description": { "type": "string" },
            "session_id": { "type": "string" },
            "new_session": { "type": "boolean", "description": "Whether the session began with this call." },
            "submitted_at": { "type": "string" },
            "started_at": { "type": "string" },
            "ended_at": { "type": "string" },
            "result": { "description": "The value of the script's last expression." },
            "output_vars": { "type": "object" },
            "progress": { "type": "object", "properties": { "fraction": { "type": "number" }, "step": { "type": "string" } } },
            "suspended": { "type": "boolean", "description": "It waits for long, and is not in memory meanwhile." },
            "stdout": { "type": "string" },
            "stderr": { "type": "string" },
            "next": { "type": "string", "description": "Give it as `since` to read on." },
            "error": { "anyOf": [{ "type": "null" }, {
                "type": "object",
                "properties": {
                    "type": { "type": "string" },
                    "message": { "type": "string" },
                    "traceback": { "type": "string" },
                    "line": { "type": ["integer", "null"] },
                },
                "required": ["type", "message"],
            }] },
            "warnings": { "type": "array", "items": { "type": "string" } },
            "tool_calls": { "type": "array", "items": { "type": "object" } },
            "approvals": {
                "type": "array",
                "items": { "type": "string" },
                "description": "What a person has to approve before the calls that wait go on.",
            },
            "artifacts": { "type": "array", "items": artifact(), "description": "Files that the script left in /mnt/data." },
            "more": { "type": "object", "additionalProperties": artifact(),
                "description": "Where all of stdout, stderr, a result or an output variable is that was cut, and the result as HTML." },
            "usage": { "type": "object" },
            "truncated": { "type": "boolean", "description": "Whether some of the output was cut." },
        },
        "required": ["success", "execution_uuid", "status", "stdout", "stderr"],
    })
}

fn artifact() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "type": { "type": "string" },
            "size": { "type": "integer" },
            "hash": { "type": "string", "description": "BLAKE3." },
            "uri": { "type": "string", "description": "A resource of this server." },
            "cut": { "type": "boolean", "description": "Whether there was more, which is lost." },
        },
        "required": ["name", "type", "size", "hash", "uri"],
    })
}

pub(super) fn submitted() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean" },
            "execution_uuid": { "type": "string" },
            "status": { "type": "string", "enum": states() },
            "message": { "type": "string" },
        },
        "required": ["success", "execution_uuid", "status"],
    })
}

pub(super) fn cancelled() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean" },
            "execution_uuid": { "type": "string" },
            "status": { "type": "string", "enum": states() },
        },
        "required": ["success", "execution_uuid", "status"],
    })
}

pub(super) fn executions() -> Value {
    json!({
        "type": "object",
        "properties": { "executions": { "type": "array", "items": {
            "type": "object",
            "properties": { "execution_uuid": { "type": "string" }, "status": { "type": "string", "enum": states() } },
            "required": ["execution_uuid", "status"],
        } } },
        "required": ["executions"],
    })
}

pub(super) fn tools() -> Value {
    json!({
        "type": "object",
        "properties": {
            "tools": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" },
                    "server": { "type": "string" },
                    "description": { "type": ["string", "null"] },
                },
                "required": ["name", "server"],
            } },
            "next": { "type": ["string", "null"] },
            "servers": { "type": "array", "items": { "type": "object" } },
        },
        "required": ["tools", "servers"],
    })
}

pub(super) fn tool() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "server": { "type": "string" },
            "description": { "type": ["string", "null"] },
            "inputSchema": { "type": "object" },
            "outputSchema": { "type": ["object", "null"] },
        },
        "required": ["name", "inputSchema"],
    })
}

pub(super) fn tool_result() -> Value {
    json!({
        "type": "object",
        "properties": {
            "success": { "type": "boolean" },
            "result": {},
            "truncated": { "type": "boolean", "description": "Whether `result` is only the head and the tail of its JSON." },
            "more": { "type": "object", "description": "The file that has all of it, for `files` of executeCode; it expires." },
            "error": { "type": "object", "properties": { "type": { "type": "string" }, "message": { "type": "string" } } },
        },
        "required": ["success"],
    })
}

pub(super) fn secrets() -> Value {
    json!({
        "type": "object",
        "properties": { "secrets": { "type": "array", "items": {
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "value": { "type": "string", "description": "The same for all: values are never shown." },
                "is_set": { "type": "boolean", "description": "Whether the operator has given it a value." },
            },
            "required": ["name", "value", "is_set"],
        } } },
        "required": ["secrets"],
    })
}

fn states() -> Vec<&'static str> {
    crate::executions::State::ALL.iter().map(|state| state.name()).collect()
}
