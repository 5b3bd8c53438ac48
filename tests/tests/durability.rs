//! What outlives the server, and how it says what does not. The kill test is `kills.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use support::binary;
use support::counts::Counts;

fn status(counts: &Counts, uuid: &str) -> Value {
    counts.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1
}

/// Waits until it has printed exactly this.
fn printed(counts: &Counts, uuid: &str, stdout: &str) {
    loop {
        let status = status(counts, uuid);
        if status["stdout"] == stdout {
            return;
        }
        assert!(status["success"].is_null(), "{status}");
    }
}

#[test]
fn a_job_survives_the_death_of_the_server_and_repeats_nothing() {
    let mut counts = Counts::start("");
    let script = "import time\nfor n in range(4):\n    print(mcp_Counts_put(key=f'a/{n}'), flush=True)\n    time.sleep(0.3)\n'done'";
    let uuid = counts.server.submit(script);
    printed(&counts, &uuid, "0\n1\n");
    // The write behind an answer takes a few milliseconds; of what dies before it, the test below speaks.
    std::thread::sleep(std::time::Duration::from_millis(100));
    counts.restart();
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["stdout"], &status["result"]), (&json!("0\n1\n2\n3\n"), &json!("done")), "{status}");
    assert_eq!(counts.calls(), ["put a/0", "put a/1", "put a/2", "put a/3"]);
    assert_eq!(status["usage"]["tool_calls"], 4);
    assert_eq!(status["tool_calls"].as_array().unwrap().len(), 4);
}

/// Seen to fail with `leaves` left out of `calls.rs`: then the call is made twice.
#[test]
fn a_call_under_way_is_in_doubt_unless_its_tool_may_be_repeated() {
    let mut counts = Counts::start("");
    let script = |tool: &str| format!("print('begun', flush=True)\nmcp_Counts_{tool}(key='a/7', ms=3000)");
    let put = counts.server.submit(&script("put"));
    let look = counts.server.submit(&script("look"));
    while counts.calls().len() < 2 {}
    counts.restart();
    let status = counts.server.wait(&put);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("failed"), &json!("ToolInDoubt")), "{status}");
    assert_eq!(
        status["error"]["message"],
        "the server died at about this call of `mcp_Counts_put`, and whether it took effect is not known: look at what it was \
         to change before you call it again"
    );
    assert_eq!(counts.server.wait(&look)["result"], 7);
    let mut calls = counts.calls();
    calls.sort();
    assert_eq!(calls, ["look a/7", "look a/7", "put a/7"]);
}

/// Seen to fail with a bound that is never reached.
#[test]
fn a_program_that_kills_the_server_is_not_begun_for_ever() {
    let mut counts = Counts::start("recoveries = 2\nrecovery_pause = \"1ms\"\n");
    let script = "print('begun', flush=True)\nwhile True:\n    try:\n        mcp_Counts_kill(key='k/1')\n    except ToolInDoubt:\n        print('again')";
    let uuid = counts.server.submit(script);
    for _ in 0..3 {
        counts.start_again();
    }
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("failed"), &json!("Crashed")), "{status}");
    assert_eq!(
        status["error"]["message"],
        "the server crashed 3 times while this was running, and it is not begun again: it may be the cause"
    );
}

#[test]
fn a_stop_leaves_what_goes_on_to_the_next_server_and_is_no_crash() {
    let mut counts = Counts::start("recoveries = 0\n");
    let uuid =
        counts.server.submit("import time\nprint(mcp_Counts_put(key='a/1'), flush=True)\ntime.sleep(15)\n'woke'");
    printed(&counts, &uuid, "1\n");
    assert_eq!(counts.server.stop(), Some(0));
    counts.start_again();
    printed(&counts, &uuid, "1\n");
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["status"], &status["result"]), (&json!("completed"), &json!("woke")), "{status}");
    assert_eq!(counts.calls(), ["put a/1"]);
}

#[test]
fn what_a_client_waited_for_is_interrupted() {
    let mut counts = Counts::start("");
    std::thread::scope(|threads| {
        let url = counts.server.url.clone();
        threads.spawn(move || {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "executeCode",
                "arguments": { "script": "print('begun', flush=True)\nimport time\ntime.sleep(100)" } } });
            let request = ureq::post(format!("{url}/mcp")).header("content-type", "application/json");
            // The server dies in the middle of it.
            let _ = request.header("accept", "application/json, text/event-stream").send(call.to_string());
        });
        let uuid = loop {
            let (_, list, _) = counts.server.tool("listCodeExecs", json!({ "status": "running" }));
            if let Some(one) = list["executions"].get(0) {
                break one["execution_uuid"].as_str().unwrap().to_owned();
            }
        };
        // It is written once it takes longer than a moment.
        std::thread::sleep(std::time::Duration::from_millis(500));
        counts.restart();
        let status = counts.server.wait(&uuid);
        assert_eq!(
            (&status["status"], &status["error"]["type"]),
            (&json!("failed"), &json!("Interrupted")),
            "{status}"
        );
    });
}

#[test]
fn a_journal_has_its_bound() {
    let counts = Counts::start("journal = \"20kB\"\n");
    let uuid =
        counts.server.submit("print('begun')\nfor n in range(10_000):\n    mcp_Counts_look(key=f'{\"x\" * 500}/{n}')");
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("failed"), &json!("JournalFull")), "{status}");
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("longer than the 20000 bytes allowed"), "{message}");
    assert!(counts.calls().len() < 100);
}

#[test]
fn a_journal_has_a_bound_of_entries_too() {
    let counts = Counts::start("journal_entries = 1000\n");
    let uuid = counts.server.submit("import time\nprint('begun')\nwhile True:\n    time.time()");
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["status"], &status["error"]["type"]), (&json!("failed"), &json!("JournalFull")), "{status}");
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("this run was told more than the 1000 things allowed"), "{message}");
}

