//! What is kept of an execution.

use super::artifacts::Artifact;
use super::id::Id;
use super::keys::Key;
use super::outputs;
use super::request::Request;
use super::seen::Progress;
use super::state::State;
use crate::secrets::Scrubber;
use crate::sessions::Name;
use exuvia_runtime::{Limit, Limits, Outcome, Output, Traceback, Usage};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::{SystemTime, UNIX_EPOCH};

/// The part that every list and poll reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: Id,
    /// Whose it is: the label of a grant.
    pub(crate) grant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// What its client knows the submission by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Key>,
    /// The session that it is a call of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Name>,
    pub(crate) state: State,
    /// Milliseconds since 1970, as are all times here.
    pub(crate) submitted: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<u64>,
    /// The image that it runs in, when it has a journal and so outlives the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
    /// What it may use of what a program can see the end of, when it has a journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bounds: Option<Bounds>,
    /// The layer of packages that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packages: Option<String>,
    /// How often it was begun again after the death of a process that ran it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) recoveries: u32,
    /// Whether it waits without an instance: nothing of it is in any process but what it waits for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) suspended: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(it: &bool) -> bool {
    !*it
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_final()
    }

    /// Of an execution that was asked for just now.
    pub(crate) fn new(grant: &str, request: &Request) -> Self {
        Self {
            id: Id::new(),
            grant: grant.to_owned(),
            name: request.name.clone(),
            description: request.description.clone(),
            key: None,
            session: request.session.as_ref().map(|session| session.id.clone()),
            state: State::Queued,
            submitted: now(),
            started: None,
            ended: None,
            image: None,
            bounds: None,
            packages: None,
            recoveries: 0,
            suspended: false,
        }
    }
}

/// Limits that a replay has to keep to: a program may catch a `MemoryError`, and its output is cut.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) memory: u64,
    pub(crate) files: u64,
    pub(crate) output: usize,
    /// Of its large files, which lie on the disk.
    #[serde(default)]
    pub(crate) disk: u64,
}

impl From<Limits> for Bounds {
    fn from(limits: Limits) -> Self {
        Self { memory: limits.memory, files: limits.files, output: limits.output, disk: limits.disk }
    }
}

/// What an execution gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) outputs: IndexMap<String, Box<RawValue>>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Bytes printed to stdout and stderr, those that were cut included.
    pub(crate) written: [u64; 2],
    pub(crate) error: Option<Failure>,
    /// Where a value could not be converted and its `repr` stands instead.
    pub(crate) reprs: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// Of a call of a session: whether it began from nothing.
    pub(crate) new_session: Option<bool>,
    pub(crate) tool_calls: Vec<ToolCall>,
    /// All calls, of which `tool_calls` lists the first.
    pub(crate) calls: u64,
    /// Bytes sent and received over HTTP.
    pub(crate) egress_bytes: u64,
    pub(crate) usage: Numbers,
    /// Whether something of the output was cut.
    pub(crate) truncated: bool,
    /// The files that it left in its working folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) artifacts: Vec<Artifact>,
    /// What was too long to be here, and renderings of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) output: Vec<Artifact>,
    /// Whether one of the values was cut.
    #[serde(skip)]
    pub(crate) cut: bool,
    /// How far a program is that has not ended, and how often it has said so.
    pub(crate) progress: Option<Progress>,
    pub(crate) steps: u64,
}

/// Why an execution has no success.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Failure {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) traceback: String,
    #[serde(default)]
    pub(crate) line: Option<u32>,
}

impl Failure {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into(), ..Self::default() }
    }
}

impl From<Traceback> for Failure {
    fn from(raised: Traceback) -> Self {
        let Traceback { kind, message, traceback, line } = raised;
        Self { kind, message, traceback, line }
    }
}

impl From<&Limit> for Failure {
    fn from(limit: &Limit) -> Self {
        let kind = match limit {
            Limit::Wall => "TimeLimit",
            Limit::Cpu => "CpuLimit",
            Limit::Memory => "MemoryLimit",
            Limit::Stack => "StackLimit",
            Limit::Cancelled => "Cancelled",
            Limit::Suspended => "Suspended",
            Limit::Crashed(_) => "Crashed",
        };
        Self::new(kind, limit.to_string())
    }
}

/// One call of an upstream tool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    pub(crate) tool: String,
    pub(crate) ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Numbers {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) peak_memory_bytes: u64,
}

impl From<Usage> for Numbers {
    fn from(usage: Usage) -> Self {
        let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            wall_ms: milliseconds(usage.wall),
            cpu_ms: milliseconds(usage.cpu),
            peak_memory_bytes: usage.peak_memory,
        }
    }
}

impl Given {
    /// What a run of `request` gave, and what it failed with, if it did. Output is not from here: see `Live::fill`.
    pub(crate) fn from_outcome(outcome: Outcome, request: &Request) -> Self {
        let error = match &outcome {
            Outcome::Finished(output) => missing(output),
            Outcome::Raised(_, raised) => Some(raised.clone().into()),
            Outcome::Stopped(_, limit) => Some(limit.into()),
        };
        let (Outcome::Finished(output) | Outcome::Raised(output, _) | Outcome::Stopped(output, _)) = outcome;
        let declared = request.outputs.iter().filter_map(|(name, kind)| Some((name, kind.as_ref()?)));
        let warnings = declared.filter_map(|(name, kind)| outputs::mismatch(name, kind, output.outputs.get(name)?));
        Self {
            warnings: warnings.collect(),
            result: output.result,
            outputs: output.outputs,
            reprs: output.reprs,
            usage: output.usage.into(),
            error,
            ..Self::default()
        }
    }

    /// Takes the values of secrets out of what the program gave at its end. Its output comes by `Live`.
    pub(crate) fn scrub(&mut self, scrubber: &Scrubber) {
        self.result.iter_mut().chain(self.outputs.values_mut()).for_each(|json| scrubber.json(json));
        if let Some(Failure { kind, message, traceback, .. }) = &mut self.error {
            for text in [kind, message, traceback] {
                scrubber.text(text);
            }
        }
        self.warnings.iter_mut().chain(&mut self.reprs).for_each(|text| scrubber.text(text));
    }

    /// Of an execution that gave nothing but an error.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self { error: Some(failure), ..Self::default() }
    }
}

/// The failure of a script that never set what it was to give.
fn missing(output: &Output) -> Option<Failure> {
    let missing: Vec<_> = output.missing.iter().map(|name| outputs::missing(name, &output.names)).collect();
    (!missing.is_empty()).then(|| Failure::new("MissingOutput", missing.join("; ")))
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
