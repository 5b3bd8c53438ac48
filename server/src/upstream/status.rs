//! How a server is doing, as its user may know it.

use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// One server and how it is doing.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) name: String,
    /// `stdio`, `http` or `none`.
    pub(crate) transport: &'static str,
    /// The command or the address, without what must not be shown.
    pub(crate) address: String,
    pub(crate) state: State,
}

#[derive(Debug, Clone)]
pub(crate) enum State {
    /// For the first time, or at once after a connection that had lasted. Calls wait for it.
    Connecting,
    Ready {
        tools: usize,
        /// How many tools of its list are out of bounds and not used.
        refused: usize,
    },
    Down {
        error: String,
        /// None while an attempt is being made.
        retry_at: Option<Instant>,
    },
    /// `challenge` is what the server said, which is where authorization starts.
    NeedsAuthorization {
        challenge: Option<String>,
    },
    Disabled,
    Misconfigured {
        error: String,
    },
}

impl State {
    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ready { .. } => "ready",
            Self::Down { .. } => "down",
            Self::NeedsAuthorization { .. } => "needs_authorization",
            Self::Disabled => "disabled",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        !matches!(self, Self::Connecting)
    }

    /// How long until the next attempt, when one is planned.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Down { retry_at, .. } => retry_at.map(|at| at.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => formatter.write_str("connecting"),
            Self::Ready { tools, refused: 0 } => write!(formatter, "ready, {tools} tools"),
            Self::Ready { tools, refused } => write!(formatter, "ready, {tools} tools ({refused} out of bounds)"),
            Self::Down { error, .. } => write!(formatter, "down: {error}"),
            Self::NeedsAuthorization { .. } => formatter.write_str("needs authorization"),
            Self::Disabled => formatter.write_str("disabled"),
            Self::Misconfigured { error } => write!(formatter, "misconfigured: {error}"),
        }
    }
}
