//! The server as its clients meet it: MCP and REST over HTTP, MCP over standard input.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use support::binary;
use support::server::{self, Server};

// Running code.

#[test]
fn a_script_gives_its_result_outputs_and_output() {
    let server = Server::start();
    let (failed, given, text) = server.tool(
        "executeCode",
        json!({
            "script": "import pandas as pd\nprint('hi')\ntotal = int(pd.Series(numbers).sum())\ntotal * 2",
            "input_vars": { "numbers": [1, 2, 3] },
            "output_vars": { "total": "str" },
        }),
    );
    assert!(!failed, "{text}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), given);
    assert_eq!(given["success"], true);
    assert_eq!(given["status"], "completed");
    assert_eq!((&given["result"], &given["output_vars"]), (&json!(12), &json!({ "total": 6 })));
    assert_eq!((&given["stdout"], &given["stderr"], &given["error"]), (&json!("hi\n"), &json!(""), &Value::Null));
    assert_eq!(given["warnings"], json!(["`total` was declared as str, but its value is integer"]));
    assert_eq!(given["usage"]["tool_calls"], 0);
}

#[test]
fn a_script_that_raises_is_an_error_with_everything_that_it_printed() {
    let server = Server::start();
    let (failed, given, _) = server.tool("executeCode", json!({ "script": "print('before')\n1 / 0" }));
    assert!(failed);
    assert_eq!((&given["status"], &given["stdout"]), (&json!("failed"), &json!("before\n")));
    let error = &given["error"];
    assert_eq!(
        (&error["type"], &error["message"], &error["line"]),
        (&json!("ZeroDivisionError"), &json!("division by zero"), &json!(2))
    );
    assert!(error["traceback"].as_str().unwrap().contains("line 2, in <module>"));
}

#[test]
fn an_output_that_was_never_set_is_named_with_the_nearest() {
    let server = Server::start();
    let (failed, given, _) = server.tool("executeCode", json!({ "script": "total = 3", "output_vars": ["totl"] }));
    assert!(failed);
    assert_eq!(given["error"]["type"], "MissingOutput");
    assert_eq!(
        given["error"]["message"],
        "the script never set `totl`, which `output_vars` asks for; it did set `total`"
    );
}

#[test]
fn bad_arguments_are_errors_that_the_model_reads() {
    let server = Server::start();
    for (tool, arguments, expected) in [
        ("executeCode", json!({}), "`script` is missing or empty: give the Python code to run"),
        (
            "executeCode",
            json!({ "script": "1", "timeout": 5 }),
            "`timeout` is 5: give 30 to 300 seconds, or use asyncExecuteCode for longer work",
        ),
        (
            "checkCodeExecStatus",
            json!({ "execution_uuid": "x" }),
            "`x` is not an execution_uuid: give the one that asyncExecuteCode answered",
        ),
        (
            "checkCodeExecStatus",
            json!({ "execution_uuid": "01900000-0000-7000-8000-000000000000", "wait_seconds": 61 }),
            "`wait_seconds` is 61: give 0 to 60 seconds, and call again if it goes on",
        ),
        (
            "checkCodeExecStatus",
            json!({ "execution_uuid": "01900000-0000-7000-8000-000000000000" }),
            "there is no execution `01900000-0000-7000-8000-000000000000`: it is another's, or was removed because of its age; \
             `listCodeExecs` lists yours",
        ),
        (
            "listCodeExecs",
            json!({ "status": "done" }),
            "`status` is `done`: it can be pending, running, waiting_approval, completed, failed, cancelled, timed_out",
        ),
        (
            "getToolDetails",
            json!({ "tool_name": "mcp_X_y" }),
            "there is no tool `mcp_X_y`: `searchTools` finds those that are connected.",
        ),
    ] {
        let (failed, _, text) = server.tool(tool, arguments);
        assert!(failed);
        assert_eq!(text, expected);
    }
}

#[test]
fn a_tool_that_nobody_has_is_named_in_the_program_s_error() {
    let server = Server::start();
    let given = server.execute("try:\n    mcp_Nobody_does(1)\nexcept ToolError as error:\n    print(type(error).__name__)\nmcp_Nobody_does(x=1)");
    assert_eq!(given["stdout"], "ToolNotAvailable\n");
    assert_eq!(given["error"]["type"], "ToolNotAvailable");
    assert_eq!(
        given["error"]["message"],
        "there is no tool `mcp_Nobody_does`: `searchTools` finds the tools that are connected, and `addRemoteMcpServer` connects \
         another server"
    );
    assert_eq!(given["tool_calls"].as_array().unwrap().len(), 2);
}

// Jobs.

#[test]
fn a_job_is_submitted_polled_and_read_to_its_end() {
    let server = Server::start();
    let script = "import time\nfor n in range(3):\n    print(n)\n    time.sleep(0.05)\n'done'";
    let uuid = server.submit(script);
    let status = server.wait(&uuid);
    assert_eq!((&status["status"], &status["result"]), (&json!("completed"), &json!("done")));
    assert_eq!((&status["stdout"], &status["next"]), (&json!("0\n1\n2\n"), &json!("6.0")));
    let (_, rest, _) = server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid, "since": "4.0" }));
    assert_eq!(rest["stdout"], "2\n");
    let (_, listed, _) = server.tool("listCodeExecs", json!({ "status": "completed" }));
    assert_eq!(listed["executions"][0]["execution_uuid"], json!(uuid));
}

