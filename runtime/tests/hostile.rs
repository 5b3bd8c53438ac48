//! Programs that kill other hosts. Each ends with exactly the outcome that is written here, keeps what it had printed,
//! and leaves the sandbox as good as new: the next run in the same place finds nothing changed.
//!
//! The guard that a group of tests is for is named above it; each was removed once, and a test seen to fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "hostile/effects.rs"]
mod effects;
#[path = "hostile/interpreter.rs"]
mod interpreter;
mod support;

use exuvia_runtime::{Effect, Host, Isolated, Limits, Pending, Program, Stream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Place, Ran, Stepped, limits};

const MIB: u64 = 1 << 20;

/// Runs `source` between two inspections, which must agree.
fn survive(source: &str, limits: &Limits) -> Ran {
    survive_with(source, limits, Box::new(Isolated::default()))
}

fn survive_with(source: &str, limits: &Limits, host: Box<dyn Host>) -> Ran {
    let place = Place::new();
    let before = place.inspect();
    let ran = place.run_on(&Program::new(source), limits, host).unwrap();
    assert_eq!(place.inspect(), before, "the run left something behind");
    assert_eq!(place.sandbox.mismatches(), 0);
    ran
}

#[track_caller]
fn ends(ran: &Ran, ending: &str, stdout: &str) {
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), (ending, stdout), "stderr: {}", ran.stderr);
}

fn with_memory(mebibytes: u64) -> Limits {
    Limits { memory: mebibytes * MIB, ..limits() }
}

fn with_cpu(milliseconds: u64) -> Limits {
    Limits { cpu: Duration::from_millis(milliseconds), ..limits() }
}

const CPU: &str = "stopped: it computed longer than its CPU limit";
const MEMORY: &str = "stopped: it needed more memory than its limit";
const RAISED: &str = "raised MemoryError: ";
const TRAPPED: &str = "stopped: the interpreter crashed (wasm trap: wasm `unreachable` instruction executed)";
const WILD: &str = "stopped: the interpreter crashed (wasm trap: out of bounds memory access)";

// Recursion, in Python and in C.

#[test]
fn a_list_nested_three_million_deep_is_freed() {
    let ran = survive(include_str!("hostile/deep_list.py"), &with_memory(256));
    ends(&ran, "finished", "before\nnested\nfreed\n");
}

#[test]
fn twenty_thousand_parentheses() {
    let ran = survive("print('before')\neval('(' * 20000 + ')' * 20000)", &limits());
    ends(&ran, "raised MemoryError: Parser stack overflowed - Python source too complex to parse", "before\n");
}

#[test]
fn a_sum_of_two_hundred_thousand_terms() {
    let ran = survive("print('before')\neval('1' + '+1' * 200000)", &limits());
    ends(&ran, "raised RecursionError: maximum recursion depth exceeded during compilation", "before\n");
}

#[test]
fn the_repr_of_a_list_nested_two_hundred_thousand_deep() {
    let ran = survive("print('before')\nnest = []\nfor _ in range(200_000): nest = [nest]\nrepr(nest)", &limits());
    ends(
        &ran,
        "raised RecursionError: maximum recursion depth exceeded while getting the repr of an object",
        "before\n",
    );
}

#[test]
fn two_hundred_thousand_brackets_of_json() {
    let ran = survive("import json\nprint('before')\njson.loads('[' * 200000)", &limits());
    ends(
        &ran,
        "raised RecursionError: maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        "before\n",
    );
}

#[test]
fn a_chain_of_getattr() {
    let ran = survive(include_str!("hostile/getattr_chain.py"), &limits());
    ends(&ran, "raised RecursionError: maximum recursion depth exceeded", "before\nRecursionError 100000\n");
}

#[test]
fn recursion_in_a_comparison_of_sorted() {
    let ran = survive(include_str!("hostile/sorted.py"), &limits());
    ends(&ran, "raised RecursionError: maximum recursion depth exceeded", "before\n");
}

#[test]
fn a_recursion_limit_of_a_million_in_python() {
    let ran = survive(
        "import sys\nsys.setrecursionlimit(1_000_000)\nprint('before')\ndef down(n): return down(n + 1)\ndown(0)",
        &limits(),
    );
    // CPython's words for a frame that there is no memory for, and when there is none for these words either: that is so by a few bytes.
    let endings = ["raised SystemError: ", "raised SystemError: error return without exception set"];
    assert!(endings.contains(&ran.ending.as_str()) && ran.stdout == "before\n", "{}: {}", ran.ending, ran.stdout);
}

