//! `exuvia mcp`: the user's MCP servers on the command line.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use support::{Ran, binary};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/upstream/tests/server.py");

fn mcp(folder: &Path, arguments: &[&str]) -> Ran {
    Command::new(binary()).arg("mcp").args(arguments).current_dir(folder).output().unwrap().into()
}

fn has_python() -> bool {
    let there = Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: there is no python3");
    }
    there
}

#[test]
fn servers_are_added_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcp.json");
    fs::write(&file, "{\n  // mine\n  \"mcpServers\": {}\n}\n").unwrap();
    let added =
        mcp(folder.path(), &["add", "files", "--env", "KEY=${MISSING_KEY:-none}", "--", "server", "--root", "/x"]);
    assert_eq!((added.status, added.stderr.as_str()), (Some(0), ""));
    assert_eq!(added.stdout, "Added `files` to `mcp.json`. Try it: exuvia mcp test files\n");
    let added =
        mcp(folder.path(), &["add", "web", "https://example.org/mcp", "--header", "Authorization=Bearer hidden"]);
    assert_eq!(added.status, Some(0), "{}", added.stderr);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("// mine") && text.contains("\"--root\""), "{text}");

    let listed = mcp(folder.path(), &["list"]);
    assert_eq!(listed.stdout, "files (stdio): server\nweb (http): https://example.org/mcp\n");
    let again = mcp(folder.path(), &["add", "web", "https://example.org/mcp"]);
    assert_eq!(again.status, Some(64));
    assert_eq!(
        again.stderr,
        "exuvia: `mcp.json`: there is a server `web` already; remove it first: exuvia mcp remove web\n"
    );
    assert_eq!(mcp(folder.path(), &["remove", "files"]).stdout, "Removed `files` from `mcp.json`.\n");
    assert_eq!(mcp(folder.path(), &["list"]).stdout, "web (http): https://example.org/mcp\n");
    let unknown = mcp(folder.path(), &["test", "files"]);
    assert_eq!(unknown.stderr, "exuvia: `mcp.json` lists no server `files`; see: exuvia mcp list\n");
}

#[test]
fn what_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = mcp(folder.path(), &["list"]);
    assert_eq!(missing.status, Some(64));
    assert!(missing.stderr.starts_with("exuvia: could not read `mcp.json`: "), "{}", missing.stderr);
    let header = mcp(folder.path(), &["add", "web", "https://example.org/", "--header", "secret"]);
    assert_eq!(header.stderr, "exuvia: write `--header NAME=VALUE`\n");
    let address = mcp(folder.path(), &["add", "web", "example.org"]);
    assert_eq!(address.status, Some(64), "{}", address.stderr);
    fs::write(folder.path().join("mcp.json"), r#"{"servers": {"old": {"type": "sse", "url": "http://h/"}, "x": 7}}"#)
        .unwrap();
    let tested = mcp(folder.path(), &["test"]);
    assert_eq!(tested.status, Some(1));
    assert!(
        tested.stdout.contains("old (none, -): misconfigured: `mcp.json`, server `old`: `type` is `sse`"),
        "{tested:?}"
    );
    assert!(
        tested.stdout.contains("x (none, -): misconfigured: `mcp.json`, server `x`: it must be an object"),
        "{tested:?}"
    );
}

#[test]
fn testing_prints_the_tools_or_the_reason() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, mode) in [("good one", "normal"), ("bad", "fail")] {
        let added =
            mcp(folder.path(), &["add", name, "--env", "SECRET=do-not-print-me", "--", "python3", SERVER, mode]);
        assert_eq!(added.status, Some(0), "{}", added.stderr);
    }
    let tested = mcp(folder.path(), &["test"]);
    assert_eq!(tested.status, Some(1));
    assert!(tested.stdout.starts_with(
        "bad (stdio, python3): down: its process ended (exit status: 3) before it answered; it wrote to stderr: \
         cannot start: ***\ngood one (stdio, python3): ready, 12 tools\n  mcp_good_one_big(text: str = …, number: int = …)\n"
    ), "{}", tested.stdout);
    assert!(!tested.stdout.contains("do-not-print-me") && !tested.stderr.contains("do-not-print-me"));
    assert_eq!(mcp(folder.path(), &["test", "good one"]).status, Some(0));
}

/// The guard: a server that ignores the end of its input still dies when Exuvia is killed.
#[test]
fn servers_die_with_exuvia() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let script = "import os, signal, sys\nopen(sys.argv[1] + '.new', 'w').write(str(os.getpid()))\n\
                  os.rename(sys.argv[1] + '.new', sys.argv[1])\nwhile True: signal.pause()";
    let added = mcp(folder.path(), &["add", "s", "--", "python3", "-c", script, pid_file.to_str().unwrap()]);
    assert_eq!(added.status, Some(0), "{}", added.stderr);
    let mut exuvia = Command::new(binary()).args(["mcp", "test"]).current_dir(folder.path()).spawn().unwrap();
    while !pid_file.exists() {
        assert!(exuvia.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let pid = fs::read_to_string(&pid_file).unwrap();
    let command = Path::new("/proc").join(pid).join("cmdline");
    // A zombie has no command line.
    let is_alive = || fs::read(&command).is_ok_and(|line| !line.is_empty());
    assert!(is_alive());
    exuvia.kill().unwrap();
    exuvia.wait().unwrap();
    while is_alive() {
        std::thread::yield_now();
    }
}
