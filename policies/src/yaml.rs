//! Reads YAML, for `import` alone: a policy in force is JSON. Scalars are what the core schema of YAML 1.2 says, so that `no`
//! is a text, and a date, too; where readers of YAML differ on what is meant, nothing is taken.

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Options, alias_limits, budget, options, with_deserializer_from_str_with_options};

use crate::error::{Fault, Problem, echo};
use crate::json::{self, MAX_BYTES, MAX_DEPTH, Node, Numbers, State};

/// Most scalars, lists and mappings of a document, aliases written out. Each takes a hundred bytes and more while it is read.
const MAX_NODES: usize = 250_000;

/// Most aliases: what a document repeats, it repeats a few times.
const MAX_ALIASES: usize = 1000;

/// Most bytes that the reader keeps of what an alias may name.
const MAX_ANCHORED: usize = 2 * MAX_BYTES;

/// Reads a document of at most [`MAX_BYTES`].
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(json::at_root(Problem::TooLarge(bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| json::at_root(Problem::NotUtf8))?;
    let mut state = State::new(MAX_DEPTH, Numbers::Exact, MAX_BYTES);
    let read = with_deserializer_from_str_with_options(text, limits(), |reader| Node(&mut state).deserialize(reader));
    read.map_err(|error| state.fault(|| problem(&error)))
}

fn limits() -> Options {
    options! {
        budget: budget! {
            // One more than is taken, so that it is refused with its place.
            max_depth: MAX_DEPTH + 1,
            flow_nesting_limit: MAX_DEPTH + 1,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_ANCHORED,
            // What is taken of it is bounded where it is kept.
            max_total_scalar_bytes: 2 * MAX_BYTES,
            // One more than is taken, too.
            max_documents: 2,
        },
        alias_limits: alias_limits! { max_total_replayed_events: MAX_NODES, max_replay_stack_depth: MAX_DEPTH },
        // Refused where all keys are, with their place.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        // Eight or ten, a text or a thousand: numbers of these kinds are texts here, which no limit and no comparison takes.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn problem(error: &serde_saphyr::Error) -> Problem {
    let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
    let text = match error.without_snippet() {
        serde_saphyr::Error::MultipleDocuments { .. } => "there is more than one document".to_owned(),
        other => other.to_string(),
    };
    let message = text.split(" at line ").next().unwrap_or_default();
    Problem::Yaml { message: echo(message), line, column }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
