//! A used instance is as good as new. After each of more than ten thousand runs all of its memory is compared with the
//! snapshot, byte by byte; also while many threads run programs, and while the kernel takes pages away.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Config, Isolated, Limits, Program, Recycling, Sandbox, Silent};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::reclaim::page_out_guests;
use support::{Place, Ran, Stepped, config, limits, until};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;

/// Programs, and how each ends.
const MIX: [(&str, &str); 18] = [
    ("print(1)", "finished"),
    ("", "finished"),
    ("import json\nprint(json.dumps({'a': list(range(100))}))", "finished"),
    ("raise ValueError(1)", "raised ValueError: 1"),
    ("x = (", "raised SyntaxError: '(' was never closed"),
    ("import sys\nsys.exit(3)", "raised SystemExit: 3"),
    (
        "import random, numpy as np, uuid\nnp.random.seed(1)\nnp.random.rand(100)\nrandom.seed(2)\nuuid.uuid4()",
        "finished",
    ),
    ("import pandas as pd\npd.DataFrame({'a': [1, 2, 1], 'b': [1.5, 2, 3]}).groupby('a').sum()", "finished"),
    ("import re\nre.compile('(a|b)*' + 'c' * 50).match('ab' * 100)", "finished"),
    (
        "import threading, time\nthreads = [threading.Thread(target=time.sleep, args=(0.001,)) for _ in range(3)]\nfor t in threads: t.start()",
        "finished",
    ),
    ("import asyncio\nasyncio.run(asyncio.sleep(0.001))", "finished"),
    ("open('/tmp/x', 'w').write('x' * 100_000)\nopen('/tmp/x').read()[:3]", "finished"),
    (
        "import sys\nsys.setrecursionlimit(60)\ndef down(n): return down(n + 1)\ndown(0)",
        "raised RecursionError: maximum recursion depth exceeded",
    ),
    (
        "import builtins, sys, os\nbuiltins.left = 1\nsys.modules['left'] = sys\nos.environ['LEFT'] = '1'\nprint(left)",
        "finished",
    ),
    ("import sys\nsys.stdout.close()\nsys.path.clear()\nsys.setrecursionlimit(50_000)", "finished"),
    (
        "import decimal, sqlite3\ndecimal.getcontext().prec = 50\nsqlite3.connect(':memory:').execute('create table t (a)')",
        "finished",
    ),
    ("import _exuvia\nfor _ in range(10): _exuvia.start(b'{\"op\":\"sleep\",\"ns\":1000000000000}')", "finished"),
    ("x = [bytes(1000) for _ in range(3000)]\nlen(x)", "finished"),
];

/// The first of the mix cost next to nothing: most runs are of these, for the sake of this test's time.
const LIGHT: usize = 6;

/// Programs after which an instance is dropped.
const DROPPED: [(&str, &str); 5] = [
    ("kept = bytearray(40_000_000)", "finished"),
    ("import os, posix\nposix._exit(4)", "raised SystemExit: 4"),
    (
        "import posix\nposix.abort()",
        "stopped: the interpreter crashed (wasm trap: wasm `unreachable` instruction executed)",
    ),
    (
        "import ctypes\nctypes.memset(0xfffff000, 1, 9)",
        "stopped: the interpreter crashed (wasm trap: out of bounds memory access)",
    ),
    ("while True: pass", "stopped: it computed longer than its CPU limit"),
];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run(sandbox: &Sandbox, runtime: &Runtime, source: &str, limits: &Limits) -> Ran {
    let program = Program::new(source);
    let run = sandbox.run(&program, limits, Box::new(Isolated::default()), CancellationToken::new());
    runtime.block_on(run).unwrap().into()
}

#[track_caller]
fn ends(sandbox: &Sandbox, runtime: &Runtime, (source, ending): (&str, &str)) {
    let limits =
        if source.starts_with("while") { Limits { cpu: Duration::from_millis(5), ..limits() } } else { limits() };
    let ran = run(sandbox, runtime, source, &limits);
    assert_eq!(ran.ending, ending, "{source}: {}{}", ran.traceback, ran.stderr);
}

/// Whether this kernel can restore instances at all.
fn recycles(sandbox: &Sandbox) -> bool {
    sandbox.recycling() == Recycling::Pages
}

#[test]
fn ten_thousand_mixed_runs_leave_nothing() {
    const THREADS: usize = 4;
    const RUNS: usize = 11_000;
    let sandbox = Sandbox::open(&Config { slots: 8, idle: 8, ..config() }, &Silent).unwrap();
    if !recycles(&sandbox) {
        return;
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let runtime = runtime();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= RUNS {
                        return;
                    }
                    // One in fifty is dropped, so that slots are also made anew all the while.
                    match number {
                        number if number % 50 == 0 => ends(&sandbox, &runtime, DROPPED[number / 50 % DROPPED.len()]),
                        number if number % 50 == 1 => cancel_one(&sandbox, &runtime, number),
                        number if number % 3 == 0 => ends(&sandbox, &runtime, MIX[number / 3 % MIX.len()]),
                        number => ends(&sandbox, &runtime, MIX[number % LIGHT]),
                    }
                }
            });
        }
    });
    assert_eq!(sandbox.mismatches(), 0);
    // All but the fiftieths, which are dropped, and those whose memory grew.
    assert!(sandbox.verified() >= 10_000, "{}", sandbox.verified());
}

