//! A program is stopped whatever it is doing: in Python, in C, in the host on its behalf, while its memory grows. Guard:
//! `Fence::close`, called by the watchdog; without it none of these ends. And what is not the guest's is left as it was.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "a fault on purpose")]

mod support;

use exuvia_runtime::{Clock, Config, Effect, Host, Isolated, Limits, Pending, Program, Sandbox, Silent, Stream};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Place, Ran, Stepped, config, limits, until};
use tokio_util::sync::CancellationToken;

const WALL: &str = "stopped: it ran longer than its time limit";
const CPU: &str = "stopped: it computed longer than its CPU limit";
const CANCELLED: &str = "stopped: it was cancelled";

/// What to do before `print('up')`, and what never ends after it.
const SPINNERS: [(&str, &str); 22] = [
    ("", "while True: pass"),
    ("", "while True:\n  try:\n    while True: pass\n  except BaseException: pass"),
    ("", "def down(): down()\nwhile True:\n  try: down()\n  except RecursionError: pass"),
    ("", "while True:\n  try: raise ValueError\n  except ValueError: pass"),
    ("", "while True: [None] * 1_000_000"),
    ("", "while True: bytes(20_000_000)"),
    ("import re", "re.match(r'(a+)+$', 'a' * 60 + 'b')"),
    ("", "10 ** 10 ** 8"),
    ("", "int('7' * 4300) ** 10 ** 6"),
    ("x = list(range(3_000_000, 0, -1))", "while True: sorted(x, key=(0.5).__add__)"),
    ("x = 'a' * 4_000_000", "while True: 'b' + 'a' * 50 in x"),
    ("import zlib\nx = bytes(range(256)) * 40_000", "while True: zlib.compress(x, 9)"),
    ("import hashlib\nx = bytes(30_000_000)", "while True: hashlib.sha256(x).digest()"),
    (
        "import sqlite3\nc = sqlite3.connect(':memory:')",
        "c.execute('with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n').fetchone()",
    ),
    ("import itertools, collections", "collections.deque(itertools.repeat(None), maxlen=0)"),
    ("import numpy as np\nx = np.ones((1500, 1500), dtype=np.longdouble)", "x @ x @ x @ x @ x @ x @ x @ x"),
    ("x = bytearray(30_000_000)\ny = bytes(30_000_000)", "while True: x[:] = y"),
    ("import os", "while True: os.write(1, b'')"),
    ("import os\nx = bytes(1 << 20)", "while True: os.write(2, x)"),
    ("import os\nx = os.open('/dev/zero', os.O_RDONLY)", "while True: os.read(x, 10_000_000)"),
    (
        "import os\nx = os.open('/lib/python3.13/site-packages/pandas/core/frame.py', os.O_RDONLY)",
        "while True: os.pread(x, 500_000, 0)",
    ),
    ("import time", "while True: time.time()"),
];

fn source((before, forever): (&str, &str)) -> Program {
    Program::new(format!("{before}\nprint('up')\n{forever}"))
}

fn roomy() -> Limits {
    Limits { memory: 512 << 20, ..limits() }
}

/// A host that notes when something was printed.
struct Noting(Stepped);

impl Host for Noting {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if self.0.printed.lock().unwrap().is_empty() {
            self.0.output(stream, bytes);
        }
    }

    fn start(&mut self, effect: Effect) -> Pending {
        self.0.start(effect)
    }
}

/// Cancels the program once it is at it; how long it took after that.
fn cancel(place: &Place, program: &Program) -> (Ran, Duration) {
    let host = Stepped::at(0);
    let printed = host.printed.clone();
    let token = CancellationToken::new();
    std::thread::scope(|scope| {
        let cancelled = scope.spawn(|| {
            until(|| !printed.lock().unwrap().is_empty());
            // Somewhere in the middle, and not always at the same place.
            std::thread::sleep(Duration::from_micros(500));
            token.cancel();
            Instant::now()
        });
        let limits = roomy();
        let run = place.sandbox.run(program, &limits, Box::new(Noting(host)), token.clone());
        let ran = Ran::from(place.runtime.block_on(run).unwrap());
        let ended = Instant::now();
        (ran, ended.saturating_duration_since(cancelled.join().unwrap()))
    })
}

