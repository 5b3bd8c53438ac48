//! Ways out of the sandbox. Each is refused with exactly the error that is written here, and what was refused is shown to
//! work where it is granted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "escapes/runs.rs"]
mod runs;
mod support;

use exuvia_runtime::{Clock, Effect, Host, Input, Isolated, Pending, Program, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Place, Ran, Stepped, limits};

fn run(source: &str) -> Ran {
    Place::new().run(source)
}

/// Runs the expressions and statements one by one; each line of the answer is what came of one.
fn attempts(setup: &str, each: &[&str]) -> Vec<String> {
    let list = serde_json::to_string(each).unwrap();
    let source = format!(
        "{setup}\nfor attempt in {list}:\n    try:\n        print('done', repr(eval(attempt))[:200])\n    except BaseException as error:\n        \
         print(type(error).__module__ + '.' + type(error).__qualname__ + ':', error)"
    );
    let ran = Place::new().run_within(&source, &exuvia_runtime::Limits { output: 1 << 16, ..limits() });
    assert_eq!((ran.ending.as_str(), ran.stderr.as_str()), ("finished", ""));
    ran.stdout.lines().map(str::to_owned).collect()
}

#[track_caller]
fn all(found: &[String], expected: &str) {
    for line in found {
        assert_eq!(line, expected);
    }
}

// Files of the host. Guard: there is no call that opens one; what is not in the tree is not there.

#[test]
fn host_files_are_not_there() {
    for path in [
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/1/root/etc/passwd",
        "/sys/kernel",
        "/root/.ssh/id_rsa",
        "/home",
        "../../../../../../etc/passwd",
        "/mnt/data/../../etc/passwd",
        "/tmp/../etc/passwd",
        "/lib/../etc/passwd",
        "/lib/python3.13/../../etc/passwd",
        "/./etc/./passwd",
        "//etc/passwd",
        "/dev/../etc/passwd",
        "/dev/sda",
        "/dev/mem",
        "/dev/tty",
        "/dev/stdin",
        "/dev/fd/0",
        "/proc/self/fd/3",
        env!("CARGO_MANIFEST_PATH"),
        "/lib/x86_64-linux-gnu/libc.so.6",
    ] {
        let ran = run(&format!("open({path:?})"));
        assert_eq!(ran.ending, format!("raised FileNotFoundError: [Errno 44] No such file or directory: '{path}'"));
    }
}

#[test]
fn the_root_has_four_folders_and_nothing_above() {
    let found = attempts(
        "import os",
        &[
            "sorted(os.listdir('/'))",
            "sorted(os.listdir('/..'))",
            "sorted(os.listdir('/../../..'))",
            "sorted(os.listdir('/dev'))",
            "os.listdir('/lib')",
            "os.path.realpath('/tmp/../../..')",
            "os.getcwd()",
        ],
    );
    let root = "done ['dev', 'lib', 'mnt', 'tmp']";
    assert_eq!(found[..3], [root, root, root]);
    assert_eq!(
        found[3..],
        ["done ['null', 'random', 'urandom', 'zero']", "done ['exuvia', 'python3.13']", "done '/'", "done '/mnt/data'"]
    );
}

#[test]
fn links_lead_nowhere_else() {
    let found = attempts(
        "import os\nos.symlink('/etc/passwd', '/tmp/absolute')\nos.symlink('../../../../etc/passwd', '/tmp/relative')\nos.symlink('/', '/tmp/root')\nos.symlink('/proc/self/fd', '/tmp/fds')",
        &[
            "open('/tmp/absolute')",
            "open('/tmp/relative')",
            "open('/tmp/root/etc/passwd')",
            "open('/tmp/fds/0')",
            "os.listdir('/tmp/root')",
            "os.readlink('/tmp/absolute')",
            "os.link('/etc/passwd', '/tmp/hard')",
        ],
    );
    assert_eq!(
        found,
        [
            "builtins.FileNotFoundError: [Errno 44] No such file or directory: '/tmp/absolute'",
            "builtins.FileNotFoundError: [Errno 44] No such file or directory: '/tmp/relative'",
            "builtins.FileNotFoundError: [Errno 44] No such file or directory: '/tmp/root/etc/passwd'",
            "builtins.FileNotFoundError: [Errno 44] No such file or directory: '/tmp/fds/0'",
            "done ['dev', 'lib', 'mnt', 'tmp']",
            "done '/etc/passwd'",
            "builtins.FileNotFoundError: [Errno 44] No such file or directory: '/etc/passwd' -> '/tmp/hard'",
        ]
    );
}

