//! `exuvia audit`: who asked for what, and what became of it.

use super::print::{error, out};
use super::{Failure, Status};
use crate::audit::{self, Verdict};
use crate::config::Data;
use serde_json::Value;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Read the log of decisions, and see whether it was changed
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The server's data folder
    #[arg(long, value_name = "DIR", env = "EXUVIA_DATA", global = true)]
    data: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The last decisions
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
        lines: usize,
    },
    /// The decisions that fit all that is given, as JSON lines
    Query(Query),
    /// Hold every line against the chain; what was cut, edited or moved is named
    Verify,
}

#[derive(Debug, clap::Args)]
struct Query {
    #[arg(long)]
    grant: Option<String>,
    #[arg(long)]
    tool: Option<String>,
    /// allow, deny, shadow; approval (asked), approved, rejected (by a person)
    #[arg(long)]
    decision: Option<String>,
    /// All about one approval
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
    /// Rules that begin so
    #[arg(long)]
    rule: Option<String>,
    /// The execution whose program made the call
    #[arg(long, value_name = "UUID")]
    parent: Option<String>,
    /// Not before, e.g. 2026-11-22T17:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let folder = Data::new(arguments.data.as_deref())?.audit();
    let failed = |source| Failure::System { doing: "read the audit log", source };
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no audit log in `{}`: no server has run there",
            folder.display()
        )));
    }
    match &arguments.what {
        What::Tail { lines } => {
            let mut last = VecDeque::new();
            for line in audit::lines(&folder).map_err(failed)? {
                last.push_back(line.map_err(failed)?);
                if last.len() > *lines {
                    last.pop_front();
                }
            }
            for line in &last {
                out(&short(line));
            }
        }
        What::Query(query) => {
            for line in audit::lines(&folder).map_err(failed)? {
                let line = line.map_err(failed)?;
                if query.fits(&line) {
                    out(&line);
                }
            }
        }
        What::Verify => match audit::verify(&folder).map_err(failed)? {
            Verdict::Sound { lines } => out(&format!("{lines} lines, all as they were written")),
            Verdict::Broken { place, what } => {
                error(&format!("exuvia: {place}: {what}"));
                return Ok(Status::Raised);
            }
        },
    }
    Ok(Status::Finished)
}

impl Query {
    fn fits(&self, line: &str) -> bool {
        let Ok(line) = serde_json::from_str::<Value>(line) else { return false };
        let is = |name: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| line.get(name).and_then(Value::as_str) == Some(wanted))
        };
        let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        is("grant", &self.grant)
            && is("tool", &self.tool)
            && is("decision", &self.decision)
            && is("parent", &self.parent)
            && is("approval", &self.approval)
            && self.rule.as_ref().is_none_or(|rule| text("rule").starts_with(rule))
            && self.since.as_ref().is_none_or(|since| text("time") >= since.as_str())
    }
}

fn short(line: &str) -> String {
    let Ok(line) = serde_json::from_str::<Value>(line) else { return format!("?  {line}") };
    let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let within = if text("parent").is_empty() { String::new() } else { format!("  in {}", text("parent")) };
    format!("{}  {:8}  {}  {}  {}{within}", text("time"), text("decision"), text("grant"), text("tool"), text("rule"))
}
