//! Limits in a real server: counted by grant, in windows, across restarts and crashes.

use super::*;
use std::time::{SystemTime, UNIX_EPOCH};

fn minute() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60
}

/// Seen to fail with a gate that decides by a policy which allows all.
#[test]
fn the_eleventh_call_in_a_minute_is_denied() {
    let place = Place::new(&limited("executeCode", "minute", 10));
    loop {
        let began = minute();
        let calls: Vec<_> =
            (0..11).map(|number| place.server.tool("executeCode", json!({ "script": format!("{number}") }))).collect();
        if minute() != began {
            // The window ended in between. Counted anew: another counter.
            let mut policy = limited("executeCode", "minute", 10);
            policy["tools"]["executeCode"]["limits"][0]["counter"] = json!(format!("again{began}"));
            place.change(&policy);
            continue;
        }
        for (number, (failed, given, text)) in calls[..10].iter().enumerate() {
            assert!(!failed, "{text}");
            assert_eq!(given["result"], number);
        }
        let (failed, denied, text) = &calls[10];
        assert!(failed);
        assert!(text.starts_with("[POLICY DENIED] The limit `"), "{text}");
        assert!(denied["rule"].as_str().unwrap().starts_with("/tools/executeCode/limits/"), "{denied}");
        let seconds = denied["retry_after_s"].as_u64().unwrap();
        assert!((1..=60).contains(&seconds), "{denied}");
        return;
    }
}

#[test]
fn the_rule_of_a_limit_is_its_place_in_the_policy() {
    let place = Place::new(&limited("executeCode", "day", 1));
    assert_eq!(place.run("1")["result"], 1);
    let (failed, denied, _) = place.server.tool("executeCode", json!({ "script": "1" }));
    assert!(failed);
    assert_eq!(denied["rule"], "/tools/executeCode/limits/executecode_rate");
    // REST is the same gate: 429, and the other tool's own limit.
    place.change(&limited("asyncExecuteCode", "day", 1));
    assert_eq!(place.server.post("/v1/executions", &json!({ "script": "1" }), &[]).0, 202);
    let (status, denied) = place.server.post("/v1/executions", &json!({ "script": "1" }), &[]);
    assert_eq!((status, &denied["rule"]), (429, &json!("/tools/asyncExecuteCode/limits/asyncexecutecode_rate")));
    assert!(place.server.tool("asyncExecuteCode", json!({ "script": "1" })).0);
}