#[test]
fn only_two_folders_can_be_written_to() {
    let found = attempts(
        "import os\nW = os.O_WRONLY | os.O_CREAT",
        &[
            "os.open('/new', W)",
            "os.open('/lib/new', W)",
            "os.open('/mnt/new', W)",
            "os.open('/dev/new', W)",
            "os.open('/lib/python3.13/os.py', os.O_WRONLY)",
            "os.open('/lib/python3.13/os.py', os.O_RDONLY | os.O_TRUNC)",
            "os.unlink('/lib/python3.13/os.py')",
            "os.rename('/lib/python3.13/os.py', '/tmp/os.py')",
            "os.rename('/tmp', '/elsewhere')",
            "os.rmdir('/tmp')",
            "os.unlink('/dev/null')",
            "os.mkdir('/lib/python3.13/new')",
            "os.symlink('x', '/lib/new')",
            "os.utime('/lib/python3.13/os.py', (0, 0))",
        ],
    );
    for line in &found {
        assert!(line.starts_with("builtins.OSError: [Errno 69] Read-only file system: '"), "{line}");
    }
    all(
        &attempts(
            "import os\nW = os.O_WRONLY | os.O_CREAT",
            &["os.close(os.open('/tmp/new', W))", "os.close(os.open('/mnt/data/new', W))"],
        ),
        "done None",
    );
}

#[test]
fn descriptors_lead_to_the_guests_own_files_only() {
    // 0 to 3 are the streams and the root of the guest's tree; the host's own descriptors have no number here.
    let found = attempts(
        "import os",
        &[
            "os.read(0, 10)",
            "os.read(1, 10)",
            "os.write(0, b'x')",
            "os.read(3, 10)",
            "os.write(3, b'x')",
            "os.fstat(4)",
            "os.read(5, 10)",
            "os.read(255, 10)",
            "os.write(2_000_000_000, b'x')",
            "os.read(-1, 1)",
            "os.dup(1)",
        ],
    );
    let closed = "builtins.OSError: [Errno 8] Bad file descriptor";
    assert_eq!(
        found,
        [
            "done b''",
            closed,
            closed,
            "builtins.IsADirectoryError: [Errno 31] Is a directory",
            closed,
            closed,
            closed,
            closed,
            closed,
            closed,
            "builtins.OSError: [Errno 58] Not supported",
        ]
    );
}

#[test]
fn a_file_is_readable_where_it_was_given() {
    let contents: Arc<[u8]> = Arc::from(&b"granted\n"[..]);
    let names = ["rows.csv", "deep/er/rows.csv", "/tmp/rows.csv", "/mnt/data/also.csv"];
    let files: BTreeMap<_, _> =
        names.iter().map(|name| ((*name).to_owned(), Input::Bytes(Arc::clone(&contents)))).collect();
    let source = "import os\nfor name in ('rows.csv', 'deep/er/rows.csv', '/tmp/rows.csv', 'also.csv'): print(open(name).read(), end='')\n\
                  open('rows.csv', 'a').write('changed')\nopen('rows.csv').read()";
    let program = Program { files, ..Program::new(source) };
    let place = Place::new();
    for _ in 0..2 {
        let ran = place.run_program(&program, &limits());
        assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "granted\n".repeat(4).as_str()));
        // What one run writes into it is that run's own.
        assert_eq!(ran.result, "granted\nchanged");
    }
    assert_eq!(&contents[..], b"granted\n");
    let ran = place.run("open('rows.csv')");
    assert_eq!(ran.ending, "raised FileNotFoundError: [Errno 44] No such file or directory: 'rows.csv'");
}

#[test]
fn a_file_cannot_be_given_outside_the_two_folders() {
    let place = Place::new();
    for (path, why) in [
        ("/etc/passwd", "only `/tmp` and `/mnt/data` can be written to"),
        ("/lib/python3.13/os.py", "it is there already"),
        ("/lib/new.py", "only `/tmp` and `/mnt/data` can be written to"),
        ("", "no such folder"),
        ("..", "it is there already"),
        ("/tmp/", "no such folder"),
        ("../../new", "only `/tmp` and `/mnt/data` can be written to"),
    ] {
        let files = BTreeMap::from([(path.to_owned(), Input::Bytes(Arc::from(&b"x"[..])))]);
        let program = Program { files, ..Program::new("") };
        let refused = place.run_on(&program, &limits(), Box::new(Isolated::default())).unwrap_err();
        assert_eq!(refused.to_string(), format!("could not give the program the file `{path}`: {why}"));
    }
}

// The environment, processes, devices.

