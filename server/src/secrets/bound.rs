//! The secrets of one execution: what its program holds, and what is taken out of all that it is told and says.

use super::placeholder::{self, Scope};
use super::scrub::{Scrubber, Wanted};
use super::{Secrets, Value, no_value, not_in_session, source};
use exuvia_policies::{Policy, SecretBinding};
use indexmap::IndexMap;
use serde_json::Value as Json;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// What an execution may use, and what is scrubbed for it.
#[derive(Default)]
pub(crate) struct Bound {
    held: Vec<Held>,
    scrubber: Option<Arc<Scrubber>>,
}

/// One secret that the program named.
struct Held {
    name: Box<str>,
    /// None: the program has the value.
    placeholder: Option<String>,
    value: Value,
}

/// Why an execution cannot have its secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unbound(String);

/// What a text has that belongs to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trace<'a> {
    /// The placeholder of this secret.
    Placeholder(&'a str),
    /// A placeholder that is not of this execution.
    Stranger,
    /// The value of this secret.
    Value(&'a str),
}

impl Secrets {
    /// Fetches the values of those that a program was granted, and of the others that its policy lists: those are scrubbed.
    pub(crate) fn bind(
        &self,
        granted: Vec<SecretBinding>,
        policy: Option<&Policy>,
        scope: Scope<'_>,
    ) -> Result<Bound, Unbound> {
        let mut held = Vec::new();
        for binding in granted {
            if binding.reveals() && matches!(scope, Scope::Session { .. }) {
                return Err(Unbound(not_in_session(binding.name())));
            }
            let value = source::read(binding.source(), &self.vault).map_err(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(secret = binding.name(), error, "a secret has no value");
                Unbound(no_value(binding.name()))
            })?;
            let placeholder = (!binding.reveals()).then(|| self.placeholders.make(scope, binding.name()));
            held.push(Held { name: binding.name().into(), placeholder, value });
        }
        let scrubber = self.scrubber(&held, policy).map_err(|error| {
            tracing::error!(%error, "secrets cannot be looked for");
            Unbound(
                "the secrets of this execution cannot be looked for in what it says; the server's log says why".into(),
            )
        })?;
        Ok(Bound { held, scrubber: scrubber.map(Arc::new) })
    }

    fn scrubber(&self, held: &[Held], policy: Option<&Policy>) -> Result<Option<Scrubber>, aho_corasick::BuildError> {
        let Some(policy) = policy.filter(|policy| policy.scrubs_secrets()) else { return Ok(None) };
        let others = policy.secrets().filter(|(name, _)| held.iter().all(|held| *held.name != **name));
        // What has no value cannot be leaked.
        let others: Vec<_> =
            others.filter_map(|(name, source)| Some((name, source::read(source, &self.vault).ok()?))).collect();
        let named = held.iter().map(|held| (&*held.name, &held.value, held.placeholder.clone()));
        let all: Vec<_> = named.chain(others.iter().map(|(name, value)| (*name, value, None))).collect();
        let marks: Vec<_> =
            all.iter().map(|(name, _, placeholder)| placeholder.clone().unwrap_or_else(|| mark(name))).collect();
        let wanted = all.iter().zip(&marks).map(|((name, value, _), mark)| Wanted { name, value, mark });
        Scrubber::new(&wanted.collect::<Vec<_>>())
    }
}

fn mark(name: &str) -> String {
    format!("[secret {name}]")
}

impl Bound {
    /// What the program finds under the names of its secrets.
    pub(crate) fn globals(&self) -> IndexMap<String, Box<RawValue>> {
        let text = |held: &Held| to_raw_value(held.placeholder.as_deref().unwrap_or(held.value.expose())).ok();
        self.held.iter().filter_map(|held| Some((held.name.to_string(), text(held)?))).collect()
    }

    pub(crate) fn scrubber(&self) -> Option<&Arc<Scrubber>> {
        self.scrubber.as_ref()
    }