#[test]
fn whatever_it_does_it_is_cancelled() {
    let place = Place::new();
    let before = place.inspect();
    for spinner in SPINNERS {
        let (ran, took) = cancel(&place, &source(spinner));
        assert_eq!(
            (ran.ending.as_str(), ran.stdout.lines().next()),
            (CANCELLED, Some("up")),
            "{spinner:?}{}",
            ran.traceback
        );
        println!("{:6.1} ms  {}", took.as_secs_f64() * 1000.0, spinner.1.lines().next().unwrap());
        assert_eq!(place.inspect(), before, "{spinner:?}");
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}

#[test]
fn whatever_it_does_its_limits_hold() {
    let place = Place::new();
    for spinner in SPINNERS {
        let ran = place.run_program(&source(spinner), &Limits { cpu: Duration::from_millis(1500), ..roomy() });
        assert_eq!(ran.ending, CPU, "{spinner:?}{}", ran.traceback);
        let ran = place.run_program(&source(spinner), &Limits { wall: Duration::from_millis(20), ..roomy() });
        assert_eq!(ran.ending, WALL, "{spinner:?}{}", ran.traceback);
    }
    assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    assert_eq!(place.sandbox.mismatches(), 0);
}

/// A loop over memory that the guest got in this very call, and that touches no other.
#[test]
fn memory_that_has_just_grown_is_closed_too() {
    let place = Place::new();
    let grown = "import numpy as np\nn = 1300\nx = np.ones((3, n, n), dtype=np.longdouble)\nprint('up')\nnp.matmul(x[0], x[1], out=x[2])";
    let ran = place
        .run_program(&Program::new(grown), &Limits { cpu: Duration::from_millis(1500), memory: 1 << 30, ..limits() });
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (CPU, "up\n"));
    // All of it takes many times as long.
    assert!(ran.cpu < Duration::from_secs(5), "{:?}", ran.cpu);
    let growing =
        "kept = []\nprint('up')\nwhile True:\n  kept.append(bytes(1 << 16))\n  if len(kept) > 3000: kept.clear()";
    for milliseconds in 0..40 {
        let limits = Limits { wall: Duration::from_millis(milliseconds), ..roomy() };
        assert_eq!(place.run_within(growing, &limits).ending, WALL);
        assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}

/// Many short bursts of computing between waits, each too short to be looked at.
#[test]
fn bursts_add_up() {
    let source = "import time\nwhile True:\n  for _ in range(500): pass\n  time.sleep(0.00001)";
    let limits = Limits { cpu: Duration::from_millis(100), ..limits() };
    assert_eq!(Place::new().run_within(source, &limits).ending, CPU);
}

/// Stopping closes and opens memory all the time, beside programs that must not notice.
#[test]
fn thousands_are_stopped_beside_others() {
    const RUNS: usize = 4000;
    let sandbox = Sandbox::open(&Config { slots: 8, idle: 8, ..config() }, &Silent).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= RUNS {
                        return;
                    }
                    let run = |program: &Program, limits: &Limits| {
                        let run = sandbox.run(program, limits, Box::new(Isolated::default()), CancellationToken::new());
                        Ran::from(runtime.block_on(run).unwrap())
                    };
                    if number.is_multiple_of(2) {
                        // It may also finish in the very moment in which it is over.
                        let brief = Limits { wall: Duration::from_micros(number as u64 % 3000), ..limits() };
                        let ran = run(
                            &Program::new(
                                "import json\nfor n in range(number := 2000): json.dumps([n])\nprint(number)",
                            ),
                            &brief,
                        );
                        assert!(ran.ending == WALL || (ran.ending == "finished" && ran.stdout == "2000\n"), "{ran:?}");
                    } else {
                        let ran = run(
                            &Program::new(format!(
                                "import json\nprint(sum(json.loads(json.dumps(list(range({number}))))))"
                            )),
                            &limits(),
                        );
                        assert_eq!(
                            (ran.ending.as_str(), ran.stdout),
                            ("finished", format!("{}\n", number * (number - 1) / 2))
                        );
                    }
                }
            });
        }
    });
    assert_eq!(sandbox.mismatches(), 0);
}

/// The watch over the outer one goes on where it was when the inner one has ended.
#[test]
fn a_run_within_a_run_is_watched_like_any_other() {
    let place = Place::new();
    let nested = Nested(Sandbox::open(&config(), &Silent).unwrap());
    let program = Program::new("import exuvia\nprint('up')\nexuvia.call('nested')\nwhile True: pass");
    let ran =
        place.run_on(&program, &Limits { cpu: Duration::from_millis(500), ..limits() }, Box::new(nested)).unwrap();
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (CPU, "up\n"));
}

