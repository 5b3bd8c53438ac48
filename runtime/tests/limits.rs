//! Each limit stops exactly the run that passes it, with what it had printed so far, and no other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Cache, Config, Error, Isolated, Kept, Limits, Program, Sandbox, Silent};
use std::sync::Arc;
use std::time::Duration;
use support::time::Timeless;
use support::{PATIENCE, Place, Ran, Stepped, config, limits, until};
use tokio_util::sync::CancellationToken;

const WALL: &str = "stopped: it ran longer than its time limit";
const CPU: &str = "stopped: it computed longer than its CPU limit";
const CANCELLED: &str = "stopped: it was cancelled";

fn short(milliseconds: u64) -> Limits {
    Limits { wall: Duration::from_millis(milliseconds), ..limits() }
}

#[test]
fn wall_time_counts_computing_and_waiting() {
    let place = Place::new();
    for source in [
        "print('up')\nwhile True: pass",
        "import time\nprint('up')\ntime.sleep(1000)",
        "import time\nprint('up')\nwhile True: time.sleep(0.001)",
        "import threading\nprint('up')\nthreading.Event().wait(1000)",
        "import asyncio\nprint('up')\nasyncio.run(asyncio.sleep(1000))",
        "import _exuvia\nprint('up')\n_exuvia.wait([_exuvia.start(b'{\"op\":\"sleep\",\"ns\":1000000000000}')])",
    ] {
        // Long enough for the first line on a busy machine.
        let ran = place.run_within(source, &short(1500));
        assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (WALL, "up\n"), "{source}");
        assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    }
}

#[test]
fn cpu_time_counts_computing_alone() {
    let place = Place::new();
    let limits = Limits { cpu: Duration::from_millis(300), ..limits() };
    let ran = place.run_within("print('up')\nwhile True: pass", &limits);
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (CPU, "up\n"));
    // A minute of sleep, on a clock that makes it a moment.
    let slept = Program::new("import time\nfor _ in range(60): time.sleep(1)\nprint('slept')");
    let ran = place.run_on(&slept, &limits, Box::new(Timeless::default())).unwrap();
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "slept\n"));
}

#[test]
fn no_time_at_all() {
    let place = Place::new();
    assert_eq!(place.run_within("while True: pass", &short(0)).ending, WALL);
    assert_eq!(place.run_within("while True: pass", &Limits { cpu: Duration::ZERO, ..limits() }).ending, CPU);
    assert_eq!(
        place.run_within("print(1)", &Limits { wall: Duration::MAX, cpu: Duration::MAX, ..limits() }).ending,
        "finished"
    );
}

#[test]
fn memory_limits_have_bounds() {
    let place = Place::new();
    let floor = place.sandbox.memory_floor();
    let refused = |memory| {
        let refused = place.run_on(&Program::new(""), &Limits { memory, ..limits() }, Box::new(Isolated::default()));
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        refused(floor - 1),
        format!("a memory limit of {} bytes is below the {floor} bytes that Python itself needs", floor - 1)
    );
    assert_eq!(
        refused((1 << 32) + 1),
        "a memory limit of 4294967297 bytes is above the 4294967296 bytes that a 32-bit guest can have"
    );
    assert_eq!(place.run_within("1", &Limits { memory: 1 << 32, ..limits() }).ending, "finished");
}

#[test]
fn a_memory_error_can_be_caught_and_lived_with() {
    let place = Place::new();
    let source = "try:\n  kept = [bytearray(1 << 20) for _ in range(1000)]\nexcept MemoryError: print('caught')\nlen(bytearray(8 << 20))";
    let ran = place.run_within(source, &Limits { memory: 160 << 20, ..limits() });
    assert_eq!(
        (ran.ending.as_str(), ran.stdout.as_str(), ran.result),
        ("finished", "caught\n", serde_json::json!(8 << 20))
    );
    assert!(ran.peak_memory <= 160 << 20, "{} bytes", ran.peak_memory);
}

