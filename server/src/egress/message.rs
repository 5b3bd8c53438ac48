//! What the guest says, and what it is told (`python-wasm/guest/ABI.md`, "HTTP").

use http::{HeaderMap, StatusCode, Version};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A request, of which the body follows the JSON, whole or in pieces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    /// The guest's number for the exchange. Never used again in one run.
    pub(super) id: u64,
    pub(super) method: String,
    pub(super) scheme: Scheme,
    /// Without brackets and port.
    pub(super) host: String,
    pub(super) port: u16,
    /// The path and the query, as they are sent.
    pub(super) target: String,
    /// Names and values in their order; a character of a value is a byte.
    pub(super) headers: Vec<(String, String)>,
    /// The body follows in pieces.
    #[serde(default)]
    pub(super) stream: bool,
    /// Milliseconds. None: as long as the server allows.
    #[serde(default)]
    pub(super) connect_ms: Option<u64>,
    #[serde(default)]
    pub(super) read_ms: Option<u64>,
    #[serde(default)]
    pub(super) write_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl From<Scheme> for exuvia_policies::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Http => Self::Http,
            Scheme::Https => Self::Https,
        }
    }
}

/// A piece of a request's body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Piece {
    pub(super) id: u64,
    /// It is the last one, and the response is wanted.
    #[serde(default)]
    pub(super) end: bool,
}

/// An exchange by its number.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Number {
    pub(super) id: u64,
}

/// How long the program waits for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) write: Duration,
}

impl Begin {
    /// Its times; the server's own are the upper bound of each.
    pub(super) fn times(&self, settings: &super::Settings) -> Times {
        let within = |asked: Option<u64>, most: Duration| asked.map_or(most, Duration::from_millis).min(most);
        Times {
            connect: within(self.connect_ms, settings.connect),
            read: within(self.read_ms, settings.idle),
            write: within(self.write_ms, settings.idle),
        }
    }
}

/// An answer's JSON.
#[derive(Serialize)]
pub(super) struct Ok<T> {
    pub(super) ok: T,
}

/// How a response begins. The first piece of its body follows the JSON.
#[derive(Serialize)]
pub(super) struct Head<'a> {
    status: u16,
    reason: String,
    version: &'static str,
    headers: Vec<(&'a str, String)>,
    /// Whether that piece is the last one.
    end: bool,
}

impl<'a> Head<'a> {
    pub(super) fn new(status: StatusCode, version: Version, reason: &[u8], headers: &'a HeaderMap, end: bool) -> Self {
        let version = match version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        };
        let headers = headers.iter().map(|(name, value)| (name.as_str(), latin1(value.as_bytes()))).collect();
        Self { status: status.as_u16(), reason: latin1(reason), version, headers, end }
    }
}

/// One more piece of a response's body.
#[derive(Serialize)]
pub(super) struct More {
    pub(super) end: bool,
}

/// Bytes as the characters of the same numbers: headers have no encoding that one could rely on.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
