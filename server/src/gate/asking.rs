//! Calls that a person has to approve: who waits, and what becomes of what the person says.
//!
//! A program's call waits. A client's own call is refused for now, and made again once it is approved. Either way the call
//! is decided anew when it is approved, by the policy as it is then.

use super::{Asker, Denied, Gate, Granted, Question, Stop, now};
use crate::approvals::{Error, Found, Id, Record, Said, time};
use crate::audit::{Decided, Decision};
use crate::executions::Live;
use exuvia_policies::{ApprovalError, Approved, Arguments, Demand, Denial, Permit, Policy, Refusal};
use std::sync::Arc;

const OUTDATED: &str = "the policy has changed since this call was asked for, so what was said then is of no use";

/// What came of a call that was decided anew.
enum Anew {
    Granted(Permit),
    Denied(Denied),
    /// The approval is for another version of the policy: a person has to be asked once more.
    Outdated(Demand),
}

impl Gate {
    /// Decides a call that `demand` asks a person about.
    pub(super) async fn with_approval(&self, question: Question<'_>, demand: Demand) -> Result<Granted, Stop> {
        match question.asker.live {
            Some(live) => self.of_program(question, live, demand).await,
            None => self.of_client(question, demand).await,
        }
    }

    /// Waits for the person.
    async fn of_program(&self, question: Question<'_>, live: &Arc<Live>, first: Demand) -> Result<Granted, Stop> {
        let (mut demand, mut note) = (first, None);
        loop {
            let asked = match self.approvals.ask(&demand, live, note.take()).await {
                Ok(asked) => asked,
                Err(error) => return Err(self.not_asked(&question, &demand, &error)),
            };
            self.asks(&question, &demand, asked.id)?;
            let waiting = live.asks(asked.id);
            let said = self.approvals.answer(&asked).await;
            drop(waiting);
            let refused = match said {
                Ok(Said::Yes) => None,
                Ok(Said::No(words)) => Some(rejected(words.as_deref())),
                Ok(Said::Nothing) => Some(expired(&demand)),
                Err(error) => return Err(self.not_asked(&question, &demand, &error)),
            };
            if let Some(reason) = refused {
                let denied = Denied::new(demand.rule(), reason).of(asked.id);
                return Err(self.refused(&question, denied));
            }
            match self.anew(&question, asked.id).await {
                Anew::Granted(permit) => return self.granted(question, permit, Some(asked.id)).await,
                Anew::Denied(denied) => return Err(self.refused(&question, denied.of(asked.id))),
                Anew::Outdated(now) => (demand, note) = (now, Some(OUTDATED.to_owned())),
            }
        }
    }

    /// Uses what was approved before, or asks and refuses for now.
    async fn of_client(&self, question: Question<'_>, demand: Demand) -> Result<Granted, Stop> {
        let found = match self.approvals.find(&demand) {
            Ok(found) => found,
            Err(error) => return Err(self.not_asked(&question, &demand, &error)),
        };
        let (note, demand) = match found {
            Found::Given(id) => match self.anew(&question, id).await {
                Anew::Granted(permit) => return self.granted(question, permit, Some(id)).await,
                Anew::Denied(denied) => return Err(self.refused(&question, denied.of(id))),
                Anew::Outdated(now) => (Some(OUTDATED), now),
            },
            Found::Pending(record) => {
                return Err(self.refused(&question, Denied::needs_approval(&record, None)));
            }
            Found::Rejected(record) => {
                let denied = Denied::new(demand.rule(), rejected(record.words.as_deref())).of(record.id);
                return Err(self.refused(&question, denied));
            }
            Found::Outdated => (Some(OUTDATED), demand),
            Found::None => (None, demand),
        };
        match self.approvals.ask_for_client(&demand, note.map(str::to_owned)).await {
            Ok((record, false)) => Err(self.refused(&question, Denied::needs_approval(&record, None))),
            Ok((record, true)) => {
                self.asks(&question, &demand, record.id)?;
                Err(Stop::Denied(Denied::needs_approval(&record, note)))
            }
            Err(error) => Err(self.not_asked(&question, &demand, &error)),
        }
    }

