//! A call to be decided, and whose it is.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

use crate::arguments::Arguments;
use crate::digest::Digest;

/// The label of a grant, such as `alice-laptop`. Limits are counted by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Grant(Arc<str>);

impl Grant {
    pub fn new(label: &str) -> Self {
        Self(label.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Grant {
    fn from(label: String) -> Self {
        Self(label.into())
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.0.as_ref().into()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One call of a tool. That a program made it, and not the client itself, is not part of it: a nested call is decided
/// like a direct one, under the grant of the client that the program runs for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub grant: &'a Grant,
    pub tool: &'a str,
    pub arguments: &'a Arguments,
    /// The digest of the tool's definition as its server has it now; needed for tools that the policy pins.
    pub definition: Option<&'a Digest>,
}
