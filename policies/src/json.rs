//! Reads JSON strictly: a key that is there twice, a value nested too deep and a number that cannot be held exactly are
//! errors, each with its place. Readers that differ in such things are how one document comes to mean two. `yaml` builds
//! its values here, too.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

use crate::error::{Fault, Problem, echo};
use crate::pointer::escape;

/// Largest document. Memory grows with it by a factor of about twenty; one with 500 tools and 2,000 rules has a
/// tenth of this.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Deepest nesting. Reading, comparing and freeing a value are recursive, and a thread's stack is not large; a policy's
/// deepest rule is at seven.
pub(crate) const MAX_DEPTH: usize = 32;

/// 2^53: below it a float without a fraction is the integer that was written; at it, 2^53 + 1 may have been.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Reads a document of at most [`MAX_BYTES`].
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(at_root(Problem::TooLarge(bytes.len())));
    }
    read_as(bytes, MAX_DEPTH, Numbers::Exact)
}

/// Which numbers are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Those that are held as they are written: a limit must not differ from what its author reads.
    Exact,
    /// All; a program's data may well be 1e300.
    Any,
}

/// Reads a value whose size the caller has checked.
pub(crate) fn read_as(bytes: &[u8], max_depth: usize, numbers: Numbers) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| at_root(Problem::NotUtf8))?;
    // Nothing in JSON is larger than its text.
    let mut state = State::new(max_depth, numbers, text.len());
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Node(&mut state).deserialize(&mut reader);
    let read = read.and_then(|value| {
        reader.end()?;
        Ok(value)
    });
    read.map_err(|error| state.fault(|| syntax(&error)))
}

fn syntax(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default().to_owned();
    Problem::Syntax { message, line: error.line(), column: error.column() }
}

pub(crate) fn at_root(problem: Problem) -> Fault {
    Fault { pointer: String::new(), problem }
}

/// How far the reading came. A step is taken off the path only once it has been read, so that after an error the path
/// is the error's place.
pub(crate) struct State {
    path: Vec<String>,
    problem: Option<Problem>,
    max_depth: usize,
    numbers: Numbers,
    /// Bytes that may still be held: a few of YAML can stand for many.
    room: usize,
}

impl State {
    pub(crate) fn new(max_depth: usize, numbers: Numbers, room: usize) -> Self {
        Self { path: Vec::new(), problem: None, max_depth, numbers, room }
    }

    /// What was found wrong here, or else what the reader of the text says, and where.
    pub(crate) fn fault(self, of_reader: impl FnOnce() -> Problem) -> Fault {
        let pointer = self.path.iter().fold(String::new(), |pointer, step| pointer + "/" + step);
        Fault { pointer, problem: self.problem.unwrap_or_else(of_reader) }
    }

    fn fail<E: serde::de::Error>(&mut self, problem: Problem) -> E {
        self.problem = Some(problem);
        E::custom("refused")
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.hold("")?;
        if self.path.len() >= self.max_depth { Err(self.fail(Problem::TooDeep)) } else { Ok(()) }
    }

    /// Makes room for a text, or for a value without one, before it is kept.
    fn hold<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        let Some(room) = self.room.checked_sub(text.len().saturating_add(1)) else {
            return Err(self.fail(Problem::TooLargeWrittenOut));
        };
        self.room = room;
        Ok(())
    }
}

/// Reads one value, with all that is in it.
pub(crate) struct Node<'s>(pub(crate) &'s mut State);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.hold("").map(|()| Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.hold("").map(|()| value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.hold("").map(|()| value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.hold("").map(|()| value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.hold("")?;
        // The reader turns an integer that fits no integer type into the nearest float, silently.
        let held = self.0.numbers == Numbers::Any || value.abs() < EXACT_FLOAT;
        let number = Number::from_f64(value).filter(|_| held);
        number.map(Value::Number).ok_or_else(|| self.0.fail(Problem::InexactNumber))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.hold(value).map(|()| value.into())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.0.hold(&value).map(|()| value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut items = Vec::new();
        loop {
            self.0.path.push(items.len().to_string());
            let item = seq.next_element_seed(Node(self.0))?;
            self.0.path.pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut fields = Map::new();
        while let Some(name) = map.next_key_seed(Key(self.0))? {
            self.0.path.push(escape(&name));
            if fields.contains_key(&name) {
                return Err(self.0.fail(Problem::DuplicateKey(echo(&name))));
            }
            let value = map.next_value_seed(Node(self.0))?;
            self.0.path.pop();
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Reads a key. One that is no text has no place in a JSON pointer, and readers differ in what they make of it.
struct Key<'s>(&'s mut State);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a text")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<String, E> {
        self.0.hold(value).map(|()| value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_also_when_it_is_written_differently() {
        assert_eq!(fault(r#"{"a":{"b":1,"b":2}}"#), "/a/b: the key `b` is there twice");
        assert_eq!(fault(r#"{"a":{"b":1,"\u0062":2}}"#), "/a/b: the key `b` is there twice");
    }

    #[test]
    fn a_document_nested_too_deep_is_refused() {
        let deepest = format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(read(deepest.as_bytes()).is_ok());
        assert!(fault(&format!("[{deepest}]")).ends_with(": nested deeper than 32 levels"));
        assert!(fault(&"[".repeat(1 << 20)).ends_with(": nested deeper than 32 levels"));
    }

    #[test]
    fn a_document_of_50_mb_is_refused() {
        let large = vec![b' '; 50 << 20];
        let fault = read(&large).unwrap_err().to_string();
        assert_eq!(fault, "(document): the document has 52428800 bytes, and may have 4194304");
    }

    #[test]
    fn a_number_that_cannot_be_held_exactly_is_refused() {
        assert_eq!(fault(r#"{"a":18446744073709551616}"#), "/a: the number is too large to be compared exactly");
        assert_eq!(fault(r#"{"a":1e300}"#), "/a: the number is too large to be compared exactly");
        assert_eq!(fault("[9007199254740993.0]"), "/0: the number is too large to be compared exactly");
        assert_eq!(fault("[-9223372036854775809]"), "/0: the number is too large to be compared exactly");
        assert!(read(b"[18446744073709551615, -9223372036854775808, 0.1, 1e3]").is_ok());
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        assert_eq!(fault("{\"a\": [1,\n x]}"), "/a/1: not JSON: expected value at line 2, column 2");
        assert_eq!(fault("{} {}"), "(document): not JSON: trailing characters at line 1, column 4");
        assert_eq!(read(&[0xff]).unwrap_err().to_string(), "(document): the document is not UTF-8");
    }
}
