//! The same program with the same seed and the same clock gives the same bytes: what it printed, how it ended, and all of
//! linear memory. A later issue rebuilds interrupted runs from nothing but this.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Config, Limits, Outcome, Program, Silent};
use std::process::Command;
use support::{PATIENCE, Place, Stepped, config, limits};
use tokio_util::sync::CancellationToken;

const PROGRAM: &str = include_str!("determinism/everything.py");
const START: u64 = 1_800_000_000;

/// All that a run gave, and a hash of what it left in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trace {
    printed: Vec<u8>,
    outcome: String,
    memory: [u8; 32],
}

fn place() -> Place {
    Place::with(&Config { digest: true, ..config() })
}

fn program(seed: u8) -> Program {
    let inputs = [("rows".to_owned(), serde_json::value::to_raw_value(&[3, 1, 2]).unwrap())].into();
    let outputs = vec!["summary".to_owned(), "never".to_owned()];
    let files = [("given.csv".to_owned(), b"a,b\n1,2\n"[..].into())].into();
    Program { inputs, outputs, files, seed: [seed; 32], ..Program::new(PROGRAM) }
}

/// One run of the program of everything.
fn trace(place: &Place, seed: u8, seconds: u64) -> Trace {
    trace_of(place, &program(seed), seconds)
}

fn trace_of(place: &Place, program: &Program, seconds: u64) -> Trace {
    let host = Stepped::at(seconds);
    let limits = Limits { output: 1 << 20, memory: 512 << 20, ..limits() };
    let run = place.sandbox.run(program, &limits, Box::new(host.clone()), CancellationToken::new());
    let outcome = place.runtime.block_on(run).unwrap();
    let memory = outcome.output().usage.memory_digest.unwrap();
    let printed = host.printed.lock().unwrap().clone();
    Trace { printed, outcome: text(&outcome), memory }
}

/// An outcome without what the real clock says of it.
fn text(outcome: &Outcome) -> String {
    let output = outcome.output();
    let kind = match outcome {
        Outcome::Finished(_) => "finished".to_owned(),
        Outcome::Raised(_, raised) => format!("{raised:?}"),
        Outcome::Stopped(_, limit) => limit.to_string(),
    };
    format!(
        "{kind}\n{:?}\n{:?}\n{:?}\n{:?}\n{}\n{}\n{}",
        output.result,
        output.outputs,
        output.missing,
        output.reprs,
        output.usage.peak_memory,
        output.stdout.to_text(),
        output.stderr.to_text()
    )
}

#[test]
fn the_program_looks_at_everything() {
    let trace = trace(&place(), 1, START);
    assert!(trace.outcome.starts_with("finished\n"), "{}", trace.outcome);
    assert_eq!(trace.outcome.matches(" ok\n").count(), 16, "{}", trace.outcome);
}

#[test]
fn fresh_and_recycled_instances_give_the_same_bytes() {
    let first = trace(&place(), 1, START);
    // Another sandbox: the first run in it, then one in a slot that others have used, also those that it had to drop.
    let place = place();
    assert_eq!(trace(&place, 1, START), first);
    assert_eq!(trace(&place, 1, START), first);
    for source in [
        "import random; random.seed(); print(random.random(), {1, 2, 'a'})",
        "raise ValueError",
        "import os; os._exit(3)",
        "kept = [bytes(10_000) for _ in range(5_000)]",
        "import ctypes; ctypes.memset(0xfffff000, 0, 9)",
        "import pandas as pd; pd.DataFrame({'a': range(1000)}).groupby('a').sum()",
        "import threading; threading.Thread(target=print).start()",
    ] {
        place.run(source);
        assert_eq!(trace(&place, 1, START), first, "after {source}");
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}

#[test]
fn instances_that_are_never_recycled_give_the_same_bytes() {
    let fresh = Place::with(&Config { digest: true, recycle: false, ..config() });
    let (first, second) = (trace(&fresh, 1, START), trace(&fresh, 1, START));
    assert_eq!(first, second);
    assert_eq!(trace(&place(), 1, START), first);
}

#[test]
fn what_ends_badly_is_repeated_exactly() {
    let place = place();
    for source in [
        "def down(n): return down(n + 1)\ndown(0)",
        "kept = []\nwhile True: kept.append(bytes(100_000))",
        "import os, random\nprint(random.random())\nos._exit(random.randrange(100))",
        "import posix\nposix.abort()",
        "import uuid\nraise ValueError(uuid.uuid4(), object())",
        "import sys\nprint(id(sys), hash('x'), object(), {object() for _ in range(3)}, file=sys.stderr)",
    ] {
        let program = Program { seed: [9; 32], ..Program::new(source) };
        let first = trace_of(&place, &program, START);
        assert_eq!(trace_of(&place, &program, START), first, "{source}");
    }
}

#[test]
fn another_process_gives_the_same_bytes() {
    // This test runs itself once more; what is between the marks is the child's trace.
    let shown = format!("{:?}", trace(&place(), 1, START));
    if std::env::var_os("EXUVIA_TEST_CHILD").is_some() {
        println!("<<<{shown}>>>");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "another_process_gives_the_same_bytes", "--nocapture"]).env("EXUVIA_TEST_CHILD", "1");
    let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let child = output.split("<<<").nth(1).and_then(|rest| rest.split(">>>").next());
    assert!(child == Some(shown.as_str()), "the traces differ:\n{output}\n{shown}");
}

#[test]
fn a_seed_decides() {
    let place = place();
    let (one, two) = (trace(&place, 1, START), trace(&place, 2, START));
    assert_ne!(one.printed, two.printed);
    assert_ne!(one.memory, two.memory);
    let differing = lines_that_differ(&one.outcome, &two.outcome);
    assert_eq!(differing, ["random", "numpy", "identifiers", "secrets", "system", "temporary names", "devices"]);
}

#[test]
fn a_clock_decides_times_and_nothing_else() {
    let place = place();
    let (one, two) = (trace(&place, 1, START), trace(&place, 1, START + 1_000_003));
    assert_ne!(one.memory, two.memory);
    assert_eq!(lines_that_differ(&one.outcome, &two.outcome), ["times", "file times"]);
}

/// What the lines are called that differ: each begins with its name and a colon.
fn lines_that_differ(one: &str, two: &str) -> Vec<String> {
    let lines = one.lines().zip(two.lines()).filter(|(one, two)| one != two);
    lines.map(|(line, _)| line.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn many_at_once_give_the_same_bytes() {
    let config = Config { slots: 8, digest: true, ..config() };
    let place = Place::with(&config);
    let first = trace(&place, 1, START);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let limits = Limits { output: 1 << 20, memory: 512 << 20, ..limits() };
                    (0..3).all(|_| {
                        let host = Stepped::at(START);
                        let program = program(1);
                        let run =
                            place.sandbox.run(&program, &limits, Box::new(host.clone()), CancellationToken::new());
                        let outcome =
                            runtime.block_on(async { tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap() });
                        outcome.output().usage.memory_digest == Some(first.memory)
                            && *host.printed.lock().unwrap() == first.printed
                    })
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().unwrap());
        }
    });
}

/// The sandbox is opened without any news: nothing is compiled here that another test binary has compiled.
#[test]
fn opening_twice_is_the_same_image() {
    let (one, two) = (place(), place());
    assert_eq!(one.sandbox.image().digest, two.sandbox.image().digest);
    assert_eq!(one.sandbox.memory_floor(), two.sandbox.memory_floor());
    drop(exuvia_runtime::Sandbox::open(&config(), &Silent).unwrap());
}
