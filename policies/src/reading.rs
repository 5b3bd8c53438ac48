//! Reads a document, strictly, and reports all that is wrong with it at once. `core` reads what `PolicyLayer`'s documents
//! have, `rules` conditions and what is made of them, `sandbox` our extensions. This file has what they share.

mod core;
mod rules;
mod sandbox;

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use crate::document::Document;
use crate::error::{Fault, MAX_FAULTS, ParseError, Problem, echo, nearest};
use crate::json;
use crate::pattern::{MAX_PATTERNS, Pattern};
use crate::pointer::Pointer;

/// Most items of any one list or map. With the document's size, it bounds what one call may have to look at.
const MAX_ITEMS: usize = 10_000;

/// Longest name of a tool or counter, and longest message, in bytes: both are sent back to callers.
const MAX_NAME: usize = 256;
const MAX_MESSAGE: usize = 1024;

pub(crate) fn read(bytes: &[u8]) -> Result<Document, ParseError> {
    let value = json::read(bytes).map_err(|fault| ParseError::new(vec![fault]))?;
    let mut reader = Reader { faults: Vec::new(), patterns: 0 };
    let document = reader.document(&Pointer::Root, &value);
    match document {
        Some(document) if reader.faults.is_empty() => Ok(document),
        // A part that is missing always has its fault; a document that were refused without one would be a riddle.
        _ if reader.faults.is_empty() => {
            let problem = Problem::Invalid("the document could not be read".to_owned());
            Err(ParseError::new(vec![Fault { pointer: String::new(), problem }]))
        }
        _ => Err(ParseError::new(reader.faults)),
    }
}

/// Collects faults. A part that could not be read is `None`, with at least one fault.
struct Reader {
    faults: Vec<Fault>,
    patterns: usize,
}

