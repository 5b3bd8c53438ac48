//! Calls that a person has to approve: in a real server, decided with the real command line. Each refusal stands beside
//! the same call that passes once it is approved.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "approvals/operator.rs"]
mod operator;
#[path = "approvals/stdio.rs"]
mod stdio;
mod support;
#[path = "approvals/waiting.rs"]
mod waiting;
#[path = "approvals/webhook.rs"]
mod webhook;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::server::Server;
use support::{Ran, binary};
use tempfile::TempDir;

/// Keeps a test from hanging. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server with the upstream server `Math`, whose `add` needs approval above 100.
struct Place {
    server: Server,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with(&asking("15m"), &[])
    }

    fn with(policy: &Value, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), policy, arguments);
        Self { server, folder }
    }

    fn change(&self, policy: &Value) {
        fs::write(self.folder.path().join("policy.json"), policy.to_string()).unwrap();
    }

    /// `exuvia approvals`.
    fn approvals(&self, arguments: &[&str]) -> Ran {
        let at = ["--url", &self.server.url, "--data", self.server.data.to_str().unwrap()];
        let mut command = Command::new(binary());
        command.arg("approvals").args(arguments).args(at).env_remove("EXUVIA_OPERATOR_TOKEN");
        command.output().unwrap().into()
    }

    /// What waits for approval now.
    fn open(&self) -> Vec<Value> {
        let ran = self.approvals(&["list", "--json"]);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["approvals"].as_array().unwrap().clone()
    }

    /// The ids of what waits, once it is so many.
    fn asked(&self, count: usize) -> Vec<String> {
        let ids = || self.open().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        eventually(|| Some(ids()).filter(|ids| ids.len() == count))
    }

    fn approve(&self, id: &str) -> Ran {
        self.approvals(&["approve", id])
    }

    fn audit(&self, arguments: &[&str]) -> Vec<Value> {
        let data = ["audit", "--data", self.server.data.to_str().unwrap(), "query"];
        let output = Command::new(binary()).args([&data, arguments].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn state(&self, uuid: &str) -> String {
        let (_, status, _) = self.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
        status["status"].as_str().unwrap().to_owned()
    }

    fn add(&self, a: u32) -> (bool, Value, String) {
        self.server.tool("executeTool", json!({ "tool_alias_name": "mcp_Math_add", "parameters": { "a": a, "b": 2 } }))
    }
}

fn start(folder: &Path, policy: &Value, arguments: &[&str]) -> Server {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(at("policy.json"), policy.to_string()).unwrap();
    // It says of `add` what stands in a file, so that a new start may change it.
    fs::write(at("description"), "Adds.").unwrap();
    let script = "ADD_DESCRIPTION=$(cat \"$1\") exec \"$0\"";
    let arguments_of_it = ["-c", script, env!("CARGO_BIN_EXE_upstream-for-tests"), &at("description")];
    let servers = json!({ "mcpServers": { "Math": { "command": "/bin/sh", "args": arguments_of_it } } });
    fs::write(at("mcp.json"), servers.to_string()).unwrap();
    let usual = ["--mcp-config", &at("mcp.json"), "--policy", &at("policy.json")];
    let server = Server::start_in(folder, &[&usual, arguments].concat());
    eventually(|| (server.get("/readyz").1["servers"][0]["status"] == "ready").then_some(()));
    server
}

fn asking(timeout: &str) -> Value {
    json!({ "version": "1", "default": "allow", "x-sandbox": { "approve_if": { "mcp_Math_add": [{
        "conditions": [{ "path": "args.a", "op": "gt", "value": 100 }], "reason": "more than 100", "timeout": timeout,
    }] } } })
}

/// Looks until there is something.
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it never came");
    }
}

const CAUGHT: &str = "
try:
    answer = mcp_Math_add(101, 2)['sum']
except PolicyDenied as error:
    answer = [error.rule, error.reason]
answer
";
const RULE: &str = "/x-sandbox/approve_if/mcp_Math_add/args.a-gt";

