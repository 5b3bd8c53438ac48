//! Scripts that call the tools of a real upstream server, and upstream servers that misbehave.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::server::Server;
use tempfile::TempDir;

/// A server with the upstream servers `Math` and `Other`, which are alike, and one that cannot be started.
struct Place {
    server: Server,
    _folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with("")
    }

    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = write(folder.path(), config);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let server = Server::start_in(folder.path(), &arguments);
        let place = Self { server, _folder: folder };
        place.wait_for("Math");
        place.wait_for("Other");
        place
    }

    /// Waits until an upstream server is ready: asked for, not slept for.
    fn wait_for(&self, name: &str) {
        loop {
            let (_, listed, _) = self.server.tool("listTools", json!({}));
            let servers = listed["servers"].as_array().unwrap();
            let server = servers.iter().find(|server| server["name"] == name).unwrap();
            if server["status"] == "ready" {
                return;
            }
        }
    }

    fn run(&self, script: &str) -> Value {
        self.server.execute(script)
    }

    fn result(&self, script: &str) -> Value {
        let given = self.run(script);
        assert_eq!(given["error"], Value::Null, "{given}");
        given["result"].clone()
    }

    #[track_caller]
    fn raises(&self, script: &str, kind: &str, message: &str) {
        let given = self.run(script);
        assert_eq!((&given["error"]["type"], &given["error"]["message"]), (&json!(kind), &json!(message)));
    }
}

fn write(folder: &Path, config: &str) -> Vec<String> {
    let upstream = env!("CARGO_BIN_EXE_upstream-for-tests");
    let servers = json!({ "mcpServers": {
        "Math": { "command": upstream },
        "Other": { "command": upstream },
        "Broken": { "command": folder.join("nothing") },
    } });
    fs::write(folder.join("mcp.json"), servers.to_string()).unwrap();
    fs::write(folder.join("policy.json"), json!({ "version": "1", "default": "allow" }).to_string()).unwrap();
    let config = format!("policy = \"{}\"\n{config}", folder.join("policy.json").display());
    fs::write(folder.join("exuvia.toml"), config).unwrap();
    let path = |name| folder.join(name).to_str().unwrap().to_owned();
    vec!["--mcp-config".into(), path("mcp.json"), "--config".into(), path("exuvia.toml")]
}

#[test]
fn tools_are_functions_whose_results_are_parsed() {
    let place = Place::new();
    assert_eq!(place.result("mcp_Math_add(a=1, b=2)"), json!({ "sum": 3 }));
    assert_eq!(place.result("mcp_Math_add(1, 2)['sum']"), 3);
    assert_eq!(place.result("mcp_Math_echo_text(text='[1, 2]')"), json!([1, 2]));
    assert_eq!(place.result("mcp_Math_echo_text(text='[1, 2')"), "[1, 2");
    let script = "import numpy, pandas\nframe = pandas.DataFrame({'n': [1, 2]})\n\
                  frame['sum'] = [mcp_Math_add(n, b=numpy.int64(10))['sum'] for n in frame.n]\nframe";
    assert_eq!(place.result(script), json!([{ "n": 1, "sum": 11 }, { "n": 2, "sum": 12 }]));
    let given = place.run("mcp_Math_add(1, 2)");
    assert_eq!(given["usage"]["tool_calls"], 1);
    assert_eq!(given["tool_calls"][0]["tool"], "mcp_Math_add");
}

/// A client that starts this server calls at once, and its servers take a moment to start.
#[test]
fn the_first_calls_wait_for_servers_that_are_connecting() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = write(folder.path(), "");
    let slow = ["-c", "sleep 0.5; exec \"$0\"", env!("CARGO_BIN_EXE_upstream-for-tests")];
    let servers = json!({ "mcpServers": { "Math": { "command": "/bin/sh", "args": slow } } });
    fs::write(folder.path().join("mcp.json"), servers.to_string()).unwrap();
    let server = Server::start_in(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    // A call waits for its own server; a list for all of them.
    let called = json!({ "tool_alias_name": "mcp_Math_add", "parameters": { "a": 1, "b": 2 } });
    let (status, answer) = server.post("/api/tools/execute", &called, &[]);
    assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
    let (_, found, _) = server.tool("searchTools", json!({ "query": "adds numbers" }));
    assert_eq!(found["tools"][0]["name"], "mcp_Math_add", "{found}");
}

