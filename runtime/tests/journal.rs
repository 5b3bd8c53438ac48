//! Runs with a journal: a replay gives the same bytes without the world, a run that was cut anywhere goes on from there, and
//! what differs from its record is stopped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{
    Bounds, Clock, Effect, Halt, Host, Journal, Limits, Memory, Pending, Program, Stay, Stream, Verdict, Witness,
};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::time::Timeless;
use support::{Place, Ran, limits};
use tokio_util::sync::CancellationToken;

/// A run with the journal in `ledger`.
fn run(place: &Place, program: &Program, ledger: &Memory, host: Box<dyn Host>) -> (Ran, Verdict) {
    run_within(place, program, ledger, host, 64 << 20)
}

fn run_within(place: &Place, program: &Program, ledger: &Memory, host: Box<dyn Host>, most: u64) -> (Ran, Verdict) {
    let cancel = CancellationToken::new();
    let journal = Journal::open(Arc::new(ledger.clone()), bounds(most), cancel.clone()).unwrap();
    let verdict = journal.verdict();
    let limits = Limits { memory: 512 << 20, files: 64 << 20, output: 1 << 20, ..limits() };
    let run = place.sandbox.run(program, &limits, Box::new(journal.before(host)), cancel);
    (Ran::from(place.runtime.block_on(run).unwrap()), verdict)
}

fn bounds(bytes: u64) -> Bounds {
    Bounds { bytes, entries: u64::MAX, patience: None }
}

/// A world that must not be asked.
struct Nowhere;

impl Host for Nowhere {
    fn clock(&mut self, _clock: Clock) -> u64 {
        panic!("a replay reads a clock of this world")
    }

    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        panic!("a replay begins {effect:?}")
    }
}

#[test]
fn every_case_replays_to_the_same_bytes_without_the_world() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut programs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    assert!(programs.len() > 100);
    let mut recorded = 0;
    for path in programs {
        let expected: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let inputs = expected["inputs"].as_object().into_iter().flatten();
        let inputs = inputs.map(|(name, value)| (name.clone(), serde_json::value::to_raw_value(value).unwrap()));
        let outputs = expected["outputs_wanted"].as_array().into_iter().flatten();
        let program = Program {
            inputs: inputs.collect(),
            outputs: outputs.map(|name| name.as_str().unwrap().to_owned()).collect(),
            ..Program::new(fs::read_to_string(&path).unwrap())
        };
        let ledger = Memory::default();
        let (first, verdict) = run(&place, &program, &ledger, Box::new(Timeless::default()));
        assert_eq!(verdict.halted(), None, "{}", path.display());
        let parts = ledger.parts();
        recorded += parts;
        let (again, verdict) = run(&place, &program, &ledger, Box::new(Nowhere));
        assert_eq!(same(again), same(first), "{}", path.display());
        assert_eq!(verdict.ended(), None, "{}", path.display());
        // A replay to the end of the record adds nothing to it.
        assert_eq!(ledger.parts(), parts, "{}", path.display());
    }
    assert!(recorded > 1000, "{recorded}");
}

/// All of it but how long it took.
fn same(ran: Ran) -> Ran {
    Ran { cpu: Duration::ZERO, ..ran }
}

/// A world of tools that count: `once` must not be repeated, `look` may be. Each waits a little, so that answers overlap.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<String>>>);

