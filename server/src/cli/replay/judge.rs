//! Decides the calls of a record by another policy, and says where that differs. Nothing comes of it: the program goes on as
//! it is recorded.

use super::super::print;
use super::super::shown::visible;
use super::known::Known;
use super::words::Call;
use crate::upstream::Tool;
use exuvia_policies::{
    Arguments, Call as Asked, DenialKind, Grant, MemoryCounters, Outcome, Permit, Policy, Refusal, Timestamp,
};
use serde_json::{Map, Value};

/// A policy, and what it has counted so far: nothing before the first call.
pub(super) struct Judge {
    policy: Policy,
    counters: MemoryCounters,
    grant: Grant,
    schemas: Map<String, Value>,
    /// When a person was asked, and about which tool.
    asked: Vec<(u64, String)>,
    pub(super) decided: u64,
    pub(super) differing: u64,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Allowed,
    /// By this rule; nothing when that is not recorded.
    Denied(String),
    /// A person is asked.
    Asked,
    /// As if there were no such tool.
    Hidden,
}

impl Judge {
    pub(super) fn new(policy: Policy, grant: &str, schemas: Map<String, Value>, asked: Vec<(u64, String)>) -> Self {
        let (counters, grant) = (MemoryCounters::new(), Grant::new(grant));
        Self { policy, counters, grant, schemas, asked, decided: 0, differing: 0 }
    }

    pub(super) fn decide(&mut self, number: u64, call: Call, known: &Known) {
        let Some(then) = self.then(&call.name, known) else { return };
        let name = call.name.clone();
        let now = self.now(call, known);
        let now = match now {
            Ok(now) => now,
            Err(why) => {
                print::error(&format!("#{number} {}: not decided: {}", visible(&name), visible(&why)));
                return;
            }
        };
        self.decided += 1;
        if now != then {
            self.differing += 1;
            let line = format!("#{number} {}: {} then, now {}", visible(&name), then.words(), now.words());
            print::error(&line);
        }
    }

    /// What became of it when it was recorded; none when nothing was decided.
    fn then(&self, tool: &str, known: &Known) -> Option<Fate> {
        let came = known.came?;
        let is_of_it = |(at, of): &&(u64, String)| of == tool && (known.at..=came).contains(at);
        let fate = match known.error() {
            Some(wrong) if wrong.kind == "PolicyDenied" => Fate::Denied(wrong.rule),
            Some(wrong) if wrong.kind == "ToolNotAvailable" => Fate::Hidden,
            Some(wrong) if wrong.kind == "ToolArgumentError" => return None,
            _ => Fate::Allowed,
        };
        // Whatever the person said: the question is whether one was asked.
        Some(if self.asked.iter().any(|asked| is_of_it(&asked)) { Fate::Asked } else { fate })
    }

    /// What this policy says, at the time of the call; or why that cannot be known.
    fn now(&self, call: Call, known: &Known) -> Result<Fate, String> {
        if let Err(denial) = self.policy.admits(&call.name) {
            return Ok(Fate::of(&denial));
        }
        let name = call.name.clone();
        let arguments = self.arguments(call)?;
        let asked = Asked { grant: &self.grant, tool: &name, arguments: &arguments, definition: None };
        match self.policy.decide(&asked, Timestamp::from_millis(known.at), &self.counters) {
            Ok(permit) => {
                self.settle(permit, known);
                Ok(Fate::Allowed)
            }
            Err(Refusal::NeedsApproval(_)) => Ok(Fate::Asked),
            Err(Refusal::Denied(denial)) if denial.kind() == DenialKind::Pin => {
                Err(format!("{} is about the tool's definition, which is not recorded", denial.rule()))
            }
            Err(Refusal::Denied(denial)) => Ok(Fate::of(&denial)),
        }
    }

    /// The arguments that the policy would have seen.
    fn arguments(&self, call: Call) -> Result<Arguments, String> {
        let Call { name, positional, args, .. } = call;
        let Some(schema) = self.schemas.get(&name) else {
            if !positional.is_empty() {
                return Err(
                    "some of its arguments have no name, and no server has the tool that knows their names".into()
                );
            }
            return Arguments::new(Value::Object(args)).map_err(|error| error.to_string());
        };
        let tool = Tool::of_schema(&name, schema).ok_or("its schema cannot be used")?;
        let arguments = tool.arguments(positional, args)?;
        Arguments::with_defaults(Value::Object(arguments), schema).map_err(|error| error.to_string())
    }

    /// Counts how it ended, for the breaker.
    fn settle(&self, permit: Permit, known: &Known) {
        let outcome = if known.error().is_none() { Outcome::Succeeded } else { Outcome::Failed };
        let came = Timestamp::from_millis(known.came.unwrap_or(known.at));
        // In memory, which is always there.
        let _ = permit.spend().receipt.settle(outcome, came, &self.counters);
    }
}

impl Fate {
    fn of(denial: &exuvia_policies::Denial) -> Self {
        if denial.is_hidden() { Self::Hidden } else { Self::Denied(denial.rule().to_owned()) }
    }

    fn words(&self) -> String {
        match self {
            Self::Allowed => "allowed".into(),
            Self::Denied(rule) if rule.is_empty() => "denied".into(),
            Self::Denied(rule) => format!("denied by {}", visible(rule)),
            Self::Asked => "a person asked".into(),
            Self::Hidden => "no such tool".into(),
        }
    }
}