#[test]
fn a_job_that_goes_on_is_read_while_it_does_and_stopped() {
    let server = Server::start();
    let uuid = server.submit("import time\nprint('begun')\nwhile True:\n    time.sleep(0.01)");
    let status = loop {
        let (_, status, _) = server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
        if status["stdout"] == "begun\n" {
            break status;
        }
    };
    assert_eq!((&status["status"], &status["success"]), (&json!("running"), &Value::Null));
    let (failed, cancelled, _) = server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert!(!failed);
    assert_eq!(cancelled["status"], "cancelled");
    let status = server.wait(&uuid);
    assert_eq!((&status["stdout"], &status["error"]["type"]), (&json!("begun\n"), &json!("Cancelled")));
    let (failed, _, text) = server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert!(failed);
    assert_eq!(text, format!("execution `{uuid}` is over already: it is cancelled"));
}

#[test]
fn a_job_over_its_time_is_timed_out() {
    let server = Server::start();
    let (_, answer, _) =
        server.tool("asyncExecuteCode", json!({ "script": "print(1)\nwhile True: pass", "timeout": 0.2 }));
    let status = server.wait(answer["execution_uuid"].as_str().unwrap());
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("timed_out"), &json!("TimeLimit")));
    assert_eq!(status["stdout"], "1\n");
}

// REST.

#[test]
fn rest_submits_lists_follows_and_cancels() {
    let server = Server::start();
    let (status, accepted) =
        server.post("/v1/executions", &json!({ "script": "print('x' * 3)\n7", "name": "seven" }), &[]);
    assert_eq!(status, 202, "{accepted}");
    let uuid = accepted["execution_uuid"].as_str().unwrap();
    let (_, ended) = server.get(&format!("/v1/executions/{uuid}?wait_seconds=60"));
    assert_eq!((&ended["result"], &ended["name"]), (&json!(7), &json!("seven")));
    let (_, events) = server.get(&format!("/v1/executions/{uuid}/events"));
    let events = events.as_str().unwrap();
    let end = events.split_once("event: end\ndata: ").unwrap().1;
    assert_eq!(serde_json::from_str::<Value>(end.trim()).unwrap()["result"], 7);
    let (_, listed) = server.get("/v1/executions?limit=1");
    assert_eq!(listed["executions"][0]["execution_uuid"], uuid);
    assert_eq!(server.delete(&format!("/v1/executions/{uuid}")).0, 409);

    let (_, accepted) = server.post("/v1/executions", &json!({ "script": "import time\ntime.sleep(1000)" }), &[]);
    let (status, stopped) = server.delete(&format!("/v1/executions/{}", accepted["execution_uuid"].as_str().unwrap()));
    assert_eq!((status, &stopped["status"]), (200, &json!("cancelled")));
}

#[test]
fn rest_errors_are_one_text_that_says_what_to_do() {
    let server = Server::start();
    let (status, answer) = server.post("/v1/executions", &json!({ "script": "" }), &[]);
    assert_eq!((status, &answer["error"]), (422, &json!("`script` is missing or empty: give the Python code to run")));
    let (status, answer) = server.post("/v1/executions", &json!({ "script": "1", "wall": 3 }), &[]);
    assert_eq!(status, 422);
    assert!(answer["error"].as_str().unwrap().contains("unknown field `wall`"), "{answer}");
    let (status, answer) = server.get("/v1/executions/01900000-0000-7000-8000-000000000000");
    assert_eq!(status, 404, "{answer}");
    assert_eq!(server.get("/v1/executions/x").0, 422);
    let (status, answer) =
        server.post("/api/tools/execute", &json!({ "tool_alias_name": "mcp_X_y", "parameters": {} }), &[]);
    assert_eq!((status, &answer["success"], &answer["data"]["success"]), (200, &json!(true), &json!(false)));
}

