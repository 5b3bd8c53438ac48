//! What stays from one call of a session to the next, what does not, and that it is exactly what was left.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod support;

use exuvia_runtime::{Config, Error, Left, Limits, Outcome, Program, Saved, Session, Spill};
use serde_json::{Value, json, value::to_raw_value};
use std::sync::Arc;
use support::{Place, Ran, Stepped, config, limits};
use tokio_util::sync::CancellationToken;

const MIB: u64 = 1 << 20;

/// A session: its place, its state, and how its last call came and went.
struct Calls {
    place: Place,
    state: Option<Saved>,
    most: u64,
    limits: Limits,
    before: Option<[u8; 32]>,
    after: Option<[u8; 32]>,
    seed: u8,
}

impl Calls {
    fn new() -> Self {
        Self::with(&Config { digest: true, ..config() })
    }

    fn with(config: &Config) -> Self {
        let limits = Limits { memory: 512 * MIB, files: 64 * MIB, ..limits() };
        let place = Place::with(config);
        Self { place, state: None, most: 256 * MIB, limits, before: None, after: None, seed: 0 }
    }

    fn left(&mut self, program: &Program) -> Result<(Ran, Left), Error> {
        self.seed += 1;
        let program = Program { seed: [self.seed; 32], ..program.clone() };
        // The bytes, as they come back from a disk.
        let from = self.state.as_ref().map(|state| Arc::new(Saved::from_bytes(state.bytes().to_vec()).unwrap()));
        let session = Session { from, most: self.most };
        let host = Box::new(Stepped::at(1_000_000_000 + 1000 * u64::from(self.seed)));
        let run = self.place.sandbox.run_in_session(&program, &self.limits, host, CancellationToken::new(), session);
        let (outcome, left): (Outcome, Left) = self.place.runtime.block_on(run)?;
        let usage = outcome.output().usage;
        (self.before, self.after) = (usage.memory_before, usage.memory_digest);
        Ok((Ran::from(outcome), left))
    }

    fn program(&mut self, program: &Program) -> Ran {
        let ended_with = self.after;
        let (ran, left) = self.left(program).unwrap();
        if self.state.is_some() && self.place.sandbox.mismatches() == 0 && self.limits.memory == 512 * MIB {
            assert_eq!(self.before, ended_with, "the memory is not what the call before left");
        }
        let Left::State(state) = left else { panic!("{left:?} after {ran:?}") };
        self.state = Some(state);
        ran
    }

    fn run(&mut self, source: &str) -> Ran {
        self.program(&Program::new(source))
    }

    #[track_caller]
    fn value(&mut self, source: &str) -> Value {
        let ran = self.run(source);
        assert_eq!((ran.ending.as_str(), ran.stderr.as_str()), ("finished", ""), "{ran:?}");
        ran.result
    }
}

#[test]
fn names_functions_classes_imports_and_generators_go_on() {
    let mut calls = Calls::new();
    calls.value(
        "import math, json as j\nmath.tau = 'patched'\nx = 1\ndef f(): return x + helper()\ndef helper(): return 10\n\
         class C:\n    count = 0\n    def __init__(self): C.count += 1\nfirst = C()\ndef numbers():\n    n = 0\n    while True:\n        n += 1\n        yield n\n\
         g = numbers()\nnext(g)",
    );
    assert_eq!(calls.value("x += 1\n[x, f(), math.tau, j.dumps([1]), next(g)]"), json!([2, 12, "patched", "[1]", 2]));
    assert_eq!(
        calls.value("second = C()\n[C.count, type(first) is C, isinstance(second, C), next(g)]"),
        json!([2, true, true, 3])
    );
    assert_eq!(
        calls.value("import sys\n[__name__, sys.modules['__main__'].x, 'helper' in globals()]"),
        json!(["__main__", 2, true])
    );
    assert_eq!(calls.place.sandbox.mismatches(), 0);
    // Without a session nothing of it is there.
    assert_eq!(calls.place.run("x").ending, "raised NameError: name 'x' is not defined");
}

