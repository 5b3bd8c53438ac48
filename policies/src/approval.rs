//! Approvals: a person's leave for one call, out of band. One is bound to the grant, the tool, the canonical arguments
//! and the policy; it is used once, and it lives for a short time.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::arguments::Arguments;
use crate::call::{Call, Grant};
use crate::digest::Digest;
use crate::window::Timestamp;

/// The key that approvals are bound with: random, and known to the server alone.
pub struct ApprovalKey([u8; 32]);

impl ApprovalKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ApprovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalKey(…)")
    }
}

/// A call that waits for a person, with all that the person has to see.
#[derive(Debug)]
pub struct Demand {
    pub(crate) subject: Subject,
    pub(crate) rule: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) timeout: NonZeroU64,
}

/// What an approval is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    grant: Grant,
    tool: Box<str>,
    arguments: Arguments,
    policy: Digest,
}

impl Demand {
    pub fn grant(&self) -> &Grant {
        &self.subject.grant
    }

    pub fn tool(&self) -> &str {
        &self.subject.tool
    }

    pub fn arguments(&self) -> &Arguments {
        &self.subject.arguments
    }

    pub fn rule(&self) -> &str {
        &self.rule
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The version of the policy that asks.
    pub fn policy(&self) -> &Digest {
        &self.subject.policy
    }

    pub fn timeout_s(&self) -> u64 {
        self.timeout.get()
    }
}

/// One approval, as it is stored. Its only way is pending → approved → consumed, or to rejected.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// HMAC-SHA-256 of the subject.
    binding: [u8; 32],
    expires: Timestamp,
    state: ApprovalState,
}

/// Expiry is not a state: it is what `expires` says at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    Pending,
    Approved,
    Rejected,
    Consumed,
}

/// An approval that cannot be taken another step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    #[error("the approval has expired")]
    Expired,
    #[error("the approval was decided before")]
    Decided,
    #[error("the approval has not been given")]
    NotGiven,
    #[error("the approval has been used")]
    Used,
    #[error("the approval is for another call, or for another version of the policy")]
    OtherCall,
}

/// The evidence that a call was approved. Spent by [`Policy::decide_approved`].
///
/// [`Policy::decide_approved`]: crate::Policy::decide_approved
#[derive(Debug)]
#[must_use = "an approval that is consumed and not used is lost"]
pub struct Approved {
    pub(crate) subject: Subject,
}

impl Approval {
    /// A pending approval, to be stored and shown to a person.
    pub fn request(demand: &Demand, key: &ApprovalKey, now: Timestamp) -> Self {
        Self {
            binding: demand.subject.mac(key).finalize().into_bytes().into(),
            expires: now.plus_secs(demand.timeout.get()),
            state: ApprovalState::Pending,
        }
    }

    pub fn state(&self) -> ApprovalState {
        self.state
    }

    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it was requested for this very call, under this version of the policy.
    pub fn is_for(&self, demand: &Demand, key: &ApprovalKey) -> bool {
        demand.subject.mac(key).verify_slice(&self.binding).is_ok()
    }

    /// A person says yes.
    pub fn approve(&mut self, now: Timestamp) -> Result<(), ApprovalError> {
        self.decide(ApprovalState::Approved, now)
    }

    /// A person says no.
    pub fn reject(&mut self, now: Timestamp) -> Result<(), ApprovalError> {
        self.decide(ApprovalState::Rejected, now)
    }

    /// Uses the approval for the call that was asked again. The new state is to be stored before the evidence is spent,
    /// by compare-and-swap where others may consume it too.
    pub fn consume(&mut self, demand: &Demand, key: &ApprovalKey, now: Timestamp) -> Result<Approved, ApprovalError> {
        match self.state {
            ApprovalState::Approved => {}
            ApprovalState::Consumed => return Err(ApprovalError::Used),
            ApprovalState::Pending | ApprovalState::Rejected => return Err(ApprovalError::NotGiven),
        }
        if now >= self.expires {
            return Err(ApprovalError::Expired);
        }
        if !self.is_for(demand, key) {
            return Err(ApprovalError::OtherCall);
        }
        self.state = ApprovalState::Consumed;
        Ok(Approved { subject: demand.subject.clone() })
    }

    fn decide(&mut self, state: ApprovalState, now: Timestamp) -> Result<(), ApprovalError> {
        if self.state != ApprovalState::Pending {
            return Err(ApprovalError::Decided);
        }
        if now >= self.expires {
            return Err(ApprovalError::Expired);
        }
        self.state = state;
        Ok(())
    }
}

impl Subject {
    pub(crate) fn new(call: &Call<'_>, policy: Digest) -> Self {
        let Call { grant, tool, arguments, .. } = *call;
        Self { grant: grant.clone(), tool: tool.into(), arguments: arguments.clone(), policy }
    }

    fn mac(&self, key: &ApprovalKey) -> Hmac<Sha256> {
        // Any length of key is a valid one; this one is the hash's block or less, so it is used as it is.
        let mut block = [0; 64];
        block.iter_mut().zip(key.0).for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        let parts = [
            self.grant.as_str().as_bytes(),
            self.tool.as_bytes(),
            self.arguments.as_json().as_bytes(),
            self.policy.as_bytes(),
        ];
        for part in parts {
            // Each part with its length, so that no two subjects are written alike.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}
