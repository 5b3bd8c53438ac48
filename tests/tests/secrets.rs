//! Secrets as operators keep them and programs use them. What must not come out of them is `leaks.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use support::forms::leaked;
use support::leaks::{self, HMAC, KEY, Place};
use support::server::{self, Server};
use support::{Ran, binary};

/// Runs `exuvia secrets`, with `given` on its standard input.
fn secrets(data: &Path, arguments: &[&str], given: &str, key: Option<&str>) -> Ran {
    let mut command = Command::new(binary());
    command.arg("secrets").args(arguments).arg("--data").arg(data).env_remove("EXUVIA_KEY");
    command.envs(key.map(|key| ("EXUVIA_KEY", key)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A server whose policy lists `KEPT`, which nobody has set.
fn kept() -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let policy = json!({ "version": "1", "default": "allow",
        "x-sandbox": { "secrets": { "KEPT": { "hosts": ["api.example.com"] } } } });
    fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
    let server = Server::start_in(folder.path(), &["--policy", folder.path().join("policy.json").to_str().unwrap()]);
    (server, folder)
}

fn named(server: &Server, script: &str, names: &[&str]) -> (bool, Value, String) {
    server.tool("executeCode", json!({ "script": script, "required_secrets": names }))
}

#[test]
fn a_secret_is_set_while_the_server_runs_and_never_shown() {
    let (mut server, _folder) = kept();
    let listed = |server: &Server| server.tool("getUserSecrets", json!({})).1["secrets"].clone();
    assert_eq!(listed(&server), json!([{ "name": "KEPT", "value": "********", "is_set": false }]));
    let (failed, _, text) = named(&server, "1", &["KEPT"]);
    assert!(failed);
    assert_eq!(
        text,
        "the secret `KEPT` has no value here: its operator gives it one; the server's log says what is wrong"
    );
    let set = secrets(&server.data, &["set", "KEPT"], "a value of some length\n", None);
    assert_eq!((set.status, set.stderr.as_str()), (Some(0), ""));
    assert!(set.stdout.starts_with("`KEPT` is kept."), "{}", set.stdout);
    assert_eq!(listed(&server), json!([{ "name": "KEPT", "value": "********", "is_set": true }]));
    assert_eq!(server.get("/mcp/user-secrets/keys").1["secrets"], listed(&server));
    let (failed, given, text) = named(&server, "[KEPT[:4], len(KEPT), 'KEPT' in input_vars]", &["KEPT"]);
    assert!(!failed, "{text}");
    assert_eq!(given["result"], json!(["exs_", 44, false]));
    let list = secrets(&server.data, &["list"], "", None);
    assert!(list.stdout.ends_with("  KEPT  ********\n"), "{}", list.stdout);
    assert_eq!(secrets(&server.data, &["remove", "KEPT"], "", None).stdout, "`KEPT` is forgotten.\n");
    assert!(named(&server, "1", &["KEPT"]).0);
    server.stop();
    // Also while none runs.
    assert_eq!(secrets(&server.data, &["set", "KEPT"], "another value", None).status, Some(0));
}

#[test]
fn what_cannot_be_a_secret_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], given: &str, expected: &str| {
        let ran = secrets(folder.path(), arguments, given, None);
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(64), format!("exuvia: {expected}\n").as_str()));
    };
    fails(
        &["set", "K"],
        "short\n",
        "this cannot be a secret: it has fewer than 8 bytes, which are found in too many texts to be taken out of them: use \
         a longer one",
    );
    fails(
        &["set", "a-b"],
        "long enough",
        "`a-b` cannot be a secret's name: give a variable's name of at most 128 letters, digits and `_`",
    );
    fails(&["remove", "K"], "", "there is no secret `K` here: `exuvia secrets list` shows those that exist");
}

/// Seen to fail with the key not checked.
#[test]
fn another_key_than_the_servers_is_refused() {
    let (server, _folder) = kept();
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let set = secrets(&server.data, &["set", "KEPT"], "a value of some length", Some(other));
    assert_eq!(set.status, Some(64));
    assert!(set.stderr.contains("were sealed with another key than EXUVIA_KEY"), "{}", set.stderr);
}

