//! The one gate: every call of a tool, whether a client or a program makes it, is decided here, by the policy of the
//! grant that it is made for. What it gives is spent where the effect happens.
//!
//! `policies` finds the policy of a grant, `watched` reads its file, `counters` keeps what was counted, `pins` knows what
//! tools were when they were first seen, `denied` is what a caller is told.

mod counters;
mod denied;
mod pins;
mod policies;
mod watched;

pub(crate) use denied::Denied;
pub(crate) use pins::{Pins, PinsError};
pub(crate) use policies::Policies;
pub(crate) use watched::read;

use crate::audit::{Audit, Decided, Decision};
use crate::executions::Id;
use crate::store::{self, Store};
use crate::upstream::Tool;
use counters::Flush;
use exuvia_policies::{
    Arguments, Call, Caps, Digest, Effect, Grant, MemoryCounters, Mode, Outcome, Permit, Receipt, Refusal, Timestamp,
};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Decides calls. One for the whole server.
pub(crate) struct Gate {
    policies: Policies,
    counters: MemoryCounters,
    flush: Arc<Flush>,
    pins: Pins,
    audit: Audit,
}

/// Who asks: a client, or a program that runs for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The label of the client's grant.
    pub(crate) grant: &'a str,
    /// The execution whose program asks.
    pub(crate) parent: Option<Id>,
}

/// Why a call does not happen.
#[derive(Debug)]
pub(crate) enum Stop {
    Denied(Denied),
    /// Its arguments are not those that the tool takes, and what to do about it.
    Arguments(String),
}

/// A call's arguments, and what is known of its tool.
pub(crate) struct Asked<'a> {
    pub(crate) arguments: Map<String, Value>,
    /// Where defaults come from.
    pub(crate) schema: Option<&'a Value>,
    pub(crate) definition: Option<&'a Digest>,
}

/// Leave to make one call, with its arguments as they were given. Only [`Gate::decide`] makes one.
#[derive(Debug)]
#[must_use = "what is granted is spent by the call that it is for"]
pub(crate) struct Granted {
    permit: Permit,
    given: Map<String, Value>,
}

impl Granted {
    pub(crate) fn grant(&self) -> &str {
        self.permit.grant().as_str()
    }

    pub(crate) fn tool(&self) -> &str {
        self.permit.tool()
    }

    /// What the policy allows one run to use. In shadow mode, it bounds nothing.
    pub(crate) fn caps(&self) -> Caps {
        enforced(self.permit.policy())
    }

    /// The call starts, with the arguments in canonical form: what was decided upon.
    pub(crate) fn spend(self) -> Effect {
        self.permit.spend()
    }

    /// The call starts, with the arguments as they were given. They differ from what was decided upon in the order of
    /// keys and the spelling of numbers only; a program may care for both.
    pub(crate) fn spend_as_given(self) -> (Map<String, Value>, Receipt) {
        (self.given, self.permit.spend().receipt)
    }
}

impl Gate {
    /// A gate that goes on with what an earlier process has counted.
    pub(crate) fn open(
        policies: Policies,
        store: &Arc<dyn Store>,
        pins: Pins,
        audit: Audit,
    ) -> Result<Self, store::Error> {
        let (counters, flush) = counters::open(store, now())?;
        Ok(Self { policies, counters, flush, pins, audit })
    }

    /// Makes what was counted durable, and forgets what is over, for as long as the gate lives.
    pub(crate) fn start(self: &Arc<Self>) {
        tokio::spawn(counters::keep(Arc::downgrade(self)));
    }

