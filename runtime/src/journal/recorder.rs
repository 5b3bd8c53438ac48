//! Writing a record: in the order in which things happen, and so that what leaves for the world is on the disk before.
//!
//! A write to the disk takes a quarter of a millisecond, a call of a tool often one. So the first call of a program waits
//! for its own record, and those that follow each other closely are *leased*: a durable entry says that requests up to
//! some number may leave without waiting. A lease is closed when no call has left for a moment, so that a death later
//! leaves nothing in doubt but the calls that were really under way.

use super::Bounds;
use super::entry::{Entry, Kept, Last, Name};
use super::halt::Halt;
use super::ledger::{Durable, Ledger};
use super::reader::Found;
use crate::clock::{Clock, RealClock};
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Calls that leave within so long of each other are leased; a lease that none has used for so long is closed.
const PAUSE: Duration = Duration::from_millis(20);
/// Each lease is so many times larger than the one before.
const GROWTH: u64 = 4;
/// The largest lease. After a death at the wrong moment at most twice as many calls are in doubt: those of one lease and
/// of the next, which is asked for when half of one is used.
const LARGEST_LEASE: u64 = 32;
/// Answers above this size are kept beside the record, in bytes.
const LARGEST_INLINE: usize = 64 << 10;

pub(super) struct Recorder {
    ledger: Arc<dyn Ledger>,
    bounds: Bounds,
    state: Mutex<State>,
}

struct State {
    /// Stops the run that writes.
    cancel: CancellationToken,
    last: Last,
    bytes: u64,
    entries: u64,
    /// Nothing more is written: another recorder goes on.
    is_sealed: bool,
    /// Whether an earlier process wrote what is there, and this one nothing yet.
    is_new_life: bool,
    doubt: u64,
    lease: Option<Lease>,
    /// Counts the leases that were closed.
    closed: u64,
    /// The size of the last lease.
    size: u64,
    departed: Option<Instant>,
    /// Requests begun so far.
    requests: u64,
    halted: Option<Halt>,
}

struct Lease {
    until: u64,
    /// The next one is on its way to the disk.
    is_extended: bool,
}

/// Why an effect does not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stay {
    /// It may have happened before: an earlier process died in the middle of it, or of what came in its place.
    InDoubt,
    /// That it leaves cannot be written down.
    Unrecorded(String),
}

impl Recorder {
    pub(super) fn new(ledger: Arc<dyn Ledger>, bounds: Bounds, cancel: CancellationToken, found: &Found) -> Self {
        let state = State {
            cancel,
            last: found.last,
            bytes: found.bytes,
            entries: found.entries,
            is_sealed: false,
            is_new_life: found.parts > 0,
            doubt: found.doubt,
            lease: None,
            closed: 0,
            size: 1,
            departed: None,
            requests: 0,
            halted: None,
        };
        Self { ledger, bounds, state: Mutex::new(state) }
    }

    /// The run begins once more, with what is under way of it.
    pub(super) fn again(&self, cancel: CancellationToken) {
        let mut state = self.state();
        state.requests = 0;
        if state.halted.is_some() {
            cancel.cancel();
        }
        state.cancel = cancel;
    }

    /// Writes nothing more. An open lease is closed: nobody is left to use it, and the next life would have to doubt.
    pub(super) fn seal(&self) {
        let mut state = self.state();
        if state.lease.take().is_some() {
            state.closed += 1;
            self.write(&mut state, &Entry::Closed);
        }
        state.is_sealed = true;
    }

    /// Writes what happened.
    pub(super) fn happened(&self, entry: &Entry) {
        self.write(&mut self.state(), entry);
    }

    /// Counts a request of the program, recorded or new; its number.
    pub(super) fn request(&self) -> u64 {
        let mut state = self.state();
        state.requests += 1;
        state.requests - 1
    }

    /// Writes that an answer came.
    pub(super) fn answered(&self, effect: u64, answer: &[u8]) {
        let kept = if answer.len() > LARGEST_INLINE {
            let name: Name = *blake3::hash(answer).as_bytes();
            self.ledger.keep(name, answer.to_vec());
            self.state().bytes += answer.len() as u64;
            Kept::Large(name)
        } else {
            Kept::Inline(answer.to_vec())
        };
        self.happened(&Entry::Answer { effect, at: now(), answer: kept });
    }

    /// Stops the run. The first reason counts.
    pub(super) fn halt(&self, why: Halt) {
        let mut state = self.state();
        state.halted.get_or_insert(why);
        state.cancel.cancel();
    }

    pub(super) fn halted(&self) -> Option<Halt> {
        self.state().halted.clone()
    }