#[test]
fn a_recursion_limit_of_a_million_in_c() {
    let ran = survive(
        &format!("import sys\nsys.setrecursionlimit(1_000_000)\n{}", include_str!("hostile/sorted.py")),
        &limits(),
    );
    ends(&ran, "raised RecursionError: maximum recursion depth exceeded while calling a Python object", "before\n");
}

#[test]
fn recursion_through_repr_with_a_limit_of_a_million() {
    let ran = survive(
        "import sys\nsys.setrecursionlimit(1_000_000)\nclass R:\n  def __repr__(self): return repr([self])\nprint('before')\nrepr(R())",
        &limits(),
    );
    ends(&ran, "raised RecursionError: maximum recursion depth exceeded", "before\n");
}

// Time. Guard: `watchdog.rs`; `stopping.rs` has more of them.

#[test]
fn an_endless_loop() {
    ends(&survive("print('before')\nwhile True: pass", &with_cpu(200)), CPU, "before\n");
}

#[test]
fn an_endless_loop_that_catches_everything() {
    let source = "print('before')\nwhile True:\n  try:\n    while True: pass\n  except BaseException: pass";
    ends(&survive(source, &with_cpu(200)), CPU, "before\n");
}

#[test]
fn a_catastrophic_regular_expression() {
    let ran = survive("import re\nprint('before')\nre.match(r'(a+)+$', 'a' * 40 + 'b')", &with_cpu(200));
    ends(&ran, CPU, "before\n");
}

#[test]
fn a_number_of_a_hundred_million_digits() {
    ends(&survive("print('before')\n10 ** 10 ** 8", &with_cpu(200)), CPU, "before\n");
}

#[test]
fn an_endless_loop_after_the_end() {
    let source = "import atexit\ndef spin():\n  while True: pass\natexit.register(spin)\nprint('before')";
    ends(&survive(source, &with_cpu(200)), CPU, "before\n");
}

// Memory. Guard: `memory_growing` in `guest.rs`.

#[test]
fn one_allocation_beyond_the_limit() {
    let source = "print('before')\ntry: bytearray(2**30)\nexcept MemoryError: print('caught')\nbytearray(2**30)";
    let ran = survive(source, &limits());
    ends(&ran, "raised MemoryError: ", "before\ncaught\n");
    assert_eq!(ran.line, Some(4));
}

/// A program that has filled its last page raises, or is stopped when nothing is left to raise with.
#[track_caller]
fn runs_out_of_memory(ran: &Ran) {
    let ending = if ran.ending == MEMORY { MEMORY } else { RAISED };
    ends(ran, ending, "before\n");
    assert!((100 * MIB..=128 * MIB).contains(&ran.peak_memory), "{} bytes", ran.peak_memory);
}

#[test]
fn many_small_allocations() {
    for piece in ["bytes(1000)", "[]", "object()", "{1: 2}", "'x' * 500"] {
        let ran = survive(&format!("print('before')\nkept = []\nwhile True: kept.append({piece})"), &with_memory(128));
        runs_out_of_memory(&ran);
    }
}

#[test]
fn containers_that_grow() {
    for (start, step) in [
        ("bytearray()", "x += b'x' * 100_000"),
        ("'x'", "x += x"),
        ("{}", "x[len(x)] = len(x)"),
        ("[]", "x += [0] * 1000"),
    ] {
        let ran = survive(&format!("print('before')\nx = {start}\nwhile True: {step}"), &with_memory(128));
        runs_out_of_memory(&ran);
    }
}

#[test]
fn arrays_that_do_not_fit() {
    let ran = survive(
        "import numpy as np\nprint('before')\nkept = []\nwhile True: kept.append(np.ones(10**6))",
        &with_memory(128),
    );
    ends(
        &ran,
        "raised numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.63 MiB for an array with shape (1000000,) \
         and data type float64",
        "before\n",
    );
}

#[test]
fn python_starts_with_no_more_than_the_floor() {
    let place = Place::new();
    let floor = Limits { memory: place.sandbox.memory_floor(), ..limits() };
    ends(&place.run_within("print(sum(range(10)))", &floor), "finished", "45\n");
    let ran = place.run_within("kept = []\nwhile True: kept.append(bytes(10000))", &floor);
    ends(&ran, "raised MemoryError: ", "");
    assert_eq!(ran.peak_memory, place.sandbox.memory_floor());
}