#[test]
fn frames_random_state_and_files_go_on() {
    let mut calls = Calls::new();
    calls.value(
        "import pandas as pd, numpy as np, random, os\nframe = pd.DataFrame({'a': range(100_000), 'b': [str(i % 7) for i in range(100_000)]})\n\
         random.seed(5); np.random.seed(6)\nfirst = (random.random(), np.random.rand())\nos.makedirs('deep/er')\n\
         open('deep/er/note.txt', 'w').write('kept')\nos.symlink('/mnt/data/deep/er/note.txt', '/tmp/link')\nos.chdir('deep')\nos.environ['SET'] = 'yes'",
    );
    let went_on = calls.value(
        "[int(frame.a.sum()), frame.b.nunique(), random.random(), float(np.random.rand()), open('/tmp/link').read(), os.getcwd(), os.environ['SET']]",
    );
    let whole = calls.place.run(
        "import random, numpy as np\nrandom.seed(5); np.random.seed(6)\nrandom.random(); np.random.rand()\n[random.random(), float(np.random.rand())]",
    );
    let expected = json!([4_999_950_000_i64, 7, whole.result[0], whole.result[1], "kept", "/mnt/data/deep", "yes"]);
    assert_eq!(went_on, expected);
    // Each call draws new keys, also when the one before was undone: its own seed decides.
    let drawn = |calls: &mut Calls| calls.left(&Program::new("import uuid\nstr(uuid.uuid4())")).unwrap().0.result;
    assert_ne!(drawn(&mut calls), drawn(&mut calls));
}

/// Seen to fail with a `resume` that leaves the descriptors as they are in a fresh run.
#[test]
fn an_open_file_is_the_same_file_in_the_next_call() {
    let mut calls = Calls::new();
    calls.value("f = open('a.txt', 'w+')\nf.write('one')\nimport os\ngone = open('gone.txt', 'w+'); gone.write('still'); gone.flush(); os.remove('gone.txt')");
    // Were descriptors reset, `other` would have the number of `f`, and its text would go there.
    assert_eq!(calls.value("other = open('b.txt', 'w'); f.write(' two'); f.flush(); f.seek(0); gone.seek(0); [f.read(), gone.read(), os.path.getsize('b.txt')]"), json!(["one two", "still", 0]));
    calls.value("import sqlite3\ndb = sqlite3.connect('/mnt/data/x.db'); db.execute('create table t (a)'); db.execute('insert into t values (7)'); db.commit()");
    assert_eq!(calls.value("db.execute('select a from t').fetchall()"), json!([[7]]));
}

/// Seen to fail with streams that are not renewed, and with a monotonic clock that begins anew.
#[test]
fn what_belongs_to_one_call_is_new_in_each() {
    let mut calls = Calls::new();
    let inputs = |name: &str, value: i32| [(name.to_owned(), to_raw_value(&value).unwrap())].into_iter().collect();
    let first = Program {
        inputs: inputs("a", 1),
        outputs: vec!["a".into()],
        ..Program::new("import sys\nsys.argv.append('x')\na")
    };
    assert_eq!(calls.program(&first).outputs, json!({ "a": 1 }));
    let second = Program { inputs: inputs("b", 2), ..Program::new("[a, b, input_vars, sys.argv, __file__]") };
    assert_eq!(calls.program(&second).result, json!([1, 2, { "b": 2 }, ["script.py"], "script.py"]));
    let third = Program { inputs: inputs("a", 3), ..Program::new("[a, b]") };
    assert_eq!(calls.program(&third).result, json!([3, 2]));
    // No result, no output of an earlier call; streams are there again.
    let ran =
        calls.run("import sys, os, io\nsys.stdout = io.StringIO()\nsys.__stderr__.close()\nos.close(1)\nprint('lost')");
    assert_eq!((ran.result, ran.stdout.as_str()), (Value::Null, ""));
    let ran = calls.run("import sys\nprint('seen')\nprint('too', file=sys.stderr)");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("seen\n", "too\n"));
    // The monotonic clock never goes back.
    calls.value("import time\nbefore = time.monotonic()");
    assert_eq!(calls.value("time.monotonic() > before"), json!(true));
}

