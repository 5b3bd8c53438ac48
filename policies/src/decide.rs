//! Decides one call. The order is fixed: hidden, default, pinned, `require`, `deny_if`, approval, limits.

use std::sync::{Arc, LazyLock};

use crate::approval::{Approved, Demand, Subject};
use crate::arguments::Arguments;
use crate::call::{Call, Grant};
use crate::condition::{Condition, Truth};
use crate::counters::{Claim, Counters, Quota, Refused, Trip};
use crate::denial::{Denial, DenialKind, Refusal};
use crate::document::{Limit, Tool};
use crate::extensions::{ApprovalRule, Mode};
use crate::permit::Permit;
use crate::policy::Policy;
use crate::window::Timestamp;

static EVERY: &str = "*";
static DEFAULT_ALLOW: LazyLock<Arc<str>> = LazyLock::new(|| "(default allow)".into());

/// Decides one call by the policy of its grant. A grant without one may do nothing.
pub fn decide(
    policy: Option<&Policy>,
    call: &Call<'_>,
    now: Timestamp,
    counters: &dyn Counters,
) -> Result<Permit, Refusal> {
    policy.ok_or_else(Denial::no_policy)?.decide(call, now, counters)
}

/// Whether `tools/list` shows the tool to a grant with this policy; without one, it shows none.
pub fn is_visible(policy: Option<&Policy>, tool: &str) -> bool {
    policy.is_some_and(|policy| policy.is_visible(tool))
}

/// Is told of every condition that is checked.
pub(crate) trait Observer {
    fn checked(&mut self, rule: &str, condition: &Condition, truth: Truth, seen: Option<&serde_json::Value>);
}

impl Observer for () {
    fn checked(&mut self, _: &str, _: &Condition, _: Truth, _: Option<&serde_json::Value>) {}
}

impl Policy {
    /// Decides one call. A call that no rule allows is denied. What the limits allow is taken from them, all or nothing.
    pub fn decide(&self, call: &Call<'_>, now: Timestamp, counters: &dyn Counters) -> Result<Permit, Refusal> {
        self.decide_with(call, None, now, counters)
    }

    /// Decides a call that was approved: everything but the need for approval. The approval is spent, also when the call
    /// is denied for another reason.
    #[expect(clippy::needless_pass_by_value, reason = "an approval is used once")]
    pub fn decide_approved(
        &self,
        call: &Call<'_>,
        approved: Approved,
        now: Timestamp,
        counters: &dyn Counters,
    ) -> Result<Permit, Refusal> {
        self.decide_with(call, Some(&approved), now, counters)
    }

    /// Whether a call of the tool would come as far as its arguments. To be asked before the arguments are checked
    /// against the tool's schema: what is wrong with them would tell that a hidden tool exists.
    pub fn admits(&self, tool: &str) -> Result<(), Denial> {
        match self.entry(tool) {
            Err(denial) if self.mode() == Mode::Enforce => Err(denial),
            _ => Ok(()),
        }
    }

