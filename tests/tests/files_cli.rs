//! Files on the command line: with a server, and without one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::binary;
use support::server::Server;

/// Files in a folder and below it.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files_in(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn exuvia(folder: &Path, arguments: &[&str]) -> support::Ran {
    let mut command = Command::new(binary());
    command.current_dir(folder).args(arguments).env_remove("EXUVIA_API_KEY").output().unwrap().into()
}

#[test]
fn files_are_given_and_fetched_on_the_command_line() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let at = ["--url", server.url.as_str()];
    let exuvia = |arguments: &[&str]| exuvia(place, &[arguments, &at].concat());
    fs::write(place.join("rows.csv"), "1\n2\n").unwrap();
    fs::write(
        place.join("script.py"),
        "import os\nos.mkdir('out')\nopen('out/sum', 'w').write(open('in/rows').read() * 2)\nprint('x' * 100_000)",
    )
    .unwrap();
    let submitted = exuvia(&["submit", "script.py", "--file", "rows.csv=in/rows"]);
    assert_eq!(submitted.status, Some(0), "{}", submitted.stderr);
    let uuid = submitted.stdout.trim();
    server.wait(uuid);
    let listed = exuvia(&["files", "list", uuid]);
    assert!(listed.stdout.contains("text/plain") && listed.stdout.contains("  out/sum\n"), "{}", listed.stdout);
    assert!(listed.stdout.contains("  output/stdout\n"), "{}", listed.stdout);
    assert_eq!(exuvia(&["files", "get", uuid, "out/sum", "-o", "-"]).stdout, "1\n2\n1\n2\n");
    assert_eq!(exuvia(&["files", "get", uuid, "output/stdout", "-o", "all.txt"]).status, Some(0));
    assert_eq!(fs::metadata(place.join("all.txt")).unwrap().len(), 100_001);
    assert_eq!(exuvia(&["files", "get", uuid]).stdout, "out/sum\n");
    let again = exuvia(&["files", "get", uuid]);
    assert_eq!(
        (again.status, again.stderr.as_str()),
        (Some(64), "exuvia: could not write `out/sum`: File exists (os error 17); `--force` replaces it\n")
    );
    assert_eq!(exuvia(&["files", "get", uuid, "--force"]).status, Some(0));
    let missing = exuvia(&["files", "get", uuid, "nothing"]);
    assert!(missing.stderr.contains("left no such file"), "{}", missing.stderr);

    let given = exuvia(&["files", "put", "rows.csv"]);
    assert!(exuvia(&["files", "list"]).stdout.contains(given.stdout.trim()));
    assert_eq!(exuvia(&["files", "remove", given.stdout.trim()]).stdout, "removed\n");
    assert!(!exuvia(&["files", "list"]).stdout.contains(given.stdout.trim()));
}

#[test]
fn a_program_without_a_server_has_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    fs::write(place.join("rows.csv"), "1\n2\n").unwrap();
    let script = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'wb').write(b'c' * 3_000_000)\nopen('rows.csv').read()";
    fs::write(place.join("script.py"), script).unwrap();
    let arguments = ["run", "script.py", "--file", "rows.csv", "--artifacts", "out"];
    let ran = exuvia(place, &arguments);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "\"1\\n2\\n\"\n"), "{}", ran.stderr);
    assert_eq!(fs::metadata(place.join("out/a/b/c")).unwrap().len(), 3_000_000);
    assert_eq!(files_in(&place.join("out")).len(), 1);
    assert_eq!(exuvia(place, &arguments).status, Some(64));
    assert_eq!(exuvia(place, &[&arguments[..], &["--force"]].concat()).status, Some(0));
    let bad = exuvia(place, &["run", "script.py", "--file", "rows.csv=../x"]);
    assert!(bad.stderr.contains("is not a name for a file in /mnt/data"), "{}", bad.stderr);
}
