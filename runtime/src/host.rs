//! The one way from a run to the world.

use crate::clock::{Clock, RealClock};
use crate::journal::Witness;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// An answer on its way: the bytes that the guest will read.
pub type Pending = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// One of the two streams a program writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The byte between a message's JSON and what follows it. JSON text has no such byte.
const SEPARATOR: u8 = 0;

/// What a guest says, or is told: JSON, and bytes that have no form in it.
#[derive(Debug, Clone)]
pub struct Message {
    /// A JSON object, unchecked.
    pub json: Box<RawValue>,
    /// What followed it, if anything did.
    pub tail: Option<Vec<u8>>,
}

impl Message {
    /// Reads what a guest wrote.
    ///
    /// # Errors
    /// When it does not begin with JSON.
    pub fn read(message: &[u8]) -> Result<Self, serde_json::Error> {
        let mut parts = message.splitn(2, |byte| *byte == SEPARATOR);
        let json = serde_json::from_slice(parts.next().unwrap_or_default())?;
        Ok(Self { json, tail: parts.next().map(<[u8]>::to_vec) })
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.json.get()
    }

    /// Its parts as it was written; together they are all of it.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let tail = self.tail.iter().flat_map(|tail| [&[SEPARATOR][..], tail]);
        std::iter::once(self.get().as_bytes()).chain(tail)
    }

    /// An answer of JSON and bytes, as the guest reads it.
    pub fn answer(mut json: Vec<u8>, tail: &[u8]) -> Vec<u8> {
        json.reserve_exact(tail.len() + 1);
        json.push(SEPARATOR);
        json.extend_from_slice(tail);
        json
    }
}

/// Something that a program asks of the world. Owned data only, so that it can cross to another process.
#[derive(Debug)]
pub enum Effect {
    /// Wait; the answer is empty. No time at all is answered at once.
    Sleep(Duration),
    /// Any other (`python-wasm/guest/ABI.md`, "Messages").
    Request(Message),
}

/// What one run may reach. Each method is an effect; a host that refuses all of them is a sealed box.
pub trait Host: Send {
    /// Reads a clock, in nanoseconds.
    fn clock(&mut self, clock: Clock) -> u64;

    /// Receives what the program printed, as it comes. Chunks need not end at a character's or a line's end.
    fn output(&mut self, stream: Stream, bytes: &[u8]);

    /// Begins an effect. The future is polled only while the run waits; an effect that must go on while the program
    /// computes is spawned here.
    fn start(&mut self, effect: Effect) -> Pending;

    /// [`Self::start`] for a run with a journal. A host whose effects change the world says through `witness` when one
    /// leaves; without that, it is taken to be one that may be repeated.
    fn begin(&mut self, effect: Effect, witness: Witness) -> Pending {
        drop(witness);
        self.start(effect)
    }

    /// The program was told `answer` from the record: the effect happened in an earlier process, and took so long.
    fn replayed(&mut self, _effect: &Effect, _answer: &[u8], _took: Duration) {}

    /// What to tell the program of an effect that an earlier process died in the middle of, and that must not be repeated.
    fn in_doubt(&mut self, _effect: &Effect) -> Vec<u8> {
        IN_DOUBT.into()
    }

    /// The run waits, since `waited`; `cpu` says how long it has computed. Asked when a wait begins, when what it waits for
    /// changes, and when the time that was given is over.
    fn rests(&mut self, _waited: Duration, _cpu: &dyn Fn() -> Duration) -> Rest {
        Rest::Stay
    }

    /// Whether a run with a journal is suspended now. If so, it is dropped at once; what it has under way has to go on
    /// without it, and tell its [`Witness`] of the answer.
    fn suspends(&mut self, _outstanding: &Outstanding) -> bool {
        false
    }

    /// Effect `effect` of a run that was suspended, in the life after that, if it went on meanwhile.
    fn underway(&mut self, _effect: u64) -> Option<Pending> {
        None
    }

    /// What a journal may show of a request, which has its beginning for people to read. The journal is on the disk.
    fn shown<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        Cow::Borrowed(message)
    }

    /// Who says how much of the run's time does not count against its wall limit, if that may be any. Asked once, when
    /// the run begins.
    fn uncounted(&self) -> Option<Uncounted> {
        None
    }
}

/// What becomes of a run that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It waits where it is.
    Stay,
    /// The same; ask again after this time.
    Ask(Duration),
    /// It is dropped, and ends with [`Limit::Suspended`](crate::Limit::Suspended).
    Leave,
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Requests without an answer.
    pub requests: usize,
    /// When the first of its sleeps ends, in milliseconds since 1970.
    pub due: Option<u64>,
}

/// Says how much of a run's time so far does not count, as it waited for a person. It never shrinks. Called only once the
/// limit is reached without it, from any thread.
pub type Uncounted = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A host with clocks and sleep, and nothing else.
#[derive(Debug, Default)]
pub struct Isolated {
    clock: RealClock,
}

impl Host for Isolated {
    fn clock(&mut self, clock: Clock) -> u64 {
        self.clock.read(clock)
    }

    fn output(&mut self, _stream: Stream, _bytes: &[u8]) {}

    fn start(&mut self, effect: Effect) -> Pending {
        match effect {
            // The guest's way to ask what is ready, at once.
            Effect::Sleep(Duration::ZERO) => Box::pin(std::future::ready(Vec::new())),
            Effect::Sleep(time) => Box::pin(async move {
                tokio::time::sleep(time).await;
                Vec::new()
            }),
            Effect::Request(_) => Box::pin(std::future::ready(NOTHING_GRANTED.into())),
        }
    }
}

const IN_DOUBT: &str =
    r#"{"error":{"type":"ToolInDoubt","message":"the host died in the middle of this: it may have happened"}}"#;
const NOTHING_GRANTED: &str = r#"{"error":{"type":"NotGranted","message":"this run was given no host functions"}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// Also those that come from a guest that wants to confuse.
    #[test]
    fn a_message_is_json_and_then_any_bytes() {
        let tail = |message: &[u8]| Message::read(message).map(|message| (message.get().to_owned(), message.tail)).ok();
        let json = || r#"{"a":"\u0000"}"#.to_owned();
        assert_eq!(tail(br#"{"a":"\u0000"}"#), Some((json(), None)));
        assert_eq!(tail(b"{\"a\":\"\\u0000\"}\0"), Some((json(), Some(Vec::new()))));
        assert_eq!(tail(b"{\"a\":\"\\u0000\"}\0\0{}\0"), Some((json(), Some(b"\0{}\0".to_vec()))));
        for wrong in [&b""[..], b"\0", b"\0{}", b"{", b"{\"a\":\"\0\"}", b"{}{}"] {
            assert_eq!(tail(wrong), None, "{wrong:?}");
        }
    }

    /// What a journal's hash is of.
    #[test]
    fn the_parts_of_a_message_are_all_of_it() {
        for message in [&b"{}"[..], b"{}\0", b"{}\0ab\0"] {
            let read = Message::read(message).unwrap();
            assert_eq!(read.parts().collect::<Vec<_>>().concat(), message);
        }
    }
}