#[test]
fn arguments_are_checked_before_they_leave() {
    let place = Place::new();
    for (script, words) in [
        ("mcp_Math_add(1)", "`b`"),
        ("mcp_Math_add(1, 2, 3)", "3"),
        ("mcp_Math_add(a='x', b=2)", "`a` must be int, not \"x\""),
        ("mcp_Math_add(1, bb=2)", "`bb`"),
    ] {
        let error = &place.run(script)["error"];
        assert_eq!(error["type"], "ToolArgumentError", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("mcp_Math_add()") && message.contains(words), "{message}");
    }
    assert_eq!(place.result("import inspect\nstr(inspect.signature(mcp_Math_add))"), "(a: 'int', b: 'int')");
}

#[test]
fn a_tool_out_of_reach_says_which_name_to_add() {
    let place = Place::new();
    let script = "mcp_Math_add(1, 2)['sum'], mcp_Other_add(1, 2)['sum']";
    let run = |arguments: Value| {
        let mut all = json!({ "script": script });
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        place.server.tool("executeCode", all).1
    };
    assert_eq!(run(json!({}))["result"], json!([3, 3]));
    let both = json!({ "mcp_server_names": ["Math"], "required_tools": ["mcp_Other_add"] });
    assert_eq!(run(both)["result"], json!([3, 3]));
    let error = &run(json!({ "mcp_server_names": ["Math"] }))["error"];
    assert_eq!(error["type"], "ToolNotAvailable");
    assert_eq!(
        error["message"],
        "unauthorized: `mcp_Other_add` is not among the tools of this execution: add \"Other\" to `mcp_server_names`, or \
         \"mcp_Other_add\" to `required_tools`"
    );
}

#[test]
fn unknown_tools_and_servers_that_are_down_are_told_apart() {
    let place = Place::new();
    place.raises(
        "mcp_Math_ad(1)",
        "ToolNotAvailable",
        "there is no tool `mcp_Math_ad`: did you mean `mcp_Math_add`, `mcp_Math_fail`, `mcp_Math_big`? `searchTools` finds \
         the tools that are connected, and `addRemoteMcpServer` connects another server",
    );
    let error = &place.run("mcp_Broken_tool()")["error"];
    assert_eq!(error["type"], "ToolNotAvailable");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "`mcp_Broken_tool` cannot be called: the tools of the MCP server `Broken` are not known: it is down"
        ),
        "{message}"
    );
}

#[test]
fn failures_of_tools_are_caught_like_any_error() {
    let place = Place::new();
    place.raises("mcp_Math_fail()", "ToolError", "`mcp_Math_fail`: no luck");
    let script = "try:\n    mcp_Math_fail()\nexcept ToolError as error:\n    text = str(error)\ntext";
    assert_eq!(place.result(script), "`mcp_Math_fail`: no luck");
    let script = "from datagen_sdk import DatagenClient, DatagenToolError\nclient = DatagenClient()\n\
                  try:\n    client.execute_tool('mcp_Math_fail')\nexcept DatagenToolError as error:\n    print(error)\n\
                  client.execute_tool('mcp_Math_add', {'a': 1, 'b': 2})";
    let given = place.run(script);
    assert_eq!((&given["stdout"], &given["result"]), (&json!("`mcp_Math_fail`: no luck\n"), &json!({ "sum": 3 })));
}

