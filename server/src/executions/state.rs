//! The states of an execution, and the only function that moves one to another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Accepted, and waiting for its turn. Clients know it as `pending`.
    #[serde(rename = "pending")]
    Queued,
    Running,
    /// At least one of its calls waits for a person. Its other calls, and the program itself, may go on.
    WaitingApproval,
    /// The program ran to its end.
    Completed,
    /// The program raised, a limit other than time stopped it, or the server could not go on with it.
    Failed,
    Cancelled,
    /// It ran longer than its time limit.
    TimedOut,
}

impl State {
    pub(crate) const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::WaitingApproval,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// Whether nothing more can happen to it.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::TimedOut)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queued => "pending",
            Self::Running => "running",
            Self::WaitingApproval => "waiting_approval",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state after `event`.
    pub(crate) fn apply(self, event: Event) -> Result<Self, IllegalEvent> {
        match (self, event) {
            (Self::Queued, Event::Started) | (Self::WaitingApproval, Event::Answered) => Ok(Self::Running),
            // Nothing of it has happened yet, or its journal says what has: a new process may go on with it.
            (Self::Queued | Self::Running | Self::WaitingApproval, Event::Restarted) => Ok(Self::Queued),
            (Self::Running, Event::Asked) => Ok(Self::WaitingApproval),
            (Self::Queued | Self::Running | Self::WaitingApproval, Event::Ended(ending)) => Ok(match ending {
                Ending::Finished => Self::Completed,
                Ending::Failed => Self::Failed,
                Ending::Cancelled => Self::Cancelled,
                Ending::TimedOut => Self::TimedOut,
            }),
            (state, event) => Err(IllegalEvent { state, event }),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its turn has come.
    Started,
    /// A call of its program is the first to wait for a person.
    Asked,
    /// None waits any more.
    Answered,
    Ended(Ending),
    /// The process that held it is gone or ends, and another one goes on with it.
    Restarted,
}

/// How an execution ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Finished,
    Failed,
    Cancelled,
    TimedOut,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to an execution that is {state}")]
pub(crate) struct IllegalEvent {
    state: State,
    event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 8] = [
        Event::Started,
        Event::Asked,
        Event::Answered,
        Event::Restarted,
        Event::Ended(Ending::Finished),
        Event::Ended(Ending::Failed),
        Event::Ended(Ending::Cancelled),
        Event::Ended(Ending::TimedOut),
    ];

    #[test]
    fn nothing_happens_after_the_end() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            for event in EVENTS {
                assert_eq!(state.apply(event), Err(IllegalEvent { state, event }));
            }
        }
    }

    #[test]
    fn what_had_begun_when_the_process_died_waits_for_its_turn_once_more() {
        assert_eq!(State::Queued.apply(Event::Restarted), Ok(State::Queued));
        assert_eq!(State::Running.apply(Event::Restarted), Ok(State::Queued));
        assert_eq!(State::WaitingApproval.apply(Event::Restarted), Ok(State::Queued));
        assert!(State::Running.apply(Event::Started).is_err());
    }

    #[test]
    fn what_waits_for_a_person_goes_on_or_ends() {
        assert_eq!(State::Running.apply(Event::Asked), Ok(State::WaitingApproval));
        assert_eq!(State::WaitingApproval.apply(Event::Answered), Ok(State::Running));
        assert_eq!(State::WaitingApproval.apply(Event::Ended(Ending::Cancelled)), Ok(State::Cancelled));
        assert!(State::WaitingApproval.apply(Event::Asked).is_err());
        assert!(State::Queued.apply(Event::Asked).is_err());
        assert!(State::Running.apply(Event::Answered).is_err());
    }

    #[test]
    fn names_are_those_of_the_records() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
