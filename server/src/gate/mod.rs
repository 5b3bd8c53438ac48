//! The one gate: every call of a tool, whether a client or a program makes it, is decided here, by the policy of the
//! grant that it is made for. What it gives is spent where the effect happens.
//!
//! `policies` finds the policy of a grant, `watched` reads its file, `counters` keeps what was counted, `pins` knows what
//! tools were when they were first seen, `asking` has people approve calls, `egress` decides requests over HTTP, `secrets`
//! what becomes of secrets, `denied` is what a caller is told.

mod asking;
mod counters;
mod denied;
mod egress;
mod packages;
mod pins;
mod policies;
mod secrets;
mod watched;

pub(crate) use denied::Denied;
pub(crate) use pins::{Pins, PinsError};
pub(crate) use policies::Policies;
pub(crate) use secrets::REVEALED;
pub(crate) use watched::read;

use crate::approvals::{self, Approvals};
use crate::audit::{Audit, Decided, Decision};
use crate::executions::{Id, Live};
use crate::store::{self, Store};
use crate::upstream::Tool;
use counters::Kept;
use exuvia_policies::{
    Arguments, Call, Caps, Count, Digest, Effect, Grant, MemoryCounters, Mode, Outcome, Permit, Policy, Receipt,
    Refusal, Timestamp, Unavailable,
};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Decides calls. One for the whole server.
pub(crate) struct Gate {
    policies: Policies,
    counters: MemoryCounters,
    kept: Arc<Kept>,
    pins: Pins,
    audit: Audit,
    approvals: Arc<Approvals>,
}

/// Who asks: a client, or a program that runs for it.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The label of the client's grant.
    pub(crate) grant: &'a str,
    /// The execution whose program asks.
    pub(crate) parent: Option<Id>,
    /// The same, while it runs: it can wait for a person.
    live: Option<&'a Arc<Live>>,
}

impl<'a> Asker<'a> {
    /// A client, for itself.
    pub(crate) fn client(grant: &'a str) -> Self {
        Self { grant, parent: None, live: None }
    }

    /// A program that runs.
    pub(crate) fn program(live: &'a Arc<Live>) -> Self {
        Self { grant: live.grant(), parent: Some(live.id()), live: Some(live) }
    }
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

    /// The arguments as they were given.
    pub(crate) fn given(&self) -> &Map<String, Value> {
        &self.given
    }

    /// The arguments in canonical form.
    pub(crate) fn canonical(&self) -> &str {
        self.permit.arguments().as_json()
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

/// A call that is being decided: its arguments are checked.
struct Question<'a> {
    asker: Asker<'a>,
    tool: &'a str,
    grant: Grant,
    given: Map<String, Value>,
    arguments: Arguments,
    definition: Option<&'a Digest>,
    began: Instant,
}

impl Question<'_> {
    fn call(&self) -> Call<'_> {
        Call { grant: &self.grant, tool: self.tool, arguments: &self.arguments, definition: self.definition }
    }

    /// What the audit has of it, whatever is decided.
    fn line(&self) -> Decided<'_> {
        let of = Decided::of(self.asker, self.tool);
        Decided { arguments: Some(&self.arguments), took: self.began.elapsed(), ..of }
    }
}

impl Gate {
    /// A gate that goes on with what an earlier process has counted.
    pub(crate) fn open(
        policies: Policies,
        store: &Arc<dyn Store>,
        pins: Pins,
        audit: Audit,
        approvals: Arc<Approvals>,
    ) -> Result<Self, store::Error> {
        let (counters, kept) = counters::open(store, now())?;
        Ok(Self { policies, counters, kept, pins, audit, approvals })
    }

    /// Forgets what is over, and reads what was edited, for as long as the gate lives.
    pub(crate) fn start(self: &Arc<Self>) {
        self.approvals.start();
        tokio::spawn(policies::watch(Arc::downgrade(self)));
        tokio::spawn(counters::keep(Arc::downgrade(self)));
    }

    /// The server stops: what people are asked goes on, as the programs that wait for them do in the next process.
    pub(crate) fn stopping(&self) {
        self.approvals.stopping();
    }

    /// The server has stopped, and nothing is decided any more: what was counted is written down as it is.
    pub(crate) async fn close(&self) {
        let counts = self.counters.save(now()).unwrap_or_default();
        if let Err(error) = self.kept.close(&counts).await {
            tracing::error!(%error, "could not keep what was counted");
        }
    }

    /// What the limits of a grant have counted, in windows that are not over.
    pub(crate) fn counts(&self, grant: &str) -> Result<Vec<Count>, Unavailable> {
        let counts = self.counters.save(now())?;
        Ok(counts.into_iter().filter(|count| count.grant.as_str() == grant).collect())
    }

    /// Withdraws the questions of executions that nobody goes on with.
    pub(crate) fn forget(&self, is_gone: impl Fn(Id) -> bool) -> Result<(), approvals::Error> {
        self.approvals.forget(is_gone)
    }

