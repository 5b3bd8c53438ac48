//! Leave to make one call.

use std::sync::Arc;

use crate::arguments::Arguments;
use crate::call::{Call, Grant};
use crate::counters::{Claim, Counters, Outcome, Unavailable};
use crate::denial::Refusal;
use crate::policy::Policy;
use crate::window::Timestamp;

/// Leave to make one call, with the arguments that were decided upon. Only [`Policy::decide`] makes one. It ends in one
/// of two ways: [`Self::spend`], or [`Self::refund`] when the call never started. Dropped, it counts as spent.
///
/// It cannot be copied:
///
/// ```compile_fail
/// fn twice(permit: exuvia_policies::Permit) {
///     permit.spend();
///     permit.spend();
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit is spent by the call that it is for, or refunded"]
pub struct Permit {
    policy: Policy,
    grant: Grant,
    tool: Box<str>,
    arguments: Arguments,
    now: Timestamp,
    rule: Arc<str>,
    /// Whether the limits were taken from: not by a call that passes only because the policy is not enforced.
    reserved: bool,
    shadowed: Option<Refusal>,
}

impl Permit {
    pub(crate) fn new(
        policy: &Policy,
        call: &Call<'_>,
        now: Timestamp,
        rule: Arc<str>,
        shadowed: Option<Refusal>,
    ) -> Self {
        Self {
            policy: policy.clone(),
            grant: call.grant.clone(),
            tool: call.tool.into(),
            arguments: call.arguments.clone(),
            now,
            rule,
            reserved: shadowed.is_none(),
            shadowed,
        }
    }

    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    pub fn tool(&self) -> &str {
        &self.tool
    }

    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// The policy that decided, for the audit and for what comes after the call.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The entry that allowed the call: `/tools/<name>`, or `(default allow)`.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Whether limits were taken from: what was taken is to be durable before the call is made.
    pub fn is_counted(&self) -> bool {
        self.reserved && self.policy.limits(&self.tool).next().is_some()
    }

    /// What would have refused the call, had the policy been enforced. To be marked in the audit.
    pub fn shadowed(&self) -> Option<&Refusal> {
        self.shadowed.as_ref()
    }

    /// The call starts. What the limits took stays taken, however it ends.
    pub fn spend(self) -> Effect {
        let Self { policy, grant, tool, arguments, now, .. } = self;
        Effect {
            tool: tool.clone(),
            arguments: arguments.clone(),
            receipt: Receipt { policy, grant, tool, arguments, now, reserved: self.reserved },
        }
    }

    /// The call never started: what the limits took is given back, in the windows that it was taken from.
    pub fn refund(self, counters: &dyn Counters) -> Result<(), Unavailable> {
        if !self.reserved {
            return Ok(());
        }
        refund(&self.policy.claim(&self.grant, &self.tool, &self.arguments, self.now), counters)
    }
}

/// A call that is under way: what to send, and what to report to when it ends.
#[derive(Debug)]
pub struct Effect {
    pub tool: Box<str>,
    pub arguments: Arguments,
    pub receipt: Receipt,
}

/// Where a call's end is reported, for the breaker.
#[derive(Debug)]
#[must_use = "a breaker opens only when failures are reported"]
pub struct Receipt {
    policy: Policy,
    grant: Grant,
    tool: Box<str>,
    arguments: Arguments,
    now: Timestamp,
    reserved: bool,
}

impl Receipt {
    /// The call ended, at `now`.
    pub fn settle(self, outcome: Outcome, now: Timestamp, counters: &dyn Counters) -> Result<(), Unavailable> {
        let claim = self.policy.claim(&self.grant, &self.tool, &self.arguments, self.now);
        if claim.breaker.is_none() || !self.reserved {
            return Ok(());
        }
        counters.settle(&claim, outcome, now)
    }

    /// The call never left: what the limits took is given back, as by [`Permit::refund`]. It counts as a failure for the
    /// breaker, or a loop that calls what is down would go on for ever.
    pub fn refund(self, now: Timestamp, counters: &dyn Counters) -> Result<(), Unavailable> {
        if !self.reserved {
            return Ok(());
        }
        let claim = self.policy.claim(&self.grant, &self.tool, &self.arguments, self.now);
        refund(&claim, counters)?;
        self.settle(Outcome::Failed, now, counters)
    }
}

fn refund(claim: &Claim<'_>, counters: &dyn Counters) -> Result<(), Unavailable> {
    if claim.is_empty() { Ok(()) } else { counters.refund(claim) }
}
