//! A run's way to the world: its clocks, its output, its calls.

use super::record::ToolCall;
use super::tools::{Answer, Answering, Ask, Caller, Tools};
use super::underway::{Came, Seen, Underway};
use super::whole::Whole;
use crate::egress::Exchanges;
use crate::gate::{Asker, Gate};
use crate::secrets::{Bound, Scrubber, Trace};
use exuvia_runtime::{Clock, Effect, Host, Isolated, Message, Outstanding, Pending, Stream, Uncounted, Witness};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// What stands for a tool whose name has a secret in it.
const UNNAMED: &str = "(withheld)";

pub(super) struct Reaching {
    pub(super) caller: Caller,
    pub(super) tools: Arc<dyn Tools>,
    pub(super) gate: Arc<Gate>,
    /// Most calls that the policy allows one run.
    pub(super) most_calls: Option<u64>,
    pub(super) calls: u64,
    /// Effects begun so far.
    pub(super) begun: u64,
    /// The secrets of this execution.
    pub(super) bound: Arc<Bound>,
    pub(super) exchanges: Arc<Exchanges>,
    /// The server's own threads: calls go on there while the program computes.
    pub(super) server: Handle,
    pub(super) underway: Arc<Underway>,
    pub(super) clocks: Isolated,
    pub(super) whole: Arc<Mutex<Whole>>,
}

/// What is listed of a call, by its answer.
type Listed = Box<dyn FnOnce(&Answer) -> ToolCall + Send>;

impl Host for Reaching {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.clocks.clock(clock)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        let said = self.caller.live.print(stream, bytes);
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).print(stream, &said);
    }

    fn start(&mut self, effect: Effect) -> Pending {
        self.begin(effect, Witness::none())
    }

    fn begin(&mut self, effect: Effect, witness: Witness) -> Pending {
        match effect {
            Effect::Sleep(_) => self.clocks.start(effect),
            Effect::Request(message) => self.ask(message, witness),
        }
    }

    fn replayed(&mut self, effect: &Effect, answer: &[u8], took: Duration) {
        let Effect::Request(message) = effect else { return };
        self.exchanges.replayed(message, answer);
        if let Ok(Ask::Progress(progress)) = serde_json::from_str(message.get()) {
            self.caller.live.progresses(progress);
        }
        if let Some(tool) = called(effect) {
            // Neither decided nor counted by the gate again, but one of those that this run may make.
            self.calls = self.calls.saturating_add(1);
            let error = serde_json::from_slice(answer).ok().and_then(|told: Told| told.error);
            let error = error.map(|error| format!("{}: {}", error.kind, error.message));
            self.caller.live.called(ToolCall { tool, ms: milliseconds(took), error });
        }
    }

    fn in_doubt(&mut self, effect: &Effect) -> Vec<u8> {
        let Some(tool) = called(effect) else { return Exchanges::in_doubt() };
        let answer = Answer::in_doubt(&tool);
        self.calls = self.calls.saturating_add(1);
        self.caller.live.called(seen(tool, Instant::now(), &answer));
        answer.to_message()
    }

    fn suspends(&mut self, outstanding: &Outstanding) -> bool {
        // A connection is this life's: what comes over it could not be taken by the next.
        self.exchanges.is_idle() && self.underway.keep(outstanding)
    }

    fn underway(&mut self, effect: u64) -> Option<Pending> {
        let (found, is_call) = self.underway.find(effect, self.seen(), || lost().to_message())?;
        // One of those that this run may make, and decided when it was begun.
        self.calls = self.calls.saturating_add(u64::from(is_call));
        Some(found)
    }

    fn shown<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        self.bound.scrubber().map_or(Cow::Borrowed(message), |scrubber| scrubber.bytes(message))
    }

    fn uncounted(&self) -> Option<Uncounted> {
        let live = Arc::clone(&self.caller.live);
        // What it waited for in earlier lives is not of this one's time.
        let before = live.waited();
        Some(Arc::new(move || live.waited().saturating_sub(before)))
    }
}