/// A server that runs, with a value that it has used, and one that starts.
#[test]
fn the_key_is_changed_under_a_server_that_goes_on() {
    let (mut server, folder) = kept();
    let key = || fs::read_to_string(folder.path().join("data/key")).unwrap();
    let is_set = |server: &Server| server.tool("getUserSecrets", json!({})).1["secrets"][0]["is_set"].clone();
    assert_eq!(secrets(&server.data, &["set", "KEPT"], "a value of some length", None).status, Some(0));
    assert_eq!((is_set(&server), key().lines().count()), (json!(true), 1));
    let first = key();
    let changed = secrets(&server.data, &["rekey"], "", None);
    assert_eq!(changed.status, Some(0), "{}", changed.stderr);
    assert!(key() != first && key().lines().count() == 1, "the old one is gone");
    assert_eq!(is_set(&server), true);
    // What the server seals is sealed with the new one.
    let token = fs::read_to_string(server.data.join("operator.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let given = json!({ "name": "KEPT", "value": "another value" });
    assert_eq!(server.post("/mcp/cli/secrets/upsert", &given, &[("authorization", &bearer)]).0, 200);
    assert!(!named(&server, "1", &["KEPT"]).0);
    server.stop();
    let server = Server::start_in(folder.path(), &["--policy", folder.path().join("policy.json").to_str().unwrap()]);
    assert_eq!(is_set(&server), true);
}

/// A key in the environment is the operator's: both are given while it is changed.
#[test]
fn a_key_in_the_environment_is_changed_by_giving_both() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "HxwdHhkaGxwVFhcYERITFA0ODxAJCgsMBQYHCAECAwQ=");
    let run = |arguments: &[&str], key: &str| secrets(folder.path(), arguments, "a value of some length", Some(key));
    assert_eq!(run(&["set", "KEPT"], old).status, Some(0));
    let one = run(&["rekey"], old);
    assert_eq!(one.status, Some(64));
    assert!(one.stderr.starts_with("exuvia: `EXUVIA_KEY` has one key: start the server with both"), "{}", one.stderr);
    let both = format!("{new} {old}");
    assert!(run(&["list"], &both).stdout.contains("KEPT"));
    assert_eq!(run(&["rekey"], &both).status, Some(0));
    assert!(run(&["list"], new).stdout.contains("KEPT"));
    assert!(run(&["list"], old).stderr.contains("were sealed with another key than EXUVIA_KEY"));
}

