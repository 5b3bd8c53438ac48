//! What goes wrong around a server: its disk, its data folder, its clients. Nothing hangs or panics, the states are
//! honest, and the words say what to do.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use support::binary;
use support::counts::made;
use support::server::{self, Server};

const FULL: &str = "the execution could not be kept: the disk of the data folder is full: make room, or lower `retention` in \
                    exuvia.toml";

/// A server whose data folder is a disk of its own, of 96 MiB. None where this machine lets nobody mount one.
fn on_a_small_disk(folder: &Path, arguments: &[&str]) -> Option<Server> {
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let mount = "mount -t tmpfs -o size=96m tmpfs \"$0\"";
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&data);
        command.stdin(Stdio::null()).env("EXUVIA_LOG", "error").env_remove("EXUVIA_CONFIG");
        command
    };
    if !unshare(mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: no disk can be mounted here: `unshare --user --map-root-user --mount` and tmpfs are needed"
        );
        return None;
    }
    let mut command = unshare(&format!("{mount} && exec \"$@\" --data \"$0\""));
    command.arg(binary()).args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
    Some(Server::of(command, data))
}

#[test]
fn a_full_disk_refuses_what_is_new_and_loses_nothing_of_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = on_a_small_disk(folder.path(), &[]) else { return };
    let finished = server.submit("'finished'");
    assert_eq!(server.wait(&finished)["result"], "finished");
    let script = "import time\nprint('begun')\ntime.sleep(1)\nprint('y' * 100_000)\n'ended'";
    let under_way = server.submit(script);
    while server.tool("checkCodeExecStatus", json!({ "execution_uuid": under_way })).1["stdout"] != "begun\n" {}

    let disk = server.root().join(server.data.strip_prefix("/").unwrap());
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 60 << 20]).unwrap();
    for tool in ["executeCode", "asyncExecuteCode"] {
        assert_eq!(server.tool(tool, json!({ "script": "1" })), (true, Value::Null, FULL.into()));
    }
    let (status, answer) = server.post("/v1/executions", &json!({ "script": "1" }), &[]);
    assert_eq!(status, 507, "{answer}");
    assert!(answer["error"].as_str().is_some_and(|why| FULL.ends_with(why)), "{answer}");
    assert_eq!(server.wait(&under_way)["result"], "ended");

    // Now to the last byte: what is written already is still read.
    let mut file = fs::OpenOptions::new().append(true).open(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    assert_eq!(server.get("/healthz").0, 200);
    assert!(server.tool("asyncExecuteCode", json!({ "script": "1" })).0);

    drop(file);
    fs::remove_file(&filler).unwrap();
    let after = server.submit("'after'");
    assert_eq!(server.wait(&after)["result"], "after");
    for (uuid, result) in [(&finished, "finished"), (&under_way, "ended")] {
        assert_eq!(server.wait(uuid)["result"], result);
    }
}

#[test]
fn a_job_on_a_full_disk_makes_no_call_that_is_not_written_and_loses_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let upstream = json!({ "command": env!("CARGO_BIN_EXE_upstream-for-tests"), "env": { "COUNTS": at("counts") } });
    fs::write(at("mcp.json"), json!({ "mcpServers": { "Counts": upstream } }).to_string()).unwrap();
    fs::write(at("policy.json"), r#"{ "version": "1", "default": "allow" }"#).unwrap();
    let flags = ["--mcp-config", &at("mcp.json"), "--policy", &at("policy.json")];
    let Some(server) = on_a_small_disk(folder.path(), &flags) else { return };
    let script = "\
import time
made = refused = 0
while made < 60:
    try:
        assert mcp_Counts_put(key=f'd/{made}') == made
        made += 1
    except Exception as error:
        if 'was not called, as that cannot be written down' in str(error):
            refused += 1
            print('refused', flush=True)
    time.sleep(0.03)
[made, refused > 0]";
    let uuid = server.submit(script);
    let calls = || made(at("counts").as_ref());
    while calls().is_empty() {}
    let filler = server.root().join(server.data.strip_prefix("/").unwrap()).join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    // Less than the store leaves free for the audit log, without which nothing is answered.
    file.set_len(file.metadata().unwrap().len() - (8 << 20)).unwrap();
    let status = || server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1;
    while !status()["stdout"].as_str().is_some_and(|stdout| stdout.contains("refused")) {}
    drop(file);
    fs::remove_file(&filler).unwrap();
    let ended = server.wait(&uuid);
    assert_eq!(ended["result"], json!([60, true]), "{ended}");
    let expected: Vec<_> = (0..60).map(|n| format!("put d/{n}")).collect();
    assert_eq!(calls(), expected);
}

