//! The hosts of a replay. None of them can do anything to the world.

use super::super::print;
use super::known::Known;
use super::seen::{Seen, Why};
use super::words::asks;
use exuvia_runtime::{Clock, Effect, Host, Pending, Stream};
use serde::Deserialize;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

/// The answer that has the guest say where the program stands (`python-wasm/guest/ABI.md`).
const STOPPED: &str = r#"{"error":{"type":"ReplayStopped","message":"the replay stops here"}}"#;

pub(super) fn stopped() -> Pending {
    Box::pin(ready(STOPPED.into()))
}

/// Before all others: counts and shows what passes, and stops where it is told to.
pub(super) struct Watching {
    pub(super) seen: Seen,
    /// What answers: a journal, or the answers of one.
    pub(super) inner: Box<dyn Host>,
    /// The effects of the journal, when that is replayed step by step.
    pub(super) known: Arc<Vec<Known>>,
    /// Effects of the journal that have begun.
    pub(super) begun: usize,
    /// Why something has no answer.
    pub(super) ends: Why,
    pub(super) until: Option<u64>,
    pub(super) trace: bool,
}

#[derive(Deserialize)]
struct Stands {
    op: String,
    stack: String,
}

impl Host for Watching {
    fn clock(&mut self, clock: Clock) -> u64 {
        if self.seen.lock().stopped.is_some() {
            // Python itself may look while it says where the program stands: no step of the record.
            return 0;
        }
        self.seen.lock().is_reading = true;
        let value = self.inner.clock(clock);
        self.seen.lock().is_reading = false;
        value
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        self.inner.output(stream, bytes);
    }

    fn start(&mut self, effect: Effect) -> Pending {
        if self.seen.lock().stopped.is_some() {
            return self.stops(&effect);
        }
        let place = self.begun;
        self.begun += 1;
        // The guest's way to ask what is ready.
        if matches!(effect, Effect::Sleep(Duration::ZERO)) {
            return self.inner.start(effect);
        }
        let number = {
            let mut seen = self.seen.lock();
            seen.effects += 1;
            seen.effects
        };
        if self.trace {
            print::error(&format!("#{number} {}", asks(&effect)));
        }
        if self.until == Some(number) {
            self.seen.stop(Why::Until, number, asks(&effect));
            return stopped();
        }
        if let Some(known) = self.known.get(place) {
            self.seen.judge(&effect, known);
        }
        let (seen, ends, asks) = (self.seen.clone(), self.ends, asks(&effect));
        let traced = self.trace && !matches!(effect, Effect::Sleep(_));
        let answering = self.inner.start(effect);
        Box::pin(async move {
            let answer = answering.await;
            if answer == STOPPED.as_bytes() {
                seen.stop(ends, number, asks);
            } else if traced {
                print::error(&format!("#{number} is answered: {} bytes", answer.len()));
            }
            answer
        })
    }
}

impl Watching {
    /// Whatever is begun once the program is to stop tells it so, until it says where it stands.
    fn stops(&self, effect: &Effect) -> Pending {
        if let Effect::Request(message) = effect
            && let Ok(Stands { op, stack }) = serde_json::from_str(message.get())
            && op == "stands"
        {
            self.seen.lock().stands(stack);
            return Box::pin(pending());
        }
        stopped()
    }
}

/// Behind a journal: what is asked here is not in it. What the program prints is printed here.
pub(super) struct Nothing {
    pub(super) seen: Seen,
}

impl Host for Nothing {
    fn clock(&mut self, clock: Clock) -> u64 {
        let mut seen = self.seen.lock();
        // The journal looks at a clock of its own accord, too, where it ends.
        if seen.is_reading {
            seen.reads_at_the_end(clock);
        }
        0
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        self.seen.lock().prints(stream, bytes);
    }

    fn start(&mut self, _effect: Effect) -> Pending {
        stopped()
    }

    fn in_doubt(&mut self, _effect: &Effect) -> Vec<u8> {
        STOPPED.into()
    }
}
