//! `exuvia show` and `exuvia replay`: what happened to an execution, and the same once more without the world.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "replay/given.rs"]
mod given;
#[path = "replay/hostile.rs"]
mod hostile;
#[path = "replay/otherwise.rs"]
mod otherwise;
#[path = "replay/records.rs"]
mod records;
#[path = "replay/shows.rs"]
mod shows;
mod support;

use serde_json::{Value, json};
use shows::masked;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::counts::Counts;
use support::{Ran, binary};

/// All kinds of things that a program is told: randomness, clocks, waits, answers; and files, which nobody tells it of.
const JOB: &str = "\
import random, time
print('begun', random.random() < 1)
number = random.random()
time.sleep(0.05)
first = mcp_Counts_put(key='a/1')
with open('/tmp/kept', 'w') as file:
    file.write(f'{number} {time.time()}')
second = mcp_Counts_look('a/2', ms=5)
exuvia_progress(0.5, 'half')
print(first, second, open('/tmp/kept').read(), time.monotonic())
[first, second]";

/// Runs the command line; with a URL, it asks that server.
fn exuvia(url: Option<&str>, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("EXUVIA_URL").env_remove("EXUVIA_API_KEY").env_remove("EXUVIA_DATA");
    if let Some(url) = url {
        command.args(["--url", url]);
    }
    command.output().unwrap().into()
}

fn ask(counts: &Counts, arguments: &[&str]) -> Ran {
    exuvia(Some(&counts.server.url), arguments)
}

/// A job that has ended, and its status.
fn ended(counts: &Counts, script: &str) -> (String, Value) {
    let uuid = counts.server.submit(script);
    let status = counts.server.wait(&uuid);
    (uuid, status)
}

