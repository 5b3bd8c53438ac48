//! What waits: how long, how many, and what becomes of it when its program ends.

use super::*;

/// Seen to fail with an `Asked` that is not withdrawn when it is dropped.
#[test]
fn what_an_execution_waited_for_ends_with_it() {
    let place = Place::new();
    let uuid = place.server.submit(CAUGHT);
    let id = place.asked(1).remove(0);
    assert_eq!(place.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid })).1["status"], "cancelled");
    eventually(|| place.open().is_empty().then_some(()));
    assert_eq!(place.approve(&id).status, Some(64));
    assert_eq!(place.state(&uuid), "cancelled");
    assert_eq!(place.audit(&["--tool", "mcp_Math_add", "--decision", "allow"]), [] as [Value; 0]);
}

/// Seen to fail with a bound that is not looked at.
#[test]
fn a_grant_cannot_bury_a_person_in_questions() {
    let place = Place::new();
    for a in 0..20 {
        assert!(!place.add(200 + a).1["approval"].is_null());
    }
    let (failed, denied, text) = place.add(300);
    assert!(failed && denied["approval"].is_null());
    assert_eq!(
        text,
        "[POLICY DENIED] This call needs a person's approval (more than 100), and cannot be asked for: 20 calls of this grant \
         wait for approval already, which is the most."
    );
    assert_eq!(place.approvals(&["deny", place.open()[0]["id"].as_str().unwrap()]).status, Some(0));
    assert!(!place.add(300).1["approval"].is_null());
}

#[test]
fn a_client_s_own_call_is_refused_in_the_person_s_words_until_it_may_be_asked_again() {
    let place = Place::new();
    let (_, asked, _) = place.add(101);
    let id = asked["approval"].as_str().unwrap();
    place.approvals(&["deny", id, "--reason", "not today"]);
    let (failed, denied, text) = place.add(101);
    assert!(failed);
    assert_eq!(text, "[POLICY DENIED] A person denied this call: not today");
    assert_eq!((&denied["approval"], &denied["rule"]), (&json!(id), &json!(RULE)));
    assert_eq!(place.open(), [] as [Value; 0], "nobody is asked again");
}

/// `executeCode` itself, over MCP and REST.
#[test]
fn code_is_run_once_a_person_has_seen_it() {
    let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "approve_if": {
        "executeCode": [{ "conditions": [{ "path": "args.script", "op": "contains", "value": "delete" }] }],
        "asyncExecuteCode": [{ "conditions": [] }],
    } } });
    let place = Place::with(&policy, &[]);
    assert_eq!(place.server.execute("1 + 1")["result"], 2);
    let code = |script: &str| place.server.tool("executeCode", json!({ "script": script }));
    let (failed, asked, _) = code("'delete \u{202e}all'");
    assert!(failed);
    let id = asked["approval"].as_str().unwrap();
    let shown = place.approvals(&["show", id]);
    assert!(shown.stdout.ends_with("  | {\n  |   \"script\": \"'delete \\u202eall'\"\n  | }\n"), "{}", shown.stdout);
    assert_eq!(place.approve(id).status, Some(0));
    assert!(code("'delete'").0, "another script");
    assert_eq!(code("'delete \u{202e}all'").1["result"], "delete \u{202e}all");
    let submit = || place.server.post("/v1/executions", &json!({ "script": "3" }), &[]);
    let (status, asked) = submit();
    assert_eq!(status, 403, "{asked}");
    assert_eq!(place.approve(asked["approval"].as_str().unwrap()).status, Some(0));
    assert_eq!(submit().0, 202);
    assert_eq!(submit().0, 403);
    // DataGen's way to a tool.
    place.change(&asking("15m"));
    let call = || {
        place
            .server
            .post(
                "/api/tools/execute",
                &json!({ "tool_alias_name": "mcp_Math_add", "parameters": { "a": 101, "b": 2 } }),
                &[],
            )
            .1
    };
    let asked = call();
    assert_eq!(place.approve(asked["data"]["policy"]["approval"].as_str().unwrap()).status, Some(0));
    assert_eq!(call()["data"]["result"]["sum"], 103);
}

/// Two seconds of wall time, and a person who takes longer. Seen to fail with a host whose `uncounted` is nothing.
#[test]
fn the_clock_of_a_run_stands_still_while_a_person_thinks() {
    let mut policy = asking("15m");
    policy["x-sandbox"]["caps"] = json!({ "wall_s": 2 });
    let place = Place::with(&policy, &[]);
    let thinks = |script: &str| {
        let uuid = place.server.submit(script);
        let id = place.asked(1).remove(0);
        let asked = Instant::now();
        // The wait is the thing that is tested.
        eventually(|| (asked.elapsed() > Duration::from_secs(3)).then_some(()));
        assert_eq!(place.state(&uuid), "waiting_approval");
        assert_eq!(place.approve(&id).status, Some(0));
        place.server.wait(&uuid)
    };
    assert_eq!(thinks(CAUGHT)["result"], 103);
    // Its own time counts as before.
    assert_eq!(thinks(&format!("{CAUGHT}\nwhile True: pass"))["status"], "timed_out");
}

/// The time of a sync call passes while a person thinks: an answer, no error, and the script goes on.
#[test]
fn a_client_that_waits_is_told_where_to_look() {
    let mut policy = asking("15m");
    policy["x-sandbox"]["caps"] = json!({ "wall_s": 2 });
    let place = Place::with(&policy, &[]);
    let (failed, status, _) = place.server.tool("executeCode", json!({ "script": CAUGHT }));
    assert!(!failed, "{status}");
    assert_eq!((&status["status"], &status["success"]), (&json!("waiting_approval"), &Value::Null));
    let uuid = status["execution_uuid"].as_str().unwrap();
    assert_eq!(
        status["warnings"],
        json!([format!(
            "a person has to approve a call of this script, which goes on then: tell your user, and poll checkCodeExecStatus \
             with execution_uuid `{uuid}`"
        )])
    );
    assert_eq!(place.approve(&place.asked(1)[0]).status, Some(0));
    assert_eq!(place.server.wait(uuid)["result"], 103);
}

#[test]
fn arguments_that_nobody_could_read_are_not_asked_about() {
    let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "approve_if": { "executeCode": [{ "conditions": [] }] } } });
    let place = Place::with(&policy, &[]);
    let (failed, _, text) =
        place.server.tool("executeCode", json!({ "script": format!("#{}", "x".repeat(300 << 10)) }));
    assert!(failed);
    assert!(
        text.ends_with("its arguments have more than 262144 bytes, which is more than a person can be shown."),
        "{text}"
    );
    assert!(!place.server.tool("executeCode", json!({ "script": "1" })).1["approval"].is_null());
}