    fn decide_with(
        &self,
        call: &Call<'_>,
        approved: Option<&Approved>,
        now: Timestamp,
        counters: &dyn Counters,
    ) -> Result<Permit, Refusal> {
        let ruling = self.ruling(call, approved, &mut ());
        let decided = ruling.and_then(|rule| {
            let claim = self.claim(call.grant, call.tool, call.arguments, now);
            let reserved = if claim.is_empty() { Ok(()) } else { counters.reserve(&claim) };
            reserved.map_err(|refused| self.limit_denial(&claim, &refused))?;
            Ok(rule)
        });
        match decided {
            Ok(rule) => Ok(Permit::new(self, call, now, rule, None)),
            Err(refusal) if self.mode() == Mode::Shadow => {
                let rule = refusal.rule().into();
                Ok(Permit::new(self, call, now, rule, Some(refusal)))
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// The tool's entry, if it may be called at all. None: it has none, and `default` allows it.
    pub(crate) fn entry(&self, tool: &str) -> Result<Option<&Tool>, Denial> {
        if self.is_hidden(tool) {
            return Err(Denial::hidden());
        }
        match self.tool(tool) {
            Some(entry) => Ok(Some(entry)),
            None if self.allows_unlisted() => Ok(None),
            None => Err(Denial::new(DenialKind::DefaultDeny, "(default deny)", "This tool is not allowed.")),
        }
    }

    /// All but the limits: the rule that allows the call, or what refuses it.
    pub(crate) fn ruling(
        &self,
        call: &Call<'_>,
        approved: Option<&Approved>,
        observer: &mut impl Observer,
    ) -> Result<Arc<str>, Refusal> {
        let entry = self.entry(call.tool)?;
        self.check_pin(call)?;
        if let Some(tool) = entry {
            check_rules(tool, call.arguments, observer)?;
        }
        let demand = self.demand(call, observer)?;
        match (demand, approved) {
            (_, Some(approved)) if approved.subject != Subject::new(call, *self.digest()) => {
                let reason = "The approval is for another call, or for another version of the policy.";
                return Err(Denial::new(DenialKind::Approval, "(approval)", reason).into());
            }
            (Some(demand), None) => return Err(Refusal::NeedsApproval(Box::new(demand))),
            _ => {}
        }
        Ok(entry.map_or_else(|| DEFAULT_ALLOW.clone(), |tool| tool.id.clone()))
    }

    /// What the call takes from the limits.
    pub(crate) fn claim<'a>(
        &'a self,
        grant: &'a Grant,
        tool: &'a str,
        arguments: &'a Arguments,
        now: Timestamp,
    ) -> Claim<'a> {
        let quotas = self.limits(tool).map(|(tool, limit)| Quota {
            tool,
            counter: &limit.counter,
            window: limit.window,
            start: limit.window.start(now),
            max: limit.max,
        });
        let quotas = quotas.collect();
        Claim { grant, tool, quotas, breaker: self.breaker(), arguments: arguments.as_json(), now }
    }

    /// The limits of a tool's calls, each with the name that it is counted under, in the order of a claim's quotas.
    pub(crate) fn limits<'a>(&'a self, tool: &'a str) -> impl Iterator<Item = (&'a str, &'a Limit)> {
        let own = self.tool(tool).into_iter().flat_map(|entry| &entry.limits).map(move |limit| (tool, limit));
        own.chain(self.document().all_tools.limits.iter().map(|limit| (EVERY, limit)))
    }

    pub(crate) fn limit_denial(&self, claim: &Claim<'_>, refused: &Refused) -> Denial {
        match refused {
            Refused::Exhausted(indexes) => self.exhausted(claim, indexes).unwrap_or_else(unavailable),
            Refused::Tripped(trip, until) => {
                let (rule, reason) = match trip {
                    Trip::ConsecutiveFailures => {
                        ("consecutive_failures", "This tool has failed several times in a row")
                    }
                    Trip::IdenticalCalls => ("identical_calls", "The same call was made many times in a row"),
                };
                let wait = claim.now.wait_until(*until);
                let rule = format!("/x-sandbox/breaker/{rule}");
                Denial::new(DenialKind::Breaker, rule, format!("{reason}; try again in {wait} s."))
                    .retry_after(Some(wait))
            }
            Refused::Unavailable => unavailable(),
        }
    }

    /// Of the limits that are used up, the one that is free last.
    fn exhausted(&self, claim: &Claim<'_>, indexes: &[usize]) -> Option<Denial> {
        let spent = indexes.iter().filter_map(|index| {
            let limit = self.limits(claim.tool).nth(*index)?.1;
            Some((limit, claim.quotas.get(*index)?))
        });
        // A limit of 0 is never free. Of equals, the first is named.
        let free_at = |quota: &Quota<'_>| (quota.max > 0).then(|| quota.window.end(quota.start));
        let last = spent.reduce(|a, b| match (free_at(a.1), free_at(b.1)) {
            (Some(first), Some(second)) if second > first => b,
            (Some(_), None) => b,
            _ => a,
        });
        let (limit, quota) = last?;
        let wait = free_at(quota).map(|end| claim.now.wait_until(end));
        let reason = match wait {
            Some(wait) => format!("The limit `{}` is reached; try again in {wait} s.", limit.counter),
            None => format!("The limit `{}` allows no calls.", limit.counter),
        };
        Some(Denial::new(DenialKind::Limit, limit.id.clone(), reason).retry_after(wait))
    }

