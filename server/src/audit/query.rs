//! The decisions about the calls of one execution, for whoever looks at it.

use super::verify::files;
use crate::executions::{Decision, Id};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Most decisions that are given: the first.
const MOST: usize = 10_000;

/// The fields of a line that are read here.
#[derive(Deserialize)]
struct Line {
    time: String,
    tool: String,
    #[serde(default)]
    secret: Option<String>,
    decision: String,
    rule: String,
    #[serde(default)]
    message: String,
    arguments: Vec<String>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    approval: Option<String>,
    #[serde(default)]
    by: Option<String>,
}

/// Reads what the log in `folder` has of the execution `id`, which was submitted at `since` (milliseconds since 1970). Reads
/// files: not on a thread of the server's own tasks.
pub(crate) fn of_execution(folder: &Path, id: Id, since: u64) -> io::Result<Vec<Decision>> {
    let (mut decisions, id) = (Vec::new(), id.to_string());
    if !folder.is_dir() {
        return Ok(decisions);
    }
    for path in files(folder)? {
        let file = File::open(&path)?;
        // Full files are not written to any more.
        if milliseconds(file.metadata()?.modified()?) < since {
            continue;
        }
        for line in BufReader::new(file).lines() {
            let line = line?;
            // Most lines are of others, and parsing one takes longer than looking at it.
            let line = if line.contains(&id) { serde_json::from_str::<Line>(&line).ok() } else { None };
            decisions.extend(line.filter(|line| line.parent.as_ref() == Some(&id)).map(decision));
            if decisions.len() >= MOST {
                return Ok(decisions);
            }
        }
    }
    Ok(decisions)
}

fn decision(line: Line) -> Decision {
    let at = humantime::parse_rfc3339(&line.time).map_or(0, milliseconds);
    let Line { tool, secret, decision, rule, message, arguments, approval, by, .. } = line;
    Decision { at, tool, secret, what: decision, rule, message, arguments, approval, by }
}

fn milliseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
