//! Records that are another's, that are gone, and that are damaged.

use super::shows::masked;
use super::support::counts::Counts;
use super::support::records::{journal, replaced, serve};
use super::{JOB, ask, ended, exuvia, shown};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// Where the large values of an execution are.
fn files_of(counts: &Counts, uuid: &str) -> PathBuf {
    counts.folder.path().join("data/files").join(uuid.get(34..).unwrap()).join(uuid)
}

/// How many those are.
fn files(counts: &Counts, uuid: &str) -> usize {
    fs::read_dir(files_of(counts, uuid)).map_or(0, Iterator::count)
}

/// Seen to fail with the grant not looked at in `timeline/mod.rs`: the other's is shown and replayed.
#[test]
fn an_execution_is_its_grants_alone_and_what_has_no_journal_says_so() {
    let mut counts = Counts::start("");
    let (_, answer, _) = counts.server.tool("executeCode", json!({ "script": "print(mcp_Counts_put(key='e/3'))" }));
    let sync = answer["execution_uuid"].as_str().unwrap().to_owned();
    let lines = masked(&ask(&counts, &["show", &sync]).stdout);
    assert!(lines.iter().any(|line| line.starts_with("called mcp_Counts_put for ")), "{lines:?}");
    assert!(lines.contains(&"   allowed: mcp_Counts_put by (default allow)".to_owned()), "{lines:?}");
    let ran = ask(&counts, &["replay", &sync]);
    assert_eq!(ran.status, Some(64));
    assert_eq!(
        ran.stderr,
        format!(
            "exuvia: execution `{sync}` has no journal, so it cannot be replayed: only jobs have one, that is, what \
             `asyncExecuteCode` or `exuvia submit` was given without a session\n"
        )
    );
    for (uuid, why) in [
        (
            "0198a7a0-0000-7000-8000-000000000000",
            "there is no execution `0198a7a0-0000-7000-8000-000000000000`, or it is not yours",
        ),
        ("x/../y", "`x/../y` is not the UUID of an execution"),
    ] {
        for command in ["show", "replay"] {
            let ran = ask(&counts, &[command, uuid]);
            assert_eq!((ran.status, ran.stderr), (Some(64), format!("exuvia: {why}\n")), "{command}");
        }
    }
    let (job, _) = ended(&counts, JOB);
    let data = shown(&counts.server.data).to_owned();
    let policy = shown(&counts.folder.path().join("policy.json")).to_owned();
    let key = |label: &str| {
        let made = exuvia(None, &["grants", "create", label, "--policy", &policy, "--data", &data]);
        made.stdout
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("exv_"))
            .unwrap_or_else(|| panic!("{made:?}"))
            .to_owned()
    };
    let (alice, bob) = (key("alice"), key("bob"));
    // The job is of `local`, who has no key.
    for command in ["show", "replay"] {
        let ran = ask(&counts, &[command, &job, "--key", &bob]);
        assert_eq!(
            (ran.status, ran.stderr),
            (Some(64), format!("exuvia: there is no execution `{job}`, or it is not yours\n"))
        );
    }
    let own = counts.server.with_key(Some(&alice)).submit("print(1)");
    counts.server.wait(&own);
    assert_eq!(ask(&counts, &["show", &own, "--key", &bob]).status, Some(64));
    assert_eq!(ask(&counts, &["replay", &own, "--key", &bob]).status, Some(64));
    let ran = ask(&counts, &["replay", &own, "--key", &alice]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "1\n"), "{}", ran.stderr);
}

