//! What `exuvia show` prints.

use super::support::counts::Counts;
use super::{JOB, ask, ended};
use serde_json::{Value, json};

/// The lines of `show`, without what is of the moment.
pub(super) fn masked(shown: &str) -> Vec<String> {
    let line = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        if ["submitted", "usage", "journal"].contains(&first) {
            return first.to_owned();
        }
        let line = line.trim_start();
        let line = line.strip_prefix('+').and_then(|line| line.split_once(" s  ")).map_or(line, |(_, what)| what);
        let Some((before, rest)) = line.split_once(" after ") else { return line.to_owned() };
        format!("{before} after _ ms{}", rest.split_once(" ms").unwrap().1)
    };
    shown.lines().map(line).collect()
}

#[test]
fn show_has_a_line_for_each_thing_in_the_order_of_time() {
    let counts = Counts::start("");
    let (uuid, status) = ended(&counts, JOB);
    assert_eq!(status["status"], "completed", "{status}");
    let ran = ask(&counts, &["show", &uuid]);
    let stdout = status["stdout"].as_str().unwrap().len();
    let first = format!("{uuid}  completed  ");
    let printed = format!("stdout      {stdout} bytes: begun True");
    assert_eq!(
        masked(&ran.stdout),
        [
            &first,
            "submitted",
            "queued",
            "began",
            "#1 sleeps 0.05 s",
            "#2 mcp_Counts_put(key)",
            "   allowed: mcp_Counts_put by (default allow)",
            "#2 answered after _ ms: 12 bytes",
            "#3 mcp_Counts_look(_, ms)",
            "   allowed: mcp_Counts_look by (default allow)",
            "#3 answered after _ ms: 12 bytes",
            "#4 progress 50 % half",
            "#4 answered after _ ms: 11 bytes",
            "ended: completed",
            "journal",
            &printed,
            "usage",
        ]
    );
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    assert!(!ran.stdout.contains("a/1"), "{}", ran.stdout);
    let values = ask(&counts, &["show", &uuid, "--values"]);
    assert!(values.stdout.contains(r#"#2 {"name": "mcp_Counts_put", "args": {"key": "a/1"}, "op": "call"}"#));
    let object: Value = serde_json::from_str(&ask(&counts, &["show", &uuid, "--json"]).stdout).unwrap();
    assert_eq!((&object["journal"]["state"], &object["events"][2]["seconds"]), (&json!("kept"), &json!(0.05)));
}
