//! The beginning of a request, as a journal keeps it: what it asks for, as far as that can be read. It may be cut anywhere, and
//! something else than JSON may follow it.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::fmt;

/// Most names of arguments that are read.
const MOST_NAMES: usize = 64;
/// Most characters of a name: a program chooses it.
const LONGEST: usize = 200;

/// What is known of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Head {
    op: Option<String>,
    pub(crate) name: Option<String>,
    /// Positional arguments.
    pub(crate) positional: usize,
    /// Names of arguments; of a request that is no call, of its other fields.
    pub(crate) names: Vec<String>,
    pub(crate) fraction: Option<f64>,
    pub(crate) step: Option<String>,
    /// It is longer than what was read.
    pub(crate) is_cut: bool,
}

impl Head {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut head = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        head.is_cut = Fields(&mut head).deserialize(&mut deserializer).is_err();
        head
    }

    /// What kind of request it is. The field may be behind the cut; only calls have a name and are that long.
    pub(crate) fn op(&self) -> &str {
        match (&self.op, &self.name) {
            (Some(op), _) => op,
            (None, Some(_)) if self.is_cut => "call",
            (None, _) => "?",
        }
    }

    /// The tool that it calls, if it does.
    pub(crate) fn tool(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.op() == "call")
    }
}

struct Fields<'h>(&'h mut Head);
struct Names<'h>(&'h mut Vec<String>);
struct Count<'h>(&'h mut usize);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let head = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "op" => head.op = Some(short(&map.next_value::<String>()?)),
                "name" => head.name = Some(short(&map.next_value::<String>()?)),
                "args" => map.next_value_seed(Names(&mut head.names))?,
                "positional" => map.next_value_seed(Count(&mut head.positional))?,
                "fraction" => head.fraction = map.next_value::<Number>()?.as_f64(),
                "step" => {
                    head.step = match map.next_value::<Value>()? {
                        Value::String(step) => Some(short(&step)),
                        _ => None,
                    }
                }
                _ => {
                    push(&mut head.names, &key);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            push(self.0, &key);
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments by place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {
            *self.0 += 1;
        }
        Ok(())
    }
}

fn push(names: &mut Vec<String>, name: &str) {
    if names.len() < MOST_NAMES {
        names.push(short(name));
    }
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_whole_or_as_far_as_it_is_there() {
        let text =
            br#"{"name": "mcp_T_put", "positional": [[1, 2], 3], "args": {"key": "a", "ms": {"x": 1}}, "op": "call"}"#;
        let head = Head::of(text);
        assert_eq!((head.tool(), head.positional, head.is_cut), (Some("mcp_T_put"), 2, false));
        assert_eq!(head.names, ["key", "ms"]);
        // Cut within the value of `key`.
        let head = Head::of(&text[..72]);
        assert_eq!((head.tool(), head.positional, head.is_cut), (Some("mcp_T_put"), 2, true));
        assert_eq!(head.names, ["key"]);
    }

    #[test]
    fn what_is_not_known_is_shown_as_itself() {
        let head = Head::of(b"{\"op\": \"http\", \"url\": \"x\", \"headers\": {\"a\": 1}}\0\x01binary");
        assert_eq!((head.op(), head.tool(), head.is_cut), ("http", None, false));
        assert_eq!(head.names, ["url", "headers"]);
        assert_eq!(Head::of(b"\xff").op(), "?");
        assert_eq!(Head::of(b"").op(), "?");
        let deep = [b"{\"args\": ".to_vec(), b"[".repeat(100_000)].concat();
        assert!(Head::of(&deep).is_cut);
    }

    #[test]
    fn progress_has_its_words() {
        let head = Head::of(br#"{"fraction": 0.5, "step": "half", "op": "progress"}"#);
        assert_eq!((head.op(), head.fraction, head.step.as_deref()), ("progress", Some(0.5), Some("half")));
        assert_eq!(Head::of(br#"{"fraction": 1.0, "step": null, "op": "progress"}"#).step, None);
    }
}