impl Counting {
    fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Host for Counting {
    fn clock(&mut self, clock: Clock) -> u64 {
        Timeless::default().clock(clock)
    }

    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {}

    fn start(&mut self, _effect: Effect) -> Pending {
        // Of a sleep: no test here is about time.
        Box::pin(async { Vec::new() })
    }

    fn begin(&mut self, effect: Effect, witness: Witness) -> Pending {
        let Effect::Request(message) = effect else { return self.start(effect) };
        let message: Value = serde_json::from_str(message.get()).unwrap();
        let name = message["name"].as_str().unwrap().to_owned();
        let number = message["positional"][0].as_u64().unwrap();
        let calls = Arc::clone(&self.0);
        Box::pin(async move {
            // Those that begin later are faster.
            tokio::time::sleep(Duration::from_millis(8 - number.min(8))).await;
            if name == "mcp_T_once" {
                match witness.leaves().await {
                    Ok(()) => {}
                    Err(Stay::InDoubt) => return br#"{"error":{"type":"ToolInDoubt","message":"who knows"}}"#.to_vec(),
                    Err(Stay::Unrecorded(why)) => panic!("{why}"),
                }
            }
            calls.lock().unwrap().push(format!("{name} {number}"));
            // Large enough for some to be kept beside the record.
            let text = if number == 3 { "x".repeat(100_000) } else { format!("answer {number}") };
            serde_json::json!({ "ok": text }).to_string().into_bytes()
        })
    }
}

const MIX: &str = "\
import random, uuid, time
from concurrent.futures import ThreadPoolExecutor, as_completed
def one(n):
    try:
        return len(mcp_T_once(n))
    except ToolInDoubt:
        return -n
print(random.random(), uuid.uuid4())
open('/tmp/kept', 'w').write(str(time.time_ns()))
with ThreadPoolExecutor(4) as pool:
    waiting = {pool.submit(one, n): n for n in range(1, 7)}
    order = [(waiting[done], done.result()) for done in as_completed(waiting)]
print(order)
time.sleep(0.01)
print(mcp_T_look(7), one(8), open('/tmp/kept').read())
";

#[test]
fn a_run_that_died_anywhere_goes_on_and_repeats_nothing() {
    let place = Place::new();
    let program = Program::new(MIX);
    let (ledger, world) = (Memory::default(), Counting::default());
    let (whole, verdict) = run(&place, &program, &ledger, Box::new(world.clone()));
    assert_eq!((whole.ending.as_str(), verdict.ended()), ("finished", None), "{}", whole.stderr);
    assert_eq!(world.calls().len(), 8);
    for parts in 0..=ledger.parts() {
        let (cut, rest) = (ledger.cut(parts), Counting::default());
        let (ran, verdict) = run(&place, &program, &cut, Box::new(rest.clone()));
        assert_eq!((ran.ending.as_str(), verdict.ended()), ("finished", None), "{parts}: {}", ran.stderr);
        let mut made = rest.calls();
        made.retain(|call| call.starts_with("mcp_T_once"));
        made.sort();
        let unique = made.len();
        made.dedup();
        assert_eq!(made.len(), unique, "{parts}");
        // Which answer comes first is decided anew, where the record does not say it; all else is as it was.
        let in_doubt = ran.stdout.matches('-').count() - whole.stdout.matches('-').count();
        assert!(in_doubt + unique <= 7, "{parts}: {in_doubt} are in doubt, and {made:?} were made");
        assert!(parts > 0 || unique == 7, "{made:?}");
        if in_doubt == 0 {
            assert_eq!(in_order(&ran.stdout), in_order(&whole.stdout), "{parts}");
        }
        assert!(parts < ledger.parts() || (unique, &ran.stdout) == (0, &whole.stdout), "{made:?}: {}", ran.stdout);
        // And what came of it is a record like any other.
        let (again, verdict) = run(&place, &program, &cut, Box::new(Nowhere));
        assert_eq!((same(again), verdict.ended()), (same(ran), None), "{parts}");
    }
}

/// What `MIX` printed, with the answers of its pool by their numbers.
fn in_order(stdout: &str) -> Vec<String> {
    let answers = stdout.lines().nth(1).unwrap().trim_matches(['[', ']']);
    let mut answers: Vec<_> = answers.split("), (").map(|one| one.trim_matches(['(', ')']).to_owned()).collect();
    answers.sort();
    let rest = stdout.lines().enumerate().filter(|(line, _)| *line != 1).map(|(_, line)| line.to_owned());
    answers.into_iter().chain(rest).collect()
}

#[test]
fn a_call_that_had_left_is_in_doubt_and_one_that_may_be_repeated_is() {
    let place = Place::new();
    // Without the last parts of the record.
    let cut = |script: &str, last: usize| {
        let (program, ledger) = (Program::new(script), Memory::default());
        let (_, _) = run(&place, &program, &ledger, Box::new(Counting::default()));
        let world = Counting::default();
        let (ran, _) = run(&place, &program, &ledger.cut(ledger.parts() - last), Box::new(world.clone()));
        (ran.stdout, world.calls())
    };
    let once = "try:\n    print(mcp_T_once(1))\nexcept ToolInDoubt as doubt:\n    print(type(doubt).__name__, isinstance(doubt, ToolError))";
    // The request alone, then that it has left, then its answer, then that the program was told. Seen to fail with `left`
    // forgotten by `Found`.
    assert_eq!(cut(once, 3), ("answer 1\n".into(), vec!["mcp_T_once 1".into()]));
    assert_eq!(cut(once, 2), ("ToolInDoubt True\n".into(), vec![]));
    assert_eq!(cut(once, 1), ("answer 1\n".into(), vec![]));
    assert_eq!(cut(once, 0), ("answer 1\n".into(), vec![]));
    let look = "print(mcp_T_look(1))";
    assert_eq!(cut(look, 2), ("answer 1\n".into(), vec!["mcp_T_look 1".into()]));
    assert_eq!(cut(look, 1), ("answer 1\n".into(), vec![]));
}

#[test]
fn what_a_lease_let_leave_is_in_doubt_although_the_record_has_none_of_it() {
    let place = Place::new();
    let script = "\
def one(n):
    try:
        return mcp_T_once(8)
    except ToolInDoubt:
        return 'doubt'
print([one(n) for n in range(12)])";
    let (program, ledger) = (Program::new(script), Memory::default());
    run(&place, &program, &ledger, Box::new(Counting::default()));
    let mut most = 0;
    for parts in 0..ledger.parts() {
        let world = Counting::default();
        let (ran, _) = run(&place, &program, &ledger.cut(parts), Box::new(world.clone()));
        let doubted = ran.stdout.matches("doubt").count();
        assert!(world.calls().len() + doubted <= 12, "{parts}");
        most = most.max(doubted);
    }
    // Seen to fail (with 1) with the lease left out of `Found::see`.
    assert!(most > 1, "{most}");
}

#[test]
fn a_program_that_leaves_its_record_is_stopped_and_both_are_shown() {
    let place = Place::new();
    let ledger = Memory::default();
    let script = |seconds: &str| {
        Program::new(format!("import time, random\ntime.time()\ntime.sleep({seconds})\nprint('after')"))
    };
    run(&place, &script("0.5"), &ledger, Box::new(Counting::default()));
    let (ran, verdict) = run(&place, &script("0.25"), &ledger, Box::new(Nowhere));
    let Some(Halt::Diverged { step, recorded, asked }) = verdict.halted() else { panic!("{:?}", verdict.halted()) };
    assert_eq!((recorded.as_str(), asked.as_str()), ("a sleep of 500000000 ns", "a sleep of 250000000 ns"));
    assert!(step > 1);
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("stopped: it was cancelled", ""));
    // Randomness that is not from the seed is what a host function that is not repeatable would be.
    let random = Program::new("import random\nmcp_T_look(random.randrange(10**9))");
    let ledger = Memory::default();
    run(&place, &random, &ledger, Box::new(Counting::default()));
    let other = Program { seed: [7; 32], ..random };
    let (_, verdict) = run(&place, &other, &ledger, Box::new(Nowhere));
    let Some(Halt::Diverged { recorded, asked, .. }) = verdict.halted() else { panic!("{:?}", verdict.halted()) };
    assert!(recorded.starts_with("the request `{") && asked.starts_with("the request `{") && recorded != asked);
    // A program that ends before its record does.
    let (ran, verdict) = run(&place, &Program::new("1"), &ledger, Box::new(Nowhere));
    assert_eq!((ran.ending.as_str(), verdict.halted()), ("finished", None));
    assert!(matches!(verdict.ended(), Some(Halt::Diverged { ref asked, .. }) if asked == "the end"));
}