// Output. Guard: `Kept` in `output.rs`.

#[test]
fn fifty_megabytes_of_output() {
    let source = "import sys\nline = 'x' * 999 + '\\n'\nfor _ in range(50_000): sys.stdout.write(line)\nprint('end')";
    let host = Stepped::at(0);
    let ran = survive_with(source, &Limits { output: 8, ..limits() }, Box::new(host.clone()));
    ends(&ran, "finished", "xxxx\n[... 49999996 bytes cut ...]\nend\n");
    assert_eq!(ran.cut, 49_999_996);
    let printed = host.printed.lock().unwrap();
    assert!(printed.len() > 50_000_000, "all of it is streamed");
}

#[test]
fn one_line_of_fifty_megabytes() {
    let ran = survive("print('x' * 50_000_000)\nprint('end')", &Limits { output: 8, ..with_memory(256) });
    ends(&ran, "finished", "xxxx\n[... 49999997 bytes cut ...]\nend\n");
}

#[test]
fn a_million_tiny_writes() {
    let source = "import sys\nwrite = sys.stdout.write\nfor _ in range(1_000_000): write('x')\nprint('end')";
    ends(&survive(source, &Limits { output: 10, ..limits() }), "finished", "xxxxx\n[... 999994 bytes cut ...]\nxend\n");
}

#[test]
fn a_hundred_thousand_unbuffered_writes_to_both_streams() {
    let source = "import os\nfor _ in range(50_000):\n  os.write(1, b'x'); os.write(2, b'y')\nprint('end')";
    let ran = survive(source, &Limits { output: 10, ..limits() });
    ends(&ran, "finished", "xxxxx\n[... 49994 bytes cut ...]\nxend\n");
    assert_eq!(ran.stderr, "yyyyy\n[... 49990 bytes cut ...]\nyyyyy");
}

#[test]
fn output_without_end() {
    let ran = survive("while True: print('x' * 1000)", &Limits { output: 6, ..with_cpu(300) });
    assert_eq!(ran.ending, CPU);
    assert!(ran.stdout.starts_with("xxx\n[... ") && ran.cut > 1_000_000, "{}", ran.stdout);
}

// Files. Guards: `charge` and `change` in `files/tree.rs`, `LONGEST_*` and `MOST_LINKS` in `files/resolve.rs`, `MOST` in
// `wasi/descriptors.rs`.

fn with_files(mebibytes: u64) -> Limits {
    Limits { files: mebibytes * MIB, ..limits() }
}

#[test]
fn too_many_files() {
    // 512 bytes are counted for each, and its name.
    let ran = survive(include_str!("hostile/many_files.py"), &with_files(1));
    ends(&ran, "finished", "before\n51 No space left on device\n2028 2028\nagain 2028\n");
}

#[test]
fn one_huge_file() {
    let ran = survive(include_str!("hostile/huge_file.py"), &with_files(8));
    ends(&ran, "finished", "before\n51 No space left on device\n7 7340032\nfree again\n");
}

#[test]
fn a_file_with_a_terabyte_of_nothing() {
    let ran = survive(include_str!("hostile/sparse.py"), &limits());
    ends(&ran, "finished", &"51 No space left on device 0\n".repeat(4));
}

#[test]
fn files_and_memory_share_one_limit() {
    // 8 MiB of the 128 are left when the file is written, whatever the files' own limit says.
    let ran = survive(include_str!("hostile/shared_limit.py"), &Limits { files: 1 << 30, ..with_memory(128) });
    ends(
        &ran,
        "finished",
        "file: 51 True\nfolders: 51 True\nlinks: 51 True\nhard links: 51 True\nmemory: MemoryError\n",
    );
    assert!(ran.peak_memory <= 129 * MIB, "{} bytes", ran.peak_memory);
}

#[test]
fn folders_as_deep_as_they_go() {
    let ran = survive(include_str!("hostile/deep_folders.py"), &with_files(1));
    ends(
        &ran,
        "finished",
        "before\nby path 37 Filename too long True\nby descriptor 51 No space left on device True\n",
    );
}