#[test]
fn exceptions_of_cpp_do_not_change_what_memory_there_is() {
    // Its heap is asked for at the same place as linear memory, and is not it: 40 MiB more than the limit would fit otherwise.
    let source = "import numpy as np, os\ncaught = 0\nfor n in (1_000_003, 1_200_007, 1_400_017, 1_600_033, 1_800_017):\n  try: np.fft.fft(np.ones(n))\n  except MemoryError as error: caught += not str(error)\n\
                  print('thrown', caught > 0)\nsize = 0\ntry:\n  with open('/tmp/x', 'wb', buffering=0) as file:\n    while True: size += file.write(bytes(1 << 18))\nexcept OSError as error: print(error.errno)";
    let limits = Limits { memory: 208 << 20, files: 1 << 32, ..limits() };
    let ran = Place::new().run_within(source, &limits);
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "thrown True\n51\n"));
    assert!(ran.peak_memory <= 208 << 20, "{} bytes", ran.peak_memory);
}

#[test]
fn output_is_kept_head_and_tail_of_each_stream() {
    let source = "import sys\nfor n in range(100): print(f'{n:02}'); print(f'{n:02}', file=sys.stderr)";
    let place = Place::new();
    for (kept, expected, cut) in [
        (12, "00\n01\n[... 288 bytes cut ...]\n98\n99\n", 288 * 2),
        (299, "", 2),
        (0, "[... 300 bytes cut ...]\n", 300 * 2),
        (1 << 30, "", 0),
    ] {
        let host = Stepped::at(0);
        let ran =
            place.run_on(&Program::new(source), &Limits { output: kept, ..limits() }, Box::new(host.clone())).unwrap();
        assert_eq!(ran.ending, "finished");
        if !expected.is_empty() {
            assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (expected, expected));
        }
        // An odd limit keeps one byte less: two halves.
        assert_eq!(ran.cut, if kept == 299 { 4 } else { cut }, "{kept}");
        let printed = host.printed.lock().unwrap().iter().filter(|byte| byte.is_ascii_digit()).count();
        assert_eq!(printed, 400, "all of it is streamed");
    }
    assert_eq!(Kept::default().to_text(), "");
}

#[test]
fn a_run_is_cancelled_while_it_computes_and_while_it_waits() {
    let place = Place::new();
    for source in [
        "print('up')\nwhile True: pass",
        "import time\nprint('up')\ntime.sleep(1000)",
        "print('up')\nwhile True:\n  try:\n    while True: pass\n  except BaseException: pass",
    ] {
        let host = Stepped::at(0);
        let printed = host.printed.clone();
        let cancel = CancellationToken::new();
        let (program, limits) = (Program::new(source), limits());
        let host: Box<dyn exuvia_runtime::Host> = Box::new(Printing(host));
        let ran = std::thread::scope(|scope| {
            // From another thread: the run holds this one while it computes.
            scope.spawn(|| {
                until(|| !printed.lock().unwrap().is_empty());
                cancel.cancel();
            });
            let run = place.sandbox.run(&program, &limits, host, cancel.clone());
            Ran::from(place.runtime.block_on(run).unwrap())
        });
        assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (CANCELLED, "up\n"));
        assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    }
}

/// [`Stepped`], but sleeps take their time.
struct Printing(Stepped);

impl exuvia_runtime::Host for Printing {
    fn clock(&mut self, clock: exuvia_runtime::Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, stream: exuvia_runtime::Stream, bytes: &[u8]) {
        self.0.output(stream, bytes);
    }

    fn start(&mut self, effect: exuvia_runtime::Effect) -> exuvia_runtime::Pending {
        Isolated::default().start(effect)
    }
}

#[test]
fn a_run_that_is_cancelled_before_it_begins_does_nothing() {
    let place = Place::new();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let host = Stepped::at(0);
    let printed = host.printed.clone();
    let (program, limits) = (Program::new("print('up')"), limits());
    let run = place.sandbox.run(&program, &limits, Box::new(host), cancel);
    assert_eq!(Ran::from(place.runtime.block_on(run).unwrap()).ending, CANCELLED);
    assert!(printed.lock().unwrap().is_empty());
}