/// The waits of all calls overlap: while each takes its time, the others are under way. Asked of the server, which would
/// answer one after the other if they did not.
#[test]
fn calls_in_a_pool_overlap() {
    let place = Place::new();
    let script = "from concurrent.futures import ThreadPoolExecutor\nimport time\nbegan = time.monotonic()\n\
                  def work(n):\n    answer = mcp_Math_slow(ms=300)\n    return answer + str(n)\n\
                  with ThreadPoolExecutor(20) as pool:\n    answers = list(pool.map(work, range(20)))\n\
                  [answers[19], time.monotonic() - began < 20 * 0.3]";
    assert_eq!(place.result(script), json!(["slept19", true]));
}

#[test]
fn an_upstream_that_dies_in_a_call_is_named_and_comes_back() {
    let place = Place::new();
    let error = &place.run("mcp_Math_die()")["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("`mcp_Math_die`: the connection to the MCP server `Math` ended"), "{message}");
    assert!(message.contains("whether it took effect is not known"), "{message}");
    assert_eq!(place.result("mcp_Other_add(1, 2)['sum']"), 3);
    place.wait_for("Math");
    assert_eq!(place.result("mcp_Math_add(1, 2)['sum']"), 3);
}

#[test]
fn garbage_large_answers_and_hanging_tools_end_in_clear_errors() {
    let place = Place::with("[upstream]\nlargest_answer = \"1MB\"\ncall_timeout = \"500ms\"\n");
    assert_eq!(place.result("mcp_Math_babble()"), "babbled");
    assert_eq!(place.result("len(mcp_Math_big(bytes=900_000))"), 900_000);
    let error = &place.run("mcp_Math_big(bytes=20_000_000)")["error"];
    assert!(error["message"].as_str().unwrap().contains("larger than 1000000 bytes"), "{error}");
    place.wait_for("Math");
    let error = &place.run("mcp_Math_slow(ms=60_000)")["error"];
    assert!(error["message"].as_str().unwrap().contains("did not answer within 500ms"), "{error}");
    assert_eq!(place.result("mcp_Other_add(1, 2)['sum']"), 3);
}

#[test]
fn tools_are_found_described_and_called_without_a_script() {
    let place = Place::new();
    let (_, found, _) = place.server.tool("searchTools", json!({ "query": "adds numbers" }));
    assert_eq!(found["tools"][0]["name"], "mcp_Math_add");
    let (_, details, _) = place.server.tool("getToolDetails", json!({ "tool_name": "mcp_Math_echo_text" }));
    assert_eq!(details["inputSchema"]["required"], json!(["text"]));
    let (_, listed, _) = place.server.tool("listTools", json!({}));
    assert_eq!(listed["tools"].as_array().unwrap().len(), 14);
    let call = json!({ "tool_alias_name": "mcp_Math_add", "parameters": { "a": 1, "b": 2 } });
    let (failed, answer, _) = place.server.tool("executeTool", call.clone());
    assert!(!failed);
    assert_eq!(answer, json!({ "success": true, "result": { "sum": 3 } }));
    let (status, answer) = place.server.post("/api/tools/execute", &call, &[]);
    assert_eq!(
        (status, answer),
        (200, json!({ "success": true, "data": { "success": true, "result": { "sum": 3 } } }))
    );
    let failing = json!({ "tool_alias_name": "mcp_Math_fail", "parameters": {} });
    let (status, answer) = place.server.post("/api/tools/execute", &failing, &[]);
    let data = json!({ "success": false, "error": "`mcp_Math_fail`: no luck" });
    assert_eq!((status, answer), (200, json!({ "success": true, "data": data })));
}

/// A cancelled run takes its calls with it.
#[test]
fn a_run_that_is_cancelled_in_a_call_ends_at_once() {
    let place = Place::new();
    let uuid = place.server.submit("print('begun')\nmcp_Math_slow(ms=3_600_000)");
    while place.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1["stdout"] != "begun\n" {}
    let (failed, cancelled, text) = place.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert!(!failed, "{text}");
    assert_eq!(cancelled["status"], "cancelled");
}