#[test]
fn the_openapi_document_names_the_ways_that_there_are() {
    let server = Server::start();
    let (_, document) = server.get("/openapi.json");
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{uuid}", "x").replace("{id}", "x").replace("{name}", "x").replace("{grant}", "x");
        for method in methods.as_object().unwrap().keys() {
            let (status, _) = match method.as_str() {
                "get" => server.get(&path),
                "post" => server.post(&path, &json!({}), &[]),
                "put" => server.put(&path, &json!({})),
                "delete" => server.delete(&path),
                other => panic!("no way to ask with {other}"),
            };
            let described = &methods[method]["responses"][status.to_string()];
            assert!(described.is_object(), "{method} {path} answers {status}, which is not described");
        }
    }
}

// Who may come in.

#[test]
fn an_execution_is_its_grant_s_alone() {
    let mut server = Server::start();
    let data = server.data.to_str().unwrap().to_owned();
    let grant = |arguments: &[&str]| {
        let command = [&["grants", "--data", &data], arguments].concat();
        String::from_utf8(Command::new(binary()).args(command).output().unwrap().stdout).unwrap()
    };
    let key = |text: &str| text.split_whitespace().find(|word| word.starts_with("exv_")).unwrap().to_owned();
    let policy = server.data.join("policy.json");
    std::fs::write(&policy, json!({ "version": "1", "default": "allow" }).to_string()).unwrap();
    let create = |label| key(&grant(&["create", label, "--policy", policy.to_str().unwrap()]));
    let (alice, bob) = (create("alice"), create("bob"));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let accept = [("accept", "application/json, text/event-stream")];
    assert_eq!(server.post("/mcp", &call, &accept).0, 401);
    assert_eq!(server.with_key(Some("exv_wrong")).post("/mcp", &call, &accept).0, 401);
    let uuid = server.with_key(Some(&alice)).submit("'alice only'");
    assert_eq!(server.wait(&uuid)["result"], "alice only");
    server.with_key(Some(&bob));
    for (tool, arguments) in [
        ("checkCodeExecStatus", json!({ "execution_uuid": uuid })),
        ("cancelCodeExec", json!({ "execution_uuid": uuid })),
    ] {
        let (failed, _, text) = server.tool(tool, arguments);
        assert!(failed);
        assert!(text.starts_with(&format!("there is no execution `{uuid}`")), "{text}");
    }
    assert_eq!(server.get(&format!("/v1/executions/{uuid}")).0, 404);
    assert_eq!(server.tool("listCodeExecs", json!({})).1["executions"], json!([]));
    grant(&["revoke", "bob"]);
    assert_eq!(server.get("/v1/executions").0, 401);
}

#[test]
fn other_names_and_other_pages_are_kept_out() {
    let server = Server::start();
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let accept = ("accept", "application/json, text/event-stream");
    assert_eq!(server.post("/mcp", &call, &[accept]).0, 200);
    let (status, answer) = server.post("/mcp", &call, &[accept, ("host", "evil.example")]);
    assert_eq!(status, 403);
    assert_eq!(
        answer["error"],
        "this server is not known as `evil.example`: add the name to `allowed_hosts` in exuvia.toml"
    );
    let (status, answer) = server.post("/mcp", &call, &[accept, ("origin", "https://evil.example")]);
    assert_eq!(status, 403);
    assert_eq!(
        answer["error"],
        "pages of `https://evil.example` may not use this server: add it to `allowed_origins` in exuvia.toml"
    );
    // Its own pages are no strangers; those of another port are.
    assert_eq!(server.post("/mcp", &call, &[accept, ("origin", &server.url)]).0, 200);
    assert_eq!(server.post("/mcp", &call, &[accept, ("origin", "http://127.0.0.1:1")]).0, 403);
}

// What survives.

