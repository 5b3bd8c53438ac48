//! The object that `run --json` prints.

use super::Status;
use exuvia_runtime::{Limit, Outcome, Traceback, Usage};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    status: &'static str,
    result: Option<&'a RawValue>,
    output_vars: &'a IndexMap<String, Box<RawValue>>,
    /// Names asked for that the program never set.
    missing: &'a [String],
    /// Values that are only the `repr` of what the program had.
    reprs: &'a [String],
    stdout: String,
    stderr: String,
    error: Option<Error>,
    usage: Numbers,
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    traceback: String,
    line: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Numbers {
    wall_ms: f64,
    cpu_ms: f64,
    peak_memory_bytes: u64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(outcome: &'a Outcome) -> Self {
        let output = outcome.output();
        let (status, error) = match outcome {
            Outcome::Finished(_) => ("finished", None),
            Outcome::Raised(_, traceback) => ("raised", Some(raised(traceback))),
            Outcome::Stopped(_, limit) => ("stopped", Some(stopped(limit))),
        };
        Self {
            status,
            result: output.result.as_deref(),
            output_vars: &output.outputs,
            missing: &output.missing,
            reprs: &output.reprs,
            stdout: output.stdout.to_text(),
            stderr: output.stderr.to_text(),
            error,
            usage: numbers(output.usage),
            truncated: output.stdout.cut() + output.stderr.cut() > 0,
        }
    }
}

/// The exit status that `outcome` earns.
pub(crate) fn status(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Finished(output) if output.missing.is_empty() => Status::Finished,
        Outcome::Finished(_) | Outcome::Raised(..) => Status::Raised,
        Outcome::Stopped(..) => Status::Stopped,
    }
}

fn raised(traceback: &Traceback) -> Error {
    let Traceback { kind, message, traceback, line } = traceback.clone();
    Error { kind, message, traceback, line }
}

fn stopped(limit: &Limit) -> Error {
    let kind = match limit {
        Limit::Wall => "WallLimit",
        Limit::Cpu => "CpuLimit",
        Limit::Memory => "MemoryLimit",
        Limit::Stack => "StackLimit",
        Limit::Cancelled => "Cancelled",
        Limit::Suspended => "Suspended",
        Limit::Crashed(_) => "Crashed",
    };
    Error { kind: kind.into(), message: limit.to_string(), traceback: String::new(), line: None }
}

fn numbers(usage: Usage) -> Numbers {
    let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    Numbers { wall_ms: milliseconds(usage.wall), cpu_ms: milliseconds(usage.cpu), peak_memory_bytes: usage.peak_memory }
}