impl Reader {
    fn fault(&mut self, at: &Pointer<'_>, problem: Problem) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault { pointer: at.to_string(), problem });
        }
    }

    fn invalid<T>(&mut self, at: &Pointer<'_>, message: impl Into<String>) -> Option<T> {
        self.fault(at, Problem::Invalid(message.into()));
        None
    }

    fn valid<T, E: Into<String>>(&mut self, at: &Pointer<'_>, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(message) => self.invalid(at, message),
        }
    }

    fn wrong_type<T>(&mut self, at: &Pointer<'_>, expected: &'static str, value: &Value) -> Option<T> {
        self.fault(at, Problem::Type { expected, found: kind(value) });
        None
    }

    /// An object with some of these fields and no others.
    fn object<'v>(&mut self, at: &Pointer<'_>, value: &'v Value, known: &[&str]) -> Option<&'v Map<String, Value>> {
        let fields = self.map(at, value)?;
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let nearest = nearest(name, known.iter().copied());
            self.fault(&at.field(name), Problem::UnknownField { name: echo(name), nearest });
        }
        Some(fields)
    }

    /// An object with names of the document's own.
    fn map<'v>(&mut self, at: &Pointer<'_>, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let Value::Object(fields) = value else { return self.wrong_type(at, "an object", value) };
        if fields.len() > MAX_ITEMS {
            self.fault(at, Problem::TooMany { what: "fields", max: MAX_ITEMS });
            return None;
        }
        Some(fields)
    }

    /// A list, each item of which is read. What cannot be read is left out, with its fault.
    fn list<T>(
        &mut self,
        at: &Pointer<'_>,
        value: &Value,
        mut item: impl FnMut(&mut Self, &Pointer<'_>, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(values) = value else { return self.wrong_type(at, "an array", value) };
        if values.len() > MAX_ITEMS {
            self.fault(at, Problem::TooMany { what: "items", max: MAX_ITEMS });
            return None;
        }
        let read = values.iter().enumerate().filter_map(|(index, value)| item(self, &at.index(index), value));
        Some(read.collect())
    }

    fn required<'v>(
        &mut self,
        at: &Pointer<'_>,
        fields: &'v Map<String, Value>,
        name: &'static str,
    ) -> Option<&'v Value> {
        let value = fields.get(name);
        if value.is_none() {
            self.fault(at, Problem::MissingField(name));
        }
        value
    }

    fn text<'v>(&mut self, at: &Pointer<'_>, value: &'v Value) -> Option<&'v str> {
        value.as_str().or_else(|| self.wrong_type(at, "a string", value))
    }

    fn boolean(&mut self, at: &Pointer<'_>, value: &Value) -> Option<bool> {
        value.as_bool().or_else(|| self.wrong_type(at, "true or false", value))
    }

    /// A text that callers are told.
    fn message<'v>(&mut self, at: &Pointer<'_>, value: &'v Value) -> Option<&'v str> {
        let text = self.text(at, value)?;
        let fits = text.len() <= MAX_MESSAGE && !text.chars().any(|c| c.is_control() && c != '\n');
        let wrong = "a message has at most 1024 bytes, and no control characters";
        if fits { Some(text) } else { self.invalid(at, wrong) }
    }

    /// The name of a tool or a counter.
    fn name<'v>(&mut self, at: &Pointer<'_>, name: &'v str) -> Option<&'v str> {
        let fits = !name.is_empty() && name.len() <= MAX_NAME && name.trim().len() == name.len();
        let wrong = "a name has between 1 and 256 bytes, no control characters, and no spaces around it";
        if fits && !name.chars().any(char::is_control) { Some(name) } else { self.invalid(at, wrong) }
    }

    /// An integer of at least `min`. Nothing is rounded: a fraction that became 0 would be a limit that nobody wrote.
    fn integer(&mut self, at: &Pointer<'_>, value: &Value, min: u64, expected: &'static str) -> Option<u64> {
        match value.as_u64() {
            Some(number) if number >= min => Some(number),
            _ if value.is_number() => self.invalid(at, format!("expected {expected}, found {value}")),
            _ => self.wrong_type(at, expected, value),
        }
    }

    /// One of a few words.
    fn word<T: Copy>(
        &mut self,
        at: &Pointer<'_>,
        value: &Value,
        what: &'static str,
        known: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(at, value)?;
        let found = known.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            self.unknown(at, what, text, &names);
        }
        found.map(|(_, meaning)| *meaning)
    }

    fn unknown(&mut self, at: &Pointer<'_>, what: &'static str, name: &str, known: &[&str]) {
        let nearest = nearest(name, known.iter().copied());
        self.fault(at, Problem::UnknownValue { what, name: echo(name), nearest, known: known.join(", ") });
    }

    fn pattern(&mut self, at: &Pointer<'_>, value: &Value) -> Option<Pattern> {
        let source = self.text(at, value)?;
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            self.fault(at, Problem::TooMany { what: "patterns in a document", max: MAX_PATTERNS });
            return None;
        }
        self.valid(at, Pattern::new(source))
    }
}

/// Ids of the rules of one list. Two that would be alike are told apart by a number, in the document's order.
struct Ids {
    base: String,
    taken: BTreeSet<String>,
    /// The last number given to a name, so that ten thousand rules alike are numbered in one pass.
    numbers: BTreeMap<String, u32>,
}

impl Ids {
    fn of(at: &Pointer<'_>) -> Self {
        Self { base: at.to_string(), taken: BTreeSet::new(), numbers: BTreeMap::new() }
    }

    fn id(&mut self, name: &str) -> std::sync::Arc<str> {
        let first = format!("{}/{}", self.base, crate::pointer::escape(name));
        let mut id = first.clone();
        let count = self.numbers.entry(first.clone()).or_insert(1);
        while self.taken.contains(&id) {
            *count = count.saturating_add(1);
            id = format!("{first}-{count}");
        }
        self.taken.insert(id.clone());
        id.into()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
