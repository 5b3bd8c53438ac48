//! A policy: a document that was read and found right, ready to decide.

use serde_json::Value;
use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::digest::Digest;
use crate::document::{Default, Document, Tool};
use crate::error::ParseError;
use crate::extensions::{BreakerRules, Caps, Extensions, Mode};
use crate::reading;

/// A policy. Cheap to clone; an edit makes a new one, and permits keep the one that they were decided by.
#[derive(Clone)]
pub struct Policy(Arc<Inner>);

struct Inner {
    document: Document,
    digest: Digest,
}

impl Policy {
    /// Largest document that is read, in bytes: more need not be taken from a file.
    pub const MAX_BYTES: usize = crate::json::MAX_BYTES;

    /// Reads a document. An error has all that is wrong with it.
    pub fn parse(document: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        let document = reading::read(document.as_ref())?;
        let digest = Digest::of(&to_value(&document));
        Ok(Self(Arc::new(Inner { document, digest })))
    }

    /// The document, with what was left out filled in. Parsed again, it decides the same.
    pub fn to_json(&self) -> Value {
        to_value(&self.0.document)
    }

    /// The document as text, its fields in the usual order.
    pub fn to_text(&self) -> String {
        // Only a map whose keys are no strings, or a failing writer, could make this fail.
        serde_json::to_string_pretty(&self.0.document).unwrap_or_default()
    }

    /// The document without `x-sandbox`, as `PolicyLayer` takes it. What it leaves out is not enforced there.
    pub fn to_core_text(&self) -> String {
        let core = Document { extensions: None, ..self.0.document.clone() };
        serde_json::to_string_pretty(&core).unwrap_or_default()
    }

    /// Which version this is: the digest of the document. The order of keys and the spelling of numbers do not change it.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    pub fn mode(&self) -> Mode {
        self.extensions().mode
    }

    /// Upper bounds on what one run may use.
    pub fn caps(&self) -> &Caps {
        &self.extensions().caps
    }

    pub fn breaker(&self) -> Option<&BreakerRules> {
        self.extensions().breaker.as_ref()
    }

    /// Whether `tools/list` shows the tool. [`Self::decide`] denies every tool that it does not show.
    pub fn is_visible(&self, tool: &str) -> bool {
        self.mode() == Mode::Shadow || !self.is_hidden(tool)
    }

    /// Whether a call of the tool can pass, for some arguments: what a program is given as a function.
    pub fn is_callable(&self, tool: &str) -> bool {
        self.mode() == Mode::Shadow || self.entry(tool).is_ok()
    }

    pub(crate) fn is_hidden(&self, tool: &str) -> bool {
        let hidden = &self.document().hide;
        hidden.contains(tool) || hidden.contains("*")
    }

    pub(crate) fn document(&self) -> &Document {
        &self.0.document
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.document().tools.get(name)
    }

    pub(crate) fn allows_unlisted(&self) -> bool {
        self.document().default == Default::Allow
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        static NONE: LazyLock<Extensions> = LazyLock::new(Extensions::default);
        self.document().extensions.as_deref().unwrap_or(&NONE)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.0.digest).finish()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

fn to_value(document: &Document) -> Value {
    serde_json::to_value(document).unwrap_or_default()
}
