//! What a client asks for: one script and everything that decides what it does.

use crate::sessions;
use crate::shelf::Wanted;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// An execution as it was asked for, checked. It is kept as it is, so that it can be begun after a restart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    pub(crate) script: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) inputs: IndexMap<String, Box<RawValue>>,
    /// Names to read at the end, and the type that each should have.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub(crate) outputs: IndexMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Reach::is_all")]
    pub(crate) reach: Reach,
    /// Secrets that the script names, each of them a global. Names alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<String>,
    /// Most time from its start to its end; none means that it may take as long as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wall: Option<Duration>,
    /// How urgent it is among the executions of its grant.
    #[serde(skip_serializing_if = "Priority::is_normal")]
    pub(crate) priority: Priority,
    /// When to begin with it, in milliseconds since 1970; none: as soon as its turn comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_at: Option<u64>,
    /// Decides all randomness of the run.
    pub(crate) seed: [u8; 32],
    /// Packages beside those of the image, as requirements in their one spelling.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) packages: Vec<String>,
    /// The session that it is a call of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<InSession>,
    /// What is in its working folder when it begins; lent to it until it is over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<Wanted>,
}

/// One call of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InSession {
    pub(crate) id: sessions::Name,
    /// Whether to begin from nothing, whatever is there.
    #[serde(default)]
    pub(crate) reset: bool,
}

/// How urgent an execution is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// Which tools a script may call: those of the servers and those named, or all when neither is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Reach {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tools: Vec<String>,
}

impl Reach {
    pub(crate) fn is_all(&self) -> bool {
        self.servers.is_empty() && self.tools.is_empty()
    }

    /// Whether the tool `alias` of `server` is within reach.
    pub(crate) fn includes(&self, server: &str, alias: &str) -> bool {
        self.is_all()
            || self.servers.iter().any(|name| name.eq_ignore_ascii_case(server))
            || self.tools.iter().any(|name| name == alias)
    }
}

/// A seed that nobody can guess.
pub(crate) fn seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_one_server_or_tool_puts_the_others_out_of_reach() {
        let all = Reach::default();
        assert!(all.includes("Supabase", "mcp_Supabase_list"));
        let one = Reach { servers: vec!["supabase".into()], tools: vec!["mcp_Git_log".into()] };
        assert!(one.includes("Supabase", "mcp_Supabase_list"));
        assert!(one.includes("Git", "mcp_Git_log"));
        assert!(!one.includes("Git", "mcp_Git_push"));
    }
}