    fn check_pin(&self, call: &Call<'_>) -> Result<(), Denial> {
        let Some((name, pinned)) = self.extensions().pins.get_key_value(call.tool) else { return Ok(()) };
        if call.definition == Some(pinned) {
            return Ok(());
        }
        let rule = format!("/x-sandbox/pins/{}", crate::pointer::escape(name));
        Err(Denial::new(DenialKind::Pin, rule, "The tool's definition has changed since it was approved."))
    }

    /// What a person has to approve. When several rules ask, their reasons are all given, and the shortest time holds.
    fn demand(&self, call: &Call<'_>, observer: &mut impl Observer) -> Result<Option<Demand>, Denial> {
        let rules = self.extensions().approve_if.get(call.tool).map(Vec::as_slice).unwrap_or_default();
        let mut asking: Vec<&ApprovalRule> = Vec::new();
        for rule in rules {
            match hold(&rule.id, &rule.conditions, call.arguments, observer) {
                Held::Yes => asking.push(rule),
                Held::No => {}
                Held::Mismatch(path) => return Err(mismatch(&rule.id, path)),
            }
        }
        let (Some(first), Some(timeout)) = (asking.first(), asking.iter().map(|rule| rule.timeout).min()) else {
            return Ok(None);
        };
        let reasons: Vec<&str> = asking.iter().filter_map(|rule| rule.reason.as_deref()).collect();
        let reason =
            if reasons.is_empty() { "The policy asks for approval.".into() } else { reasons.join("; ").into() };
        Ok(Some(Demand { subject: Subject::new(call, *self.digest()), rule: first.id.clone(), reason, timeout }))
    }
}

/// What the conditions of a rule come to together.
enum Held<'r> {
    Yes,
    No,
    /// The path of a condition that cannot be judged.
    Mismatch(&'r str),
}

fn check_rules(tool: &Tool, arguments: &Arguments, observer: &mut impl Observer) -> Result<(), Denial> {
    let deny = |kind, id: &Arc<str>, on_deny: &Option<Arc<str>>, otherwise: &'static str| {
        let reason = on_deny.clone().unwrap_or_else(|| otherwise.into());
        Err(Denial::new(kind, id.clone(), reason))
    };
    for rule in &tool.require {
        match hold(&rule.id, &rule.conditions, arguments, observer) {
            Held::Yes => {}
            Held::No => {
                return deny(DenialKind::Require, &rule.id, &rule.on_deny, "The call lacks what the policy requires.");
            }
            Held::Mismatch(path) => return Err(mismatch(&rule.id, path)),
        }
    }
    for rule in &tool.deny_if {
        match hold(&rule.id, &rule.conditions, arguments, observer) {
            Held::Yes => return deny(DenialKind::DenyIf, &rule.id, &rule.on_deny, "The policy denies this call."),
            Held::No => {}
            Held::Mismatch(path) => return Err(mismatch(&rule.id, path)),
        }
    }
    Ok(())
}

/// Whether all conditions hold. All are looked at: one that cannot be judged denies, wherever in the rule it stands.
fn hold<'r>(id: &str, conditions: &'r [Condition], arguments: &Arguments, observer: &mut impl Observer) -> Held<'r> {
    let mut held = Held::Yes;
    for condition in conditions {
        let (truth, seen) = condition.check(arguments.value());
        observer.checked(id, condition, truth, seen);
        held = match (held, truth) {
            (Held::Mismatch(path), _) => Held::Mismatch(path),
            (_, Truth::Mismatch) => Held::Mismatch(condition.path.text()),
            (held, Truth::Holds) => held,
            (_, Truth::Fails | Truth::Missing) => Held::No,
        };
    }
    held
}

fn mismatch(rule: &Arc<str>, path: &str) -> Denial {
    let reason = format!("The policy cannot judge `{path}`: it is of an unexpected type.");
    Denial::new(DenialKind::Mismatch, rule.clone(), reason)
}

fn unavailable() -> Denial {
    Denial::new(DenialKind::Counters, "(counters)", "The policy's limits cannot be checked at the moment.")
}