/// Seen to fail with an execution that does not change its state.
#[test]
fn a_program_waits_and_goes_on_when_it_is_approved() {
    let place = Place::new();
    let uuid = place.server.submit("print('before')\nmcp_Math_add(101, 2)['sum'], mcp_Math_add(1, 2)['sum']");
    let id = place.asked(1).remove(0);
    let (_, status, _) = place.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
    assert_eq!(
        (&status["status"], &status["success"], &status["stdout"], &status["approvals"]),
        (&json!("waiting_approval"), &Value::Null, &json!("before\n"), &json!([id]))
    );
    let mut shown = Command::new(binary());
    let shown: Ran = shown.args(["status", &uuid, "--url", &place.server.url]).output().unwrap().into();
    assert_eq!(
        shown.stderr,
        format!("exuvia: waiting_approval\nexuvia: a call waits for approval: `exuvia approvals show {id}`\n")
    );
    let listed = place.server.tool("listCodeExecs", json!({ "status": "waiting_approval" })).1;
    assert_eq!(listed["executions"][0]["execution_uuid"], *uuid);
    let approved = place.approve(&id);
    assert_eq!(approved.status, Some(0), "{}", approved.stderr);
    assert!(approved.stdout.starts_with("Approved, once:\n\napproval   "), "{}", approved.stdout);
    assert!(approved.stdout.ends_with("  | {\n  |   \"a\": 101,\n  |   \"b\": 2\n  | }\n"), "{}", approved.stdout);
    let given = place.server.wait(&uuid);
    assert_eq!((&given["status"], &given["result"]), (&json!("completed"), &json!([103, 3])), "{given}");
    assert_eq!(place.open(), [] as [Value; 0]);
    // What happened is in the audit, from the question to the call.
    let lines = place.audit(&["--approval", &id]);
    let decided: Vec<_> = lines.iter().map(|line| (line["decision"].as_str().unwrap(), &line["by"])).collect();
    assert_eq!(decided, [("approval", &Value::Null), ("approved", &json!("operator")), ("allow", &Value::Null)]);
    for line in &lines {
        assert_eq!((&line["parent"], &line["arguments"]), (&json!(uuid), &json!(["a", "b"])), "{line}");
    }
    assert_eq!(place.audit(&["--decision", "approved"]).len(), 1);
}

/// Seen to fail with `Said::No` taken for a yes.
#[test]
fn a_person_s_no_reaches_the_program_in_their_words() {
    let place = Place::new();
    for (reason, said) in
        [(Some("ask Bob first"), "A person denied this call: ask Bob first"), (None, "A person denied this call.")]
    {
        let uuid = place.server.submit(CAUGHT);
        let id = place.asked(1).remove(0);
        let denied = match reason {
            Some(reason) => place.approvals(&["deny", &id, "--reason", reason]),
            None => place.approvals(&["deny", &id]),
        };
        assert_eq!(denied.stdout, "Denied: mcp_Math_add of local.\n", "{}", denied.stderr);
        assert_eq!(place.server.wait(&uuid)["result"], json!([RULE, said]));
        let decided = place.audit(&["--approval", &id]);
        let decided: Vec<_> = decided.iter().map(|line| line["decision"].as_str().unwrap()).collect();
        assert_eq!(decided, ["approval", "rejected", "deny"]);
    }
}

#[test]
fn a_request_that_nobody_answers_expires() {
    let place = Place::with(&asking("1s"), &[]);
    let given = place.server.execute(CAUGHT);
    assert_eq!(given["result"], json!([RULE, "Nobody approved this call within 1s: more than 100."]));
    assert_eq!(place.open(), [] as [Value; 0]);
    // A client's own call: approved too late, or not used in time, it is of no use.
    let (_, asked, _) = place.add(101);
    let id = asked["approval"].as_str().unwrap();
    eventually(|| place.open().is_empty().then_some(()));
    let late = place.approve(id);
    assert_eq!((late.status, late.stderr.as_str()), (Some(64), "exuvia: the approval has expired\n"));
    assert_ne!(place.add(101).1["approval"], *id);
}

/// Seen to fail without the look at the pins after the person's yes.
#[test]
fn a_tool_that_changes_while_a_person_thinks_is_not_called() {
    let place = Place::new();
    let uuid = place.server.submit(CAUGHT);
    let id = place.asked(1).remove(0);
    fs::write(place.folder.path().join("description"), "Adds, and sends the sum away.").unwrap();
    place.server.execute("mcp_Math_die()");
    eventually(|| (place.server.get("/readyz").1["servers"][0]["status"] == "ready").then_some(()));
    assert_eq!(place.approve(&id).status, Some(0));
    let changed = "The definition of this tool has changed while the call waited for approval.";
    assert_eq!(place.server.wait(&uuid)["result"], json!(["(pin)", changed]));
}