#[test]
fn after_a_restart_every_execution_has_an_honest_state() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("exuvia.toml"), "[executions]\nat_once = 2\n").unwrap();
    let config = folder.path().join("exuvia.toml");
    let arguments = ["--config", config.to_str().unwrap()];
    let mut server = Server::start_in(folder.path(), &arguments);
    let finished = server.submit("print('x' * 100_000)\n'finished'");
    server.wait(&finished);
    let running: Vec<_> = (0..2).map(|_| server.submit("print('begun')\nimport time\ntime.sleep(1000)")).collect();
    for uuid in &running {
        while server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1["stdout"] != "begun\n" {}
    }
    let queued: Vec<_> = (0..97).map(|number| server.submit(&format!("{number}"))).collect();
    server.kill();

    let server = Server::start_in(folder.path(), &arguments);
    let status = |uuid: &str| server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1;
    for uuid in &running {
        // Replayed, what it had printed is there again; nothing of it is lost, so that it can be stopped.
        while status(uuid)["stdout"] != "begun\n" {}
        assert!(!server.tool("cancelCodeExec", json!({ "execution_uuid": uuid })).0);
        let status = server.wait(uuid);
        assert_eq!((&status["status"], &status["stdout"]), (&json!("cancelled"), &json!("begun\n")));
    }
    let status = server.wait(&finished);
    assert_eq!((&status["status"], &status["result"]), (&json!("completed"), &json!("finished")));
    assert_eq!(status["truncated"], true);
    for (number, uuid) in queued.iter().enumerate() {
        assert_eq!(server.wait(uuid)["result"], number);
    }
}

#[test]
fn a_server_that_is_asked_to_stop_lets_what_runs_come_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let uuid = server.submit("print('begun')\nimport time\ntime.sleep(0.5)\n'ended'");
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1["stdout"] != "begun\n" {}
    assert_eq!(server.stop(), Some(0));
    let server = Server::start_in(folder.path(), &[]);
    assert_eq!(server.wait(&uuid)["result"], "ended");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start();
    let second = server::command(&server.data).output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    let folder = server.data.join("store");
    assert_eq!(
        String::from_utf8(second.stderr).unwrap(),
        format!(
            "exuvia: another exuvia process uses the data folder `{}`: stop it, or give this one `--data` another folder\n",
            folder.display()
        )
    );
}

#[test]
fn a_full_queue_says_so_and_when_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("exuvia.toml"), "[executions]\nat_once = 1\nqueue = 1\n").unwrap();
    let config = folder.path().join("exuvia.toml");
    let server = Server::start_in(folder.path(), &["--config", config.to_str().unwrap()]);
    // One that sleeps would leave its place.
    let running = server.submit("print('begun')\nwhile True: pass");
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": running })).1["stdout"] != "begun\n" {}
    let waiting = server.submit("'waited'");
    let (failed, _, text) = server.tool("asyncExecuteCode", json!({ "script": "1" }));
    assert!(failed);
    assert_eq!(text, "1 executions wait for their turn already, which is the most: try again in a few seconds");
    assert_eq!(server.post("/v1/executions", &json!({ "script": "1" }), &[]).0, 503);
    server.tool("cancelCodeExec", json!({ "execution_uuid": running }));
    assert_eq!(server.wait(&waiting)["result"], "waited");
}

// Standard input.

#[test]
fn a_client_that_starts_it_talks_over_its_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        server::command(folder.path()).arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |message: Value| writeln!(input, "{message}").unwrap();
    let mut answer = || serde_json::from_str::<Value>(&answers.next().unwrap().unwrap()).unwrap();
    ask(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } }));
    let initialized = answer();
    assert_eq!(initialized["result"]["serverInfo"]["name"], "exuvia");
    assert_eq!(initialized["result"]["protocolVersion"], "2025-11-25");
    ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
        "name": "executeCode", "arguments": { "script": "6 * 7" } } }));
    assert_eq!(answer()["result"]["structuredContent"]["result"], 42);
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// What clients see before they call anything.

#[test]
fn the_tools_are_datagen_s_by_name_and_parameter() {
    let server = Server::start();
    let listed = server.rpc("tools/list", json!({}));
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names[..5],
        ["executeCode", "asyncExecuteCode", "checkCodeExecStatus", "cancelCodeExec", "listCodeExecs"]
    );
    let parameters: Vec<_> = tools[0]["inputSchema"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(
        parameters,
        [
            "script",
            "name",
            "description",
            "session_id",
            "reset_session",
            "input_vars",
            "output_vars",
            "required_tools",
            "additional_imports",
            "local",
            "mcp_server_names",
            "timeout",
            "files",
            "required_secrets"
        ]
    );
    assert!(tools.iter().all(|tool| tool["outputSchema"]["type"] == "object" && tool["annotations"].is_object()));
    let resources = server.rpc("resources/list", json!({}));
    let uri = resources["resources"][0]["uri"].as_str().unwrap();
    let read = server.rpc("resources/read", json!({ "uri": uri }));
    assert!(read["contents"][0]["text"].as_str().unwrap().starts_with("# How to use executeCode"));
    let prompt = server.rpc("prompts/get", json!({ "name": "solve_with_code", "arguments": { "task": "count" } }));
    assert!(
        prompt["messages"][0]["content"]["text"].as_str().unwrap().starts_with("count\n\nDo this with executeCode")
    );
}