    /// Writes that an effect leaves, and gives what it has to wait for.
    fn depart(self: &Arc<Self>, effect: u64, request: u64) -> Result<Durable, Stay> {
        let mut state = self.state();
        if state.halted.is_some() || state.is_sealed {
            return Err(Stay::Unrecorded("the run is being stopped".into()));
        }
        if request < state.doubt {
            return Err(Stay::InDoubt);
        }
        self.write(&mut state, &Entry::Left { effect });
        let before = state.departed.replace(Instant::now());
        let until = state.lease.as_ref().map(|lease| (lease.until, lease.is_extended));
        match until {
            Some((until, is_extended)) if request < until => {
                if !is_extended && until - request <= state.size / 2 {
                    self.extend(&mut state, until);
                }
                Ok(Box::pin(ready(Ok(()))))
            }
            _ if before.is_some_and(|before| before.elapsed() < PAUSE) => {
                let first = request.max(state.requests.saturating_sub(1));
                Ok(self.lease(&mut state, first))
            }
            _ => {
                state.size = 1;
                Ok(self.ledger.durable())
            }
        }
    }

    /// Asks for the lease after the one until `until`, so that it is there when that one is used up.
    fn extend(self: &Arc<Self>, state: &mut State, until: u64) {
        if let Some(lease) = &mut state.lease {
            lease.is_extended = true;
        }
        tokio::spawn(self.lease(state, until.saturating_sub(1)));
    }

    /// A lease of the requests after `first`: it counts once it is durable.
    fn lease(self: &Arc<Self>, state: &mut State, first: u64) -> Durable {
        state.size = (state.size * GROWTH).min(LARGEST_LEASE);
        let until = first + 1 + state.size;
        let closed = state.closed;
        self.write(state, &Entry::Lease { until });
        let (recorder, durable) = (Arc::clone(self), self.ledger.durable());
        Box::pin(async move {
            durable.await?;
            recorder.leased(until, closed);
            Ok(())
        })
    }

    fn leased(self: &Arc<Self>, until: u64, closed: u64) {
        let mut state = self.state();
        // In the record it stands before the end of all leases.
        if state.is_sealed || state.closed != closed || state.lease.as_ref().is_some_and(|lease| lease.until >= until) {
            return;
        }
        let is_first = state.lease.replace(Lease { until, is_extended: false }).is_none();
        if is_first {
            tokio::spawn(close(Arc::clone(self)));
        }
    }

    /// Closes the lease if nobody has used it for a moment; else, when to look again.
    fn closed(&self) -> Option<Duration> {
        let mut state = self.state();
        // It may have been closed meanwhile.
        state.lease.as_ref()?;
        let idle = state.departed.map_or(PAUSE, |departed| departed.elapsed());
        if idle < PAUSE {
            return Some(PAUSE.saturating_sub(idle));
        }
        state.lease = None;
        state.closed += 1;
        self.write(&mut state, &Entry::Closed);
        None
    }

    fn write(&self, state: &mut State, entry: &Entry) {
        if state.halted.is_some() || state.is_sealed {
            return;
        }
        let mut bytes = Vec::with_capacity(16);
        if std::mem::take(&mut state.is_new_life) {
            state.entries += 1;
            Entry::Life { at: now() }.write(&mut state.last, &mut bytes);
        }
        entry.write(&mut state.last, &mut bytes);
        state.bytes += bytes.len() as u64;
        state.entries += 1;
        self.ledger.append(&bytes);
        let Bounds { bytes: most, entries, .. } = self.bounds;
        if state.bytes > most {
            state.halted = Some(Halt::Full { most });
        } else if state.entries > entries {
            state.halted = Some(Halt::TooMany { most: entries });
        }
        if state.halted.is_some() {
            state.cancel.cancel();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn close(recorder: Arc<Recorder>) {
    while let Some(pause) = recorder.closed() {
        tokio::time::sleep(pause).await;
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    RealClock::default().read(Clock::Wall) / 1_000_000
}

/// Where a host says how an effect fares, for the record. Cheap to clone.
#[derive(Clone)]
pub struct Witness(Option<Arc<Seen>>);

struct Seen {
    recorder: Arc<Recorder>,
    effect: u64,
    request: u64,
    answered: AtomicBool,
}

impl Witness {
    /// Of an effect that no record is kept of.
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(recorder: Arc<Recorder>, effect: u64, request: u64) -> Self {
        Self(Some(Arc::new(Seen { recorder, effect, request, answered: AtomicBool::new(false) })))
    }

    /// The number of the effect in its run, if a record is kept of it.
    pub fn effect(&self) -> Option<u64> {
        self.0.as_ref().map(|seen| seen.effect)
    }

    /// To be awaited at the last moment before an effect leaves that must not happen twice. What may be repeated, and
    /// what never leaves, needs it not.
    ///
    /// # Errors
    /// When it must not leave.
    pub async fn leaves(&self) -> Result<(), Stay> {
        let Some(seen) = &self.0 else { return Ok(()) };
        let durable = seen.recorder.depart(seen.effect, seen.request)?;
        durable.await.map_err(Stay::Unrecorded)
    }

    /// Its answer came, which the program may take much later. Said as soon as possible: without it the effect is in
    /// doubt after a death. Only the first one counts.
    pub fn answered(&self, answer: &[u8]) {
        let Some(seen) = &self.0 else { return };
        if !seen.answered.swap(true, Ordering::AcqRel) {
            seen.recorder.answered(seen.effect, answer);
        }
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("recorded", &self.0.is_some()).finish()
    }
}