#[test]
fn the_hosts_environment_is_not_there() {
    // Cargo sets `CARGO_MANIFEST_DIR` for this test, so a leak would show.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let found = attempts(
        "import os, sys, platform, socket, getpass, posix",
        &[
            "os.environ.get('CARGO_MANIFEST_DIR')",
            "os.environ['HOME']",
            "os.environ['PATH']",
            "os.getpid()",
            "os.getuid()",
            "sys.executable",
            "socket.gethostname()",
            "getpass.getuser()",
            "os.uname().nodename",
            "sorted(os.environ)",
        ],
    );
    assert_eq!(
        found,
        [
            "done None",
            "done '/mnt/data'",
            "done ''",
            "done 42",
            "builtins.AttributeError: module 'os' has no attribute 'getuid'",
            "done ''",
            "done 'exuvia'",
            "done 'exuvia'",
            "done '(none)'",
            "done ['HOME', 'LANG', 'LC_ALL', 'LOGNAME', 'PATH', 'PWD', 'TMPDIR', 'TZ', 'USER']",
        ]
    );
}

#[test]
fn there_are_no_processes() {
    let cases = [
        ("subprocess.run(['ls'])", "subprocess"),
        ("subprocess.check_output('ls', shell=True)", "subprocess"),
        ("subprocess.Popen(['ls'])", "subprocess"),
        ("os.system('ls')", "os.system"),
        ("os.popen('ls')", "os.popen"),
        ("os.fork()", "os.fork"),
        ("os.execv('/bin/ls', ['ls'])", "os.execv"),
        ("os.posix_spawn('/bin/ls', ['ls'], {})", "os.posix_spawn"),
        ("os.spawnl(0, '/bin/ls')", "os.spawnl"),
        ("os.kill(1, 9)", "os.kill"),
    ];
    let each = cases.map(|(attempt, _)| attempt);
    let found = attempts("import os, subprocess", &each);
    for (line, (_, what)) in found.iter().zip(&cases) {
        let expected = format!(
            "builtins.OSError: [Errno 58] Exuvia's guest has no processes, so there is no {what}: do it in Python, or through a tool"
        );
        assert_eq!(*line, expected);
    }
    let found = attempts(
        "import multiprocessing, concurrent.futures",
        &[
            "multiprocessing.Process(target=print).start()",
            "multiprocessing.Pool(2)",
            "concurrent.futures.ProcessPoolExecutor()",
        ],
    );
    let no_processes = "builtins.OSError: [Errno 58] Exuvia's guest has no processes, so there is no";
    let pool = "use ThreadPoolExecutor (or multiprocessing.pool.ThreadPool), whose waits overlap";
    assert_eq!(
        found,
        [
            format!("{no_processes} multiprocessing.Process: {pool}"),
            format!("{no_processes} multiprocessing.Pool: {pool}"),
            format!("{no_processes} ProcessPoolExecutor: use ThreadPoolExecutor, whose waits overlap"),
        ]
    );
    // Beneath the guest package there is nothing either.
    let found = attempts(
        "import posix",
        &["posix.fork()", "posix.system('ls')", "posix.execv('/bin/ls', ['ls'])", "__import__('_posixsubprocess')"],
    );
    assert_eq!(
        found,
        [
            "builtins.AttributeError: module 'posix' has no attribute 'fork'",
            "builtins.AttributeError: module 'posix' has no attribute 'system'",
            "builtins.AttributeError: module 'posix' has no attribute 'execv'",
            "builtins.ModuleNotFoundError: No module named '_posixsubprocess'",
        ]
    );
}

#[test]
fn devices_are_the_guests_own() {
    let found = attempts(
        "import os\ndef read(path): return len(open(path, 'rb', buffering=0).read(16))\ndef write(path): return open(path, 'wb', buffering=0).write(b'x')",
        &[
            "read('/dev/null')",
            "read('/dev/zero')",
            "read('/dev/urandom')",
            "read('/dev/random')",
            "write('/dev/null')",
            "write('/dev/zero')",
            "write('/dev/full')",
            "os.mknod('/tmp/disk', 0o60600, 0x801)",
            "os.mkfifo('/tmp/pipe')",
        ],
    );
    assert_eq!(
        found,
        [
            "done 0",
            "done 16",
            "done 16",
            "done 16",
            "done 1",
            "done 1",
            "builtins.OSError: [Errno 69] Read-only file system: '/dev/full'",
            "builtins.AttributeError: module 'os' has no attribute 'mknod'",
            "builtins.AttributeError: module 'os' has no attribute 'mkfifo'",
        ]
    );
}

// The network.

const NO_SOCKETS: &str = "Exuvia's guest has no sockets: call a tool (mcp_<Server>_<tool>), or use httpx, requests or urllib, \
                          whose requests go through the host where its policy allows them";

