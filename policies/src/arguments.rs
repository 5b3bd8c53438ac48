//! A call's arguments in canonical form. What is decided upon, shown for approval and sent on is this one value, so that
//! no two readers can see two different calls.

use serde_json::Value;
use std::fmt;
use std::sync::Arc;

use crate::defaults;
use crate::json::{self, Numbers};
use crate::{canonical, error::Fault};

/// Deepest nesting of arguments; comparing and freeing them is recursive.
const MAX_DEPTH: usize = 64;

/// Largest canonical form. The arguments are held twice, as a value and as text.
const MAX_BYTES: usize = 32 << 20;

/// The arguments of one call. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Arguments(Arc<Canonical>);

#[derive(PartialEq)]
struct Canonical {
    value: Value,
    text: String,
}

/// Arguments that are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentsError {
    #[error("arguments are an object")]
    NotAnObject,
    #[error("arguments are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("arguments have more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the schema's defaults are too many to fill in")]
    TooManyDefaults,
    #[error("could not read arguments: {0}")]
    Json(Fault),
}

impl Arguments {
    /// Arguments that lack nothing: a tool's schema may have defaults, for which see [`Self::with_defaults`].
    pub fn new(value: Value) -> Result<Self, ArgumentsError> {
        let value = object(value)?;
        let value = canonical::normalise(value);
        let mut text = String::new();
        canonical::write(&value, &mut text);
        if text.len() > MAX_BYTES {
            return Err(ArgumentsError::TooLarge);
        }
        Ok(Self(Arc::new(Canonical { value, text })))
    }

    /// Arguments with the defaults of the tool's JSON Schema filled in, so that a rule sees the value that the tool will
    /// use. Checking them against the schema is the caller's part.
    pub fn with_defaults(value: Value, schema: &Value) -> Result<Self, ArgumentsError> {
        let mut value = object(value)?;
        defaults::fill(&mut value, schema).map_err(|_| ArgumentsError::TooManyDefaults)?;
        Self::new(value)
    }

    /// Reads arguments from JSON text. A key that is there twice is refused.
    pub fn parse(text: &[u8]) -> Result<Self, ArgumentsError> {
        if text.len() > MAX_BYTES {
            return Err(ArgumentsError::TooLarge);
        }
        Self::new(json::read_as(text, MAX_DEPTH, Numbers::Any).map_err(ArgumentsError::Json)?)
    }

    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The canonical JSON: what was decided upon, and the only thing to send on.
    pub fn as_json(&self) -> &str {
        &self.0.text
    }

    /// The names of the top-level arguments, sorted: all that an audit may know of them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.value.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str))
    }
}

impl fmt::Debug for Arguments {
    /// The keys only: arguments must not reach a log by way of a `{:?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

/// Absent arguments are an empty object.
fn object(value: Value) -> Result<Value, ArgumentsError> {
    match value {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        value if !value.is_object() => Err(ArgumentsError::NotAnObject),
        value if is_deeper(&value, MAX_DEPTH) => Err(ArgumentsError::TooDeep),
        value => Ok(value),
    }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return value.is_array() || value.is_object() };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|item| is_deeper(item, below)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_an_object() {
        assert_eq!(Arguments::new(json!([1])).unwrap_err(), ArgumentsError::NotAnObject);
        assert_eq!(Arguments::new(Value::Null).unwrap().as_json(), "{}");
    }

    #[test]
    fn arguments_nested_too_deep_are_refused() {
        let nested = |levels: usize| (1..levels).fold(json!({}), |value, _| json!({ "a": value }));
        assert!(Arguments::new(nested(MAX_DEPTH)).is_ok());
        assert_eq!(Arguments::new(nested(MAX_DEPTH + 1)).unwrap_err(), ArgumentsError::TooDeep);
        assert!(Arguments::parse("[".repeat(1 << 20).as_bytes()).is_err());
    }

    #[test]
    fn arguments_that_are_too_large_are_refused() {
        let large = json!({ "a": "x".repeat(MAX_BYTES) });
        assert_eq!(Arguments::new(large).unwrap_err(), ArgumentsError::TooLarge);
        assert_eq!(Arguments::parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err(), ArgumentsError::TooLarge);
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        let error = Arguments::parse(br#"{"amount": 1, "amount": 1000}"#).unwrap_err();
        assert_eq!(error.to_string(), "could not read arguments: /amount: the key `amount` is there twice");
    }

    #[test]
    fn what_is_sent_on_is_what_was_decided_upon() {
        let arguments = Arguments::parse(br#"{"b": 1.0, "a": {"y": 1e300, "x": 2}}"#).unwrap();
        assert_eq!(arguments.as_json(), r#"{"a":{"x":2,"y":1e+300},"b":1}"#);
        assert_eq!(serde_json::from_str::<Value>(arguments.as_json()).unwrap(), *arguments.value());
        assert_eq!(arguments.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_log_line_has_no_values() {
        let arguments = Arguments::new(json!({"password": "hunter2"})).unwrap();
        assert_eq!(format!("{arguments:?}"), r#"{"password"}"#);
    }
}
