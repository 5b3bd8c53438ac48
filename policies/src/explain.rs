//! Explains a decision without making it: the rule, the values that the conditions saw, the limits and when they are
//! free. It is the decision's own code that is run, with a witness. For operators: it has values of arguments.

use serde::Serialize;
use serde_json::Value;

use crate::call::Call;
use crate::condition::{Condition, Truth};
use crate::counters::Counters;
use crate::decide::Observer;
use crate::denial::Refusal;
use crate::extensions::{Expectation, Mode};
use crate::policy::Policy;
use crate::window::{Timestamp, Window};

/// A decision and what led to it.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub decision: Expectation,
    /// The rule that decided: its id.
    pub rule: String,
    /// What the caller is told; none when the call is allowed.
    pub reason: Option<String>,
    pub retry_after_s: Option<u64>,
    /// The policy is in shadow mode: the call passes, whatever is decided.
    pub shadow: bool,
    /// The conditions that were looked at, in order. After the rule that decided, none are.
    pub conditions: Vec<CheckedCondition>,
    /// The limits over the call, whether it came to them or not.
    pub limits: Vec<CheckedLimit>,
}

/// One condition, and what it came to.
#[derive(Debug, Clone, Serialize)]
pub struct CheckedCondition {
    pub rule: String,
    pub path: String,
    pub op: &'static str,
    pub value: Value,
    /// What is at the path; none when nothing is.
    pub saw: Option<Value>,
    pub result: Truth,
}

/// One limit, and how much of it is taken.
#[derive(Debug, Clone, Serialize)]
pub struct CheckedLimit {
    pub rule: String,
    pub counter: String,
    pub window: Window,
    /// None when the store did not answer.
    pub used: Option<u64>,
    pub max: u64,
    /// The end of the current window.
    pub free_at: Timestamp,
}

impl Policy {
    /// What [`Self::decide`] would answer, and why. Takes nothing from the limits.
    pub fn explain(&self, call: &Call<'_>, now: Timestamp, counters: &dyn Counters) -> Explanation {
        let mut witness = Witness(Vec::new());
        let ruling = self.ruling(call, None, &mut witness);
        let claim = self.claim(call.grant, call.tool, call.arguments, now);
        let decided = ruling.and_then(|rule| {
            let free = if claim.is_empty() { Ok(()) } else { counters.check(&claim) };
            free.map_err(|refused| self.limit_denial(&claim, &refused))?;
            Ok(rule)
        });
        let limits = self.limits(call.tool).zip(&claim.quotas).map(|((_, limit), quota)| CheckedLimit {
            rule: limit.id.to_string(),
            counter: limit.counter.to_string(),
            window: limit.window,
            used: counters.used(call.grant, quota).ok(),
            max: limit.max,
            free_at: limit.window.end(quota.start),
        });
        let limits = limits.collect();
        let shadow = self.mode() == Mode::Shadow;
        let conditions = witness.0;
        let (decision, rule, reason, retry_after_s) = match decided {
            Ok(rule) => (Expectation::Allow, rule.to_string(), None, None),
            Err(Refusal::Denied(denial)) => {
                let reason = Some(denial.reason().to_owned());
                (Expectation::Deny, denial.rule().to_owned(), reason, denial.retry_after_s())
            }
            Err(Refusal::NeedsApproval(demand)) => {
                (Expectation::Approve, demand.rule().to_owned(), Some(demand.reason().to_owned()), None)
            }
        };
        Explanation { decision, rule, reason, retry_after_s, shadow, conditions, limits }
    }
}

struct Witness(Vec<CheckedCondition>);

impl Observer for Witness {
    fn checked(&mut self, rule: &str, condition: &Condition, truth: Truth, seen: Option<&Value>) {
        self.0.push(CheckedCondition {
            rule: rule.to_owned(),
            path: condition.path.text().to_owned(),
            op: condition.test.operator(),
            value: condition.test.value(),
            saw: seen.cloned(),
            result: truth,
        });
    }
}