/// Stops a run from outside in the middle of computing or of a wait, or drops its future in the middle of a wait.
fn cancel_one(sandbox: &Sandbox, runtime: &Runtime, number: usize) {
    let source =
        if number % 100 == 1 { "print('up')\nwhile True: pass" } else { "import time\nprint('up')\ntime.sleep(1000)" };
    let program = Program::new(source);
    let limits = limits();
    let host = Stepped::at(0);
    let printed = host.printed.clone();
    let host: Box<dyn exuvia_runtime::Host> = if number % 100 == 1 { Box::new(host) } else { Box::new(Waiting(host)) };
    let cancel = CancellationToken::new();
    if number % 100 == 1 || number % 4 == 1 {
        let ran = std::thread::scope(|scope| {
            scope.spawn(|| {
                until(|| !printed.lock().unwrap().is_empty());
                cancel.cancel();
            });
            Ran::from(runtime.block_on(sandbox.run(&program, &limits, host, cancel.clone())).unwrap())
        });
        assert_eq!(ran.ending, "stopped: it was cancelled");
        return;
    }
    runtime.block_on(async {
        let mut run = std::pin::pin!(sandbox.run(&program, &limits, host, cancel.clone()));
        // It waits once it has printed; then it is dropped.
        while printed.lock().unwrap().is_empty() {
            tokio::select! { biased; _ = &mut run => panic!("it ended by itself"), () = tokio::task::yield_now() => {} }
        }
    });
}

/// A host whose sleeps never end.
struct Waiting(Stepped);

impl exuvia_runtime::Host for Waiting {
    fn clock(&mut self, clock: exuvia_runtime::Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, stream: exuvia_runtime::Stream, bytes: &[u8]) {
        self.0.output(stream, bytes);
    }

    fn start(&mut self, _: exuvia_runtime::Effect) -> exuvia_runtime::Pending {
        Box::pin(std::future::pending())
    }
}

#[test]
fn every_program_of_the_mix_ends_as_it_should() {
    let place = Place::new();
    for case in MIX.into_iter().chain(DROPPED) {
        ends(&place.sandbox, &place.runtime, case);
        assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}

#[test]
fn nothing_is_left_while_the_kernel_takes_pages_away() {
    let place = Place::new();
    if !recycles(&place.sandbox) {
        return;
    }
    let before = place.inspect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Asks the kernel to reclaim all that this process has mapped, over and over: image pages go back to the file,
        // clean pages vanish, and written ones are swapped out where there is swap.
        let reclaim = scope.spawn(|| {
            let mut rounds = 0_usize;
            while !over.load(Ordering::Relaxed) {
                rounds += page_out_guests();
            }
            rounds
        });
        // Also when a run is not as it should be: the test must fail then, not hang.
        let end = End(&over);
        for number in 0..300 {
            ends(&place.sandbox, &place.runtime, MIX[number % MIX.len()]);
        }
        drop(end);
        assert!(reclaim.join().unwrap() > 0, "nothing was reclaimed");
    });
    assert_eq!(place.sandbox.mismatches(), 0);
    assert_eq!(place.inspect(), before);
}

/// Says that it is over when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_heavy_run_does_not_make_its_slot_wrong() {
    let place = Place::new();
    let before = place.inspect();
    let heavy = "import pandas as pd, numpy as np\nframe = pd.DataFrame({'a': np.arange(200_000) % 1000, 'b': np.arange(200_000.0)})\nframe.groupby('a').agg(['sum', 'mean', 'std']).shape";
    for _ in 0..5 {
        let ran = place.run_within(heavy, &Limits { memory: 512 * MIB, ..limits() });
        assert_eq!((ran.ending.as_str(), ran.result), ("finished", serde_json::json!([1000, 3])));
        assert_eq!(place.inspect(), before);
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}

#[test]
fn without_recycling_the_results_are_the_same() {
    let (recycled, fresh) = (Place::new(), Place::with(&Config { recycle: false, ..config() }));
    assert_eq!(fresh.sandbox.recycling(), Recycling::Fresh);
    assert_eq!(fresh.inspect(), recycled.inspect());
    for case in MIX.into_iter().chain(DROPPED) {
        ends(&fresh.sandbox, &fresh.runtime, case);
    }
    assert_eq!(fresh.inspect(), recycled.inspect());
}

#[test]
fn slots_move_between_threads() {
    let sandbox = Sandbox::open(&Config { slots: 1, ..config() }, &Silent).unwrap();
    for number in 0..40 {
        std::thread::scope(|scope| {
            scope.spawn(|| ends(&sandbox, &runtime(), MIX[number % MIX.len()]));
        });
    }
    assert_eq!(sandbox.mismatches(), 0);
}