#[test]
fn a_run_is_cancelled_while_it_waits_for_its_turn() {
    let place = Place::new();
    let (asleep, late, limits) = (Program::new("import time\ntime.sleep(1000)"), Program::new("print(1)"), limits());
    place.runtime.block_on(async {
        let (first, second) = (CancellationToken::new(), CancellationToken::new());
        let mut busy = std::pin::pin!(place.sandbox.run(&asleep, &limits, Box::new(Isolated::default()), first.clone()));
        tokio::select! { biased; _ = &mut busy => panic!("it ended by itself"), () = tokio::task::yield_now() => {} }
        let mut queued = std::pin::pin!(place.sandbox.run(&late, &limits, Box::new(Isolated::default()), second.clone()));
        tokio::select! { biased; _ = &mut queued => panic!("there was no slot for it"), () = tokio::task::yield_now() => {} }
        second.cancel();
        assert_eq!(Ran::from(queued.await.unwrap()).ending, CANCELLED);
        first.cancel();
        assert_eq!(Ran::from(busy.await.unwrap()).ending, CANCELLED);
    });
}

#[test]
fn a_dropped_future_ends_its_run() {
    let place = Place::new();
    for source in [
        "import time\ntime.sleep(1000)",
        "import time\nwhile True: time.sleep(0.001)",
        "import time\ndef down(n):\n  if n: down(n - 1)\n  else:\n    while True: time.sleep(0.001)\ndown(900)",
        "import threading\nthreading.Event().wait(1000)",
    ] {
        let (program, limits) = (Program::new(source), limits());
        for polls in [1, 2, 50] {
            place.runtime.block_on(async {
                let run = place.sandbox.run(&program, &limits, Box::new(Isolated::default()), CancellationToken::new());
                let mut run = std::pin::pin!(run);
                for _ in 0..polls {
                    tokio::select! { biased; _ = &mut run => panic!("it ended by itself"), () = tokio::task::yield_now() => {} }
                }
            });
            // The one slot is free again.
            assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
        }
    }
}

#[test]
fn a_thousand_runs_are_suspended_at_once() {
    const RUNS: usize = 1000;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = Arc::new(Sandbox::open(&Config { slots: 1000, ..config() }, &Silent).unwrap());
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    runtime.block_on(async {
        let mut runs = tokio::task::JoinSet::new();
        for number in 0..RUNS {
            let (sandbox, gate, arrived) = (Arc::clone(&sandbox), Arc::clone(&gate), arrived.clone());
            runs.spawn(async move {
                let program = Program {
                    inputs: [("number".to_owned(), serde_json::value::to_raw_value(&number).unwrap())].into(),
                    ..Program::new("import exuvia\nprint('before', number)\nanswer = exuvia.call('gate')\n(number, answer)")
                };
                let host = Box::new(Gated { gate, arrived });
                Ran::from(sandbox.run(&program, &limits(), host, CancellationToken::new()).await.unwrap())
            });
        }
        for _ in 0..RUNS {
            tokio::time::timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
        }
        // All are in their call now. One more finds no slot.
        let one_more = Program::new("print(1)");
        let limits = limits();
        let mut queued = std::pin::pin!(sandbox.run(&one_more, &limits, Box::new(Isolated::default()), CancellationToken::new()));
        tokio::select! { biased; _ = &mut queued => panic!("there was a slot more"), () = tokio::task::yield_now() => {} }
        gate.add_permits(RUNS);
        let mut numbers: Vec<_> = runs.join_all().await.into_iter().map(|ran| {
            assert_eq!(ran.ending, "finished");
            let number = ran.result[0].as_u64().unwrap();
            assert_eq!((ran.result[1].as_str(), ran.stdout), (Some("open"), format!("before {number}\n")));
            number
        }).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..RUNS as u64).collect::<Vec<_>>());
        assert_eq!(Ran::from(queued.await.unwrap()).stdout, "1\n");
    });
    assert_eq!(sandbox.mismatches(), 0);
}