    /// Decides one call of `tool`. `read` gives its arguments, checked; it is not asked when the tool may not be called
    /// at all, as what is wrong with them would tell of a tool that is hidden. A program's call that a person has to
    /// approve waits for that here.
    pub(crate) async fn decide<'a>(
        &self,
        asker: Asker<'a>,
        tool: &'a str,
        read: impl FnOnce() -> Result<Asked<'a>, Stop> + Send,
    ) -> Result<Granted, Stop> {
        let policy = self.policies.of(asker.grant);
        let question = self.question(policy.as_ref(), asker, tool, read)?;
        match self.ruled(policy.as_ref(), &question, None) {
            Ok(permit) => self.granted(question, permit, None).await,
            Err(Refusal::Denied(denial)) => {
                let denied = self.policies.explained(asker.grant, &denial);
                Err(self.refused(&question, denied))
            }
            Err(Refusal::NeedsApproval(demand)) => self.with_approval(question, *demand).await,
        }
    }

    fn question<'a>(
        &self,
        policy: Option<&Policy>,
        asker: Asker<'a>,
        tool: &'a str,
        read: impl FnOnce() -> Result<Asked<'a>, Stop>,
    ) -> Result<Question<'a>, Stop> {
        let began = Instant::now();
        let admitted = policy.ok_or_else(exuvia_policies::Denial::no_policy).and_then(|policy| policy.admits(tool));
        if let Err(denial) = admitted {
            let denied = self.policies.explained(asker.grant, &denial);
            return Err(self.denied(Decided { took: began.elapsed(), ..Decided::of(asker, tool) }, denied));
        }
        let Asked { arguments: given, schema, definition } =
            read().inspect_err(|stop| self.misfit(asker, tool, stop))?;
        let value = Value::Object(given.clone());
        let arguments = match schema {
            Some(schema) => Arguments::with_defaults(value, schema),
            None => Arguments::new(value),
        };
        let arguments = arguments
            .map_err(|error| Stop::Arguments(error.to_string()))
            .inspect_err(|stop| self.misfit(asker, tool, stop))?;
        Ok(Question { asker, tool, grant: Grant::new(asker.grant), given, arguments, definition, began })
    }

    /// Writes down an attempt whose arguments are not the tool's. What is wrong with them may have their values, so it is
    /// not written.
    fn misfit(&self, asker: Asker<'_>, tool: &str, stop: &Stop) {
        if matches!(stop, Stop::Arguments(_)) {
            let reason = "The arguments are not those that the tool takes.";
            self.denied(Decided::of(asker, tool), Denied::new("(arguments)", reason));
        }
    }

    /// Where the decisions are written.
    pub(crate) fn audit_folder(&self) -> &std::path::Path {
        self.audit.folder()
    }

    /// The call never started: what it took from the limits is given back.
    pub(crate) fn refund(&self, granted: Granted) {
        self.give_back(granted.permit);
    }

    fn give_back(&self, permit: Permit) {
        if let Err(error) = permit.refund(&self.counters) {
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

    /// The call never left: what it took from the limits is given back.
    pub(crate) fn unsent(&self, receipt: Receipt) {
        if let Err(error) = receipt.refund(now(), &self.counters) {
            tracing::error!(%error, "could not give back what a call had taken from its limits");
        }
    }

    /// Refuses a call whose tool has changed while a person was asked about it.
    pub(crate) fn changed(&self, asker: Asker<'_>, tool: &Tool) -> Denied {
        let denied =
            Denied::new("(pin)", "The definition of this tool has changed while the call waited for approval.");
        self.denied(Decided::of(asker, &tool.alias), denied.clone());
        denied
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
        Err(self.denied(Decided::of(asker, &tool.alias), Denied::new("(pin)", reason)))
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
        match self.denied(Decided::of(asker, tool), denied.clone()) {
            Stop::Denied(denied) => denied,
            Stop::Arguments(_) => denied,
        }
    }

    /// What was taken from limits is on the disk before the call is let through: a crash would give it back.
    async fn granted(
        &self,
        question: Question<'_>,
        permit: Permit,
        approval: Option<approvals::Id>,
    ) -> Result<Granted, Stop> {
        if permit.is_counted()
            && let Err(error) = self.kept.durable().await
        {
            tracing::error!(%error, "could not make what was counted durable");
            self.give_back(permit);
            return Err(self.refused(&question, Denied::uncounted()));
        }
        let (decision, rule, reason) = match permit.shadowed() {
            None => (Decision::Allow, permit.rule(), ""),
            Some(refusal) => {
                (Decision::Shadow, refusal.rule(), refusal.denial().map_or("", exuvia_policies::Denial::reason))
            }
        };
        let policy = Some(permit.policy().digest());
        let written = self.written(&Decided { policy, decision, rule, reason, approval, ..question.line() });
        let granted = Granted { permit, given: question.given };
        if written {
            return Ok(granted);
        }
        self.refund(granted);
        Err(Stop::Denied(Denied::unwritten()))
    }

    fn refused(&self, question: &Question<'_>, denied: Denied) -> Stop {
        self.denied(question.line(), denied)
    }

    /// Writes down a refusal, of which `line` has all that is not said by it.
    fn denied(&self, line: Decided<'_>, denied: Denied) -> Stop {
        let policy = self.policies.of(line.asker.grant);
        self.written(&Decided {
            policy: policy.as_ref().map(Policy::digest),
            rule: &denied.rule,
            reason: &denied.reason,
            approval: denied.approval,
            ..line
        });
        Stop::Denied(denied)
    }

    /// Logs a decision. Whether the audit has it.
    fn written(&self, decided: &Decided<'_>) -> bool {
        self.all_written(std::slice::from_ref(decided))
    }

    /// Logs decisions that were made together. Whether the audit has all of them.
    fn all_written(&self, decided: &[Decided<'_>]) -> bool {
        for Decided { asker, tool, decision, rule, .. } in decided {
            let execution = asker.parent.map(|id| id.to_string());
            tracing::info!(grant = asker.grant, tool, decision = decision.name(), rule, execution, "decided");
        }
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
