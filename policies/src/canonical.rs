//! The one way in which a JSON value is written: keys sorted at every level, inside arrays too, numbers by value, and no
//! spaces. Approvals and digests are bound to it, so two values that differ must never be written alike. (RFC 8785 is
//! not used for that reason: it rounds integers above 2^53.)

use serde_json::{Map, Value};
use std::fmt::Write as _;

use crate::number;

/// Appends the canonical form. The value's depth must have been checked: this is recursive.
pub(crate) fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(value) => {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "{}", number::canonical(value));
        }
        Value::String(value) => write_text(value, out),
        Value::Array(items) => write_list(out, ('[', ']'), items, write),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            write_list(out, ('{', '}'), fields, |(name, value), out| {
                write_text(name, out);
                out.push(':');
                write(value, out);
            });
        }
    }
}

/// The same value with keys sorted and numbers in their canonical form.
pub(crate) fn normalise(value: Value) -> Value {
    match value {
        Value::Number(value) => Value::Number(number::canonical(&value)),
        Value::Array(items) => Value::Array(items.into_iter().map(normalise).collect()),
        Value::Object(fields) => {
            // Sorted here too, as the map keeps the order of insertion when another crate asks serde_json for that.
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().map(|(name, value)| (name, normalise(value))).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn write_list<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    each: impl Fn(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        write(&serde_json::from_str(text).unwrap(), &mut out);
        out
    }

    /// Seen to fail with keys in the order in which they come.
    #[test]
    fn keys_are_sorted_at_every_level_also_inside_arrays() {
        let one = canonical(r#"{"b": [{"y": 1, "x": [{"q": 1, "p": 2}]}], "a": null}"#);
        let two = canonical(r#"{"a": null, "b": [{"x": [{"p": 2, "q": 1}], "y": 1.0}]}"#);
        assert_eq!(one, r#"{"a":null,"b":[{"x":[{"p":2,"q":1}],"y":1}]}"#);
        assert_eq!(one, two);
    }

    #[test]
    fn values_that_differ_are_written_differently() {
        assert_ne!(canonical("9007199254740993"), canonical("9007199254740992"));
        assert_ne!(canonical(r#""1""#), canonical("1"));
        assert_ne!(canonical(r#"["a","b"]"#), canonical(r#"["a\",\"b"]"#));
        assert_ne!(canonical("[1,2]"), canonical("[2,1]"));
    }

    #[test]
    fn a_text_has_one_spelling() {
        assert_eq!(canonical(r#""\u0061\n\/\ud83d\ude00""#), "\"a\\u000a/😀\"");
    }

    #[test]
    fn the_canonical_form_is_json() {
        let text = r#"{"a":"\u0000\"\\","b":[1.5,-3,18446744073709551615]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&canonical(text)).unwrap(), value);
        assert_eq!(normalise(value.clone()), value);
    }
}
