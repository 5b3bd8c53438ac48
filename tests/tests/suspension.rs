//! Jobs that wait for long leave memory, and go on as if they never had. `kills.rs` kills the server over some of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Duration;
use support::binary;
use support::counts::Counts;

/// Every wait suspends, at once.
const AT_ONCE: &str = "suspend_after = \"0s\"\nsuspend_factor = 0\n";

fn start(more: &str) -> Counts {
    Counts::start(&format!("{AT_ONCE}{more}"))
}

/// Looked at without waiting: a sleeper that is waited for comes back to memory.
fn status(counts: &Counts, uuid: &str) -> Value {
    counts.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid })).1
}

/// Its status, once it is suspended.
fn suspended(counts: &Counts, uuid: &str) -> Value {
    loop {
        let status = status(counts, uuid);
        if status["suspended"] == true {
            return status;
        }
        assert!(status["success"].is_null(), "{status}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Once it has printed exactly this, and is suspended.
fn suspended_after(counts: &Counts, uuid: &str, stdout: &str) -> Value {
    loop {
        let status = suspended(counts, uuid);
        if status["stdout"] == stdout {
            return status;
        }
    }
}

#[test]
fn a_sleeper_leaves_memory_shows_what_it_did_and_goes_on() {
    let counts = start("");
    let script = "import time, random\nbegan = time.monotonic()\ndrawn = random.random()\nopen('kept', 'w').write(str(drawn))\n\
                  print('begun', mcp_Counts_put(key='a/1'), flush=True)\nexuvia_progress(0.25, 'asleep')\ntime.sleep(2)\n\
                  print('woke', flush=True)\n[open('kept').read() == str(drawn), time.monotonic() - began >= 2, mcp_Counts_put(key='a/2')]";
    let uuid = counts.server.submit(script);
    let status = suspended_after(&counts, &uuid, "begun 1\n");
    assert_eq!((&status["status"], &status["success"]), (&json!("running"), &Value::Null));
    assert_eq!(status["progress"], json!({ "fraction": 0.25, "step": "asleep" }));
    assert_eq!(status["next"], "8.0");
    let (_, list, _) = counts.server.tool("listCodeExecs", json!({ "status": "running" }));
    assert_eq!(list["executions"][0]["execution_uuid"], *uuid);
    let ended = counts.server.wait(&uuid);
    assert_eq!((&ended["result"], &ended["stdout"]), (&json!([true, true, 2]), &json!("begun 1\nwoke\n")), "{ended}");
    assert!(ended["usage"]["wall_ms"].as_f64().unwrap() >= 2000.0, "{ended}");
    assert_eq!(ended["usage"]["tool_calls"], 2);
    assert_eq!(ended["tool_calls"].as_array().unwrap().len(), 2, "{ended}");
    assert!(ended["suspended"].is_null() && ended["progress"].is_null(), "{ended}");
    assert_eq!(counts.calls(), ["put a/1", "put a/2"]);
}

/// Seen to fail with a `recover` that does not look at the sleepers.
#[test]
fn a_sleeper_sleeps_on_over_restarts_which_are_no_crashes_of_it() {
    let mut counts = start("recoveries = 0\n");
    let uuid =
        counts.server.submit("import time\nprint('begun', flush=True)\nexuvia_progress(0.5)\ntime.sleep(4)\n'woke'");
    suspended_after(&counts, &uuid, "begun\n");
    // What is written is on the disk within a tenth of a second.
    std::thread::sleep(Duration::from_millis(300));
    counts.restart();
    let status = status(&counts, &uuid);
    assert_eq!((&status["suspended"], &status["status"]), (&json!(true), &json!("running")), "{status}");
    assert_eq!((&status["stdout"], &status["progress"]["fraction"]), (&json!("begun\n"), &json!(0.5)));
    assert_eq!(counts.server.stop(), Some(0));
    counts.start_again();
    suspended_after(&counts, &uuid, "begun\n");
    let ended = counts.server.wait(&uuid);
    assert_eq!((&ended["status"], &ended["result"]), (&json!("completed"), &json!("woke")), "{ended}");
}

/// Seen to fail (`ToolInDoubt`) with an `underway` that finds nothing.
#[test]
fn a_call_goes_on_without_its_program_and_is_made_once() {
    let counts = start("");
    let uuid = counts.server.submit("print(mcp_Counts_put(key='a/7', ms=1500), flush=True)\nmcp_Counts_put(key='a/8')");
    suspended(&counts, &uuid);
    while counts.calls().is_empty() {}
    let ended = counts.server.wait(&uuid);
    assert_eq!((&ended["result"], &ended["stdout"]), (&json!(8), &json!("7\n")), "{ended}");
    assert_eq!(counts.calls(), ["put a/7", "put a/8"]);
    assert_eq!(ended["usage"]["tool_calls"], 2);
}

#[test]
fn calls_in_a_pool_and_sleeps_beside_each_other_are_each_given_when_they_come() {
    let counts = start("");
    let script = "\
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
def one(n):
    if n % 3 == 0:
        time.sleep(n / 10)
        return -n
    return mcp_Counts_put(key=f'p/{n}', ms=n * 100)
with ThreadPoolExecutor(12) as pool:
    order = [done.result() for done in as_completed([pool.submit(one, n) for n in range(12)])]
print(order)
sorted(map(abs, order))";
    let uuid = counts.server.submit(script);
    let ended = counts.server.wait(&uuid);
    assert_eq!(ended["result"], json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]), "{ended}");
    let mut calls = counts.calls();
    calls.sort();
    assert_eq!(calls.len(), 8);
    calls.dedup();
    assert_eq!(calls.len(), 8);
    // asyncio gives each when it comes: not all at the end.
    let script = "\
import asyncio, exuvia
async def one(n):
    if n % 3 == 0:
        await asyncio.sleep(n / 10)
    else:
        await exuvia.call_async('mcp_Counts_put', key=f'q/{n}', ms=n * 100)
    print(f'<{n}>', flush=True)
async def main():
    await asyncio.gather(*[one(n) for n in range(12)])
asyncio.run(main())";
    let ended = counts.server.wait(&counts.server.submit(script));
    let stdout = ended["stdout"].as_str().unwrap();
    assert!(stdout.find("<1>").unwrap() < stdout.find("<11>").unwrap(), "{ended}");
    assert_eq!(counts.calls().len(), 16);
}

#[test]
fn a_program_that_polls_for_ever_is_replayed_to_where_it_was_each_time() {
    let counts = start("");
    let script = "import time\nfor n in range(30):\n    mcp_Counts_put(key=f'l/{n}')\n    print(n, flush=True)\n    time.sleep(0.02)\nn";
    let ended = counts.server.wait(&counts.server.submit(script));
    assert_eq!(ended["result"], 29, "{ended}");
    let expected: Vec<_> = (0..30).map(|n| format!("put l/{n}")).collect();
    assert_eq!(counts.calls(), expected);
    let printed: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    assert_eq!(ended["stdout"], printed.join("\n") + "\n");
}

#[test]
fn what_would_take_long_to_replay_or_waits_shortly_stays_in_memory() {
    // It sleeps for less than a hundred times what it computes, and for more than nothing.
    let counts = Counts::start("suspend_after = \"0s\"\nsuspend_factor = 100\n");
    let script = "import time\nn = 0\nuntil = time.process_time() + 0.2\nwhile n < 3_000_000: n += 1\nprint('begun', flush=True)\ntime.sleep(2)\n'woke'";
    let stays = counts.server.submit(script);
    let leaves = counts.server.submit("import time\ntime.sleep(600)");
    suspended(&counts, &leaves);
    loop {
        let status = status(&counts, &stays);
        assert_ne!(status["suspended"], true, "{status}");
        if !status["success"].is_null() {
            assert_eq!(status["result"], "woke", "{status}");
            break;
        }
    }
    // And none leaves when none may sleep without it.
    let counts = start("sleeping = 0\n");
    let uuid = counts.server.submit("import time\nprint('begun', flush=True)\ntime.sleep(1)\n'woke'");
    loop {
        let status = status(&counts, &uuid);
        assert_ne!(status["suspended"], true, "{status}");
        if !status["success"].is_null() {
            assert_eq!(status["result"], "woke", "{status}");
            return;
        }
    }
}

#[test]
fn a_sleeper_is_cancelled_and_its_time_limit_reached_in_its_sleep() {
    let mut counts = start("");
    let uuid = counts.server.submit("import time\nprint('begun', flush=True)\ntime.sleep(600)");
    suspended_after(&counts, &uuid, "begun\n");
    let (_, cancelled, text) = counts.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert_eq!(cancelled["status"], "cancelled", "{text}");
    let status = status(&counts, &uuid);
    assert_eq!((&status["status"], &status["stdout"]), (&json!("cancelled"), &json!("begun\n")), "{status}");
    let limited = |counts: &Counts, script: &str| {
        let job = json!({ "script": script, "timeout": 1 });
        let (failed, answer, text) = counts.server.tool("asyncExecuteCode", job);
        assert!(!failed, "{text}");
        answer["execution_uuid"].as_str().unwrap().to_owned()
    };
    let sleeper = limited(&counts, "import time\nprint('begun', flush=True)\ntime.sleep(600)");
    let caller = limited(&counts, "print('begun', flush=True)\nmcp_Counts_put(key='c/1', ms=600_000)");
    suspended_after(&counts, &sleeper, "begun\n");
    for uuid in [&sleeper, &caller] {
        let ended = counts.server.wait(uuid);
        assert_eq!(
            (&ended["status"], &ended["error"]["type"], &ended["stdout"]),
            (&json!("timed_out"), &json!("TimeLimit"), &json!("begun\n")),
            "{ended}"
        );
    }
    // It is also reached while there is no server.
    let sleeper = limited(&counts, "import time\nprint('begun', flush=True)\ntime.sleep(600)");
    suspended_after(&counts, &sleeper, "begun\n");
    std::thread::sleep(Duration::from_millis(300));
    counts.restart();
    assert_eq!(counts.server.wait(&sleeper)["status"], "timed_out");
}

#[test]
fn whoever_waits_for_a_sleeper_or_follows_it_is_told_of_its_end() {
    let counts = start("");
    let uuid = counts.server.submit("import time\nprint('begun', flush=True)\ntime.sleep(2)\nprint('woke')\n1");
    suspended_after(&counts, &uuid, "begun\n");
    let flags = ["status", &uuid, "--follow", "--url", &counts.server.url];
    let followed = Command::new(binary()).args(flags).output().unwrap();
    assert_eq!(String::from_utf8(followed.stdout).unwrap().matches("begun\nwoke\n").count(), 1);
    assert_eq!(status(&counts, &uuid)["result"], 1);
}

/// Seen to fail with a place that is given back by one that falls asleep.
#[test]
fn a_sleeper_counts_among_those_under_way_also_after_a_restart() {
    let mut counts = start("");
    let policy = r#"{ "version": "1", "default": "allow", "x-sandbox": { "caps": { "concurrent": 1 } } }"#;
    fs::write(counts.folder.path().join("policy.json"), policy).unwrap();
    let uuid = counts.server.submit("import time\nprint('begun', flush=True)\ntime.sleep(600)");
    for _ in 0..2 {
        suspended_after(&counts, &uuid, "begun\n");
        let (failed, _, text) = counts.server.tool("asyncExecuteCode", json!({ "script": "1" }));
        assert!(failed && text.contains("As many executions as the policy allows"), "{text}");
        std::thread::sleep(Duration::from_millis(300));
        counts.restart();
    }
    counts.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    assert_eq!(counts.server.wait(&counts.server.submit("1"))["result"], 1);
}

/// Seen to fail with `remove_one` left out.
#[test]
fn one_that_prints_much_and_sleeps_often_leaves_one_file() {
    let counts = start("output = \"1MiB\"\n");
    let script = "import time\nfor n in range(6):\n    print(str(n) * 100_000, flush=True)\n    time.sleep(0.3)\n";
    let uuid = counts.server.submit(script);
    let files = || -> usize {
        let folders = fs::read_dir(counts.server.data.join("files")).into_iter().flatten().flatten();
        let folders = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        folders.map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum()
    };
    loop {
        let status = suspended(&counts, &uuid);
        if status["stdout"].as_str().unwrap().len() > 400_000 {
            break;
        }
    }
    assert!(files() <= 2, "{}", files());
    assert_eq!(counts.server.wait(&uuid)["stdout"].as_str().unwrap().len(), 600_006);
}

#[test]
fn a_stop_does_not_wait_for_what_is_suspended() {
    let mut counts = start("");
    let sleeper = counts.server.submit("import time\nprint('begun', flush=True)\ntime.sleep(600)");
    let caller = counts.server.submit("print('begun', flush=True)\nprint(mcp_Counts_look(key='a/3', ms=1500))");
    suspended_after(&counts, &sleeper, "begun\n");
    suspended_after(&counts, &caller, "begun\n");
    while counts.calls().is_empty() {}
    assert_eq!(counts.server.stop(), Some(0));
    counts.start_again();
    assert_eq!(status(&counts, &sleeper)["suspended"], true);
    assert_eq!(counts.server.wait(&caller)["stdout"], "begun\n3\n");
    assert_eq!(counts.calls(), ["look a/3", "look a/3"]);
}

/// Its sleep is replayed in the next server, so its death is one of a program that runs.
#[test]
fn one_that_kills_the_server_when_it_wakes_is_not_woken_for_ever() {
    let mut counts = start("recoveries = 1\nrecovery_pause = \"1ms\"\n");
    let script = "import time\nprint('begun', flush=True)\ntime.sleep(1)\nwhile True:\n    try:\n        mcp_Counts_kill(key='k/1')\n    except ToolInDoubt:\n        pass";
    let uuid = counts.server.submit(script);
    for _ in 0..2 {
        counts.start_again();
    }
    let ended = counts.server.wait(&uuid);
    assert_eq!((&ended["status"], &ended["error"]["type"]), (&json!("failed"), &json!("Crashed")), "{ended}");
}

#[test]
fn a_person_s_answer_wakes_a_program_also_after_a_restart() {
    let mut counts = start("");
    let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "approve_if": { "mcp_Counts_put": [{
        "conditions": [], "reason": "all", "timeout": "15m" }] } } });
    fs::write(counts.folder.path().join("policy.json"), policy.to_string()).unwrap();
    let approvals = |counts: &Counts, arguments: &[&str]| {
        let at = ["--url", &counts.server.url, "--data", counts.server.data.to_str().unwrap()];
        let mut command = Command::new(binary());
        let output = command.arg("approvals").args(arguments).args(at).env_remove("EXUVIA_OPERATOR_TOKEN").output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let asked = |counts: &Counts| loop {
        let listed: Value = serde_json::from_str(&approvals(counts, &["list", "--json"])).unwrap();
        if let Some(id) = listed["approvals"][0]["id"].as_str() {
            return id.to_owned();
        }
    };
    for restarts in [false, true] {
        let uuid = counts.server.submit("print('begun', flush=True)\nmcp_Counts_put(key='a/5')");
        let id = asked(&counts);
        let waits = |counts: &Counts| loop {
            let status = suspended(counts, &uuid);
            if status["status"] == "waiting_approval" {
                assert_eq!((&status["approvals"], &status["stdout"]), (&json!([id]), &json!("begun\n")), "{status}");
                return;
            }
        };
        waits(&counts);
        if restarts {
            std::thread::sleep(Duration::from_millis(300));
            counts.restart();
            waits(&counts);
        }
        approvals(&counts, &["approve", &id]);
        let ended = counts.server.wait(&uuid);
        assert_eq!(ended["result"], 5, "{ended}");
    }
    assert_eq!(counts.calls(), ["put a/5", "put a/5"]);
}