#[test]
fn there_are_no_sockets() {
    let found = attempts(
        "import socket, asyncio, ssl, http.client, smtplib, ftplib",
        &[
            "socket.socket()",
            "socket.socket(1, 1)",
            "socket.create_connection(('127.0.0.1', 80))",
            "socket.create_server(('127.0.0.1', 0))",
            "socket.socketpair()",
            "asyncio.run(asyncio.open_connection('127.0.0.1', 80))",
            "asyncio.run(asyncio.start_server(print, '127.0.0.1', 0))",
            "smtplib.SMTP('127.0.0.1')",
        ],
    );
    for (line, kind) in found.iter().zip(["PermissionError"; 8]) {
        assert_eq!(*line, format!("builtins.{kind}: [Errno 63] {NO_SOCKETS}"));
    }
    let found =
        attempts("import socket", &["socket.getaddrinfo('localhost', 80)", "socket.gethostbyname('localhost')"]);
    all(&found, &format!("socket.gaierror: [Errno 4] {NO_SOCKETS}"));
    // Beneath the guest package.
    let found = attempts("import _socket", &["_socket.socket()"]);
    assert_eq!(found, ["builtins.OSError: [Errno 58] Not supported"]);
}

const NOBODY: &str = "this run was given no host functions";

#[test]
fn http_goes_nowhere_without_a_grant() {
    let found = attempts(
        "import urllib.request, httpx, requests",
        &[
            "urllib.request.urlopen('http://127.0.0.1:1/')",
            "httpx.get('http://127.0.0.1:1/')",
            "requests.get('http://127.0.0.1:1/')",
        ],
    );
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], format!("builtins.OSError: [Errno 29] {NOBODY}"));
    assert_eq!(found[1], format!("httpx.ConnectError: {NOBODY}"));
    assert!(found[2].starts_with("requests.exceptions.ConnectionError: "), "{}", found[2]);
    assert!(found[2].contains(NOBODY), "{}", found[2]);
}

// The host's functions.

/// Grants one function, `double`.
struct Doubling(Isolated);

impl Host for Doubling {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.0.clock(clock)
    }

    fn output(&mut self, _: Stream, _: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        let Effect::Request(request) = &effect else { return self.0.start(effect) };
        let request: serde_json::Value = serde_json::from_str(request.get()).unwrap();
        if request["op"] != "call" || request["name"] != "double" {
            return self.0.start(effect);
        }
        let number = request["args"]["n"].as_i64().unwrap();
        Box::pin(std::future::ready(serde_json::json!({"ok": number * 2}).to_string().into_bytes()))
    }
}

const CALL: &str = "import exuvia\nexuvia.call('double', n=21)";

#[test]
fn a_host_function_answers_where_it_is_granted() {
    let place = Place::new();
    let granted = place.run_on(&Program::new(CALL), &limits(), Box::new(Doubling(Isolated::default()))).unwrap();
    assert_eq!((granted.ending.as_str(), granted.result), ("finished", serde_json::json!(42)));
    let refused = place.run(CALL);
    assert_eq!(refused.ending, "raised exuvia_guest.host.HostError: NotGranted: this run was given no host functions");
    let other = place.run_on(
        &Program::new(CALL.replace("double", "triple")),
        &limits(),
        Box::new(Doubling(Isolated::default())),
    );
    assert_eq!(other.unwrap().ending, refused.ending);
}

#[test]
fn no_other_effect_is_granted_by_the_isolated_host() {
    let source = "import _exuvia, json\nfor op in ('call', 'http', 'file', 'secret', 'env', 'Sleep', 'sleep '):\n  handle = _exuvia.start(json.dumps({'op': op}).encode())\n  _exuvia.wait([handle])\n  print(_exuvia.answer(handle).decode())";
    let refused = "{\"error\":{\"type\":\"NotGranted\",\"message\":\"this run was given no host functions\"}}\n";
    assert_eq!(run(source).stdout, refused.repeat(7));
}

#[test]
fn sleep_is_granted() {
    let host = Stepped::at(0);
    let source =
        "import time\nbefore = time.monotonic()\ntime.sleep(3600)\nprint(3600 <= time.monotonic() - before < 3601)";
    let ran = Place::new().run_on(&Program::new(source), &limits(), Box::new(host)).unwrap();
    assert_eq!((ran.ending.as_str(), ran.stdout.as_str()), ("finished", "True\n"));
}

// Other runs. Guards: the restore of pages (`pages.rs`), the replaced state of a run (`slot.rs`), the seed (`wasi`).
