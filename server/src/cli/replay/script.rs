//! Another script against the answers of a record: each request that the record has is answered from it, in its order, and one
//! that it does not have stops the script.
//!
//! Time is made up: it begins as recorded, and passes only while the program waits, for as long as each wait took.

use super::host::stopped;
use super::known::{All, Known};
use super::seen::Seen;
use exuvia_policies::Arguments;
use exuvia_runtime::{Begun, Clock, Effect, Host, Memory, Pending, Stream};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Each reading of a clock takes so long.
const READING: Duration = Duration::from_micros(1);

pub(super) struct Answers {
    seen: Seen,
    journal: Memory,
    effects: Arc<Vec<Known>>,
    /// Places of effects that have an answer, by what they ask for.
    places: HashMap<[u8; 32], VecDeque<usize>>,
    began: Duration,
    time: Time,
}

impl Answers {
    /// `started`: when the program began, in milliseconds since 1970, for one that read no clock.
    pub(super) fn new(seen: Seen, journal: Memory, all: All, started: u64) -> Self {
        let mut places: HashMap<_, VecDeque<_>> = HashMap::new();
        for (place, known) in all.effects.iter().enumerate().filter(|(_, known)| known.answer.is_some()) {
            if let Begun::Request { hash, head } = &known.what {
                places.entry(key(head, Some(hash))).or_default().push_back(place);
            }
        }
        let began = all.began.unwrap_or(Duration::from_millis(started));
        Self { seen, journal, effects: Arc::new(all.effects), places, began, time: Time::default() }
    }

    fn answer(&mut self, effect: &Effect, message: &[u8]) -> Option<(Vec<u8>, Duration)> {
        let place = self.places.get_mut(&key(message, None))?.pop_front()?;
        let known = self.effects.get(place)?;
        self.seen.judge(effect, known);
        Some((known.bytes(&self.journal)?, known.took()))
    }
}

/// What requests are told apart by: the same arguments in another order are the same request. One that the record has only
/// the beginning of is compared as it is.
fn key(message: &[u8], hash: Option<&[u8; 32]>) -> [u8; 32] {
    let canonical = if message.len() < Begun::SHOWN { Arguments::parse(message).ok() } else { None };
    match (canonical, hash) {
        (Some(canonical), _) => *blake3::hash(canonical.as_json().as_bytes()).as_bytes(),
        (None, Some(hash)) => *hash,
        (None, None) => *blake3::hash(message).as_bytes(),
    }
}

#[derive(Deserialize)]
struct Op<'m> {
    op: &'m str,
}

impl Host for Answers {
    fn clock(&mut self, clock: Clock) -> u64 {
        let now = self.time.read();
        let now = if clock == Clock::Wall { self.began + now } else { now };
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        self.seen.lock().prints(stream, bytes);
    }

    fn start(&mut self, effect: Effect) -> Pending {
        let message = match &effect {
            Effect::Sleep(Duration::ZERO) => return Box::pin(std::future::ready(Vec::new())),
            Effect::Sleep(time) => return self.time.after(*time, Vec::new()),
            Effect::Request(message) => message.to_bytes(),
        };
        if let Some((answer, took)) = self.answer(&effect, &message) {
            return self.time.after(took, answer);
        }
        // It asks nothing of the world.
        if serde_json::from_slice(&message).is_ok_and(|Op { op }| op == "progress") {
            return Box::pin(std::future::ready(br#"{"ok":null}"#.to_vec()));
        }
        stopped()
    }
}

/// Made-up time: it jumps to the end of the first wait when the program waits.
#[derive(Clone, Default)]
struct Time(Arc<Mutex<Waits>>);

#[derive(Default)]
struct Waits {
    now: Duration,
    begun: u64,
    /// By their end and number, with what wakes them.
    under_way: BTreeMap<(Duration, u64), Option<Waker>>,
}

struct Wait {
    time: Time,
    place: (Duration, u64),
}

impl Time {
    fn read(&self) -> Duration {
        let mut waits = self.lock();
        waits.now = waits.now.saturating_add(READING);
        waits.now
    }

    fn after(&self, time: Duration, answer: Vec<u8>) -> Pending {
        let mut waits = self.lock();
        let end = waits.now.saturating_add(time);
        waits.begun += 1;
        let place = (end, waits.begun);
        waits.under_way.insert(place, None);
        let wait = Wait { time: self.clone(), place };
        Box::pin(async move {
            wait.await;
            answer
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waits = self.time.lock();
        if waits.under_way.first_key_value().is_some_and(|(first, _)| *first == self.place) {
            waits.now = waits.now.max(self.place.0);
            return Poll::Ready(());
        }
        waits.under_way.insert(self.place, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self.time.lock();
        waits.under_way.remove(&self.place);
        let next = waits.under_way.first_entry().and_then(|mut next| next.get_mut().take());
        drop(waits);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_in_another_order_are_the_same_request() {
        let one = br#"{"name": "mcp_T_put", "args": {"a": 1, "b": [2]}, "op": "call"}"#;
        let other = br#"{"name": "mcp_T_put", "args": {"b": [2], "a": 1}, "op": "call"}"#;
        let third = br#"{"name": "mcp_T_put", "args": {"b": [3], "a": 1}, "op": "call"}"#;
        assert_eq!(key(one, Some(&[7; 32])), key(other, None));
        assert_ne!(key(one, None), key(third, None));
        let long = vec![b'x'; Begun::SHOWN];
        assert_eq!(key(&long, Some(&[7; 32])), [7; 32]);
    }
}
