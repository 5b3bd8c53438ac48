//! What a record says of each effect, by its place in the program's order.

use exuvia_runtime::{Begun, Clock, Fact, Facts, Ledger, Memory, Said};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// One effect of a record.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) what: Begun,
    /// When it began, and when its answer came, in milliseconds since 1970.
    pub(super) at: u64,
    pub(super) came: Option<u64>,
    pub(super) answer: Option<Said>,
}

/// All of a record.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) effects: Vec<Known>,
    /// The first reading of the wall clock.
    pub(super) began: Option<Duration>,
}

impl All {
    /// As far as it can be read.
    pub(super) fn of(journal: &Memory) -> Self {
        let mut all = Self::default();
        for fact in Facts::of(Arc::new(journal.clone())).map_while(Result::ok) {
            match fact {
                Fact::Read(Clock::Wall, value) if all.began.is_none() => all.began = Some(Duration::from_nanos(value)),
                Fact::Began { at, what, .. } => all.effects.push(Known { what, at, came: None, answer: None }),
                Fact::Answered { effect, at, answer } => {
                    let known = usize::try_from(effect).ok().and_then(|effect| all.effects.get_mut(effect));
                    if let Some(known) = known {
                        (known.came, known.answer) = (Some(at), Some(answer));
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Effects that people see.
    pub(super) fn shown(&self) -> usize {
        self.effects.iter().filter(|known| crate::executions::is_shown(&known.what)).count()
    }
}

impl Known {
    pub(super) fn took(&self) -> Duration {
        Duration::from_millis(self.came.unwrap_or(self.at).saturating_sub(self.at))
    }

    /// The bytes of its answer, if it has one.
    pub(super) fn bytes(&self, journal: &Memory) -> Option<Vec<u8>> {
        match self.answer.as_ref()? {
            Said::Here(answer) => Some(answer.clone()),
            Said::Beside(name) => journal.large(name).ok(),
        }
    }

    /// The error in its answer. A large answer is none.
    pub(super) fn error(&self) -> Option<Wrong> {
        let Some(Said::Here(answer)) = &self.answer else { return None };
        serde_json::from_slice::<Told>(answer).ok()?.error
    }
}

#[derive(Deserialize)]
struct Told {
    error: Option<Wrong>,
}

/// An error as a program is told it.
#[derive(Debug, Deserialize)]
pub(super) struct Wrong {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) rule: String,
}
