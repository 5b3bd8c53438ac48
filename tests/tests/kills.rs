//! The server is killed again and again, at random moments, over a mix of jobs: each ends as if nothing had happened, or says
//! which of its calls are in doubt, and no call is made twice. `just kill-test 1000` kills it a thousand times.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::counts::Counts;

/// Kills where nobody says how many.
const USUAL: u64 = 25;
/// Jobs under way at a time.
const AT_ONCE: usize = 6;

/// Before every job. What must be the same in all of its lives is in the keys of its calls: a number drawn at the start.
const HEAD: &str = "
import os, random, time, uuid, tempfile
me = f'{JOB}/{uuid.uuid4()}'
begun, wall = time.monotonic(), time.time()
def put(n, ms=1):
    try:
        return mcp_Counts_put(key=f'{me}/{n}', ms=ms)
    except ToolInDoubt:
        return 'doubt'
def look(n):
    return mcp_Counts_look(key=f'{me}/{n}', ms=1)
";

const JOBS: [(&str, &str); 6] = [
    (
        "one call after another, and files",
        "
with open('/tmp/kept', 'w') as file:
    for n in range(15):
        file.write(f'{n} {put(n)} {look(n)}\\n')
        file.flush()
        print(n, flush=True)
        time.sleep(random.random() / 20)
open('/tmp/kept').read()",
    ),
    (
        "calls in a pool",
        "
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(5) as pool:
    got = list(pool.map(lambda n: [n, put(n, ms=n * 7 % 20), look(n)], range(30)))
print(len(got))
got",
    ),
    (
        "pandas",
        "
import pandas as pd
frame = pd.DataFrame({'n': range(8)})
frame['put'] = [str(put(n)) for n in frame.n]
frame['look'] = [look(n) for n in frame.n]
time.sleep(0.2)
print(frame.look.sum())
frame",
    ),
    (
        "time and sleeps",
        "
last = time.monotonic()
for n in range(10):
    time.sleep(0.05)
    now = time.monotonic()
    assert now - last >= 0.05, (last, now)
    last = now
assert 0.5 <= time.monotonic() - begun and time.time() >= wall + 0.4, (begun, wall, time.time())
print('slept')
str(put(0))",
    ),
    (
        "sleeps between calls",
        "
got = []
for n in range(9):
    got.append(put(n, ms=n * 11 % 60))
    print(n, flush=True)
    time.sleep(0.3)
got",
    ),
    (
        "calls as fast as they come",
        "
[put(n, ms=0) for n in range(60)]",
    ),
];

/// xorshift: what a run of this test did can be done again.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

struct Job {
    uuid: String,
    kind: usize,
    number: usize,
}

fn submit(counts: &Counts, number: usize) -> Job {
    let kind = number % JOBS.len();
    let script = format!("JOB = {number}{HEAD}{}", JOBS[kind].1);
    Job { uuid: counts.server.submit(&script), kind, number }
}

fn variable(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// What the server keeps in memory. Suspended at once, every wait of the mix is one more replay; after 30 ms, some are.
const SUSPENDS: [&str; 3] =
    ["", "suspend_after = \"0s\"\nsuspend_factor = 0\n", "suspend_after = \"30ms\"\nsuspend_factor = 1\n"];

#[test]
fn killed_at_any_moment_every_job_ends_as_it_would_have_and_no_call_is_made_twice() {
    let kills = variable("EXUVIA_KILLS", USUAL);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos().into();
    let seed = variable("EXUVIA_KILLS_SEED", seed);
    println!("EXUVIA_KILLS_SEED={seed}");
    let mut random = Random(seed | 1);
    let config =
        |kill: usize| format!("recoveries = 1000000\nrecovery_pause = \"1ms\"\n{}", SUSPENDS[kill % SUSPENDS.len()]);
    let mut counts = Counts::start(&config(0));
    // As they end undisturbed.
    let jobs: Vec<_> = (0..JOBS.len()).map(|number| submit(&counts, number)).collect();
    let expected: Vec<_> = jobs.iter().map(|job| counts.server.wait(&job.uuid)).collect();
    for (job, expected) in jobs.iter().zip(&expected) {
        assert_eq!(expected["status"], "completed", "{}: {expected}", JOBS[job.kind].0);
        assert!(!expected.to_string().contains("doubt"), "{expected}");
    }
    let (mut running, mut ended, mut number) = (Vec::new(), Vec::new(), JOBS.len());
    for kill in 0..kills {
        running.retain(|job: &Job| {
            let over = !counts.server.tool("checkCodeExecStatus", json!({ "execution_uuid": job.uuid })).1["success"]
                .is_null();
            if over {
                ended.push(Job { uuid: job.uuid.clone(), ..*job });
            }
            !over
        });
        while running.len() < AT_ONCE {
            running.push(submit(&counts, number));
            number += 1;
        }
        std::thread::sleep(Duration::from_millis(random.below(900)));
        counts.configure(&config(usize::try_from(kill).unwrap()));
        counts.restart();
    }
    ended.append(&mut running);
    let mut made: HashMap<String, u64> = HashMap::new();
    for job in &ended {
        counts.server.wait(&job.uuid);
    }
    for call in counts.calls() {
        *made.entry(call).or_default() += 1;
    }
    let twice: Vec<_> = made.iter().filter(|(call, times)| call.starts_with("put") && **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // Once: of a thousand kills there are some fifty thousand.
    let mut of_job: HashMap<&str, Vec<&str>> = HashMap::new();
    for call in made.keys() {
        of_job.entry(call.split(['/', ' ']).nth(1).unwrap()).or_default().push(call);
    }
    let mut doubted = 0;
    for job in &ended {
        let status = counts.server.wait(&job.uuid);
        let calls = of_job.get(&*job.number.to_string()).map_or(&[][..], Vec::as_slice);
        doubted += compare(job, &status, &expected[job.kind], calls);
    }
    println!("{kills} kills, {} jobs, {} calls, {doubted} in doubt", ended.len(), made.len());
}

/// How many calls of the job are in doubt, of which `made` were made.
fn compare(job: &Job, status: &Value, expected: &Value, made: &[&str]) -> usize {
    let name = JOBS[job.kind].0;
    assert_eq!(status["status"], "completed", "{name}: {status}");
    assert_eq!((&status["stdout"], &status["stderr"]), (&expected["stdout"], &expected["stderr"]), "{name}");
    // All of its calls have the number that it drew, in whatever life they were made.
    let drawn: Vec<_> = made.iter().filter_map(|call| call.split('/').nth(1)).collect();
    assert!(drawn.iter().all(|one| *one == drawn[0]), "{name}: {drawn:?}");
    // Alike, but where it says that it does not know.
    let (given, wanted) = (status["result"].to_string(), expected["result"].to_string());
    let split = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (given, wanted) = (split(&given), split(&wanted));
    assert_eq!(given.len(), wanted.len(), "{name}: {status}");
    let mut doubted = 0;
    for (given, wanted) in given.iter().zip(&wanted) {
        if given == "doubt" {
            doubted += 1;
        } else {
            assert_eq!(given, wanted, "{name}: {status}");
        }
    }
    let puts = made.iter().filter(|call| call.starts_with("put")).count();
    let all = [15, 30, 8, 1, 9, 60][job.kind];
    assert!(puts + doubted >= all, "{name}: {puts} calls made and {doubted} in doubt of {all}");
    doubted
}
