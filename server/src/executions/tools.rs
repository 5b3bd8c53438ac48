//! What a script may ask of the world: calls of tools. The runtime carries the messages, `calls` does them.

use super::live::Live;
use super::request::Reach;
use super::seen::Progress;
use crate::egress::{Begin, Number, Piece};
use crate::gate::Denied;
use crate::secrets::Scrubber;
use crate::texts;
use exuvia_policies::Policy;
use exuvia_runtime::Witness;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

/// On whose behalf a tool is called.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The execution whose program calls.
    pub(crate) live: Arc<Live>,
    pub(crate) reach: Reach,
}

/// A message from the guest (`python-wasm/guest/ABI.md`).
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Call a tool.
    Call {
        name: String,
        #[serde(default)]
        positional: Vec<Value>,
        #[serde(default)]
        args: Map<String, Value>,
    },
    /// What a tool takes and gives.
    Describe { name: String },
    /// Show how far the program is.
    Progress(Progress),
    /// Make an HTTP request.
    Http(Box<Begin>),
    /// More of its body.
    HttpSend(Piece),
    /// More of its response.
    HttpRead(Number),
    /// Its response is not read to the end.
    HttpClose(Number),
}

/// What the guest gets.
pub(crate) enum Answer {
    /// A value.
    Value(Value),
    /// A text that Python reads as JSON if it is that.
    Text(String),
    Error(Refusal),
    /// The policy refuses the call: `PolicyDenied` in Python.
    Denied(Denied),
}

/// An error that the program can catch: `kind` is the name of its type in Python.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Refusal {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn error(kind: &'static str, message: impl Into<String>) -> Self {
        Self::Error(Refusal { kind, message: message.into() })
    }

    /// That nobody knows whether a call of `tool` took effect.
    pub(crate) fn in_doubt(tool: &str) -> Self {
        let message = format!(
            "the server died at about this call of `{tool}`, and whether it took effect is not known: look at what it was to \
             change before you call it again"
        );
        Self::error("ToolInDoubt", message)
    }

    /// Takes the values of secrets out of what a tool said.
    pub(crate) fn scrub(&mut self, scrubber: &Scrubber) {
        self.clean(&mut |text| scrubber.text(text));
    }

    /// Takes out of it what the policy's patterns match.
    pub(crate) fn redact(&mut self, policy: &Policy) {
        self.clean(&mut |text| {
            if let Cow::Owned(redacted) = policy.redact(text) {
                *text = redacted;
            }
        });
    }

    /// Has `clean` look at all that a tool said.
    fn clean(&mut self, clean: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Value(value) => texts::each(value, clean),
            Self::Text(text) => clean(text),
            Self::Error(refusal) => clean(&mut refusal.message),
            Self::Denied(_) => {}
        }
    }

    /// The answer message of `guest/ABI.md`.
    pub(crate) fn to_message(&self) -> Vec<u8> {
        let message = match self {
            Self::Value(value) => serde_json::to_vec(&One { key: "ok", value }),
            Self::Text(text) => serde_json::to_vec(&One { key: "text", value: text }),
            Self::Error(refusal) => serde_json::to_vec(&One { key: "error", value: refusal }),
            Self::Denied(denied) => serde_json::to_vec(&One { key: "error", value: &denied_message(denied) }),
        };
        message
            .unwrap_or_else(|_| br#"{"error":{"type":"ToolError","message":"the answer has no form in JSON"}}"#.into())
    }
}

fn denied_message(denied: &Denied) -> Value {
    json!({
        "type": "PolicyDenied",
        "message": denied.text(),
        "rule": denied.rule,
        "reason": denied.reason,
        "retry_after_s": denied.retry_after_s,
    })
}

/// An object of one field.
struct One<'a, T> {
    key: &'static str,
    value: &'a T,
}

impl<T: serde::Serialize> serde::Serialize for One<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.key, self.value)])
    }
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Whoever does the calls.
pub(crate) trait Tools: Send + Sync {
    /// `witness` is told before a call leaves that must not be made twice.
    fn call(
        &self,
        caller: &Caller,
        name: String,
        positional: Vec<Value>,
        named: Map<String, Value>,
        witness: Witness,
    ) -> Answering;

    fn describe(&self, caller: &Caller, name: String) -> Answering;
}
