//! How a run ended. All three are results: the sandbox did its work.

use crate::output::Kept;
use crate::stop::Limit;
use crate::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The program ran to its end.
    Finished(Output),
    /// The program raised, or left with a status that is not 0.
    Raised(Output, Traceback),
    /// A limit stopped it.
    Stopped(Output, Limit),
}

impl Outcome {
    /// What the run gave, however it ended.
    pub fn output(&self) -> &Output {
        match self {
            Self::Finished(output) | Self::Raised(output, _) | Self::Stopped(output, _) => output,
        }
    }
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: Kept,
    pub stderr: Kept,
    /// The value of the last expression, converted to JSON.
    pub result: Option<Box<RawValue>>,
    /// The values of the names asked for, converted to JSON.
    pub outputs: BTreeMap<String, Box<RawValue>>,
    /// Names asked for that the program never set.
    pub missing: Vec<String>,
    /// Where a value could not be converted and its `repr` stands instead: `result`, `outputs.x.0.y`.
    pub reprs: Vec<String>,
    pub usage: Usage,
}

/// An exception that ended a program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Traceback {
    /// Its type, as a traceback shows it.
    #[serde(rename = "type")]
    pub kind: String,
    pub message: String,
    /// The whole text that CPython would print.
    pub traceback: String,
    /// The 1-based line of the script, where there is one.
    pub line: Option<u32>,
}

/// The outcome message of `python-wasm/guest/ABI.md`. Written by the guest, so nothing in it is trusted.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Message {
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) outputs: BTreeMap<String, Box<RawValue>>,
    pub(crate) missing: Vec<String>,
    pub(crate) reprs: Vec<String>,
    pub(crate) error: Option<Traceback>,
    pub(crate) exit: Option<i64>,
}