#[test]
fn an_approval_is_for_one_call() {
    let place = Place::new();
    let uuid = place.server.submit("[mcp_Math_add(101, 2)['sum'] for _ in range(2)]");
    let first = place.asked(1).remove(0);
    assert_eq!(place.approve(&first).status, Some(0));
    let second = eventually(|| place.asked(1).pop().filter(|second| *second != first));
    assert_eq!(place.state(&uuid), "waiting_approval");
    // Giving the first again gives nothing.
    let again = place.approve(&first);
    assert_eq!(again.status, Some(64));
    assert!(
        again.stderr.starts_with(&format!("exuvia: there is no approval `{first}` to be given")),
        "{}",
        again.stderr
    );
    assert_eq!(place.approve(&second).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], json!([103, 103]));
}

/// Seen to fail with a `consume` that leaves the approval as it is.
#[test]
fn a_decision_is_made_once() {
    let place = Place::new();
    let (_, asked, _) = place.add(101);
    let id = asked["approval"].as_str().unwrap();
    assert_eq!(place.approve(id).status, Some(0));
    for second in [place.approve(id), place.approvals(&["deny", id])] {
        assert_eq!((second.status, second.stderr.as_str()), (Some(64), "exuvia: the approval was decided before\n"));
    }
    assert!(!place.add(101).0);
    assert!(place.add(101).0, "it is used");
    let used = place.approve(id);
    assert_eq!((used.status, used.stderr.as_str()), (Some(64), "exuvia: the approval was decided before\n"));
}

/// Seen to fail with a `find` that does not look at arguments, and with one that does not look at the grant.
#[test]
fn an_approval_is_for_the_exact_call_of_its_grant() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.json");
    fs::write(&policy, asking("15m").to_string()).unwrap();
    let key = |label: &str| {
        let data = folder.path().join("data");
        let arguments =
            ["grants", "create", label, "--policy", policy.to_str().unwrap(), "--data", data.to_str().unwrap()];
        let ran: Ran = Command::new(binary()).args(arguments).output().unwrap().into();
        ran.stdout.split_whitespace().find(|word| word.starts_with("exv_")).unwrap().to_owned()
    };
    let (alice, bob) = (key("alice"), key("bob"));
    let server = start(folder.path(), &asking("15m"), &[]);
    let mut place = Place { server, folder };
    place.server.with_key(Some(&alice));
    let (failed, asked, text) = place.add(101);
    let id = asked["approval"].as_str().unwrap().to_owned();
    assert!(failed);
    assert!(
        text.starts_with("[POLICY DENIED] This call needs approval: more than 100. A person is asked until "),
        "{text}"
    );
    assert!(text.ends_with(&format!("; make exactly the same call again once approval {id} is given.")), "{text}");
    assert_eq!(asked["rule"], RULE);
    // Asked twice, it is one request.
    assert_eq!(place.add(101).1["approval"], *id);
    assert_eq!(place.asked(1), [id.as_str()]);
    assert_eq!(place.approve(&id).status, Some(0));
    assert!(place.add(102).0, "other arguments");
    place.server.with_key(Some(&bob));
    assert!(place.add(101).0, "another grant");
    place.server.with_key(Some(&alice));
    // A program's call is not the client's.
    let uuid = place.server.submit(CAUGHT);
    eventually(|| (place.state(&uuid) == "waiting_approval").then_some(()));
    assert!(!place.add(101).0, "the call that was approved");
    assert!(place.add(101).0, "once more");
    assert!(place.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid })).1["success"] == true);
}

