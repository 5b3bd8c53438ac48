//! An upstream MCP server for tests, on standard input and output, with tools that behave well and tools that do not.
//!
//! It speaks the protocol by hand, so that it can break it.
//!
//! With `COUNTS`, the path of a file, it has other tools, and each call leaves a line there that survives everything.
#![allow(clippy::indexing_slicing, reason = "indexing a JSON value gives null where nothing is")]

use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{BufRead, Write, stdin, stdout};
use std::process::Command;
use std::thread;
use std::time::Duration;

fn main() {
    for line in stdin().lock().lines().map_while(Result::ok) {
        let Ok(request) = serde_json::from_str::<Value>(&line) else { continue };
        if request["id"].is_null() {
            continue;
        }
        // Each on its own thread: calls overlap, as in a real server.
        thread::spawn(move || {
            let result = match request["method"].as_str().unwrap_or_default() {
                "initialize" => initialize(&request["params"]),
                "tools/list" => json!({ "tools": tools() }),
                "tools/call" => call(&request["params"]),
                "ping" => json!({}),
                _ => {
                    let error = json!({ "code": -32601, "message": "method not found" });
                    say(&json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }).to_string());
                    return;
                }
            };
            say(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string());
        });
    }
}

fn initialize(params: &Value) -> Value {
    json!({
        "protocolVersion": params["protocolVersion"],
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "upstream", "version": "1" },
    })
}

fn tools() -> Value {
    let number = json!({ "type": "integer" });
    // A server that says something else of a tool than it did before.
    let added = std::env::var("ADD_DESCRIPTION").unwrap_or("Adds two numbers.".into());
    if std::env::var_os("COUNTS").is_some() {
        return counted();
    }
    if std::env::var_os("SHOP").is_some() {
        return shop();
    }
    if std::env::var_os("LEAK").is_some() {
        return leaks();
    }
    json!([
        tool("add", &added, &json!({ "a": number, "b": number }), &["a", "b"]),
        tool("echo-text", "Gives back a text.", &json!({ "text": { "type": "string" } }), &["text"]),
        tool("fail", "Fails.", &json!({}), &[]),
        tool("slow", "Answers after some milliseconds.", &json!({ "ms": number }), &["ms"]),
        tool("big", "Answers so many bytes.", &json!({ "bytes": number }), &["bytes"]),
        tool("die", "Ends the server.", &json!({}), &[]),
        tool("babble", "Says what is no message.", &json!({}), &[]),
    ])
}

/// Tools whose calls are counted: one may be repeated, one must not, and one kills whoever started this server.
fn counted() -> Value {
    let key = json!({ "key": { "type": "string" }, "ms": { "type": "integer" } });
    let mut look = tool("look", "Looks.", &key, &["key"]);
    look["annotations"] = json!({ "readOnlyHint": true });
    json!([look, tool("put", "Puts.", &key, &["key"]), tool("kill", "Kills its client.", &key, &["key"])])
}

/// Leaves a line, waits, and answers with the number at the end of the key.
fn count(name: &str, arguments: &Value) -> Value {
    let key = arguments["key"].as_str().unwrap_or_default();
    let path = std::env::var_os("COUNTS").unwrap_or_default();
    let file = OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| {
        // A death in the middle of it, which a write over two pages of the file may meet, leaves a line without its end.
        file.write_all(format!("\n{name} {key};").as_bytes())?;
        file.sync_data()
    });
    if let Err(error) = written {
        return json!({ "content": [{ "type": "text", "text": error.to_string() }], "isError": true });
    }
    thread::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or(0)));
    if name == "kill" {
        let parent = std::os::unix::process::parent_id().to_string();
        // What comes of it is seen by whoever is killed.
        let _ = Command::new("kill").args(["-9", &parent]).status();
    }
    text(key.rsplit('/').next().unwrap_or_default())
}

/// Tools that say what they do: one reads, one writes, one destroys.
fn shop() -> Value {
    let hinted = |name: &str, hints: Value| {
        let mut tool = tool(name, "Of the shop.", &json!({ "id": { "type": "integer" } }), &["id"]);
        tool["annotations"] = hints;
        tool
    };
    json!([
        hinted("orders", json!({ "readOnlyHint": true })),
        hinted("note", json!({ "readOnlyHint": false, "destructiveHint": false })),
        hinted("refund", json!({ "readOnlyHint": false, "destructiveHint": true })),
        hinted("delete_all", json!({ "destructiveHint": true })),
    ])
}

/// Tools that say what they should not: a secret that their server has.
fn leaks() -> Value {
    json!([
        tool("echo-text", "Gives back a text.", &json!({ "text": { "type": "string" } }), &["text"]),
        tool("leak", "Says all that it has.", &json!({}), &[]),
        tool("leak-error", "Fails with all that it has.", &json!({}), &[]),
    ])
}

fn tool(name: &str, description: &str, properties: &Value, required: &[&str]) -> Value {
    json!({
        "name": name,
        "description": description,
        "inputSchema": { "type": "object", "properties": properties, "required": required, "additionalProperties": false },
    })
}

fn call(params: &Value) -> Value {
    let arguments = &params["arguments"];
    match params["name"].as_str().unwrap_or_default() {
        "add" => {
            let sum = arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0);
            json!({ "content": [{ "type": "text", "text": sum.to_string() }], "structuredContent": { "sum": sum } })
        }
        name @ ("look" | "put" | "kill") => count(name, arguments),
        "orders" | "note" | "refund" | "delete_all" => text(&json!({ "done": params["name"] }).to_string()),
        "echo-text" => text(arguments["text"].as_str().unwrap_or_default()),
        name @ ("leak" | "leak-error") => {
            let said = format!("it is {}", std::env::var("LEAK").unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": said }], "isError": name == "leak-error" })
        }
        "slow" => {
            thread::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or(0)));
            text("\"slept\"")
        }
        "big" => text(&"x".repeat(usize::try_from(arguments["bytes"].as_u64().unwrap_or(0)).unwrap_or(0))),
        "die" => std::process::exit(3),
        "babble" => {
            say("this is no JSON");
            text("babbled")
        }
        _ => json!({ "content": [{ "type": "text", "text": "no luck" }], "isError": true }),
    }
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn say(line: &str) {
    let mut out = stdout().lock();
    // Nobody is left to tell when the reader is gone.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