#[test]
fn an_explanation_shows_what_the_server_has_counted_and_when_it_frees() {
    let place = Place::new(&limited("executeCode", "day", 2));
    let explain = |data: &Path, grant: &str| -> Value {
        let mut command = Command::new(binary());
        command.args(["policy", "explain", "--tool", "executeCode", "--grant", grant]).arg(place.file());
        let output = command.arg("--data").arg(data).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let used = |explained: &Value| (explained["decision"].clone(), explained["limits"][0]["used"].clone());
    let data = &place.server.data;
    assert_eq!(used(&explain(data, "local")), (json!("allow"), json!(0)));
    for _ in 0..2 {
        place.run("1");
    }
    let explained = explain(data, "local");
    assert_eq!(used(&explained), (json!("deny"), json!(2)));
    assert_eq!(explained["rule"], "/tools/executeCode/limits/executecode_rate");
    assert!(explained["limits"][0]["free_at"].as_str().unwrap().ends_with("T00:00:00Z"), "{explained}");
    assert!(explained["retry_after_s"].as_u64().unwrap() <= 86_400, "{explained}");
    assert_eq!(explained["counted_by"], json!(data.join("operator.sock")));
    // To explain takes nothing, another grant has used nothing, and without a server nobody has.
    assert_eq!(used(&explain(data, "local")), (json!("deny"), json!(2)));
    assert_eq!(used(&explain(data, "other")), (json!("allow"), json!(0)));
    let elsewhere = explain(place.folder.path(), "local");
    assert_eq!((used(&elsewhere), &elsewhere["counted_by"]), ((json!("allow"), json!(0)), &Value::Null));
}

/// A call whose arguments are wrong never starts, and takes nothing.
#[test]
fn what_never_starts_is_not_counted() {
    let place = Place::new(&limited("executeCode", "day", 1));
    assert!(place.server.tool("executeCode", json!({ "script": "" })).2.starts_with("`script` is missing"));
    assert_eq!(place.run("1")["result"], 1);
    assert!(place.server.tool("executeCode", json!({ "script": "1" })).2.starts_with("[POLICY DENIED]"));
}

/// Seen to fail with counters that are not restored.
#[test]
fn two_grants_count_apart_and_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    write(&policy, &limited("executeCode", "day", 2));
    let data = folder.path().join("data");
    let grants = |arguments: &[&str]| {
        let command = [&["grants", "--data", data.to_str().unwrap()], arguments].concat();
        let output = Command::new(binary()).args(command).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let key = |text: String| text.split_whitespace().find(|word| word.starts_with("exv_")).unwrap().to_owned();
    let create = |label| key(grants(&["create", label, "--policy", policy.to_str().unwrap()]));
    let (alice, bob, nobody) = (create("alice"), create("bob"), key(grants(&["create", "nobody"])));
    let mut server = Server::start_in(folder.path(), &[]);
    let passes =
        |server: &mut Server, key: &str| !server.with_key(Some(key)).tool("executeCode", json!({ "script": "1" })).0;
    assert!(passes(&mut server, &alice) && passes(&mut server, &alice) && !passes(&mut server, &alice));
    assert!(passes(&mut server, &bob));
    let (_, denied, text) = server.with_key(Some(&nobody)).tool("executeCode", json!({ "script": "1" }));
    assert_eq!(denied["rule"], "(no policy)");
    assert!(text.ends_with("`exuvia grants rotate nobody --policy FILE` gives it one."), "{text}");
    assert_eq!(server.stop(), Some(0));
    let mut server = Server::start_in(folder.path(), &[]);
    assert!(!passes(&mut server, &alice));
    assert!(passes(&mut server, &bob) && !passes(&mut server, &bob));
    // A new key is the same grant: its limits are not new.
    let rotated = key(grants(&["rotate", "alice"]));
    assert_eq!(server.with_key(Some(&alice)).get("/v1/executions").0, 401);
    assert!(!passes(&mut server, &rotated));
    // An edit counts for the next request.
    write(&policy, &limited("executeCode", "day", 3));
    assert!(passes(&mut server, &rotated) && !passes(&mut server, &rotated));
}

/// Each call is the last thing that the server does. Seen to fail with calls that do not wait for the disk.
#[test]
fn a_crash_gives_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    write(&policy, &limited("executeCode", "day", 3));
    let start = || Server::start_in(folder.path(), &["--policy", policy.to_str().unwrap()]);
    for _ in 0..3 {
        let mut server = start();
        assert_eq!(server.execute("1")["result"], 1);
        server.kill();
    }
    let (failed, denied, _) = start().tool("executeCode", json!({ "script": "1" }));
    assert!(failed);
    assert_eq!(denied["rule"], "/tools/executeCode/limits/executecode_rate");
}

#[test]
fn nested_calls_have_limits_of_their_own() {
    let place = Place::new(&limited("mcp_Math_add", "day", 3));
    let script = "passed = 0\nfor _ in range(10):\n    try:\n        mcp_Math_add(1, 2)\n        passed += 1\n    \
                  except PolicyDenied as error:\n        rule = error.rule\npassed, rule";
    let rule = "/tools/mcp_Math_add/limits/mcp_math_add_rate";
    assert_eq!(place.run(script)["result"], json!([3, rule]));
    assert_eq!(place.run(script)["result"], json!([0, rule]));
}

/// What never reached its server is given back. Seen to fail with `Gate::settle` in the place of `Gate::unsent`.
#[test]
fn a_call_of_a_server_that_is_down_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("policy.json"), &limited("mcp_Math_add", "day", 2));
    fs::write(at("up"), "").unwrap();
    // It starts only while the file is there.
    let command = format!("test -e {} && exec {}", at("up").display(), env!("CARGO_BIN_EXE_upstream-for-tests"));
    write(&at("mcp.json"), &json!({ "mcpServers": { "Math": { "command": "sh", "args": ["-c", command] } } }));
    let policy = at("policy.json").to_str().unwrap().to_owned();
    let place = Place::started(folder, &["--policy", &policy]);
    fs::remove_file(place.folder.path().join("up")).unwrap();
    place.run("try: mcp_Math_die()\nexcept ToolError: pass");
    let down = || place.server.get("/readyz").1["servers"][0]["status"] == "down";
    while !down() {}
    let script = "kinds = set()\nfor _ in range(5):\n    try: mcp_Math_add(1, 2)\n    except ToolError as error: kinds.add(str(error)[:60])\nkinds";
    let given = place.run(script);
    assert!(
        given["result"][0].as_str().unwrap().starts_with("`mcp_Math_add`: the MCP server `Math` is down"),
        "{given}"
    );
    fs::write(place.folder.path().join("up"), "").unwrap();
    while down() {}
    let passed = |place: &Place| place.run("mcp_Math_add(1, 2)['sum']")["result"] == 3;
    assert!(passed(&place) && passed(&place) && !passed(&place));
}