/// A host with a function that no journal stands before, and that answers something else each time.
struct Leaking {
    journaled: exuvia_runtime::Journaled,
    answered: Arc<Mutex<u64>>,
}

impl Host for Leaking {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.journaled.clock(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        self.journaled.output(stream, bytes);
    }

    fn start(&mut self, effect: Effect) -> Pending {
        match &effect {
            Effect::Request(message) if message.get().contains("mcp_T_leak") => {
                let mut answered = self.answered.lock().unwrap();
                *answered += 1;
                let answer = format!("{{\"ok\":{answered}}}").into_bytes();
                Box::pin(std::future::ready(answer))
            }
            _ => self.journaled.start(effect),
        }
    }
}

/// Seen to fail (nothing halts the second run) with `is_same` true of any two requests.
#[test]
fn a_host_function_that_is_not_deterministic_is_caught_by_the_record() {
    let place = Place::new();
    let (ledger, answered) = (Memory::default(), Arc::new(Mutex::new(0)));
    let program = Program::new("number = mcp_T_leak()\nprint(mcp_T_look(number))\nprint('after')");
    let leaking = || {
        let cancel = CancellationToken::new();
        let journal = Journal::open(Arc::new(ledger.clone()), bounds(1 << 20), cancel.clone()).unwrap();
        let verdict = journal.verdict();
        let journaled = journal.before(Box::new(Counting::default()));
        let host = Leaking { journaled, answered: Arc::clone(&answered) };
        let limits = Limits { memory: 512 << 20, ..limits() };
        let run = place.sandbox.run(&program, &limits, Box::new(host), cancel);
        (Ran::from(place.runtime.block_on(run).unwrap()), verdict)
    };
    let (ran, verdict) = leaking();
    assert_eq!((ran.stdout.as_str(), verdict.ended()), ("answer 1\nafter\n", None));
    let (ran, verdict) = leaking();
    let Some(Halt::Diverged { recorded, asked, .. }) = verdict.halted() else { panic!("{:?}", verdict.halted()) };
    assert!(recorded.contains("\"positional\": [1]") && asked.contains("\"positional\": [2]"), "{recorded} {asked}");
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("stopped: it was cancelled", ""));
}

