//! Programs that compute without end keep nothing else from going on: not each other, not short ones, not the server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::json;
use support::server::Server;

/// More than any machine that runs these tests has processors for.
const SPINNERS: usize = 40;

#[test]
fn programs_that_spin_leave_room_for_others() {
    let server = Server::start();
    let begun = |uuid: &String| {
        let (_, status, _) = server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
        status["stdout"] == "up\n"
    };
    let spin = ["while True: pass", "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')", "10 ** 10 ** 8"];
    let spinning: Vec<_> =
        (0..SPINNERS).map(|number| server.submit(&format!("print('up')\n{}", spin[number % spin.len()]))).collect();
    // Every one of them gets to run, though none of them ever stops.
    for uuid in &spinning {
        while !begun(uuid) {}
    }
    // So does a short one, and one that waits.
    assert_eq!(server.execute("print(6 * 7)")["stdout"], "42\n");
    assert_eq!(server.execute("import time\ntime.sleep(0.01)\n7")["result"], 7);
    let waiting = server.submit("import time\nfor n in range(20): time.sleep(0.001)\n'done'");
    assert_eq!(server.wait(&waiting)["result"], "done");
    for uuid in &spinning {
        assert!(!server.tool("cancelCodeExec", json!({ "execution_uuid": uuid })).0);
    }
    for uuid in &spinning {
        let status = server.wait(uuid);
        assert_eq!((&status["status"], &status["stdout"]), (&json!("cancelled"), &json!("up\n")));
    }
    assert_eq!(server.execute("print(6 * 7)")["stdout"], "42\n");
}

/// What takes longer than a moment is in the store while it runs, also when it never lets go of its thread.
#[test]
fn a_sync_program_that_spins_is_known_after_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(folder.path(), &[]);
    let arguments = json!({ "script": "while True: pass", "name": "spinner" });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "executeCode", "arguments": arguments } });
    let url = format!("{}/mcp", server.url);
    std::thread::spawn(move || {
        let post = ureq::post(url).header("content-type", "application/json");
        // The server is gone before it answers.
        let _ = post.header("accept", "application/json, text/event-stream").send(request.to_string());
    });
    let listed = |server: &Server| server.tool("listCodeExecs", json!({})).1["executions"][0].clone();
    while listed(&server)["name"] != "spinner" {}
    // Begun later, and written in its turn before it ends.
    assert_eq!(server.execute("import time\ntime.sleep(1)\n1")["result"], 1);
    server.kill();
    let server = Server::start_in(folder.path(), &[]);
    let (_, all, _) = server.tool("listCodeExecs", json!({ "status": "failed" }));
    // The other one's end may not have been written yet.
    let names = all["executions"].as_array().unwrap().iter().map(|one| one["name"].as_str());
    assert!(names.flatten().any(|name| name == "spinner"), "{all}");
}
