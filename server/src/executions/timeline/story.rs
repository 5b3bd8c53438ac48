//! The events of a timeline, as they are found in a record, a journal and a log, and then in order.

use super::{Decision, Head};
use crate::executions::record::{Given, Record};
use crate::executions::state::State;
use exuvia_runtime::{Begun, Fact, Said};
use serde::Serialize;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// Most events of a journal that are given: the first. They are in memory.
const MOST_EVENTS: usize = 10_000;
/// Most characters of a text that a program or a tool chose.
const LONGEST_TEXT: usize = 300;

/// One thing that happened.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    /// Milliseconds after the submission; none where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum What {
    Queued,
    Began,
    /// A process went on with it after the death or the stop of another.
    Resumed,
    Sleeps {
        effect: u64,
        seconds: f64,
    },
    /// The program asks for something.
    Asks {
        effect: u64,
        op: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        positional: usize,
        /// Names only.
        arguments: Vec<String>,
        /// There may be more names.
        is_cut: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<String>,
    },
    Progress {
        effect: u64,
        fraction: f64,
        step: Option<String>,
    },
    Decided {
        tool: String,
        decision: String,
        rule: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        approval: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    Answered {
        effect: u64,
        took_ms: u64,
        /// None when the answer is gone.
        bytes: Option<u64>,
        error: Option<String>,
    },
    /// It had left when its process died; whether it took effect is not known.
    InDoubt {
        effect: u64,
        tool: Option<String>,
    },
    /// A call of an execution without a journal.
    Called {
        tool: String,
        took_ms: u64,
        error: Option<String>,
    },
    Ended {
        status: State,
    },
}

/// Events as they are found, in whatever order.
pub(super) struct Story {
    submitted: u64,
    values: bool,
    pub(super) events: Vec<Event>,
    pub(super) left_out: u64,
    /// In the order of the log.
    decisions: VecDeque<Event>,
    /// Effects that are under way, by their number in the journal: as they are shown, when they began, and their tool.
    under_way: HashMap<u64, (u64, u64, Option<String>)>,
    left: HashSet<u64>,
    shown: u64,
}

impl Story {
    pub(super) fn of(record: &Record, values: bool) -> Self {
        let mut story = Self {
            submitted: record.submitted,
            values,
            events: Vec::new(),
            left_out: 0,
            decisions: VecDeque::new(),
            under_way: HashMap::new(),
            left: HashSet::new(),
            shown: 0,
        };
        story.happens(record.submitted, What::Queued);
        if let Some(started) = record.started {
            story.happens(started, What::Began);
        }
        story
    }

    fn happens(&mut self, at: u64, what: What) {
        self.events.push(Event { ms: Some(at.saturating_sub(self.submitted)), what });
    }

    /// The same for what a program can cause as often as it likes.
    fn tells(&mut self, at: u64, what: What) {
        if self.events.len() < MOST_EVENTS { self.happens(at, what) } else { self.left_out += 1 }
    }

    pub(super) fn decided(&mut self, decisions: Vec<Decision>) {
        let decided =
            decisions.into_iter().map(|Decision { at, tool, what: decision, rule, message, approval, by, .. }| Event {
                ms: Some(at.saturating_sub(self.submitted)),
                what: What::Decided { tool, decision, rule, message: short(&message), approval, by },
            });
        self.decisions = decided.collect();
    }

    pub(super) fn tell(&mut self, fact: Fact, size: impl FnOnce(&[u8; 32]) -> Option<u64>) {
        match fact {
            Fact::Read(..) | Fact::Told { .. } => {}
            Fact::Began { effect, at, what } => self.began(effect, at, what),
            Fact::Left { effect } => {
                if self.under_way.contains_key(&effect) {
                    self.left.insert(effect);
                }
            }
            Fact::Answered { effect, at, answer } => {
                self.left.remove(&effect);
                let Some((shown, began, _)) = self.under_way.remove(&effect) else {
                    self.left_out += 1;
                    return;
                };
                let (bytes, error) = match answer {
                    Said::Here(answer) => (Some(answer.len() as u64), error_of(&answer)),
                    Said::Beside(name) => (size(&name), None),
                };
                self.tells(at, What::Answered { effect: shown, took_ms: at.saturating_sub(began), bytes, error });
            }
            Fact::NewLife { at } => self.happens(at, What::Resumed),
        }
    }

    fn began(&mut self, effect: u64, at: u64, what: Begun) {
        if !is_shown(&what) {
            return;
        }
        self.shown += 1;
        let shown = self.shown;
        match what {
            Begun::Sleep(time) => self.tells(at, What::Sleeps { effect: shown, seconds: time.as_secs_f64() }),
            Begun::Request { head: bytes, .. } => {
                let head = Head::of(&bytes);
                // A program may begin millions and drop them: what is left out is not followed.
                if self.events.len() < MOST_EVENTS {
                    self.under_way.insert(effect, (shown, at, head.tool().map(str::to_owned)));
                }
                let what = match head.fraction {
                    Some(fraction) if head.op() == "progress" => {
                        What::Progress { effect: shown, fraction, step: head.step.as_deref().map(short) }
                    }
                    _ => self.asks(shown, &head, &bytes),
                };
                self.tells(at, what);
            }
        }
    }

    fn asks(&self, effect: u64, head: &Head, bytes: &[u8]) -> What {
        What::Asks {
            effect,
            op: head.op().to_owned(),
            tool: head.name.clone(),
            positional: head.positional,
            arguments: head.names.clone(),
            is_cut: head.is_cut,
            request: self.values.then(|| String::from_utf8_lossy(bytes).into_owned()),
        }
    }