/// Records of the store.
fn records(counts: &mut Counts) -> u64 {
    assert_eq!(counts.server.stop(), Some(0));
    let doctor =
        Command::new(binary()).args(["doctor", "--store", "--data"]).arg(&counts.server.data).output().unwrap();
    counts.start_again();
    let text = String::from_utf8(doctor.stdout).unwrap();
    let line = text.lines().find(|line| line.ends_with(" sound")).unwrap();
    line.trim().trim_end_matches(" sound").parse().unwrap()
}

/// Seen to fail (with 478,202) with a part for each entry.
#[test]
fn a_million_clock_readings_are_few_records() {
    let mut counts = Counts::start("");
    let before = records(&mut counts);
    let uuid = counts.server.submit("import time\nfor n in range(1_000_000):\n    time.time()\nn");
    assert_eq!(counts.server.wait(&uuid)["result"], 999_999);
    let made = records(&mut counts) - before;
    // At most one for each write of the writer of journals, of which there is one every two milliseconds, and one for each 128 KiB.
    println!("{made} records");
    assert!(made < 20_000, "{made}");
}

/// Seen to fail (`Crashed`) with `got_on` false.
#[test]
fn deaths_of_the_server_between_which_a_job_gets_on_are_not_added_up() {
    let mut counts = Counts::start("recoveries = 1\nrecovery_pause = \"1ms\"\n");
    let script = "import time\nfor n in range(12):\n    print(mcp_Counts_look(key=f'g/{n}'), flush=True)\n    time.sleep(0.25)\n'done'";
    let uuid = counts.server.submit(script);
    let mut printed = String::new();
    for n in 0..10 {
        printed = format!("{printed}{n}\n");
        if n % 2 == 1 {
            self::printed(&counts, &uuid, &printed);
            std::thread::sleep(std::time::Duration::from_millis(100));
            counts.restart();
        }
    }
    let status = counts.server.wait(&uuid);
    assert_eq!((&status["status"], &status["result"]), (&json!("completed"), &json!("done")), "{status}");
}

/// Seen to fail with a `replayed` that knows of calls alone.
#[test]
fn how_far_a_program_is_is_told_after_a_restart_too() {
    let mut counts = Counts::start("sleeping = 0\n");
    let uuid =
        counts.server.submit("import time\nexuvia_progress(0.5, 'half')\nprint('begun', flush=True)\ntime.sleep(600)");
    printed(&counts, &uuid, "begun\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    counts.restart();
    printed(&counts, &uuid, "begun\n");
    assert_eq!(status(&counts, &uuid)["progress"], json!({ "fraction": 0.5, "step": "half" }));
}

/// What a kill leaves is what the system had been given; a power cut takes what of it was not on the disk, too. The store is a
/// log, and knows how much of it had been made durable: so its end is cut off as far as it may be.
#[test]
fn after_a_power_cut_no_answered_call_is_repeated() {
    let mut counts = Counts::start("recoveries = 100\nrecovery_pause = \"1ms\"\n");
    // What is drawn at first is in every key, and the clocks are asked in between: neither is another after the cut.
    let script = "\
import random, time, uuid
drawn = f'{random.getrandbits(32)}{uuid.uuid4().hex}'
begun, wall, last = time.monotonic(), time.time(), 0
def put(n):
    global last
    now = time.monotonic()
    assert last <= now and begun <= now and time.time() >= wall, (begun, last, now)
    last = now
    try:
        return mcp_Counts_put(key=f'{drawn}/{n}', ms=2)
    except ToolInDoubt:
        return 'doubt'
print(drawn, flush=True)
[put(n) for n in range(300)] + [drawn]";
    let uuid = counts.server.submit(script);
    while counts.calls().len() < 100 {}
    counts.server.kill();
    let log = counts.folder.path().join("data/store/db");
    let whole = fs::read(&log).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // Whether the store lacks nothing that was durable when its log is zero from there on.
    let is_whole = |end: usize| {
        let mut cut = whole.clone();
        cut[end..].fill(0);
        fs::write(&log, cut).unwrap();
        let doctor =
            Command::new(binary()).args(["doctor", "--store", "--data"]).arg(&counts.server.data).output().unwrap();
        // It may have written to it.
        let store = counts.server.data.join("store");
        fs::read_dir(&store)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("snap"))
            .for_each(|entry| drop(fs::remove_file(entry.path())));
        doctor.status.code() == Some(0)
    };
    let (mut bad, mut good) = (used / 2, used);
    assert!(is_whole(good) && !is_whole(bad));
    while good - bad > 64 {
        let middle = usize::midpoint(bad, good);
        if is_whole(middle) { good = middle } else { bad = middle }
    }
    assert!(is_whole(good));
    println!("a power cut takes {} of {used} bytes", used - good);
    counts.start_again();
    let status = counts.server.wait(&uuid);
    assert_eq!(status["status"], "completed", "{status}");
    let result = status["result"].as_array().unwrap();
    let doubted = result.iter().filter(|one| **one == "doubt").count();
    assert!(doubted <= 65, "{doubted} in doubt");
    let mut calls = counts.calls();
    let drawn = result.last().unwrap().as_str().unwrap();
    assert_eq!(status["stdout"], format!("{drawn}\n"));
    assert!(calls.iter().all(|call| call.starts_with(&format!("put {drawn}/"))), "{calls:?}");
    let made = calls.len();
    calls.sort();
    calls.dedup();
    assert_eq!(calls.len(), made);
    assert!(made + doubted >= 300, "{made} made, {doubted} in doubt");
}
