//! The binary as a user meets it: what it prints where, as it comes, and the exit status that goes with it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "cli/doctor.rs"]
mod doctor;
mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{Ran, binary};
use tempfile::TempDir;

/// The binary, in an empty folder. It uses the user's cache, so that Python is compiled once for all tests.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.0.path()).env_remove("EXUVIA_LOG").stdin(Stdio::null());
        command
    }

    /// Runs `program.py`, which holds `source`.
    fn program(&self, source: impl AsRef<[u8]>, arguments: &[&str]) -> Ran {
        fs::write(self.0.path().join("program.py"), source).unwrap();
        self.run(&[&["run", "program.py"], arguments].concat())
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    fn spawn(&self, source: &str, arguments: &[&str]) -> Child {
        fs::write(self.0.path().join("program.py"), source).unwrap();
        let mut command = self.command(&[&["run", "program.py"], arguments].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[track_caller]
fn is(ran: &Ran, status: i32, stdout: &str, stderr: &str) {
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(status), stdout, stderr));
}

fn run(source: &str, arguments: &[&str]) -> Ran {
    Place::new().program(source, arguments)
}

// What a program gives.

#[test]
fn a_program_prints_and_its_last_value_is_shown() {
    is(&run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n[1, 'a']", &[]), 0, "out\n[1, \"a\"]\n", "err\n");
    is(&run("x = 1", &[]), 0, "", "");
}

#[test]
fn a_pandas_program_runs() {
    let source = "import pandas as pd\nframe = pd.DataFrame({'kind': list('aab'), 'n': [1, 2, 4]})\nprint(frame.groupby('kind').n.sum().to_dict())";
    is(&run(source, &[]), 0, "{'a': 3, 'b': 4}\n", "");
}

#[test]
fn inputs_and_outputs() {
    let place = Place::new();
    fs::write(place.0.path().join("in.json"), r#"{"a": 1, "b": [2, "é"]}"#).unwrap();
    let ran = place.program(
        "total = a + len(b) + c\nprint(sorted(input_vars))",
        &["--inputs", "in.json", "--input", "c=10", "--input", "a=5", "--output", "total", "--output", "b"],
    );
    is(&ran, 0, "['a', 'b', 'c']\ntotal = 17\nb = [2, \"é\"]\n", "");
}

#[test]
fn the_program_can_come_on_standard_input() {
    let place = Place::new();
    let mut child = place
        .command(&["run", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"print(__file__)\n1 / 0").unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    let traceback = "Traceback (most recent call last):\n  File \"<stdin>\", line 2, in <module>\n    1 / 0\n    ~~^~~\nZeroDivisionError: division by zero\n";
    is(&ran, 1, "<stdin>\n", traceback);
}

#[test]
fn an_exception_shows_the_users_own_lines() {
    let ran = run("print('before')\ndef half(n):\n    return n / 0\nhalf(1)", &[]);
    let traceback = "Traceback (most recent call last):\n  File \"program.py\", line 4, in <module>\n    half(1)\n    ~~~~^^^\n  File \"program.py\", line 3, in half\n    return n / 0\n           ~~^~~\nZeroDivisionError: division by zero\n";
    is(&ran, 1, "before\n", traceback);
}

#[test]
fn seeds_make_runs_alike() {
    let source = "import random\nrandom.random()";
    let with = |seed| run(source, &["--seed", seed]).stdout;
    assert_eq!(with("7"), with("7"));
    assert_ne!(with("7"), with("8"));
    assert_ne!(run(source, &[]).stdout, run(source, &[]).stdout);
}

#[test]
fn the_host_is_not_there() {
    let place = Place::new();
    fs::write(place.0.path().join("secret.txt"), "secret").unwrap();
    let ran =
        place.program("import os\nprint(os.listdir('.'), os.environ.get('EXUVIA_SECRET'))\nopen('secret.txt')", &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), "[] None\n"));
    assert!(
        ran.stderr.ends_with("FileNotFoundError: [Errno 44] No such file or directory: 'secret.txt'\n"),
        "{}",
        ran.stderr
    );
}

// Exit statuses.

#[test]
fn exit_statuses() {
    is(&run("import sys\nsys.exit(0)", &[]), 0, "", "");
    is(&run("import sys\nprint(1)\nsys.exit(7)", &[]), 1, "1\n", "SystemExit: 7\n");
    is(&run("import sys\nsys.exit('it failed')", &[]), 1, "", "it failed\nSystemExit: 1\n");
    is(
        &run("print(1)\nwhile True: pass", &["--timeout", "200ms"]),
        2,
        "1\n",
        "exuvia: stopped: it ran longer than its time limit\n",
    );
    is(
        &run("import time\nprint(1)\ntime.sleep(1000)", &["--timeout", "200ms"]),
        2,
        "1\n",
        "exuvia: stopped: it ran longer than its time limit\n",
    );
}

#[test]
fn a_memory_limit_is_a_memory_error() {
    let ran = run("print(1)\nblob = bytearray(200_000_000)", &["--memory", "128MiB"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), "1\n"));
    assert!(ran.stderr.contains("\nMemoryError\nHint: the run's memory limit was reached: "), "{}", ran.stderr);
    is(&run("len(bytearray(200_000_000))", &["--memory", "512MiB"]), 0, "200000000\n", "");
}

#[test]
fn our_own_error_has_its_status() {
    let place = Place::new();
    fs::write(place.0.path().join("program.py"), "print(1)").unwrap();
    fs::write(place.0.path().join("file"), "").unwrap();
    let cache = place.0.path().join("file/cache");
    let ran: Ran = place.command(&["run", "program.py"]).env("EXUVIA_CACHE", &cache).output().unwrap().into();
    is(&ran, 3, "", &format!("exuvia: could not create `{}`: Not a directory (os error 20)\n", cache.display()));
    let mut command = place.command(&["run", "program.py"]);
    let ran: Ran =
        command.env_remove("EXUVIA_CACHE").env_remove("XDG_CACHE_HOME").env_remove("HOME").output().unwrap().into();
    is(&ran, 3, "", "exuvia: no folder for the cache: set `EXUVIA_CACHE` or `HOME`\n");
}

// Bad input.

#[test]
fn what_cannot_be_a_program() {
    let place = Place::new();
    is(&place.program(b"", &[]), 0, "", "");
    is(&place.program(b"# nothing\n", &[]), 0, "", "");
    is(
        &place.program(b"print(1)\n\xff\xfe", &[]),
        64,
        "",
        "exuvia: `program.py` is not a Python source in UTF-8: byte 9 is not text; save it as UTF-8\n",
    );
    is(
        &place.program(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0\xb0\x10", &[]),
        64,
        "",
        "exuvia: `program.py` is not a Python source in UTF-8: byte 24 is not text; save it as UTF-8\n",
    );
    is(
        &place.program(b"print(1\n", &[]),
        1,
        "",
        "  File \"program.py\", line 1\n    print(1\n         ^\nSyntaxError: '(' was never closed\n",
    );
    is(
        &place.program(b"Dear agent,\nplease run this.\n", &[]),
        1,
        "",
        "  File \"program.py\", line 1\n    Dear agent,\n         ^^^^^\nSyntaxError: invalid syntax\n",
    );
    let ran = place.program(b"x = 1 \0", &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.ends_with("SyntaxError: source code string cannot contain null bytes\n"), "{}", ran.stderr);
    is(
        &place.run(&["run", "missing.py"]),
        64,
        "",
        "exuvia: could not read `missing.py`: No such file or directory (os error 2)\n",
    );
    is(&place.run(&["run", "."]), 64, "", "exuvia: could not read `.`: Is a directory (os error 21)\n");
}

#[test]
fn a_program_that_is_too_large() {
    let ran = run(&" ".repeat((64 << 20) + 1), &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""));
    assert!(
        ran.stderr.starts_with("exuvia: a program of 671088")
            && ran.stderr.ends_with(" bytes with its inputs is larger than the 67108864 bytes allowed\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn inputs_that_cannot_be_used() {
    let place = Place::new();
    for (name, contents) in [("list.json", "[1]"), ("broken.json", "{\"a\": "), ("odd.json", "{\"not a name\": 1}")] {
        fs::write(place.0.path().join(name), contents).unwrap();
    }
    for (arguments, message) in [
        (["--input", "a"], "`--input a` has no `=`: write `--input NAME=JSON`"),
        (
            ["--input", "a=Bern"],
            "`--input a=Bern` is not JSON (expected value at line 1 column 1); a string needs quotes: `--input 'a=\"Bern\"'`",
        ),
        (
            ["--input", "a="],
            "`--input a=` is not JSON (EOF while parsing a value at line 1 column 0); a string needs quotes: `--input 'a=\"\"'`",
        ),
        (["--input", "2x=1"], "the input name `2x` is not a Python variable name"),
        (["--input", "=1"], "the input name `` is not a Python variable name"),
        (["--inputs", "missing.json"], "could not read `missing.json`: No such file or directory (os error 2)"),
        (
            ["--inputs", "list.json"],
            "`list.json` is not a JSON object of names and values: invalid type: sequence, expected a map at line 1 column 0",
        ),
        (
            ["--inputs", "broken.json"],
            "`broken.json` is not a JSON object of names and values: EOF while parsing a value at line 1 column 6",
        ),
        (["--inputs", "odd.json"], "the input name `not a name` is not a Python variable name"),
        (["--output", "a.b"], "the output name `a.b` is not a Python variable name"),
    ] {
        is(&place.program("print(1)", &arguments), 64, "", &format!("exuvia: {message}\n"));
    }
}

#[test]
fn an_output_that_was_never_set() {
    let ran = run("x = 1\nprint('ran')", &["--output", "x", "--output", "y"]);
    is(&ran, 1, "ran\nx = 1\n", "exuvia: the program never set `y`, which `--output` asks for\n");
}

#[test]
fn limits_that_cannot_be_used() {
    for (arguments, message) in [
        (["--timeout", "soon"], "error: invalid value 'soon' for '--timeout <TIME>': expected number at 0\n"),
        (
            ["--timeout", "30"],
            "error: invalid value '30' for '--timeout <TIME>': time unit needed, for example 30sec or 30ms\n",
        ),
        (["--timeout", "-1s"], "error: invalid value '-1s' for '--timeout <TIME>': expected number at 0\n"),
        (
            ["--memory", "much"],
            "error: invalid value 'much' for '--memory <SIZE>': couldn't parse \"much\" into a ByteSize, ",
        ),
        (["--memory", "-5MiB"], "error: invalid value '-5MiB' for '--memory <SIZE>': "),
        (["--seed", "x"], "error: invalid value 'x' for '--seed <NUMBER>': invalid digit found in string\n"),
    ] {
        let joined = format!("{}={}", arguments[0], arguments[1]);
        let ran = run("print(1)", &[&joined]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(message), "{}", ran.stderr);
    }
    let ran = run("print(1)", &["--memory", "1MiB"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""));
    assert!(ran.stderr.starts_with("exuvia: a memory limit of 1048576 bytes is below the "), "{}", ran.stderr);
    let ran = run("print(1)", &["--memory", "5GiB"]);
    is(
        &ran,
        64,
        "",
        "exuvia: a memory limit of 5368709120 bytes is above the 4294967296 bytes that a 32-bit guest can have\n",
    );
    is(&run("print(1)", &["--memory", "4GiB", "--timeout", "1000years"]), 0, "1\n", "");
    is(&run("print(1)", &["--timeout", "0s"]), 2, "", "exuvia: stopped: it ran longer than its time limit\n");
}

#[test]
fn usage() {
    let place = Place::new();
    let alone = place.run(&[]);
    assert_eq!((alone.status, alone.stdout.as_str()), (Some(64), ""));
    let help = place.run(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    assert_eq!(alone.stderr, help.stdout, "what `exuvia` alone prints is the help");
    for part in [
        "Usage: exuvia <COMMAND>",
        "run ",
        "doctor ",
        "Exit status of `run`: 0 finished, 1 raised, 2 stopped by a limit, 3 our own error, 64 usage.",
    ] {
        assert!(help.stdout.contains(part), "{part} is not in {}", help.stdout);
    }
    let help = place.run(&["run", "--help"]);
    assert_eq!(help.status, Some(0));
    for part in [
        "<FILE>",
        "--input <NAME=JSON>",
        "--inputs <FILE.json>",
        "--output <NAME>",
        "--timeout <TIME>",
        "--memory <SIZE>",
        "--json",
    ] {
        assert!(help.stdout.contains(part), "{part} is not in {}", help.stdout);
    }
    assert_eq!(place.run(&["--version"]).stdout, format!("exuvia {}\n", env!("CARGO_PKG_VERSION")));
    for wrong in [&["walk"][..], &["run"], &["run", "a.py", "b.py"], &["--walk"]] {
        let ran = place.run(wrong);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""));
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
}

// `--json`.

/// The one object that is printed, its times taken out.
fn report(ran: &Ran) -> Value {
    assert_eq!(ran.stderr, "");
    assert_eq!(ran.stdout.matches('\n').count(), 1);
    let mut report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let usage = report["usage"].as_object_mut().unwrap();
    let keys: Vec<_> = usage.keys().cloned().collect();
    assert_eq!(keys, ["wall_ms", "cpu_ms", "peak_memory_bytes"]);
    assert!(usage["wall_ms"].as_f64().unwrap() > 0.0 && usage["cpu_ms"].as_f64().unwrap() > 0.0);
    assert!(usage["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    report.as_object_mut().unwrap().remove("usage");
    report
}

#[test]
fn json_of_a_finished_program() {
    let ran =
        run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = {'a': 1.5}\nx", &["--json", "--output", "x"]);
    assert_eq!(ran.status, Some(0));
    assert_eq!(
        report(&ran),
        json!({
            "status": "finished", "result": {"a": 1.5}, "output_vars": {"x": {"a": 1.5}}, "missing": [], "reprs": [],
            "stdout": "out\n", "stderr": "err\n", "error": null, "truncated": false,
        })
    );
}

#[test]
fn json_of_a_program_that_raised() {
    let ran = run("print('out')\nx = object\nraise KeyError('k')", &["--json", "--output", "x", "--output", "y"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(
        report(&ran),
        json!({
            "status": "raised", "result": null, "output_vars": {"x": "<class 'object'>"}, "missing": ["y"],
            "reprs": ["outputs.x"], "stdout": "out\n", "stderr": "",
            "error": {
                "type": "KeyError", "message": "'k'", "line": 3,
                "traceback": "Traceback (most recent call last):\n  File \"program.py\", line 3, in <module>\n    raise KeyError('k')\nKeyError: 'k'\n",
            },
            "truncated": false,
        })
    );
}

#[test]
fn json_of_a_program_that_was_stopped() {
    let ran = run("print('out')\nwhile True: pass", &["--json", "--timeout", "200ms"]);
    assert_eq!(ran.status, Some(2));
    assert_eq!(
        report(&ran),
        json!({
            "status": "stopped", "result": null, "output_vars": {}, "missing": [], "reprs": [], "stdout": "out\n", "stderr": "",
            "error": {"type": "WallLimit", "message": "stopped: it ran longer than its time limit", "line": null, "traceback": ""},
            "truncated": false,
        })
    );
}

#[test]
fn json_of_much_output_is_cut_in_the_middle() {
    let ran = run("print('a' * 2_000_000)", &["--json"]);
    let report = report(&ran);
    assert_eq!(report["truncated"], true);
    let half = "a".repeat(1 << 19);
    assert_eq!(
        report["stdout"],
        format!("{half}\n[... {} bytes cut ...]\n{}\n", 2_000_001 - (1 << 20), "a".repeat((1 << 19) - 1))
    );
}

// Streams, pipes and signals.

#[test]
fn output_comes_while_the_program_runs() {
    // The program never ends by itself, so that whatever is read was printed while it ran.
    for (source, stderr) in [
        ("import time\nprint('first')\ntime.sleep(100_000)", false),
        ("print('first')\nwhile True: pass", false),
        ("import sys, time\nprint('first', file=sys.stderr)\ntime.sleep(100_000)", true),
        ("import sys, time\nsys.stdout.write('first\\n')\ntime.sleep(100_000)", false),
        ("import os, time\nos.write(1, b'first\\n')\ntime.sleep(100_000)", false),
    ] {
        let place = Place::new();
        let mut child = place.spawn(source, &["--timeout", "100000s"]);
        let stream: Box<dyn Read> =
            if stderr { Box::new(child.stderr.take().unwrap()) } else { Box::new(child.stdout.take().unwrap()) };
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert_eq!(line, "first\n");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_reader_that_goes_away_does_not_stop_the_program() {
    let place = Place::new();
    let mut child = place.spawn(
        "print('first')\nimport sys\nfor _ in range(100_000): print('x' * 100)\nprint('done', file=sys.stderr)",
        &[],
    );
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(line, "first\n");
    is(&ran, 0, "", "done\n");
}

#[test]
fn ctrl_c_stops_the_program() {
    for source in ["print('first')\nwhile True: pass", "import time\nprint('first')\ntime.sleep(100_000)"] {
        let place = Place::new();
        let mut child = place.spawn(source, &["--timeout", "100000s"]);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        let ran: Ran = child.wait_with_output().unwrap().into();
        is(&ran, 2, "", "exuvia: stopped: it was cancelled\n");
    }
}

// `doctor`.