    /// What an execution without a journal called.
    fn called(&mut self, given: &Given) {
        for call in &given.tool_calls {
            let (tool, error) = (call.tool.clone(), call.error.as_deref().map(short));
            self.events.push(Event { ms: None, what: What::Called { tool, took_ms: call.ms, error } });
        }
        self.left_out += given.calls.saturating_sub(given.tool_calls.len() as u64);
    }

    /// Puts the decisions where they belong, and adds how it ended.
    pub(super) fn ends(&mut self, record: &Record, given: Option<&Given>) {
        self.merge();
        if let Some(given) = given {
            self.called(given);
        }
        if !record.state.is_final() {
            return;
        }
        let end = record.ended.unwrap_or(record.submitted);
        let mut doubted: Vec<_> = self.left.iter().filter_map(|effect| self.under_way.get(effect).cloned()).collect();
        doubted.sort_unstable();
        for (effect, _, tool) in doubted {
            self.happens(end, What::InDoubt { effect, tool });
        }
        self.happens(end, What::Ended { status: record.state });
    }

    /// A journal has its own order, and so has the log. Of two things in one millisecond, a decision is the later one unless a
    /// call before it has none yet.
    fn merge(&mut self) {
        let (mut merged, mut undecided) = (Vec::with_capacity(self.events.len() + self.decisions.len()), 0_usize);
        for event in std::mem::take(&mut self.events) {
            while let Some(decision) = self.decisions.front() {
                if decision.ms > event.ms || (decision.ms == event.ms && undecided == 0) {
                    break;
                }
                undecided = undecided.saturating_sub(1);
                merged.extend(self.decisions.pop_front());
            }
            undecided += usize::from(matches!(&event.what, What::Asks { op, .. } if op == "call"));
            merged.push(event);
        }
        merged.extend(std::mem::take(&mut self.decisions));
        self.events = merged;
    }
}

/// Whether an effect is one that people see: the guest asks what is ready by sleeps of no time.
pub(crate) fn is_shown(what: &Begun) -> bool {
    !matches!(what, Begun::Sleep(Duration::ZERO))
}

/// The error in an answer, if it is one.
fn error_of(answer: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let error = value.get("error")?;
    let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Some(short(&format!("{}: {}", text("type"), text("message"))))
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executions::request::Request;

    fn asks(effect: u64) -> Fact {
        let head = br#"{"name": "mcp_T_put", "args": {"key": 1}, "op": "call"}"#.to_vec();
        Fact::Began { effect, at: 5, what: Begun::Request { hash: [0; 32], head } }
    }

    fn story() -> (Record, Story) {
        let record = Record { submitted: 2, started: Some(3), ..Record::new("local", &Request::default()) };
        let story = Story::of(&record, false);
        (record, story)
    }

    #[test]
    fn what_had_left_and_has_no_answer_is_in_doubt_once_it_has_ended() {
        let (mut record, mut story) = story();
        story.tell(asks(0), |_| None);
        story.tell(asks(1), |_| None);
        story.tell(Fact::Left { effect: 0 }, |_| None);
        story.tell(Fact::Left { effect: 1 }, |_| None);
        story.tell(Fact::Answered { effect: 0, at: 9, answer: Said::Beside([1; 32]) }, |_| Some(70_000));
        (record.state, record.ended) = (State::Failed, Some(10));
        story.ends(&record, None);
        let events = serde_json::to_value(&story.events).unwrap();
        let told: Vec<_> = events.as_array().unwrap().iter().map(|event| (&event["ms"], &event["event"])).collect();
        let expected =
            [(0, "queued"), (1, "began"), (3, "asks"), (3, "asks"), (7, "answered"), (8, "in_doubt"), (8, "ended")]
                .map(|(ms, event)| (serde_json::json!(ms), serde_json::json!(event)));
        assert_eq!(told, expected.iter().map(|(ms, event)| (ms, event)).collect::<Vec<_>>());
        assert_eq!((&events[4]["bytes"], &events[5]["effect"]), (&70_000.into(), &2.into()));
    }

    /// Seen to fail with `undecided` left out: then all decisions stand at the end of the millisecond.
    #[test]
    fn of_calls_in_one_millisecond_each_decision_stands_by_its_own() {
        let (record, mut story) = story();
        let decision = |at| Decision {
            secret: None,
            at,
            tool: "mcp_T_put".into(),
            what: "allow".into(),
            rule: "/tools/mcp_T_put".into(),
            message: String::new(),
            arguments: Vec::new(),
            approval: None,
            by: None,
        };
        story.decided(vec![decision(5), decision(5), decision(8)]);
        for effect in 0..2 {
            story.tell(asks(effect), |_| None);
            story.tell(Fact::Answered { effect, at: 5, answer: Said::Here(b"{}".to_vec()) }, |_| None);
        }
        story.ends(&record, None);
        let events = serde_json::to_value(&story.events).unwrap();
        let told: Vec<_> = events.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
        let call = ["asks", "decided", "answered"];
        assert_eq!(told, [&["queued", "began"], &call[..], &call, &["decided"]].concat());
    }

    /// Seen to fail with the bound of `under_way` removed.
    #[test]
    fn however_much_a_program_begins_little_of_it_is_kept() {
        let (_, mut story) = story();
        for effect in 0..50_000 {
            story.tell(asks(effect), |_| None);
            story.tell(Fact::Left { effect }, |_| None);
        }
        assert_eq!((story.events.len(), story.left_out), (MOST_EVENTS, 50_002 - MOST_EVENTS as u64));
        assert!(story.under_way.len() < MOST_EVENTS && story.left.len() < MOST_EVENTS);
    }
}