    /// Whether the program has named any.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The names of those that the program holds.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.held.iter().map(|held| &*held.name)
    }

    /// The secret that a placeholder stands for.
    pub(super) fn of_placeholder(&self, placeholder: &[u8]) -> Option<(&str, &Value)> {
        let is_it = |held: &&Held| held.placeholder.as_ref().is_some_and(|own| own.as_bytes() == placeholder);
        self.held.iter().find(is_it).map(|held| (&*held.name, &held.value))
    }

    /// The first trace of a secret in `bytes`.
    pub(crate) fn trace(&self, bytes: &[u8]) -> Option<Trace<'_>> {
        if let Some(at) = placeholder::find(bytes) {
            let found = bytes.get(at..at + placeholder::LENGTH).unwrap_or_default();
            return Some(self.of_placeholder(found).map_or(Trace::Stranger, |(name, _)| Trace::Placeholder(name)));
        }
        self.scrubber.as_ref()?.found(bytes).map(Trace::Value)
    }

    /// The first trace of a secret in the texts of some values.
    pub(crate) fn trace_in<'v>(&self, values: impl IntoIterator<Item = &'v Json>) -> Option<Trace<'_>> {
        values.into_iter().find_map(|value| match value {
            Json::String(text) => self.trace(text.as_bytes()),
            Json::Number(number) => self.trace(number.to_string().as_bytes()),
            Json::Array(items) => self.trace_in(items),
            Json::Object(fields) => {
                fields.keys().find_map(|name| self.trace(name.as_bytes())).or_else(|| self.trace_in(fields.values()))
            }
            Json::Null | Json::Bool(_) => None,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) const PLACEHOLDER: &str = "exs_0000000000000000000000000000000000000000";

    /// One secret, `KEY`, with its placeholder.
    pub(crate) fn bound(value: &str) -> Arc<Bound> {
        let value = Value::new(value.into()).unwrap();
        let wanted = [Wanted { name: "KEY", value: &value, mark: PLACEHOLDER }];
        let scrubber = Scrubber::new(&wanted).unwrap().map(Arc::new);
        let held = Held { name: "KEY".into(), placeholder: Some(PLACEHOLDER.into()), value };
        Arc::new(Bound { held: vec![held], scrubber })
    }

    /// Also when the policy has come to reveal it since the call was accepted. Seen to fail with sessions not asked for.
    #[test]
    fn a_session_is_given_no_value() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Arc::new(crate::upstream::Sealed::of_file(&folder.path().join("key")).unwrap());
        let secrets = Secrets::open(folder.path(), sealed).unwrap();
        secrets.vault.set("KEY", &Value::new("1234567890".into()).unwrap()).unwrap();
        let policy = json!({ "version": "1", "default": "allow", "x-sandbox": { "secrets": { "KEY": { "hosts": ["a.example"], "reveal": true } } } });
        let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
        let bind = |scope| secrets.bind(vec![policy.decide_binding("KEY").unwrap()], Some(&policy), scope);
        let session = Scope::Session { grant: "local", id: &crate::sessions::Name::parse("s").unwrap() };
        assert_eq!(bind(session).err().unwrap().to_string(), not_in_session("KEY"));
        let bound = bind(Scope::Execution(crate::executions::Id::new())).ok().unwrap();
        assert_eq!(bound.globals()["KEY"].get(), "\"1234567890\"");
    }

    #[test]
    fn a_trace_is_found_in_any_text_of_a_value() {
        let bound = bound("1234567890");
        let stranger = PLACEHOLDER.replace('0', "f");
        for (value, expected) in [
            (json!({ "a": [PLACEHOLDER] }), Some(Trace::Placeholder("KEY"))),
            (json!({ PLACEHOLDER: null }), Some(Trace::Placeholder("KEY"))),
            (json!([1_234_567_890]), Some(Trace::Value("KEY"))),
            (json!("MTIzNDU2Nzg5MA=="), Some(Trace::Value("KEY"))),
            (json!(stranger), Some(Trace::Stranger)),
            (json!(["123456789", true, null]), None),
        ] {
            assert_eq!(bound.trace_in([&value]), expected, "{value}");
        }
    }
}