/// Seen to fail with a `bind` that sets every name.
#[test]
fn tools_are_bound_anew_and_never_over_a_name_of_the_program_s() {
    let mut calls = Calls::new();
    calls.value("def later(): return type(mcp_Time_now).__name__\nmcp_mine = 5\nlater()");
    assert_eq!(calls.value("[later(), mcp_mine]"), json!(["Tool", 5]));
}

/// Seen to fail with one file name for all calls.
#[test]
fn a_traceback_shows_the_lines_of_the_call_that_each_frame_is_from() {
    let mut calls = Calls::new();
    calls.value("# a comment\ndef broken():\n    return 1 / 0  # in the first");
    let ran = calls.run("\n\nvalue = 1\nbroken()  # in the second");
    assert_eq!((ran.ending.as_str(), ran.line), ("raised ZeroDivisionError: division by zero", Some(4)));
    for line in [
        "\"script.py (call 2)\", line 4, in <module>\n    broken()  # in the second",
        "\"script.py\", line 3, in broken\n    return 1 / 0  # in the first",
    ] {
        assert!(ran.traceback.contains(line), "{}", ran.traceback);
    }
    // Raising is an end like any other: what came before it stays.
    assert_eq!(calls.value("value"), json!(1));
    assert_eq!(calls.run("y = 2\nimport sys\nsys.exit(3)").ending, "raised SystemExit: 3");
    assert_eq!(calls.value("y"), json!(2));
}

/// Seen to fail with handles that are counted from 0 in each call.
#[test]
fn no_handle_of_an_earlier_call_means_another_effect() {
    let mut calls = Calls::new();
    calls.value("import _exuvia\nold = _exuvia.start(b'{\"op\":\"sleep\",\"ns\":1000}')");
    let seen = calls.value("new = _exuvia.start(b'{\"op\":\"sleep\",\"ns\":1000}')\n[new > old, _exuvia.wait((old,)), _exuvia.wait((new,))]");
    assert_eq!(seen, json!([true, -1, 0]));
    assert_eq!(calls.value("import time\ntime.sleep(0.01)\n'slept'"), json!("slept"));
}

/// Seen to fail with handlers of `logging` that are closed at the end of a call.
#[test]
fn pools_and_threads_that_wait_go_on() {
    let mut calls = Calls::new();
    calls.value(
        "import queue, threading\nfrom concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\nlist(pool.map(str, range(3)))\n\
         q, seen = queue.Queue(), []\ndef work():\n    while True:\n        item = q.get()\n        seen.append(item)\n        q.task_done()\n\
         threading.Thread(target=work, daemon=True).start()\nq.put(1); q.join()",
    );
    assert_eq!(
        calls.value("q.put(2); q.join()\n[list(pool.map(str, range(3))), seen]"),
        json!([["0", "1", "2"], [1, 2]])
    );
    calls.value("import asyncio\nloop = asyncio.new_event_loop()\nasync def f(n):\n    await asyncio.sleep(0.01)\n    return n\nloop.run_until_complete(f(1))");
    assert_eq!(calls.value("loop.run_until_complete(f(2))"), json!(2));
    // The end of a call is not the end of the program.
    calls.value("import atexit, tempfile, logging\natexit.register(print, 'never')\nfolder = tempfile.TemporaryDirectory()\nlogging.basicConfig(filename='log.txt', filemode='w', level='INFO')\nlogging.info('one')");
    assert_eq!(
        calls.value("import os\nlogging.info('two')\n[os.path.isdir(folder.name), open('log.txt').read()]"),
        json!([true, "INFO:root:one\nINFO:root:two\n"])
    );
}

