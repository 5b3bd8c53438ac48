//! How a run ended. All three are results: the sandbox did its work.

use crate::files::Artifacts;
use crate::output::Kept;
use crate::stop::Limit;
use crate::usage::Usage;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Most names or paths in each list of an outcome. A list of empty strings takes many times more host memory than its JSON.
pub(crate) const MOST_NAMES: usize = 10_000;

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
    /// What the run gave, to be taken from.
    pub fn output_mut(&mut self) -> &mut Output {
        match self {
            Self::Finished(output) | Self::Raised(output, _) | Self::Stopped(output, _) => output,
        }
    }

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
    pub outputs: IndexMap<String, Box<RawValue>>,
    /// Names asked for that the program never set.
    pub missing: Vec<String>,
    /// When some are missing: names that the program did set.
    pub names: Vec<String>,
    /// Where a value could not be converted and its `repr` stands instead: `result`, `outputs.x.0.y`.
    pub reprs: Vec<String>,
    /// The result as HTML, if it has such a form: a table, or what it says of itself by `_repr_html_`. Made by the program's
    /// own code: whoever shows it has to guard against it.
    pub html: Option<String>,
    /// What the program left in its working folder.
    pub artifacts: Artifacts,
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
    pub(crate) html: Option<String>,
    #[serde(deserialize_with = "few_values")]
    pub(crate) outputs: IndexMap<String, Box<RawValue>>,
    #[serde(deserialize_with = "few_names")]
    pub(crate) missing: Vec<String>,
    #[serde(deserialize_with = "few_names")]
    pub(crate) names: Vec<String>,
    #[serde(deserialize_with = "few_names")]
    pub(crate) reprs: Vec<String>,
    pub(crate) error: Option<Traceback>,
    pub(crate) exit: Option<i64>,
}

fn few_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(Names)
}

fn few_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, Box<RawValue>>, D::Error> {
    deserializer.deserialize_map(Values)
}

fn too_many<E: Error>() -> E {
    E::custom(format_args!("more than {MOST_NAMES} names"))
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST_NAMES} names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            if names.len() == MOST_NAMES {
                return Err(too_many());
            }
            names.push(name);
        }
        Ok(names)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = IndexMap<String, Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MOST_NAMES} names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut values = IndexMap::new();
        while let Some((name, value)) = object.next_entry()? {
            if values.len() == MOST_NAMES {
                return Err(too_many());
            }
            values.insert(name, value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of a message whose `field` has one entry too many, and then that with just as many as may be.
    fn refusal(open: &str, entry: impl Fn(usize) -> String, close: &str) -> String {
        let message = |count| format!("{open}{}{close}", (0..count).map(&entry).collect::<Vec<_>>().join(","));
        assert!(serde_json::from_str::<Message>(&message(MOST_NAMES)).is_ok());
        let error = serde_json::from_str::<Message>(&message(MOST_NAMES + 1)).unwrap_err().to_string();
        error.split(" at line").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn more_names_than_any_program_asks_for_are_refused() {
        let empty = |_| "\"\"".to_owned();
        assert_eq!(refusal("{\"missing\":[", empty, "]}"), "more than 10000 names");
        assert_eq!(refusal("{\"names\":[", empty, "]}"), "more than 10000 names");
        assert_eq!(refusal("{\"reprs\":[", empty, "]}"), "more than 10000 names");
        let pair = |name| format!("\"{name}\":0");
        assert_eq!(refusal("{\"outputs\":{", pair, "}}"), "more than 10000 names");
    }
}