impl Reaching {
    fn ask(&mut self, message: Message, witness: Witness) -> Pending {
        let asked = serde_json::from_str(message.get());
        let (body, exchanges) = (message.tail, Arc::clone(&self.exchanges));
        match asked {
            Ok(Ask::Call { name, positional, args }) => {
                self.calls = self.calls.saturating_add(1);
                if let Some(trace) = self.bound.trace(name.as_bytes()) {
                    return self.withheld(UNNAMED.into(), trace);
                }
                if self.most_calls.is_some_and(|most| self.calls > most) {
                    return self.too_many(name);
                }
                let names = args.keys().find_map(|name| self.bound.trace(name.as_bytes()));
                if let Some(trace) = names.or_else(|| self.bound.trace_in(positional.iter().chain(args.values()))) {
                    return self.withheld(name, trace);
                }
                let called = self.tools.call(&self.caller, name.clone(), positional, args, witness.clone());
                let began = Instant::now();
                self.follow(called, witness, Some(Box::new(move |answer| seen(name, began, answer))))
            }
            Ok(Ask::Describe { name }) => {
                let described = self.tools.describe(&self.caller, name);
                self.follow(described, witness, None)
            }
            Ok(Ask::Progress(progress)) => {
                self.caller.live.progresses(progress);
                Box::pin(ready(Answer::Value(Value::Null).to_message()))
            }
            Ok(Ask::Http(begin)) => {
                let told = witness.clone();
                self.exchanges(told, async move { exchanges.begin(*begin, body, witness).await })
            }
            Ok(Ask::HttpSend(piece)) => self.exchanges(witness, async move { exchanges.send(piece, body).await }),
            Ok(Ask::HttpRead(number)) => self.exchanges(witness, async move { exchanges.read(number).await }),
            Ok(Ask::HttpClose(number)) => {
                // At once: nobody waits for the answer.
                exchanges.close(number);
                Box::pin(ready(Answer::Value(Value::Null).to_message()))
            }
            Err(error) => {
                let why = format!("this server does not know what the script asks for: {error}");
                Box::pin(ready(Answer::error("NotGranted", why).to_message()))
            }
        }
    }
}

impl Reaching {
    /// Goes on with `answering` on the server's threads. `call`: how it is listed, if it is a call.
    fn follow(&mut self, answering: Answering, witness: Witness, call: Option<Listed>) -> Pending {
        self.begun += 1;
        let number = witness.effect().unwrap_or(self.begun);
        let is_call = call.is_some();
        let scrubber = self.bound.scrubber().cloned();
        let work = async move {
            let answer = scrubbed(answering.await, scrubber.as_deref());
            let call = call.map(|call| call(&answer));
            let message = answer.to_message();
            // Here, not where the program takes it: that may be much later.
            witness.answered(&message);
            Came { message, call }
        };
        self.underway.begin(&self.server, number, is_call, work, self.seen(), || lost().to_message())
    }

    fn seen(&self) -> Seen {
        let live = Arc::clone(&self.caller.live);
        Box::new(move |came: &Came| {
            if let Some(call) = &came.call {
                live.called(call.clone());
            }
        })
    }

    /// A tool gets neither a secret nor what stands for one: nobody can say what it does with it.
    fn withheld(&self, tool: String, trace: Trace<'_>) -> Pending {
        let asker = Asker::program(&self.caller.live);
        let answer = Answer::Denied(self.gate.withheld(asker, &tool, trace, "An argument of this call"));
        self.caller.live.called(seen(tool, Instant::now(), &answer));
        Box::pin(ready(answer.to_message()))
    }

    /// A step of an exchange, on the server's threads. It ends with the run.
    fn exchanges(&self, witness: Witness, step: impl Future<Output = Vec<u8>> + Send + 'static) -> Pending {
        let task = AbortOnDropHandle::new(self.server.spawn(async move {
            let message = step.await;
            witness.answered(&message);
            message
        }));
        Box::pin(async move { task.await.unwrap_or_else(|_| lost().to_message()) })
    }

    fn too_many(&self, tool: String) -> Pending {
        let asker = Asker::program(&self.caller.live);
        let reason = "This execution has made as many tool calls as the policy allows.";
        let answer = Answer::Denied(self.gate.capped(asker, &tool, "tool_calls", reason));
        self.caller.live.called(seen(tool, Instant::now(), &answer));
        Box::pin(ready(answer.to_message()))
    }
}

/// An answer without the values of secrets: before the journal has it, and the program.
fn scrubbed(mut answer: Answer, scrubber: Option<&Scrubber>) -> Answer {
    if let Some(scrubber) = scrubber {
        answer.scrub(scrubber);
    }
    answer
}

fn seen(tool: String, began: Instant, answer: &Answer) -> ToolCall {
    let error = match answer {
        Answer::Error(refusal) => Some(format!("{}: {}", refusal.kind, refusal.message)),
        Answer::Denied(denied) => Some(format!("PolicyDenied: {}", denied.text())),
        Answer::Value(_) | Answer::Text(_) => None,
    };
    ToolCall { tool, ms: milliseconds(began.elapsed()), error }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The tool that an effect calls, if it does.
fn called(effect: &Effect) -> Option<String> {
    let Effect::Request(message) = effect else { return None };
    match serde_json::from_str(message.get()) {
        Ok(Ask::Call { name, .. }) => Some(name),
        _ => None,
    }
}

/// What a recorded answer is read for.
#[derive(Deserialize)]
struct Told {
    error: Option<Wrong>,
}

#[derive(Deserialize)]
struct Wrong {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}

fn lost() -> Answer {
    Answer::error("ToolError", "the call was lost inside the server; its log says more")
}