/// A host that runs a program of its own, on the thread that is inside the other one.
struct Nested(Sandbox);

impl Host for Nested {
    fn clock(&mut self, _: Clock) -> u64 {
        0
    }

    fn output(&mut self, _: Stream, _: &[u8]) {}

    fn start(&mut self, _: Effect) -> Pending {
        let brief = Limits { wall: Duration::from_millis(20), ..limits() };
        let program = Program::new("while True: pass");
        let run = self.0.run(&program, &brief, Box::new(Isolated::default()), CancellationToken::new());
        let outcome = futures_util::FutureExt::now_or_never(run).unwrap().unwrap();
        assert_eq!(Ran::from(outcome).ending, WALL);
        Box::pin(std::future::ready(br#"{"ok":null}"#.to_vec()))
    }
}

/// A host in which something goes wrong: what, is decided by the environment.
struct Broken;

impl Host for Broken {
    fn clock(&mut self, _: Clock) -> u64 {
        0
    }

    fn output(&mut self, _: Stream, _: &[u8]) {
        // SAFETY: none; that is what is tested.
        unsafe { std::ptr::without_provenance_mut::<u8>(64).write_volatile(1) };
    }

    fn start(&mut self, effect: Effect) -> Pending {
        Isolated::default().start(effect)
    }
}

/// Faults that are nobody's limit still end the process, by their signal.
#[test]
fn a_real_fault_is_still_one() {
    const HERE: &str = "EXUVIA_TEST_FAULT";
    if let Ok(place) = std::env::var(HERE) {
        let sandbox = Place::new();
        assert_eq!(sandbox.run("print(6 * 7)").stdout, "42\n");
        let spin = sandbox.run_within("while True: pass", &Limits { wall: Duration::from_millis(20), ..limits() });
        assert_eq!(spin.ending, WALL);
        if place == "outside" {
            Broken.output(Stream::Stdout, &[]);
        }
        let _ = sandbox.run_on(&Program::new("print(1)"), &limits(), Box::new(Broken));
        return;
    }
    for place in ["outside", "inside"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "a_real_fault_is_still_one"]).env(HERE, place);
        let ended = child.output().unwrap();
        assert_eq!(ended.status.signal(), Some(11), "{place}: {}", String::from_utf8_lossy(&ended.stdout));
    }
}

/// Whoever set up wasmtime before us would have `fence` hear of a guest's faults first, and open its memory again.
#[test]
fn a_process_that_used_wasmtime_before_is_refused() {
    const HERE: &str = "EXUVIA_TEST_ORDER";
    if std::env::var(HERE).is_ok() {
        drop(wasmtime::Engine::default());
        let refused = Sandbox::open(&config(), &Silent).err().map(|error| error.to_string());
        let why = "another part of this program set up WebAssembly first, and so would be told of the faults that stop a \
                   guest: open the sandbox before any other use of wasmtime";
        assert_eq!(refused.as_deref(), Some(why));
        assert!(Sandbox::open(&config(), &Silent).is_err());
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_process_that_used_wasmtime_before_is_refused"]).env(HERE, "1");
    let ended = child.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

/// A host's panic passes through a guest whose memory may be closed at that moment; the slot is usable afterwards.
#[test]
fn a_panic_of_the_host_leaves_the_slot_usable() {
    struct Panicking;

    impl Host for Panicking {
        fn clock(&mut self, _: Clock) -> u64 {
            0
        }

        fn output(&mut self, _: Stream, _: &[u8]) {
            // Long enough to be over, so that the memory is closed while the host is at it.
            std::thread::sleep(Duration::from_millis(60));
            panic!("on purpose");
        }

        fn start(&mut self, effect: Effect) -> Pending {
            Isolated::default().start(effect)
        }
    }

    let place = Place::new();
    let brief = Limits { wall: Duration::from_millis(30), ..limits() };
    for _ in 0..3 {
        let run = std::panic::AssertUnwindSafe(|| place.run_on(&Program::new("print(1)"), &brief, Box::new(Panicking)));
        assert!(std::panic::catch_unwind(run).is_err());
        assert_eq!(place.run("print(6 * 7)").stdout, "42\n");
    }
    assert_eq!(place.sandbox.mismatches(), 0);
}
