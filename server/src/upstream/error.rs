//! Why a server is not connected, and why a call has no answer. Each text says what to do.

use super::connection::Protocol;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use std::error::Error;
use std::time::Duration;

/// Longest text of a server that an error repeats, in bytes.
pub(super) const LONGEST_SAID: usize = 600;

/// Why there is no connection to a server.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("could not start `{command}`: {why}")]
    Start { command: String, why: String },
    #[error("its process ended ({status}) before it answered{said}")]
    Exited { status: String, said: String },
    #[error("it did not answer within {}{said}", humantime::format_duration(*after))]
    Silent { after: Duration, said: String },
    #[error("it needs authorization: start with `ReAuthRemoteMcpServer`, or give it an `Authorization` header")]
    Unauthorized { challenge: Option<String> },
    #[error("it could not be reached: {why}; check that it runs and that its address is right")]
    Unreachable { why: String },
    #[error("{why}{said}")]
    Protocol { why: String, said: String },
    #[error("its connection ended{said}")]
    Ended { said: String },
    #[error("it did not answer for {} after a call had timed out{said}", humantime::format_duration(*after))]
    Hung { after: Duration, said: String },
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the MCP server `{server}` is down: {error}. {}", retry(*retry_in))]
    Down { server: String, error: String, retry_in: Option<Duration> },
    #[error(
        "the MCP server `{server}` needs authorization: call ReAuthRemoteMcpServer and open the address that it returns"
    )]
    NeedsAuthorization { server: String },
    #[error("the MCP server `{server}` cannot be used: {why}")]
    Unusable { server: String, why: String },
    #[error(
        "the MCP server `{server}` has {most} calls in progress, and none ended within {}: call it less often at once",
        humantime::format_duration(*after)
    )]
    Busy { server: String, most: usize, after: Duration },
    #[error(
        "`{tool}` of the MCP server `{server}` did not answer within {}; whether it took effect is not known",
        humantime::format_duration(*after)
    )]
    Timeout { server: String, tool: String, after: Duration },
    #[error("the MCP server `{server}` cancelled `{tool}`: {reason}")]
    Cancelled { server: String, tool: String, reason: String },
    #[error("the answer of `{tool}` is larger than {most} bytes: ask for less, or for a part of it")]
    TooLarge { tool: String, most: usize },
    #[error(
        "the connection to the MCP server `{server}` ended during `{tool}`: {error}; whether it took effect is not known"
    )]
    Lost { server: String, tool: String, error: String },
    #[error("the MCP server `{server}` refused `{tool}`: {message}")]
    Refused { server: String, tool: String, message: String },
    #[error("the MCP server `{server}` gave an answer to `{tool}` that cannot be used: {error}")]
    Protocol { server: String, tool: String, error: String },
    #[error("the MCP server `{server}` has been removed")]
    Gone { server: String },
}

impl CallError {
    /// Whether the server has certainly not been asked.
    pub(crate) fn never_left(&self) -> bool {
        matches!(
            self,
            Self::Down { .. }
                | Self::NeedsAuthorization { .. }
                | Self::Unusable { .. }
                | Self::Busy { .. }
                | Self::Gone { .. }
        )
    }

    /// Whether the tool may have taken effect although there is no answer.
    #[cfg_attr(not(test), expect(dead_code, reason = "what repeats calls will ask it"))]
    pub(crate) fn in_doubt(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Cancelled { .. }
                | Self::TooLarge { .. }
                | Self::Lost { .. }
                | Self::Protocol { .. }
        )
    }
}

fn retry(within: Option<Duration>) -> String {
    match within {
        Some(within) => {
            let within = Duration::from_secs(within.as_secs().max(1));
            format!("The next attempt to reach it is in {}", humantime::format_duration(within))
        }
        None => "It is being reconnected".into(),
    }
}