/// Seen to fail with a `check_session` that does not compare with the limit.
#[test]
fn grown_memory_comes_back_whole_and_the_limits_are_asked() {
    let mut calls = Calls::new();
    calls.value("import numpy as np\nbig = np.random.default_rng(1).random(6_000_000)\nbefore = float(big.sum())");
    assert!(calls.state.as_ref().unwrap().bytes().len() > 48_000_000);
    assert_eq!(calls.value("float(big.sum()) == before"), json!(true));
    let needs = calls.state.as_ref().unwrap().needs();
    calls.limits.memory = needs - 1;
    let error = calls.left(&Program::new("1")).unwrap_err();
    assert!(
        matches!(error, Error::SessionAboveLimit { needed, limit } if needed == needs && limit == needs - 1),
        "{error}"
    );
    calls.limits.memory = needs + 16 * MIB;
    assert_eq!(calls.left(&Program::new("len(big)")).unwrap().0.result, json!(6_000_000));
    // Less than it was costs less: what is freed and zero again is not kept, but what is freed alone is.
    calls.limits.memory = 512 * MIB;
    calls.most = 16 * MIB;
    let (ran, left) = calls.left(&Program::new("big[0] = 1")).unwrap();
    assert_eq!(ran.ending, "finished");
    assert!(matches!(left, Left::TooLarge(size) if size > 48_000_000), "{left:?}");
}

/// Seen to fail with any status of the guest taken for a normal return.
#[test]
fn a_call_that_was_stopped_leaves_nothing() {
    let mut calls = Calls::new();
    calls.value("x = 1");
    calls.limits.cpu = std::time::Duration::from_millis(200);
    for (program, ending) in [
        ("x = 2\nwhile True: x += 1", "the CPU time limit was reached"),
        ("x = 2\nimport posix\nposix._exit(0)", "finished"),
        ("x = 2\nimport exuvia_guest.program as p\np._exuvia = None", "the guest package failed"),
    ] {
        let (ran, left) = calls.left(&Program::new(program)).unwrap();
        assert!(ran.ending.contains(ending) || ran.ending.contains("CPU") && ending.contains("CPU"), "{ran:?}");
        assert!(matches!(left, Left::Nothing), "{left:?} after {program}");
    }
    let (ran, _) = calls.left(&Program::new("x")).unwrap();
    assert_eq!(ran.result, json!(1));
}

/// Seen to fail with any status of the guest taken for a normal return.
#[test]
fn a_hostile_session_harms_itself_alone() {
    let mut calls = Calls::new();
    calls.value("import os\nnoise = os.urandom(20_000_000)\ndel noise\nhex(id(noise := os.urandom(10)))[:2]");
    calls.run("import builtins\ndel builtins.print, __builtins__");
    assert_eq!(calls.run("print(1)").ending, "raised NameError: name 'print' is not defined");
    calls.run("import exuvia_guest.program as p, linecache\np.compile_program = None\nlinecache.cache = None");
    let (ran, left) = calls.left(&Program::new("1")).unwrap();
    assert!(ran.ending.contains("guest package failed"), "{ran:?}");
    assert!(matches!(left, Left::Nothing));
    // Others, and this one begun anew, are whole.
    assert_eq!(calls.place.run("print(len('abc'))").stdout, "3\n");
    calls.state = None;
    assert_eq!(calls.run("print(len('abc'))").stdout, "3\n");
    assert_eq!(calls.place.sandbox.mismatches(), 0);
}

#[test]
fn many_calls_in_a_row_neither_lose_nor_grow() {
    let mut calls = Calls::with(&Config { digest: false, ..config() });
    calls.value("n = 0");
    let mut size = 0;
    for call in 1..=100 {
        let answer = calls.value("n += 1\nimport json\njson.loads('[1]')\nn");
        assert_eq!(answer, json!(call));
        if call == 20 {
            size = calls.state.as_ref().unwrap().bytes().len();
        }
    }
    let end = calls.state.as_ref().unwrap().bytes().len();
    assert!(end < size + (1 << 20), "{size} {end}");
}