    /// Decides one call of `tool`. `read` gives its arguments, checked; it is not asked when the tool may not be called
    /// at all, as what is wrong with them would tell of a tool that is hidden.
    pub(crate) fn decide<'a>(
        &self,
        asker: Asker<'_>,
        tool: &str,
        read: impl FnOnce() -> Result<Asked<'a>, Stop>,
    ) -> Result<Granted, Stop> {
        let began = Instant::now();
        let policy = self.policies.of(asker.grant);
        let admitted = match &policy {
            Some(policy) => policy.admits(tool),
            None => Err(exuvia_policies::Denial::no_policy()),
        };
        if let Err(denial) = admitted {
            let denied = self.policies.explained(asker.grant, &denial);
            return Err(self.denied(asker, tool, None, denied, began));
        }
        let Asked { arguments: given, schema, definition } = read()?;
        let value = Value::Object(given.clone());
        let arguments = match schema {
            Some(schema) => Arguments::with_defaults(value, schema),
            None => Arguments::new(value),
        };
        let arguments = arguments.map_err(|error| Stop::Arguments(error.to_string()))?;
        let grant = Grant::new(asker.grant);
        let call = Call { grant: &grant, tool, arguments: &arguments, definition };
        match exuvia_policies::decide(policy.as_ref(), &call, now(), &self.counters) {
            Ok(permit) => self.granted(asker, Granted { permit, given }, began),
            Err(refusal) => {
                let denied = match &refusal {
                    Refusal::Denied(denial) => self.policies.explained(asker.grant, denial),
                    Refusal::NeedsApproval(demand) => Denied::needs_approval(demand.rule(), demand.reason()),
                };
                Err(self.denied(asker, tool, Some(&arguments), denied, began))
            }
        }
    }

    /// The call never started: what it took from the limits is given back.
    pub(crate) fn refund(&self, granted: Granted) {
        if let Err(error) = granted.permit.refund(&self.counters) {
            tracing::error!(%error, "could not give back what a call had taken from its limits");
        }
    }

    /// The call ended.
    pub(crate) fn settle(&self, receipt: Receipt, succeeded: bool) {
        let outcome = if succeeded { Outcome::Succeeded } else { Outcome::Failed };
        if let Err(error) = receipt.settle(outcome, now(), &self.counters) {
            tracing::error!(%error, "could not count how a call ended");
        }
    }

    /// Leaves a call to the tool to be decided, when the tool is what it was when it was first seen.
    pub(crate) fn pinned(&self, asker: Asker<'_>, tool: &Arc<Tool>) -> Result<(), Stop> {
        if self.known(std::iter::once(tool)) == [true] {
            return Ok(());
        }
        let reason = format!(
            "The definition of this tool has changed since it was first seen: `exuvia mcp accept {}` shows how, and accepts it.",
            tool.alias
        );
        Err(self.denied(asker, &tool.alias, None, Denied::new("(pin)", reason), Instant::now()))
    }

    /// Those of the tools that a grant is shown: neither hidden, nor changed since they were first seen, as what a
    /// changed one says of itself must not reach a model.
    pub(crate) fn offered<'t>(&self, grant: &str, tools: Vec<&'t Arc<Tool>>) -> Vec<&'t Arc<Tool>> {
        let known = self.known(tools.iter().copied());
        let policy = self.policies.of(grant);
        let offered = tools
            .into_iter()
            .zip(known)
            .filter(|(tool, known)| *known && exuvia_policies::is_visible(policy.as_ref(), &tool.alias));
        offered.map(|(tool, _)| tool).collect()
    }

    /// Whether each tool is as it was; none is while nobody can tell.
    fn known<'t>(&self, tools: impl Iterator<Item = &'t Arc<Tool>> + Clone) -> Vec<bool> {
        self.pins.hold(tools.clone()).unwrap_or_else(|error| {
            tracing::error!(%error, "could not look at the pins, so no tool may be called");
            tools.map(|_| false).collect()
        })
    }

    /// Whether lists show the tool to a grant.
    pub(crate) fn shows(&self, grant: &str, tool: &str) -> bool {
        exuvia_policies::is_visible(self.policies.of(grant).as_ref(), tool)
    }

    /// What the grant's policy allows one run to use now.
    pub(crate) fn caps(&self, grant: &str) -> Caps {
        self.policies.of(grant).as_ref().map(enforced).unwrap_or_default()
    }

    /// A refusal that is not about arguments: a cap that a run has reached.
    pub(crate) fn capped(&self, asker: Asker<'_>, tool: &str, cap: &str, reason: &str) -> Denied {
        let denied = Denied::new(format!("/x-sandbox/caps/{cap}"), reason);
        match self.denied(asker, tool, None, denied.clone(), Instant::now()) {
            Stop::Denied(denied) => denied,
            Stop::Arguments(_) => denied,
        }
    }

    fn granted(&self, asker: Asker<'_>, granted: Granted, began: Instant) -> Result<Granted, Stop> {
        let permit = &granted.permit;
        let (decision, rule, reason) = match permit.shadowed() {
            None => (Decision::Allow, permit.rule(), ""),
            Some(refusal) => {
                (Decision::Shadow, refusal.rule(), refusal.denial().map_or("", exuvia_policies::Denial::reason))
            }
        };
        let decided = Decided {
            asker,
            tool: permit.tool(),
            policy: Some(permit.policy().digest()),
            decision,
            rule,
            reason,
            arguments: Some(permit.arguments()),
            took: began.elapsed(),
        };
        if self.written(&decided) {
            return Ok(granted);
        }
        self.refund(granted);
        Err(Stop::Denied(Denied::new("(audit)", "The audit log cannot be written, so nothing is allowed.")))
    }

    fn denied(
        &self,
        asker: Asker<'_>,
        tool: &str,
        arguments: Option<&Arguments>,
        denied: Denied,
        began: Instant,
    ) -> Stop {
        let policy = self.policies.of(asker.grant);
        self.written(&Decided {
            asker,
            tool,
            policy: policy.as_ref().map(exuvia_policies::Policy::digest),
            decision: Decision::Deny,
            rule: &denied.rule,
            reason: &denied.reason,
            arguments,
            took: began.elapsed(),
        });
        Stop::Denied(denied)
    }

    /// Logs a decision. Whether the audit has it.
    fn written(&self, decided: &Decided<'_>) -> bool {
        let Decided { asker, tool, decision, rule, .. } = decided;
        let execution = asker.parent.map(|id| id.to_string());
        tracing::info!(grant = asker.grant, tool, decision = decision.name(), rule, execution, "decided");
        match self.audit.append(decided) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "could not write the audit log");
                false
            }
        }
    }
}

fn enforced(policy: &exuvia_policies::Policy) -> Caps {
    if policy.mode() == Mode::Enforce { *policy.caps() } else { Caps::default() }
}

pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