/// Seen to fail with a write that does not look at the room that its size leaves.
#[test]
fn a_session_that_would_fill_the_disk_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = on_a_small_disk(folder.path(), &[]) else { return };
    let call = |script: &str| server.tool("executeCode", json!({ "script": script, "session_id": "a" })).1;
    assert_eq!(call("x = b'1' * 8_000_000\nlen(x)")["warnings"], json!([]));
    let given = call("x = b'2' * 60_000_000\nlen(x)");
    assert_eq!(given["result"], 60_000_000);
    let expected = "the session `a` is as it was before this call: the disk of the data folder is full: make room, or lower \
                    `retention` in exuvia.toml";
    assert_eq!(given["warnings"], json!([expected]));
    assert_eq!(call("x[:1].decode() + str(len(x))")["result"], "18000000");
    assert_eq!(
        fs::read_dir(server.root().join(server.data.strip_prefix("/").unwrap()).join("sessions")).unwrap().count(),
        1
    );
}

/// Starts the server on `data`, which must refuse to: what it says.
fn refused(data: &Path) -> String {
    let mut child = server::command(data).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0];
    let serves = child.stdout.take().unwrap().read(&mut line).unwrap() > 0;
    // Or waiting for its end would have none.
    child.kill().unwrap();
    assert!(!serves, "it serves {}", data.display());
    let ran = child.wait_with_output().unwrap();
    let text = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(3), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_damaged_data_folder_is_refused_until_its_loss_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let uuids: Vec<_> = (0..20).map(|_| server.submit(&format!("'{}'", "x".repeat(2000)))).collect();
    for uuid in &uuids {
        server.wait(uuid);
    }
    assert_eq!(server.stop(), Some(0));
    let sound = folder.path().join("data");
    let log = fs::read(sound.join("store/db")).unwrap();
    let used = log.iter().rposition(|byte| *byte != 0).unwrap();

    let damaged = |place: usize, damage: &dyn Fn(&mut Vec<u8>)| {
        let data = folder.path().join(format!("damaged-{place}"));
        copy(&sound, &data);
        let mut bytes = log.clone();
        damage(&mut bytes);
        fs::write(data.join("store/db"), bytes).unwrap();
        data
    };
    for (place, damage) in [
        &(|log: &mut Vec<u8>| log.clear()) as &dyn Fn(&mut Vec<u8>),
        &|log| log.truncate(used / 2),
        &|log| log[used / 3] ^= 1,
        &|log| log[used / 2..][..4096].fill(0),
        &|log| log[100..5000].fill(0xff),
    ]
    .into_iter()
    .enumerate()
    {
        let data = damaged(place, damage);
        let said = refused(&data);
        assert!(
            said.contains("is damaged: its last ") && said.contains("`exuvia doctor --store --accept-loss`"),
            "{said}"
        );
        let doctor = |arguments: &[&str]| {
            Command::new(binary()).args(["doctor", "--store", "--data"]).arg(&data).args(arguments).output().unwrap()
        };
        assert_eq!(doctor(&[]).status.code(), Some(1), "{place}");
        assert_eq!(doctor(&["--accept-loss"]).status.code(), Some(0), "{place}");
        let server = Server::of(server::command(&data), data.clone());
        assert_eq!(server.execute("1")["result"], 1);
        for uuid in &uuids {
            let (failed, status, text) = server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
            // One whose end is lost goes on, and comes to it once more.
            let honest = if failed {
                text.starts_with("there is no execution")
            } else {
                !server.wait(uuid)["success"].is_null()
            };
            assert!(honest, "{text}{status}");
        }
    }
    let data = damaged(9, &|_| {});
    fs::write(data.join("store/conf"), [0xff; 30]).unwrap();
    assert!(refused(&data).contains("move it away, or restore it from a backup"));
    // The one that nobody touched.
    let server = Server::start_in(folder.path(), &[]);
    assert_eq!(server.wait(&uuids[0])["success"], true);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_call_stops_that_call_alone() {
    let server = Server::start();
    let address = server.url.strip_prefix("http://").unwrap();
    let script = "import time\nprint('begun')\ntime.sleep(1000)";
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "executeCode", "arguments": { "script": script } } })
    .to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n",
        call.len()
    );
    for part in [call.len() / 2, call.len()] {
        let mut leaving = TcpStream::connect(address).unwrap();
        leaving.write_all(head.as_bytes()).unwrap();
        leaving.write_all(&call.as_bytes()[..part]).unwrap();
        // Half a request is no execution; a whole one is, once it is listed.
        while part == call.len() && running(&server).is_empty() {}
    }
    let job = server.submit("import time\ntime.sleep(0.1)\n'job'");
    // Both have left.
    let (_, list, _) = server.tool("listCodeExecs", json!({}));
    let [_, left] = list["executions"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!(server.wait(left["execution_uuid"].as_str().unwrap())["status"], "cancelled");
    assert_eq!(server.wait(&job)["result"], "job");
}

fn running(server: &Server) -> Vec<String> {
    let (_, list, _) = server.tool("listCodeExecs", json!({ "status": "running" }));
    let uuids = list["executions"].as_array().unwrap().iter();
    uuids.map(|one| one["execution_uuid"].as_str().unwrap().to_owned()).collect()
}