#[test]
fn links_that_lead_in_circles() {
    let ran = survive(include_str!("hostile/symlinks.py"), &limits());
    ends(
        &ran,
        "finished",
        "a 32 Symbolic link loop\nself 32 Symbolic link loop\nfar 32 Symbolic link loop\nl40 32 Symbolic link loop\nl30 is a folder\n",
    );
}

#[test]
fn names_that_are_too_long() {
    let ran = survive(include_str!("hostile/long_names.py"), &limits());
    let refused = "37 Filename too long\n";
    ends(&ran, "finished", &format!("made\n{refused}{refused}{refused}link {refused}1\n"));
}

#[test]
fn hard_links_are_paid_for_and_given_back() {
    let ran = survive(include_str!("hostile/hard_links.py"), &with_files(1));
    ends(&ran, "finished", "51 No space left on device True\nTrue 1\nagain and again True 1\n");
}

#[test]
fn too_many_descriptors() {
    let ran = survive(include_str!("hostile/descriptors.py"), &limits());
    ends(&ran, "finished", "1020 33 No file descriptors available\nend\n");
}

#[test]
fn wild_pointers_stay_inside() {
    // Address 0 is memory like any other.
    let peek = "import ctypes\nprint(len(ctypes.string_at(0, 4)), type(ctypes.string_at(0)).__name__)";
    ends(&survive(peek, &limits()), "finished", "4 bytes\n");
    for wild in [
        "string_at(0xfffffff0, 8)",
        "memset(0xfffff000, 65, 64)",
        "memset(16, 65, 4_000_000_000)",
        "memset(16, 65, 60_000_000)",
    ] {
        let ran = survive(&format!("import ctypes\nprint('before', flush=True)\nctypes.{wild}"), &limits());
        ends(&ran, WILD, "before\n");
    }
}

#[test]
fn memory_is_overwritten_at_random() {
    let ran = survive(include_str!("hostile/scribble.py"), &with_cpu(2000));
    assert_eq!(ran.stdout, "before\n");
    assert!(ran.ending.starts_with("stopped: "), "{}", ran.ending);
}

#[test]
fn functions_at_wild_addresses() {
    let source = "import ctypes\nprint('before', flush=True)\nctypes.CFUNCTYPE(ctypes.c_int)(5)()";
    let ran = survive(source, &limits());
    ends(&ran, "stopped: the interpreter crashed (wasm trap: indirect call type mismatch)", "before\n");
    let ran = survive(&source.replace("(5)()", "(2_000_000_000)()"), &limits());
    ends(
        &ran,
        "stopped: the interpreter crashed (wasm trap: undefined element: out of bounds table access)",
        "before\n",
    );
}

#[test]
fn the_process_is_left() {
    for (call, ending) in [
        ("os._exit(3)", "raised SystemExit: 3"),
        ("os._exit(0)", "finished"),
        ("posix._exit(3)", "raised SystemExit: 3"),
        (
            "os.abort()",
            "raised OSError: [Errno 58] Exuvia's guest has no processes, so there is no os.abort: raise an exception or call sys.exit",
        ),
        ("posix.abort()", TRAPPED),
        (
            "signal.raise_signal(15)",
            "raised OSError: [Errno 58] there are no signals in Exuvia's guest: for a time limit, look at time.monotonic() in between",
        ),
        ("_signal.raise_signal(15)", TRAPPED),
        ("_signal.raise_signal(6)", TRAPPED),
        ("faulthandler._sigsegv()", TRAPPED),
    ] {
        let source = format!("import os, posix, signal, _signal, faulthandler\nprint('before', flush=True)\n{call}");
        ends(&survive(&source, &limits()), ending, "before\n");
    }
}

#[test]
fn odd_exits() {
    for (status, ending, stderr) in [
        ("None", "finished", ""),
        ("0", "finished", ""),
        ("256", "finished", ""),
        ("-1", "raised SystemExit: 255", ""),
        ("True", "raised SystemExit: 1", ""),
        ("2.5", "raised SystemExit: 1", "2.5\n"),
        ("(1, 2)", "raised SystemExit: 1", "(1, 2)\n"),
        ("'it failed'", "raised SystemExit: 1", "it failed\n"),
    ] {
        let ran = survive(&format!("import sys\nprint('before')\nsys.exit({status})"), &limits());
        ends(&ran, ending, "before\n");
        assert_eq!(ran.stderr, stderr);
    }
}

// The interpreter and the guest package, broken from inside.
