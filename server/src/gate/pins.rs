//! What the tools of MCP servers said of themselves when they were first seen. A server that changes a tool afterwards has
//! it denied until the operator has looked at the change: `exuvia mcp accept`.

use crate::config::write_atomically;
use crate::upstream::Tool;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The file of pins. A running server writes what it sees, the command line what the operator accepts.
pub(crate) struct Pins {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Pinned)>,
}

/// Pins by alias.
type Pinned = BTreeMap<String, Pin>;

/// What changes when the file is replaced: inode, size, and time of the last change in nanoseconds.
type Stamp = (u64, u64, i64, i64);

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    accepted: Seen,
    /// What its server says now, when that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<Seen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    digest: String,
    definition: Value,
}

/// A definition that is not the accepted one.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) alias: String,
    pub(crate) accepted: Value,
    pub(crate) now: Value,
}

#[derive(Debug, thiserror::Error)]
#[error("could not {doing} the pins in `{}`: {source}", .path.display())]
pub(crate) struct PinsError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Pins {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, read: Mutex::default() }
    }

    /// Whether each tool is what it was when it was first seen. One that is seen now for the first time is.
    pub(crate) fn hold<'t>(&self, tools: impl IntoIterator<Item = &'t Arc<Tool>>) -> Result<Vec<bool>, PinsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        let mut news = Pinned::new();
        let mut hold = Vec::new();
        for tool in tools {
            let digest = tool.digest().to_string();
            let pin = read.1.get(&tool.alias);
            let holds = pin.is_none_or(|pin| pin.accepted.digest == digest);
            let is_known =
                pin.is_some_and(|pin| holds || pin.changed.as_ref().is_some_and(|seen| seen.digest == digest));
            hold.push(holds);
            if !is_known {
                let seen = Seen { digest, definition: tool.to_json() };
                let pin = match pin {
                    Some(pin) => Pin { accepted: pin.accepted.clone(), changed: Some(seen) },
                    None => Pin { accepted: seen, changed: None },
                };
                if pin.changed.is_some() {
                    let (server, alias) = (&tool.server, &tool.alias);
                    tracing::warn!(
                        server,
                        alias,
                        "a tool's definition has changed, and is denied until it is accepted"
                    );
                }
                news.insert(tool.alias.clone(), pin);
            }
        }
        if !news.is_empty() {
            let mut pinned = read.1.clone();
            pinned.extend(news);
            self.write(&pinned)?;
            *read = (self.stamp()?, pinned);
        }
        Ok(hold)
    }

    /// What has changed, of all tools or of those that `wanted` names.
    pub(crate) fn changes(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Change>, PinsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        let changes = read.1.iter().filter(|(alias, _)| wanted(alias)).filter_map(|(alias, pin)| {
            let now = pin.changed.as_ref()?.definition.clone();
            Some(Change { alias: alias.clone(), accepted: pin.accepted.definition.clone(), now })
        });
        Ok(changes.collect())
    }

    /// Accepts changes as they were shown. One that has changed again since stays as it is.
    pub(crate) fn accept(&self, changes: &[Change]) -> Result<(), PinsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        let mut pinned = read.1.clone();
        for change in changes {
            let Some(pin) = pinned.get_mut(&change.alias) else { continue };
            if let Some(seen) = pin.changed.take_if(|seen| seen.definition == change.now) {
                pin.accepted = seen;
            }
        }
        self.write(&pinned)?;
        *read = (self.stamp()?, pinned);
        Ok(())
    }

    fn refresh(&self, read: &mut (Option<Stamp>, Pinned)) -> Result<(), PinsError> {
        let stamp = self.stamp()?;
        if read.0 != stamp {
            let pinned = if stamp.is_some() { self.parse()? } else { Pinned::new() };
            *read = (stamp, pinned);
        }
        Ok(())
    }

    fn parse(&self) -> Result<Pinned, PinsError> {
        let text = fs::read(&self.path).map_err(|source| self.failed("read", source))?;
        serde_json::from_slice(&text).map_err(|error| self.failed("read", error.into()))
    }

    fn write(&self, pinned: &Pinned) -> Result<(), PinsError> {
        let text = serde_json::to_vec_pretty(pinned).map_err(|error| self.failed("write", error.into()))?;
        write_atomically(&self.path, &text).map_err(|source| self.failed("write", source))
    }

    fn stamp(&self) -> Result<Option<Stamp>, PinsError> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(Some((file.ino(), file.size(), file.ctime(), file.ctime_nsec()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> PinsError {
        PinsError { doing, path: self.path.clone(), source }
    }
}
