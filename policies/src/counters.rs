//! What limits are counted in, as the engine sees it. One reservation takes all of its quotas or none, also when other
//! processes count in the same store.

use serde::{Deserialize, Serialize};

use crate::call::Grant;
use crate::extensions::BreakerRules;
use crate::window::{Timestamp, Window};

/// A store of counters. Every method is atomic, and one that cannot answer says so: the call is then denied.
pub trait Counters: Send + Sync {
    /// Takes one from every quota of the claim, or from none.
    fn reserve(&self, claim: &Claim<'_>) -> Result<(), Refused>;

    /// What [`Self::reserve`] would answer, taking nothing.
    fn check(&self, claim: &Claim<'_>) -> Result<(), Refused>;

    /// Gives back what a reservation took, in the windows that it was taken from. A window that is over is left alone.
    fn refund(&self, claim: &Claim<'_>) -> Result<(), Unavailable>;

    /// Records how a call ended that was reserved by the claim.
    fn settle(&self, claim: &Claim<'_>, outcome: Outcome, now: Timestamp) -> Result<(), Unavailable>;

    /// How much of a quota is taken.
    fn used(&self, grant: &Grant, quota: &Quota<'_>) -> Result<u64, Unavailable>;
}

/// What one call takes.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    pub grant: &'a Grant,
    pub tool: &'a str,
    /// The tool's own first, then those over all tools. No two have the same counter of the same tool and window.
    pub quotas: Vec<Quota<'a>>,
    /// When this grant's calls of this tool are stopped for a while.
    pub breaker: Option<&'a BreakerRules>,
    /// Canonical; two calls are identical when these are. May be secret: to be kept as a keyed hash at most.
    pub arguments: &'a str,
    pub now: Timestamp,
}

impl Claim<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.quotas.is_empty() && self.breaker.is_none()
    }
}

/// One window of one counter. It is identified by the grant and all of this but `max`, which an edit of the policy may
/// change in the middle of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota<'a> {
    /// `*` for a quota over all tools.
    pub tool: &'a str,
    pub counter: &'a str,
    pub window: Window,
    pub start: Timestamp,
    /// Most calls in the window.
    pub max: u64,
}

/// Why nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// These quotas, by index, are used up.
    Exhausted(Vec<usize>),
    /// The breaker is open until then.
    Tripped(Trip, Timestamp),
    Unavailable,
}

/// What opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trip {
    ConsecutiveFailures,
    IdenticalCalls,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed,
}

/// The store did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the counters are not available")]
pub struct Unavailable;

impl From<Unavailable> for Refused {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// One counter's state, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    pub grant: Grant,
    pub tool: String,
    pub counter: String,
    pub window: Window,
    pub start: Timestamp,
    pub used: u64,
}
