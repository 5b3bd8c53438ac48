//! One condition of a rule: a path into the arguments, an operator, and the value it is compared with.
//!
//! Texts are compared by code point: case counts, and nothing is normalised. A number is its value, however it is
//! written. A text that looks like a number is a text.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};
use std::cmp::Ordering;
use std::fmt;

use crate::number;
use crate::pattern::Pattern;

/// What a condition comes to, for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    Holds,
    Fails,
    /// The arguments have nothing at the path: no match in `deny_if`, a denial in `require`.
    Missing,
    /// What is at the path cannot be compared with the value: a denial in both.
    Mismatch,
}

/// `args.<field>[.<field>…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    text: Box<str>,
    fields: Box<[Box<str>]>,
}

/// What a path leads to.
pub(crate) enum Target<'v> {
    Found(&'v Value),
    Missing,
    /// The path goes on, and what is there has no fields.
    Blocked,
}

impl Path {
    /// Longest path, in fields.
    pub(crate) const MAX_FIELDS: usize = 16;

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields = text.strip_prefix("args.").ok_or("a path starts with `args.`")?;
        let fields: Box<[Box<str>]> = fields.split('.').map(Box::from).collect();
        if fields.len() > Self::MAX_FIELDS {
            return Err(format!("a path has at most {} fields", Self::MAX_FIELDS));
        }
        if fields.iter().any(|field| field.is_empty() || field.trim().len() != field.len()) {
            return Err("a path has no empty fields and no spaces around them".to_owned());
        }
        // Taken for a field's name, a wildcard would match nothing, and a `deny_if` on it would deny nothing.
        if text.contains(['*', '[', ']']) {
            return Err("a path names fields; it has no wildcards and no indexes".to_owned());
        }
        Ok(Self { text: text.into(), fields })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names of the fields, without `args`.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(AsRef::as_ref)
    }

    pub(crate) fn find<'v>(&self, arguments: &'v Value) -> Target<'v> {
        let mut at = arguments;
        for field in &self.fields {
            let Value::Object(object) = at else { return Target::Blocked };
            let Some(value) = object.get(field.as_ref()) else { return Target::Missing };
            at = value;
        }
        Target::Found(at)
    }
}

/// An operator with its value, of the type that the operator needs.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Eq(Value),
    Neq(Value),
    Lt(Number),
    Lte(Number),
    Gt(Number),
    Gte(Number),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Exists(bool),
    Regex(Pattern),
    Contains(Value),
}

/// The operators' names, as documents have them.
pub(crate) const OPERATORS: [&str; 11] =
    ["eq", "neq", "lt", "lte", "gt", "gte", "in", "not_in", "exists", "regex", "contains"];

impl Test {
    pub(crate) const fn operator(&self) -> &'static str {
        match self {
            Self::Eq(_) => "eq",
            Self::Neq(_) => "neq",
            Self::Lt(_) => "lt",
            Self::Lte(_) => "lte",
            Self::Gt(_) => "gt",
            Self::Gte(_) => "gte",
            Self::In(_) => "in",
            Self::NotIn(_) => "not_in",
            Self::Exists(_) => "exists",
            Self::Regex(_) => "regex",
            Self::Contains(_) => "contains",
        }
    }

    /// The value, as the document has it.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Eq(value) | Self::Neq(value) | Self::Contains(value) => value.clone(),
            Self::Lt(number) | Self::Lte(number) | Self::Gt(number) | Self::Gte(number) => number.clone().into(),
            Self::In(values) | Self::NotIn(values) => values.clone().into(),
            Self::Exists(wanted) => (*wanted).into(),
            Self::Regex(pattern) => pattern.source().into(),
        }
    }

    fn of(&self, seen: &Value) -> Truth {
        match self {
            Self::Eq(value) => equal(seen, value),
            Self::Neq(value) => not(equal(seen, value)),
            Self::Lt(bound) => ordered(seen, bound, Ordering::is_lt),
            Self::Lte(bound) => ordered(seen, bound, Ordering::is_le),
            Self::Gt(bound) => ordered(seen, bound, Ordering::is_gt),
            Self::Gte(bound) => ordered(seen, bound, Ordering::is_ge),
            Self::In(values) => member(seen, values),
            Self::NotIn(values) => not(member(seen, values)),
            Self::Exists(wanted) => truth(*wanted),
            Self::Regex(pattern) => seen.as_str().map_or(Truth::Mismatch, |text| truth(pattern.regex().is_match(text))),
            Self::Contains(value) => contains(seen, value),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    pub(crate) test: Test,
}

impl Condition {
    /// What the condition comes to, and what it saw.
    pub(crate) fn check<'v>(&self, arguments: &'v Value) -> (Truth, Option<&'v Value>) {
        match (self.path.find(arguments), &self.test) {
            (Target::Found(seen), test) => (test.of(seen), Some(seen)),
            (Target::Missing | Target::Blocked, Test::Exists(wanted)) => (truth(!wanted), None),
            (Target::Missing, _) => (Truth::Missing, None),
            (Target::Blocked, _) => (Truth::Mismatch, None),
        }
    }
}

impl fmt::Display for Condition {
    /// As a rule's id has it: `args.amount-gt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.path.text(), self.test.operator())
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("path", self.path.text())?;
        map.serialize_entry("op", self.test.operator())?;
        map.serialize_entry("value", &self.test.value())?;
        map.end()
    }
}

fn truth(holds: bool) -> Truth {
    if holds { Truth::Holds } else { Truth::Fails }
}

fn not(truth: Truth) -> Truth {
    match truth {
        Truth::Holds => Truth::Fails,
        Truth::Fails => Truth::Holds,
        other => other,
    }
}

/// Whether a value is in a list. That it is of no type in the list is a mismatch; a null in the list stands only for
/// itself, so that it does not make everything comparable.
fn member(seen: &Value, values: &[Value]) -> Truth {
    if seen.is_null() && values.iter().any(Value::is_null) {
        return Truth::Holds;
    }
    let mut result = if values.iter().all(Value::is_null) { Truth::Fails } else { Truth::Mismatch };
    for value in values.iter().filter(|value| !value.is_null()) {
        match equal(seen, value) {
            Truth::Holds => return Truth::Holds,
            Truth::Fails => result = Truth::Fails,
            Truth::Missing | Truth::Mismatch => {}
        }
    }
    result
}

fn equal(seen: &Value, value: &Value) -> Truth {
    if value.is_null() {
        return truth(seen.is_null());
    }
    let comparable = std::mem::discriminant(seen) == std::mem::discriminant(value);
    if comparable { truth(same(seen, value)) } else { Truth::Mismatch }
}

/// Deep equality, numbers by value.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => number::compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn ordered(seen: &Value, bound: &Number, wanted: fn(Ordering) -> bool) -> Truth {
    let Value::Number(seen) = seen else { return Truth::Mismatch };
    number::compare(seen, bound).map_or(Truth::Mismatch, |order| truth(wanted(order)))
}

/// A text within a text, or an element of an array.
fn contains(seen: &Value, value: &Value) -> Truth {
    match (seen, value) {
        (Value::String(text), Value::String(part)) => truth(text.contains(part.as_str())),
        (Value::Array(items), value) => {
            let mut result = Truth::Fails;
            for item in items {
                match equal(item, value) {
                    Truth::Holds => return Truth::Holds,
                    Truth::Mismatch => result = Truth::Mismatch,
                    Truth::Fails | Truth::Missing => {}
                }
            }
            result
        }
        _ => Truth::Mismatch,
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