impl ConnectError {
    /// From what rmcp says about a handshake. `said` is what the server wrote.
    pub(super) fn initialize(error: &ClientInitializeError, said: String) -> Self {
        if error.is_authorization_required() {
            return Self::Unauthorized { challenge: error.auth_challenge().map(str::to_owned) };
        }
        match error {
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => Self::initialize(fallback, said),
            ClientInitializeError::TransportError { error, .. } => Self::transport(error.error.as_ref(), said),
            ClientInitializeError::ConnectionClosed(_) => Self::Ended { said },
            ClientInitializeError::JsonRpcError(error) => {
                Self::Protocol { why: format!("it refused the handshake: {} ({})", error.message, error.code.0), said }
            }
            // Some of them print whole messages.
            error => Self::Protocol { why: format!("it does not speak MCP: {}", short(&error.to_string())), said },
        }
    }

    pub(super) fn service(error: &ServiceError, said: String) -> Self {
        if error.is_authorization_required() {
            return Self::Unauthorized { challenge: error.auth_challenge().map(str::to_owned) };
        }
        match error {
            ServiceError::TransportClosed => Self::Ended { said },
            ServiceError::TransportSend(error) => Self::transport(error.error.as_ref(), said),
            ServiceError::McpError(error) => {
                Self::Protocol { why: format!("it would not list its tools: {}", short(&error.message)), said }
            }
            error => Self::Protocol { why: format!("it would not list its tools: {error}"), said },
        }
    }

    fn transport(error: &(dyn Error + Send + Sync + 'static), said: String) -> Self {
        match http(error) {
            Some(StreamableHttpError::Client(error)) => Self::Unreachable { why: causes(error) },
            Some(StreamableHttpError::UnexpectedServerResponse(text)) if is_unauthorized(text) => Self::Protocol {
                why: "it refused our credentials (HTTP 401): check the `headers` of its entry".into(),
                said,
            },
            Some(error) => Self::Protocol {
                why: format!("it does not speak streamable HTTP here: {}", short(&chain(error))),
                said,
            },
            None => Self::Protocol { why: short(&chain(error)), said },
        }
    }

    /// The protocol that could not be agreed on may be the reason, so that the older handshake is worth an attempt.
    pub(super) fn may_be_protocol(&self, tried: Protocol) -> bool {
        tried == Protocol::Unknown && matches!(self, Self::Exited { .. } | Self::Protocol { .. } | Self::Ended { .. })
    }
}

fn is_unauthorized(text: &str) -> bool {
    text.starts_with("HTTP 401")
}

/// rmcp's HTTP error inside of `error` or its causes.
pub(super) fn http<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a StreamableHttpError<reqwest::Error>> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        current = error.source();
    }
    None
}

pub(super) fn short(text: &str) -> String {
    super::secret::printable(text, LONGEST_SAID)
}

/// An error and its causes on one line, without repetitions.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// The causes of an HTTP client's error alone: its own text repeats the address.
pub(super) fn causes(error: &reqwest::Error) -> String {
    match error.source() {
        Some(cause) => chain(cause),
        None if error.is_timeout() => "it took too long".into(),
        None => error.to_string(),
    }
}

impl ConnectError {
    /// The same without any of `secrets`: errors of HTTP name whole addresses, and those of servers whatever they please.
    pub(super) fn redacted(self, secrets: &[super::secret::Secret]) -> Self {
        let clean = |text: String| super::secret::redact(&text, secrets);
        match self {
            Self::Protocol { why, said } => Self::Protocol { why: clean(why), said: clean(said) },
            Self::Unreachable { why } => Self::Unreachable { why: clean(why) },
            Self::Start { command, why } => Self::Start { command, why: clean(why) },
            other => other,
        }
    }

    /// The end of a process that had been connected.
    pub(super) fn after_start(self) -> Self {
        match self {
            Self::Exited { status, said } => Self::Ended { said: format!(": its process ended ({status}){said}") },
            other => other,
        }
    }
}