    /// Decides a call that was approved, by the policy as it is now. The approval is used before the call happens.
    async fn anew(&self, question: &Question<'_>, id: Id) -> Anew {
        let policy = self.policies.of(question.asker.grant);
        let demand = match self.ruled(policy.as_ref(), question, None) {
            Ok(permit) => return Anew::Granted(permit),
            Err(Refusal::Denied(denial)) => return Anew::Denied(self.explained(question, &denial)),
            Err(Refusal::NeedsApproval(demand)) => *demand,
        };
        let approved = match self.approvals.consume(id, &demand).await {
            Ok(approved) => approved,
            Err(Error::State(ApprovalError::OtherCall)) => return Anew::Outdated(demand),
            Err(error) => {
                return Anew::Denied(Denied::new(demand.rule(), format!("The approval cannot be used: {error}.")));
            }
        };
        match self.ruled(policy.as_ref(), question, Some(approved)) {
            Ok(permit) => Anew::Granted(permit),
            Err(Refusal::Denied(denial)) => Anew::Denied(self.explained(question, &denial)),
            // It was for this very demand.
            Err(Refusal::NeedsApproval(demand)) => Anew::Outdated(*demand),
        }
    }

    pub(super) fn ruled(
        &self,
        policy: Option<&Policy>,
        question: &Question<'_>,
        approved: Option<Approved>,
    ) -> Result<Permit, Refusal> {
        let policy = policy.ok_or_else(Denial::no_policy)?;
        let call = question.call();
        match approved {
            None => policy.decide(&call, now(), &self.counters),
            Some(approved) => policy.decide_approved(&call, approved, now(), &self.counters),
        }
    }

    fn explained(&self, question: &Question<'_>, denial: &Denial) -> Denied {
        self.policies.explained(question.asker.grant, denial)
    }

    /// Writes down that a person is asked. Without that, nobody is.
    fn asks(&self, question: &Question<'_>, demand: &Demand, id: Id) -> Result<(), Stop> {
        let written = self.written(&Decided {
            decision: Decision::Approval,
            rule: demand.rule(),
            reason: demand.reason(),
            policy: Some(demand.policy()),
            approval: Some(id),
            ..question.line()
        });
        if written { Ok(()) } else { Err(Stop::Denied(Denied::unwritten())) }
    }

    fn not_asked(&self, question: &Question<'_>, demand: &Demand, error: &Error) -> Stop {
        if matches!(error, Error::Store(_) | Error::Json(_)) {
            tracing::error!(%error, "could not ask for an approval");
        }
        let reason =
            format!("This call needs a person's approval ({}), and cannot be asked for: {error}.", demand.reason());
        self.refused(question, Denied::new(demand.rule(), reason))
    }
}

/// What the operator does.
impl Gate {
    pub(crate) async fn approve(&self, id: Id) -> Result<Record, Error> {
        let record = self.approvals.approve(id).await?;
        self.said(&record, Decision::Approved, "");
        Ok(record)
    }

    pub(crate) async fn reject(&self, id: Id, words: Option<String>) -> Result<Record, Error> {
        let record = self.approvals.reject(id, words).await?;
        self.said(&record, Decision::Rejected, record.words.as_deref().unwrap_or_default());
        Ok(record)
    }

    pub(crate) fn approval(&self, id: Id) -> Result<Record, Error> {
        self.approvals.get(id)
    }

    pub(crate) fn open_approvals(&self) -> Result<Vec<Record>, Error> {
        self.approvals.open_ones()
    }

    fn said(&self, record: &Record, decision: Decision, reason: &str) {
        let arguments = Arguments::parse(record.arguments.get().as_bytes()).ok();
        // When this cannot be written, nor can the decision that would let the call through.
        self.written(&Decided {
            decision,
            rule: &record.rule,
            reason,
            arguments: arguments.as_ref(),
            approval: Some(record.id),
            by: Some("operator"),
            ..Decided::of(Asker { grant: &record.grant, parent: record.execution, live: None }, &record.tool)
        });
        self.approvals.wake();
    }
}

fn rejected(words: Option<&str>) -> String {
    match words {
        Some(words) => format!("A person denied this call: {words}"),
        None => "A person denied this call.".to_owned(),
    }
}

fn expired(demand: &Demand) -> String {
    let within = std::time::Duration::from_secs(demand.timeout_s());
    format!("Nobody approved this call within {}: {}.", humantime::format_duration(within), demand.reason())
}

impl Denied {
    /// What a client is told whose call waits for a person.
    fn needs_approval(record: &Record, note: Option<&str>) -> Self {
        let note = note.map(|note| format!(" It is asked for anew: {note}.")).unwrap_or_default();
        let reason = format!(
            "This call needs approval: {}.{note} A person is asked until {}; make exactly the same call again once approval \
             {} is given.",
            record.reason.trim_end_matches('.'),
            time(record.approval.expires()),
            record.id,
        );
        Self::new(record.rule.clone(), reason).of(record.id)
    }

    fn of(self, approval: Id) -> Self {
        Self { approval: Some(approval), ..self }
    }
}