fn file(counts: &Counts, name: &str, text: &str) -> PathBuf {
    let path = counts.folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_replay_is_the_same_and_calls_nothing() {
    let mut counts = Counts::start("");
    let (uuid, status) = ended(&counts, JOB);
    let calls = counts.calls();
    let ran = ask(&counts, &["replay", &uuid]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"));
    assert_eq!(ran.stdout, format!("{}[1, 2]\n", status["stdout"].as_str().unwrap()));
    let traced = ask(&counts, &["replay", &uuid, "--trace"]);
    let lines: Vec<_> = traced.stderr.lines().collect();
    assert_eq!(
        lines,
        [
            "#1 time.sleep(0.05)",
            "#2 mcp_Counts_put(key=\"a/1\")",
            "#2 is answered: 12 bytes",
            "#3 mcp_Counts_look(\"a/2\", ms=5)",
            "#3 is answered: 12 bytes",
            "#4 {\"fraction\": 0.5, \"step\": \"half\", \"op\": \"progress\"}",
            "#4 is answered: 11 bytes",
            "exuvia: the same as recorded",
        ]
    );
    // One that raises, one that goes beyond its memory and says so, and one in a pool.
    let (raises, _) = ended(&counts, "print('before')\nmcp_Counts_put(key='r/1')\n1 / 0");
    let ran = ask(&counts, &["replay", &raises]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), "before\n"));
    assert!(ran.stderr.contains("line 3") && ran.stderr.ends_with("exuvia: the same as recorded\n"), "{}", ran.stderr);
    let (memory, _) = ended(
        &counts,
        "parts = []\ntry:\n    while True:\n        parts.append(bytes(2**20))\nexcept MemoryError:\n    count, parts = len(parts), None\ncount",
    );
    let ran = ask(&counts, &["replay", &memory]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"), "{}", ran.stdout);
    let (pool, _) = ended(
        &counts,
        "from concurrent.futures import ThreadPoolExecutor, as_completed\nwith ThreadPoolExecutor(4) as pool:\n    all = [pool.submit(mcp_Counts_look, key=f'p/{n}', ms=n * 7 % 11) for n in range(12)]\n    order = [one.result() for one in as_completed(all)]\nprint(order)",
    );
    let ran = ask(&counts, &["replay", &pool]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"));
    assert_eq!(counts.calls().len(), calls.len() + 13);
    // The same from the data folder of a server that does not run, and a refusal while it does.
    let data = shown(&counts.server.data).to_owned();
    let ran = exuvia(None, &["replay", &uuid, "--data", &data]);
    assert!(ran.stderr.contains("another exuvia process uses the data folder"), "{}", ran.stderr);
    counts.server.stop();
    let ran = exuvia(None, &["replay", &uuid, "--data", &data]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"));
    assert!(exuvia(None, &["show", &uuid, "--data", &data]).stdout.contains("#2 mcp_Counts_put(key)"));
}

#[test]
fn until_stops_before_an_effect_and_says_where_the_program_stands() {
    let counts = Counts::start("");
    let script = "def one(key):\n    try:\n        return mcp_Counts_put(key=key)\n    except BaseException:\n        print('caught')\nfor n in range(3):\n    print(n)\n    one(f'u/{n}')";
    let (uuid, _) = ended(&counts, script);
    let ran = ask(&counts, &["replay", &uuid, "--until", "2"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "0\n1\n"));
    assert_eq!(
        ran.stderr,
        "exuvia: stopped at effect #2: mcp_Counts_put(key=\"u/1\")\nThe program stands here:\n  File \"script.py\", line 8, in <module>\n    \
         one(f'u/{n}')\n  File \"script.py\", line 3, in one\n    return mcp_Counts_put(key=key)\n"
    );
    let ran = ask(&counts, &["replay", &uuid, "--until", "9"]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (Some(1), "exuvia: the same as recorded\nexuvia: effect #9 was not reached: there are 3\n")
    );
    assert_eq!(counts.calls().len(), 3);
}

#[test]
fn what_a_death_interrupted_is_shown_and_replayed() {
    let mut counts = Counts::start("");
    let uuid = counts.server.submit(
        "import time\nprint(time.time())\ntry:\n    mcp_Counts_put(key='d/1', ms=3000)\nexcept ToolInDoubt as doubt:\n    print(doubt)\ntime.sleep(0.01)",
    );
    while counts.calls().is_empty() {}
    counts.restart();
    let status = counts.server.wait(&uuid);
    assert_eq!(status["status"], "completed", "{status}");
    let lines = masked(&ask(&counts, &["show", &uuid]).stdout);
    let after: Vec<_> = lines.iter().skip_while(|line| !line.starts_with("#1")).take(5).collect();
    assert_eq!(after[0], "#1 mcp_Counts_put(key, ms)");
    assert_eq!(after[1], "   allowed: mcp_Counts_put by (default allow)");
    assert_eq!(after[2], "goes on in another process: the one before was killed or stopped");
    assert!(
        after[3].starts_with("#1 answered after _ ms: ") && after[3].contains("ToolInDoubt: the server died"),
        "{after:?}"
    );
    assert_eq!(after[4], "#2 sleeps 0.01 s");
    let ran = ask(&counts, &["replay", &uuid]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"));
    assert_eq!(counts.calls().len(), 1);
}

#[test]
fn what_was_stopped_or_still_runs_is_replayed_as_far_as_it_went() {
    let counts = Counts::start("");
    let uuid = counts.server.submit("import time\nprint('begun', flush=True)\nmcp_Counts_put(key='c/1')\nprint('waits', flush=True)\ntime.sleep(1000)");
    loop {
        let (_, status, _) = counts.server.tool("checkCodeExecStatus", json!({ "execution_uuid": uuid }));
        if status["stdout"] == "begun\nwaits\n" {
            break;
        }
    }
    // The last few milliseconds may not be written.
    let mut ran = ask(&counts, &["replay", &uuid]);
    while ran.stdout != "begun\nwaits\n" {
        ran = ask(&counts, &["replay", &uuid]);
    }
    assert_eq!(ran.status, Some(2));
    counts.server.tool("cancelCodeExec", json!({ "execution_uuid": uuid }));
    let ran = ask(&counts, &["replay", &uuid]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), "begun\nwaits\n"));
    assert_eq!(
        ran.stderr,
        "exuvia: the record ends at effect #2: time.sleep(1000)\nThe program stands here:\n  File \"script.py\", line 5, in <module>\n    \
         time.sleep(1000)\nexuvia: the same as recorded, as far as it went\n"
    );
}