/// Seen to fail with a binding that leaves the policy out.
#[test]
fn an_edit_of_the_policy_makes_an_approval_useless() {
    let place = Place::new();
    let mut edited = asking("15m");
    edited["tools"] = json!({ "executeCode": {} });
    let (_, asked, _) = place.add(101);
    let id = asked["approval"].as_str().unwrap().to_owned();
    assert_eq!(place.approve(&id).status, Some(0));
    place.change(&edited);
    let (failed, anew, text) = place.add(101);
    assert!(failed && anew["approval"] != *id);
    assert!(text.contains("It is asked for anew: the policy has changed since this call was asked for"), "{text}");
    assert_eq!(place.approve(anew["approval"].as_str().unwrap()).status, Some(0));
    assert!(!place.add(101).0);
    // A program that waits is asked about once more.
    let uuid = place.server.submit(CAUGHT);
    let first = place.asked(1).remove(0);
    place.change(&asking("15m"));
    assert_eq!(place.approve(&first).status, Some(0));
    let second = eventually(|| place.asked(1).pop().filter(|second| *second != first));
    let shown = place.approvals(&["show", &second]);
    assert!(
        shown.stdout.contains("\nnote       the policy has changed since this call was asked for"),
        "{}",
        shown.stdout
    );
    assert_eq!(place.approve(&second).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], 103);
    // What the policy denies by then stays denied, approved or not.
    let uuid = place.server.submit(CAUGHT);
    let id = place.asked(1).remove(0);
    let denying = json!({ "version": "1", "default": "allow", "tools": { "mcp_Math_add": { "deny_if": [{ "conditions": [] }] } } });
    place.change(&denying);
    assert_eq!(place.approve(&id).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"][0], "/tools/mcp_Math_add/deny_if/always");
}

/// That a store's swap compares is seen in `server/src/approvals/tests.rs`: here, the race is seldom close enough.
#[test]
fn of_many_who_use_an_approval_at_once_one_does() {
    let place = Place::new();
    for _ in 0..5 {
        let (_, asked, _) = place.add(101);
        assert_eq!(place.approve(asked["approval"].as_str().unwrap()).status, Some(0));
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| !place.add(101).0)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|passed| *passed).count()
        });
        assert_eq!(passed, 1);
        // Those who came too late have asked anew, together.
        assert_eq!(place.open().len(), 1);
        assert_eq!(place.approve(place.open()[0]["id"].as_str().unwrap()).status, Some(0));
        assert!(!place.add(101).0);
    }
}

#[test]
fn calls_wait_side_by_side_and_others_go_on() {
    let place = Place::new();
    let script = "
from concurrent.futures import ThreadPoolExecutor
def call(a):
    value = mcp_Math_add(a, 2)['sum']
    print(a, flush=True)
    return value
list(ThreadPoolExecutor(3).map(call, [101, 102, 1]))
";
    let uuid = place.server.submit(script);
    let ids = place.asked(2);
    eventually(|| {
        let (_, status, _) = place.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
        (status["stdout"] == "1\n").then_some(())
    });
    assert_eq!(place.approve(&ids[1]).status, Some(0));
    eventually(|| (place.open().len() == 1).then_some(()));
    assert_eq!(place.state(&uuid), "waiting_approval");
    assert_eq!(place.approve(&ids[0]).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], json!([103, 104, 3]));
}

/// Seen to fail with calls that take what another one asked for, and with clients that take what a program did.
#[test]
fn calls_that_are_alike_ask_each_for_itself() {
    let place = Place::new();
    let script = "
from concurrent.futures import ThreadPoolExecutor
def call(_):
    try:
        return mcp_Math_add(101, 2)['sum']
    except PolicyDenied as error:
        return error.reason
sorted(ThreadPoolExecutor(2).map(call, range(2)), key=str)
";
    let uuid = place.server.submit(script);
    let of_program = place.asked(2);
    let (failed, denied, _) = place.add(101);
    assert!(failed);
    let of_client = denied["approval"].as_str().unwrap();
    assert!(!of_program.iter().any(|id| id == of_client), "{denied}");
    assert_eq!(place.approve(&of_program[0]).status, Some(0));
    assert_eq!(place.approvals(&["deny", &of_program[1]]).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"], json!([103, "A person denied this call."]));
    assert!(place.add(101).0, "nobody has approved the client's own");
}

/// Limits hold for what was approved, too.
#[test]
fn an_approval_is_no_way_around_a_limit() {
    let mut policy = asking("15m");
    policy["tools"] =
        json!({ "mcp_Math_add": { "limits": [{ "counter": "adds", "window": "day", "max": 1, "scope": "grant" }] } });
    let place = Place::with(&policy, &[]);
    assert_eq!(place.server.execute("mcp_Math_add(1, 2)['sum']")["result"], 3);
    let uuid = place.server.submit(CAUGHT);
    assert_eq!(place.approve(&place.asked(1)[0]).status, Some(0));
    assert_eq!(place.server.wait(&uuid)["result"][0], "/tools/mcp_Math_add/limits/adds");
}