/// Seen to fail with the sizes left out of `Keep::write_journals`: nobody knows what is too much.
#[test]
fn the_oldest_journals_go_when_they_are_too_much() {
    let mut counts = Counts::start("journal = \"1MB\"\n[retention]\njournals = \"150kB\"\n");
    let large = |letter: &str| format!("key = '{letter}' * 100_000\nlen(mcp_Counts_look(key=key))");
    let (first, status) = ended(&counts, &large("a"));
    assert_eq!(status["result"], 100_000);
    let (second, _) = ended(&counts, &large("b"));
    // What this reads is written before.
    let ran = ask(&counts, &["show", &second]);
    assert!(ran.stdout.contains("journal     100"), "{}", ran.stdout);
    assert_eq!([files(&counts, &first), files(&counts, &second)], [1, 1]);
    assert_eq!(counts.server.stop(), Some(0));
    counts.start_again();
    while !ask(&counts, &["show", &first]).stdout.contains("journal     removed to make room") {}
    let ran = ask(&counts, &["replay", &first]);
    assert_eq!(ran.status, Some(64));
    assert_eq!(
        ran.stderr,
        format!(
            "exuvia: the journal of execution `{first}` was removed to make room, so it cannot be replayed: \
             `retention.journals` in exuvia.toml says how much is kept\n"
        )
    );
    assert_eq!([files(&counts, &first), files(&counts, &second)], [0, 1]);
    // The record itself is there, and the younger one is whole.
    assert_eq!(counts.server.wait(&first)["result"], 100_000);
    let ran = ask(&counts, &["replay", &second]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), "exuvia: the same as recorded\n"));
}

#[test]
fn a_record_that_is_another_or_damaged_is_said_to_be() {
    let counts = Counts::start("");
    let (uuid, _) = ended(
        &counts,
        "import time\nprint('one')\ntime.sleep(0.01)\nmcp_Counts_put(key='x/1')\nlen(mcp_Counts_look(key='y' * 70_000))",
    );
    let bytes = journal(&counts.server, &uuid);
    let replay = |bytes: Vec<u8>, more: &[&str]| {
        let url = serve(bytes);
        exuvia(Some(&url), &[&["replay", &uuid], more].concat())
    };
    assert_eq!(replay(bytes.clone(), &[]).stderr, "exuvia: the same as recorded\n");
    // Another image. Seen to fail without the comparison: it is replayed as if nothing were.
    let text = String::from_utf8_lossy(&bytes);
    let image = text.split("\"image\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let other = "0".repeat(image.len());
    let ran = replay(replaced(&bytes, &image, &other), &[]);
    assert_eq!(ran.status, Some(64));
    assert_eq!(
        ran.stderr,
        format!(
            "exuvia: recorded with the image {other}; this is {image}, and that one is not in the cache: replay it with the \
             `exuvia` and in the cache that ran it, or run its script against the recorded answers with `--script`\n"
        )
    );
    // Other output and another result than the program gives.
    let ran = replay(replaced(&bytes, "\"stdout\":\"one", "\"stdout\":\"two"), &[]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (Some(3), "exuvia: DIFFERS from what was recorded:\n  stdout from line 1 on: recorded `two`, replayed `one`\n")
    );
    // Another program than the journal is of.
    let ran = replay(replaced(&bytes, "time.sleep(0.01)", "time.sleep(0.02)"), &[]);
    assert_eq!(ran.status, Some(3));
    assert!(
        ran.stderr.contains("recorded was a sleep of 10000000 ns, now it is a sleep of 20000000 ns"),
        "{}",
        ran.stderr
    );
    // The large answer is missing: the journal is whole up to the call that has it.
    let mut files = fs::read_dir(files_of(&counts, &uuid)).unwrap();
    fs::remove_file(files.next().unwrap().unwrap().path()).unwrap();
    let ran = ask(&counts, &["replay", &uuid]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (
            Some(3),
            "exuvia: the journal of this execution is damaged after effect #3: a large answer is missing; `--until` with an effect \
             before that replays it so far\n"
        )
    );
    let ran = ask(&counts, &["replay", &uuid, "--until", "2"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "one\n"), "{}", ran.stderr);
    // Half of it.
    let ran = replay(bytes[..bytes.len() - 9].to_vec(), &[]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(3), "exuvia: the record came only in part: try again\n"));
    let ran = replay(b"<html>".to_vec(), &[]);
    assert_eq!(ran.stderr, "exuvia: what the server answered makes no sense: is it of another version than this?\n");
    // A part that is no journal: the first byte of the first part is a tag that there is none of.
    let about = 9 + usize::try_from(u64::from_le_bytes(bytes[1..9].try_into().unwrap())).unwrap();
    let mut damaged = bytes.clone();
    assert_eq!(damaged[about], b'P');
    damaged[about + 9] = 200;
    let ran = replay(damaged, &[]);
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (Some(3), "exuvia: the journal of this execution is damaged after effect #0: part 0 of it makes no sense\n")
    );
}