#[test]
fn a_session_works_alike_where_instances_are_made_anew() {
    let mut calls = Calls::with(&Config { recycle: false, digest: true, ..config() });
    calls.value("import pandas as pd\nframe = pd.DataFrame({'a': [1, 2]})");
    assert_eq!(calls.value("int(frame.a.sum())"), json!(3));
}

#[test]
fn figures_are_saved_and_closed_at_the_end_of_each_call() {
    let mut calls = Calls::new();
    calls.value("import matplotlib.pyplot as plt, os\nfig, ax = plt.subplots(figsize=(1, 1))\nax.plot([1, 2])\nNone");
    let listed = "sorted(name for name in os.listdir() if name.endswith('.png'))";
    assert_eq!(calls.value(&format!("plt.plot([1])\n[plt.get_fignums(), {listed}]")), json!([[1], ["figure-1.png"]]));
    calls.value("ax.set_title('changed')\nfig");
    assert_eq!(calls.value(listed), json!(["figure-1.png", "figure-2.png", "figure-3.png"]));
}

/// Seen to fail with a `check_session` that does not look at the snapshot.
#[test]
fn a_state_of_another_snapshot_or_a_damaged_one_is_refused() {
    let mut calls = Calls::new();
    calls.value("x = 1");
    let bytes = calls.state.as_ref().unwrap().bytes().to_vec();
    let place = bytes.windows(12).rposition(|window| window == b"\"snapshot\":\"").unwrap() + 12;
    let mut other = bytes.clone();
    other[place..place + 4].copy_from_slice(b"ffff");
    calls.state = Some(Saved::from_bytes(other).unwrap());
    let error = calls.left(&Program::new("x")).unwrap_err();
    assert!(matches!(error, Error::OtherSnapshot), "{error}");
    for cut in [0, 7, 15, 16, 4096, bytes.len() - 1] {
        assert!(Saved::from_bytes(bytes[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    assert!(Saved::from_bytes(bytes[4096..].to_vec()).is_err());
}

/// Seen to fail with a state that leaves out what lies on the disk.
#[test]
fn large_files_go_on_and_only_what_a_call_changes_is_its_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::open(folder.path(), 64 * MIB).unwrap();
    let mut calls = Calls::with(&Config { spill: Some(spill.clone()), digest: true, ..config() });
    calls.limits.disk = 64 * MIB;
    let names = |ran: &Ran| ran.artifacts.clone();
    let ran = calls.run("f = open('large', 'w+b')\nf.write(b'a' * 3_000_000)\nf.flush()\nopen('b', 'w').write('b')");
    assert_eq!(names(&ran), ["b", "large"]);
    let ran = calls.run("f.seek(2_999_999)\nf.read()[:9].decode(), open('b').read()");
    assert_eq!((ran.result.clone(), names(&ran)), (json!(["a", "b"]), vec![]), "{ran:?}");
    let ran = calls.run(
        "import os\nos.rename('b', 'c')\nf.seek(0)\nf.write(b'!')\nf.flush()\nos.mkdir('d')\nos.rename('c', 'd/c')",
    );
    assert_eq!(names(&ran), ["d/c", "large"]);
    let ran = calls.run("os.rename('d', 'e')\nopen('large', 'rb').read(2).decode()");
    assert_eq!((ran.result.clone(), names(&ran)), (json!("!a"), vec!["e/c".to_owned()]));
    assert_eq!(spill.used(), 0);

    calls.limits.disk = 2 * MIB;
    let refused = calls.left(&Program::new("1")).unwrap_err();
    assert!(matches!(refused, Error::SessionAboveLimit { .. }), "{refused}");
}