/// A host that stops the program where it asks for the second time, and keeps where that is.
struct Stopping {
    asked: u64,
    cancel: CancellationToken,
    stack: Arc<Mutex<String>>,
}

impl Host for Stopping {
    fn clock(&mut self, clock: Clock) -> u64 {
        Timeless::default().clock(clock)
    }

    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        if let Effect::Request(message) = &effect {
            let message: Value = serde_json::from_str(message.get()).unwrap();
            if message["op"] == "stands" {
                message["stack"].as_str().unwrap().clone_into(&mut self.stack.lock().unwrap());
                self.cancel.cancel();
                return Box::pin(std::future::pending());
            }
        }
        self.asked += 1;
        let answer = if self.asked < 2 { r#"{"ok":1}"# } else { r#"{"error":{"type":"ReplayStopped"}}"# };
        let answer = if self.asked < 2 && matches!(effect, Effect::Sleep(_)) { "" } else { answer };
        Box::pin(std::future::ready(answer.into()))
    }
}

#[test]
fn a_program_that_is_stopped_at_an_effect_says_where_it_stands_and_cannot_catch_that() {
    let place = Place::new();
    let stack = |script: &str| {
        let (cancel, stack) = (CancellationToken::new(), Arc::default());
        let host = Stopping { asked: 0, cancel: cancel.clone(), stack: Arc::clone(&stack) };
        let limits = Limits { memory: 512 << 20, ..limits() };
        let program = Program::new(script);
        let run = place.sandbox.run(&program, &limits, Box::new(host), cancel);
        let ran = Ran::from(place.runtime.block_on(run).unwrap());
        assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("stopped: it was cancelled", ""), "{}", ran.stderr);
        stack.lock().unwrap().clone()
    };
    let caught = "\
def ask(n):
    try:
        return mcp_T_look(n)
    except BaseException:
        print('caught')
for n in range(9):
    ask(n)";
    assert_eq!(
        stack(caught),
        "  File \"script.py\", line 7, in <module>\n    ask(n)\n  File \"script.py\", line 3, in ask\n    return mcp_T_look(n)\n"
    );
    let sleeps = "import time\ntime.sleep(1)\ntry:\n    time.sleep(2)\nexcept BaseException:\n    print('caught')";
    assert_eq!(stack(sleeps), "  File \"script.py\", line 4, in <module>\n    time.sleep(2)\n");
    let pool = "\
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as pool:
    print(list(pool.map(lambda n: mcp_T_look(n), range(4))))";
    assert!(stack(pool).contains("line 3, in <lambda>\n"), "{}", stack(pool));
    let coroutine = "\
import asyncio
async def main():
    await asyncio.sleep(1)
    await asyncio.sleep(2)
    print('after')
asyncio.run(main())";
    assert!(stack(coroutine).contains("line 6, in <module>\n    asyncio.run(main())\n"), "{}", stack(coroutine));
}

#[test]
fn a_record_has_its_bound() {
    let place = Place::new();
    let program = Program::new("import time\nfor n in range(100_000):\n    time.time()\nprint('all')");
    let (ran, verdict) = run_within(&place, &program, &Memory::default(), Box::new(Counting::default()), 10_000);
    assert_eq!(verdict.halted(), Some(Halt::Full { most: 10_000 }));
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("stopped: it was cancelled", ""));
    let (ran, verdict) = run_within(&place, &program, &Memory::default(), Box::new(Counting::default()), 1 << 20);
    assert_eq!((ran.stdout.as_str(), verdict.ended()), ("all\n", None));
}

#[test]
fn a_record_that_is_damaged_is_said_to_be() {
    let ledger = Memory::default();
    exuvia_runtime::Ledger::append(&ledger, &[200, 1, 2]);
    let opened = Journal::open(Arc::new(ledger), bounds(1 << 20), CancellationToken::new());
    assert_eq!(opened.err().unwrap(), "part 0 of it makes no sense");
}