#[test]
fn only_the_operator_gives_values() {
    let (server, _folder) = kept();
    let token = fs::read_to_string(server.data.join("operator.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let given = json!({ "name": "KEPT", "value": "a value of some length" });
    let (status, refused) = server.post("/mcp/cli/secrets/upsert", &given, &[]);
    assert_eq!(status, 401, "{refused}");
    let (status, answer) = server.post("/mcp/cli/secrets/upsert", &given, &[("authorization", &bearer)]);
    assert_eq!(status, 200);
    assert_eq!(answer, json!({ "secret": { "name": "KEPT", "value": "********" }, "created": true }));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let at = format!("{}/operator/v1/secrets", server.url);
    let mut listed = agent.get(&at).header("authorization", &bearer).call().unwrap();
    let listed: Value = serde_json::from_str(&listed.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!((&listed["secrets"][0]["name"], &listed["secrets"][0]["value"]), (&json!("KEPT"), &json!("********")));
    let put = |value: &str| {
        let put = agent.put(format!("{at}/KEPT")).header("authorization", &bearer);
        put.header("content-type", "application/json").send(json!({ "value": value }).to_string()).unwrap().status()
    };
    assert_eq!((put("another value").as_u16(), put("short").as_u16()), (200, 422));
    assert_eq!(agent.delete(format!("{at}/KEPT")).call().unwrap().status().as_u16(), 401);
    let removed = agent.delete(format!("{at}/KEPT")).header("authorization", &bearer).call().unwrap();
    assert_eq!(removed.status().as_u16(), 200);
}

/// Seen to fail with the name not looked up.
#[test]
fn a_secret_that_the_policy_does_not_list_is_none() {
    let (server, _folder) = kept();
    let (failed, _, text) = named(&server, "1", &["OTHER"]);
    assert!(failed);
    assert_eq!(text, "there is no secret `OTHER`: `getUserSecrets` lists those that exist");
    let both = json!({ "script": "1", "required_secrets": ["KEPT"], "input_vars": { "KEPT": 1 } });
    let text = server.tool("executeCode", both).2;
    assert_eq!(text, "`KEPT` is in `input_vars` and in `required_secrets`: choose another name for the input");
}

/// A session's state is all of its program's memory, as it is. Seen to fail with tools' answers not scrubbed, and with a revealed secret let into a
/// session.
#[test]
fn the_memory_of_a_program_has_no_value() {
    let place = Place::start();
    let call = |script: &str, secret: &str| {
        let arguments = json!({ "script": script, "session_id": "s", "required_secrets": [secret] });
        place.server.tool("executeCode", arguments)
    };
    let script = "kept = [KEY, KEY[::-1], mcp_Math_leak()]\nkept[2]";
    let (failed, given, text) = call(script, "KEY");
    assert!(!failed, "{text}");
    let placeholder = given["result"].as_str().unwrap().strip_prefix("it is ").unwrap().to_owned();
    assert!(placeholder.starts_with("exs_"), "{placeholder}");
    // What one call put away, the next can use.
    assert_eq!(call("kept[0] == KEY", "KEY").1["result"], true);
    let states: Vec<_> = fs::read_dir(place.server.data.join("sessions")).unwrap().flatten().collect();
    assert!(!states.is_empty());
    for state in states {
        let memory = fs::read(state.path()).unwrap();
        assert_eq!(leaked(&memory, KEY, false), None);
        let is_there = memory.windows(placeholder.len()).any(|window| window == placeholder.as_bytes());
        assert!(is_there, "this is not the program's memory");
    }
    let (failed, _, text) = call("1", "HMAC");
    assert!(failed);
    assert!(text.starts_with("the value of the secret `HMAC` itself is in the program's memory"), "{text}");
}

#[test]
fn a_placeholder_is_of_one_execution_and_the_same_after_a_restart() {
    let mut place = Place::start();
    let one = place.run("KEY", "KEY")["result"].clone();
    assert_ne!(place.run("KEY", "KEY")["result"], one);
    let script = "import time\nprint(KEY, flush=True)\nmcp_Math_echo_text(text='x')\ntime.sleep(3)\nprint(KEY)";
    let arguments = json!({ "script": script, "required_secrets": ["KEY"] });
    let uuid = place.server.tool("asyncExecuteCode", arguments).1["execution_uuid"].as_str().unwrap().to_owned();
    let status = |place: &Place| place.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1;
    while status(&place)["stdout"] == "" {}
    place.server.kill();
    place.server = leaks::start(place.folder.path());
    let status = place.server.wait(&uuid);
    assert_eq!(status["status"], "completed", "{status}");
    let lines: Vec<_> = status["stdout"].as_str().unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("exs_") && lines[0] == lines[1], "{lines:?}");
}

/// A method is in the audit, and in the log of whoever is on the way. Seen to fail with methods not looked at.
#[test]
fn a_value_is_no_request_s_method() {
    let place = Place::start();
    let ask = |method: &str| place.run(&format!("import httpx\nhttpx.request({method}, GOOD + '/plain').text"), "WORD");
    let denied = ask("WORD");
    let expected = "[POLICY DENIED] This request has the value of the secret `WORD`.";
    assert!(denied["error"]["message"].as_str().unwrap().starts_with(expected), "{denied}");
    assert!(place.reached.good.take().is_empty());
    assert_eq!(ask("'CORRECT'")["result"], "ok");
    assert!(place.reached.good.take().starts_with(b"CORRECT /plain "));
}

/// Seen to fail with what a program says of how far it is left as it is.
#[test]
fn how_far_a_program_is_has_no_value() {
    let place = Place::start();
    let script = "import time\nexuvia_progress(0.5, 'with ' + HMAC)\ntime.sleep(3600)";
    let arguments = json!({ "script": script, "required_secrets": ["HMAC"] });
    let uuid = place.server.tool("asyncExecuteCode", arguments).1["execution_uuid"].as_str().unwrap().to_owned();
    let progress = loop {
        let status = place.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1;
        if !status["progress"].is_null() {
            break status["progress"].clone();
        }
    };
    assert_eq!(progress, json!({ "fraction": 0.5, "step": "with [secret HMAC]" }));
    place.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
}

/// What is compressed cannot be looked through. Seen to fail with the request left as the program makes it.
#[test]
fn a_host_that_a_secret_goes_to_is_asked_not_to_compress() {
    let place = Place::start();
    let ask = |host: &str| place.run(&format!("import httpx\nhttpx.get({host} + '/echo').text.lower()"), "KEY");
    let said = |status: Value, encoding: &str| {
        let line = format!("accept-encoding: {encoding}\r\n");
        assert!(status["result"].as_str().unwrap().contains(&line), "{status}");
    };
    said(ask("GOOD"), "identity");
    said(ask("OTHER"), "gzip, deflate");
}

/// Seen to fail without the line of a secret that is revealed.
#[test]
fn the_audit_has_who_was_given_a_value_and_never_the_value() {
    let place = Place::start();
    assert_eq!(place.run("len(HMAC)", "HMAC")["result"], HMAC.len());
    place.run("mcp_Math_echo_text(text=KEY)", "KEY");
    let audit = fs::read_to_string(place.server.data.join("audit/audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| {
        let lines = lines.iter().filter(|line| line["secret"] == name);
        let fields = ["tool", "decision", "rule", "message"];
        lines.map(|line| fields.map(|field| line[field].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    let rule = "/x-sandbox/secrets/HMAC";
    assert_eq!(of("HMAC"), [["(secret)", "allow", rule, "The program has the value itself."]]);
    let reason = "An argument of this call has the placeholder of the secret `KEY`, whose value is put into HTTP requests alone.";
    assert_eq!(of("KEY"), [["mcp_Math_echo_text", "deny", "/x-sandbox/secrets/KEY", reason]]);
    assert_eq!(leaked(audit.as_bytes(), HMAC, false), None);
}

/// Seen to fail with the limit left as it was.
#[test]
fn no_core_file_is_written_of_the_server() {
    let (server, _folder) = kept();
    let limits = fs::read_to_string(server.root().with_file_name("limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().filter(|word| word.parse::<u64>().is_ok()).collect();
    // The kernel's word for "none, not even to a program".
    assert_eq!(numbers, ["1", "1"]);
}

#[test]
fn a_server_that_is_asked_by_key_shows_a_grant_its_own_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str| {
        let path = folder.path().join(format!("{name}.json"));
        let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "secrets": { name: { "hosts": ["a.example"] } } } });
        fs::write(&path, policy.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let data = folder.path().join("data");
    let key = |label: &str| {
        let mut command = Command::new(binary());
        command.args(["grants", "create", label, "--policy", &policy(label), "--data"]).arg(&data);
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        printed.split_whitespace().find(|word| word.starts_with("exv_")).unwrap().to_owned()
    };
    let (alice, bob) = (key("ALICE"), key("BOB"));
    let mut server = Server::of(server::command(&data), data.clone());
    for (key, name) in [(alice, "ALICE"), (bob, "BOB")] {
        let listed = server.with_key(Some(&key)).tool("getUserSecrets", json!({})).1;
        assert_eq!(listed["secrets"], json!([{ "name": name, "value": "********", "is_set": false }]));
    }
}

/// What a debugger, or another agent's tool, of the same user finds. Seen to fail with `close_memory` left out of `serve`.
#[test]
fn nobody_of_the_same_user_reads_a_servers_memory() {
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    // Root is as others without its privileges. Both sides: a process with more of them cannot be looked into either.
    let unprivileged = |program: &Path| {
        let mut command = Command::new(if is_root { Path::new("setpriv") } else { program });
        if is_root {
            command.arg("--bounding-set=-all").arg(program);
        }
        command
    };
    let opens = |process: u32| {
        let mut command = unprivileged(Path::new("cat"));
        command.arg(format!("/proc/{process}/environ")).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = unprivileged(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let Ok(mut other) = unprivileged(Path::new("sleep")).arg("600").spawn() else {
        eprintln!("skipped: there is no `setpriv`");
        return;
    };
    let server = Server::of(command, data);
    let control = opens(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(control, "no process here looks into another, so that of the server nothing is shown");
    assert!(!opens(server.id()));
}