/// A host whose one function answers once the gate is open.
struct Gated {
    gate: Arc<tokio::sync::Semaphore>,
    arrived: tokio::sync::mpsc::UnboundedSender<()>,
}

impl exuvia_runtime::Host for Gated {
    fn clock(&mut self, _: exuvia_runtime::Clock) -> u64 {
        0
    }

    fn output(&mut self, _: exuvia_runtime::Stream, _: &[u8]) {}

    fn start(&mut self, _: exuvia_runtime::Effect) -> exuvia_runtime::Pending {
        let gate = Arc::clone(&self.gate);
        self.arrived.send(()).unwrap();
        Box::pin(async move {
            gate.acquire_owned().await.unwrap().forget();
            br#"{"ok":"open"}"#.to_vec()
        })
    }
}

#[test]
fn more_runs_than_slots_take_turns() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sandbox = Arc::new(Sandbox::open(&Config { slots: 3, ..config() }, &Silent).unwrap());
    runtime.block_on(async {
        let mut runs = tokio::task::JoinSet::new();
        for number in 0..60 {
            let sandbox = Arc::clone(&sandbox);
            runs.spawn(async move {
                let source = match number % 4 {
                    0 => "import time\ntime.sleep(0.01)\n1",
                    1 => "kept = bytearray(40_000_000)\n1",
                    2 => "import os\nprint(1)\n1",
                    _ => "while True: pass",
                };
                let limits =
                    Limits { cpu: if number % 4 == 3 { Duration::from_millis(5) } else { PATIENCE }, ..limits() };
                let run = sandbox
                    .run(&Program::new(source), &limits, Box::new(Isolated::default()), CancellationToken::new())
                    .await;
                (number, Ran::from(run.unwrap()).ending)
            });
        }
        for (number, ending) in runs.join_all().await {
            assert_eq!(ending, if number % 4 == 3 { CPU } else { "finished" }, "{number}");
        }
    });
}

#[test]
fn a_limit_stops_its_own_run_alone() {
    let sandbox = Sandbox::open(&Config { slots: 2, ..config() }, &Silent).unwrap();
    let limits = limits();
    let brief = Limits { cpu: Duration::from_millis(50), ..limits.clone() };
    let run = |source: &str, limits: &Limits| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let program = Program::new(source);
        let run = sandbox.run(&program, limits, Box::new(Isolated::default()), CancellationToken::new());
        Ran::from(runtime.block_on(run).unwrap())
    };
    let (stopped, finished) = std::thread::scope(|scope| {
        let stopped = scope.spawn(|| (0..5).map(|_| run("while True: pass", &brief).ending).collect::<Vec<_>>());
        let finished = run("n = 0\nfor i in range(6_000_000): n += i\nn", &limits);
        (stopped.join().unwrap(), finished)
    });
    assert_eq!(stopped, [CPU; 5]);
    assert_eq!((finished.ending.as_str(), finished.result), ("finished", serde_json::json!(17_999_997_000_000_u64)));
}

#[test]
fn programs_have_a_size() {
    let place = Place::new();
    let source = format!("'{}'\nprint(1)", "x".repeat(20 << 20));
    let ran = place.run_within(&source, &Limits { memory: 512 << 20, ..limits() });
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "1\n"));
    // No room for it: the program is never begun.
    let floor = Limits { memory: place.sandbox.memory_floor(), ..limits() };
    assert_eq!(
        place.run_within(&format!("'{}'", "x".repeat(60 << 20)), &floor).ending,
        "stopped: it needed more memory than its limit"
    );
    let too_large = Program::new(" ".repeat((64 << 20) + 1));
    let refused = place.run_on(&too_large, &limits(), Box::new(Isolated::default())).unwrap_err();
    assert!(matches!(refused, Error::ProgramTooLarge { most: 67_108_864, .. }), "{refused}");
    assert!(Cache::of_user().is_ok());
}
