//! A journal: the record of all that the host told a run, from which the run can be built again exactly.
//!
//! A guest computes, and asks its [`Host`] for everything else. [`Journaled`] stands between the two: it writes down what the
//! host says, and where a record is there already it answers from that, until it ends. Then the run goes on live.
//!
//! - `entry`: one fact, and its bytes; `reader`: a record from its beginning; `ledger`: where it is kept;
//! - `recorder`: writing, and what may leave when; `replay`: answering from the record;
//! - `told`: an effect that the record has begun; `halt`: why a run cannot go on;
//! - `facts`: a record for those who only read it.

mod entry;
mod facts;
mod halt;
mod ledger;
mod reader;
mod recorder;
mod replay;
mod told;

pub use facts::{Begun, Fact, Facts, Said};
pub use halt::Halt;
pub use ledger::{Durable, Ledger, Memory};
pub use recorder::{Stay, Witness};

use self::entry::Entry;
use self::halt::{NOTHING, SHOWN, shown};
use self::reader::Found;
use self::recorder::{Recorder, now};
use self::replay::Replay;
use self::told::Told;
use crate::clock::Clock;
use crate::host::{Effect, Host, Pending, Stream, Uncounted};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The journal of one run.
pub struct Journal {
    shared: Shared,
    found: Newest,
}

/// What a journal, its host and its effects have in common.
#[derive(Clone)]
struct Shared {
    ledger: Arc<dyn Ledger>,
    recorder: Arc<Recorder>,
    replay: Arc<Mutex<Replay>>,
}

/// How far the clocks were.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    wall: u64,
    monotonic: u64,
    /// Milliseconds since 1970 at the last thing that happened; 0 when nothing did.
    at: u64,
}

impl Journal {
    /// Opens the journal in `ledger`, which is empty for a run that has not begun. It may grow to `most` bytes; beyond
    /// that, or when the program does not follow it, `cancel` stops the run and [`Verdict::halted`] says why.
    ///
    /// # Errors
    /// When what is there cannot be read; the text is for people.
    pub fn open(ledger: Arc<dyn Ledger>, most: u64, cancel: CancellationToken) -> Result<Self, String> {
        let found = Found::read(&ledger)?;
        let recorder = Arc::new(Recorder::new(Arc::clone(&ledger), most, cancel, &found));
        let newest = Newest { wall: found.last.wall, monotonic: found.last.monotonic, at: found.newest };
        let replay = Arc::new(Mutex::new(Replay::new(&ledger, found)));
        Ok(Self { shared: Shared { ledger, recorder, replay }, found: newest })
    }

    /// What can be asked once the run is over.
    pub fn verdict(&self) -> Verdict {
        Verdict(self.shared.clone())
    }

    /// The host of the run: `host`, with this journal before it. What the program does must leave through
    /// [`Host::begin`].
    pub fn before(self, host: Box<dyn Host>) -> Journaled {
        Journaled {
            inner: Arc::new(Mutex::new(host)),
            shared: self.shared,
            found: self.found,
            effects: 0,
            is_live: false,
            ahead: 0,
        }
    }
}

/// What became of a run with a journal.
pub struct Verdict(Shared);

impl Verdict {
    /// Why the journal stopped the run, if it did.
    pub fn halted(&self) -> Option<Halt> {
        self.0.recorder.halted()
    }

    /// The same for a program that came to an end of its own, which must be the end of the record, too.
    pub fn ended(&self) -> Option<Halt> {
        self.halted().or_else(|| match self.0.replay().step() {
            Ok(None) => None,
            Ok(Some((step, recorded))) => {
                Some(Halt::Diverged { step, recorded: shown(&recorded), asked: NOTHING.into() })
            }
            Err(why) => Some(Halt::Unreadable(why)),
        })
    }
}

/// A host with a journal before it.
pub struct Journaled {
    inner: Arc<Mutex<Box<dyn Host>>>,
    shared: Shared,
    found: Newest,
    effects: u64,
    /// Whether the program has come to the end of what was recorded of it.
    is_live: bool,
    /// What the monotonic clock of this process lacks.
    ahead: u64,
}

impl Shared {
    fn replay(&self) -> MutexGuard<'_, Replay> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, why: String) {
        self.recorder.halt(Halt::Unreadable(why));
    }
}

impl Host for Journaled {
    fn clock(&mut self, clock: Clock) -> u64 {
        let asked = Entry::Read(clock, 0);
        match self.recorded(&asked) {
            Some(Entry::Read(_, value)) => return value,
            Some(_) => return 0,
            None => {}
        }
        let value = self.inner().clock(clock);
        // Neither clock goes back over a restart.
        let value = match clock {
            Clock::Wall => value.max(self.found.wall),
            Clock::Monotonic => value.saturating_add(self.ahead),
        };
        self.shared.recorder.happened(&Entry::Read(clock, value));
        value
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) {
        // What a program prints that has left its record means nothing.
        if self.shared.recorder.halted().is_none() {
            self.inner().output(stream, bytes);
        }
    }

    fn start(&mut self, effect: Effect) -> Pending {
        let number = self.effects;
        self.effects += 1;
        let asked = asked(&effect);
        let request = matches!(effect, Effect::Request(_)).then(|| self.shared.recorder.request());
        let recorded = self.recorded(&asked);
        let began = Began { number, request, inner: Arc::clone(&self.inner), shared: self.shared.clone() };
        match recorded {
            Some(Entry::Sleep { at, .. } | Entry::Request { at, .. }) => Told::new(began, effect, at).pending(),
            Some(_) => Box::pin(pending()),
            None => {
                self.shared.recorder.happened(&asked);
                began.live(effect)
            }
        }
    }

    fn uncounted(&self) -> Option<Uncounted> {
        self.inner().uncounted()
    }
}

impl Journaled {
    fn inner(&self) -> MutexGuard<'_, Box<dyn Host>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the record has in the place of `asked`; none once it is live. Something else than was asked stops the run:
    /// then what is given here does not fit either.
    fn recorded(&mut self, asked: &Entry) -> Option<Entry> {
        if self.is_live {
            return None;
        }
        let step = self.shared.replay().step();
        match step {
            Ok(Some((_, recorded))) if is_same(&recorded, asked) => Some(recorded),
            Ok(Some((step, recorded))) => {
                let (recorded, asked) = (shown(&recorded), shown(asked));
                self.shared.recorder.halt(Halt::Diverged { step, recorded, asked });
                Some(Entry::Closed)
            }
            Ok(None) => {
                self.goes_live();
                None
            }
            Err(why) => {
                self.shared.unreadable(why);
                Some(Entry::Closed)
            }
        }
    }

    fn goes_live(&mut self) {
        self.is_live = true;
        if self.found.at > 0 || self.found.monotonic > 0 {
            let down = if self.found.at == 0 { 0 } else { now().saturating_sub(self.found.at) };
            let elapsed = self.found.monotonic.saturating_add(down.saturating_mul(1_000_000));
            let here = self.inner().clock(Clock::Monotonic);
            self.ahead = elapsed.saturating_sub(here);
        }
    }
}

/// An effect that has its number.
struct Began {
    number: u64,
    /// Its number among the requests, if it is one.
    request: Option<u64>,
    inner: Arc<Mutex<Box<dyn Host>>>,
    shared: Shared,
}

impl Began {
    fn host(&self) -> MutexGuard<'_, Box<dyn Host>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does it, and writes down what comes of it.
    fn live(self, effect: Effect) -> Pending {
        let recorder = Arc::clone(&self.shared.recorder);
        let effect_number = self.number;
        let Some(request) = self.request else {
            let pending = self.host().start(effect);
            return Box::pin(async move {
                let answer = pending.await;
                recorder.happened(&Entry::Over { effect: effect_number });
                answer
            });
        };
        let witness = Witness::new(Arc::clone(&recorder), effect_number, request);
        let pending = self.host().begin(effect, witness.clone());
        Box::pin(async move {
            let answer = pending.await;
            witness.answered(&answer);
            recorder.happened(&Entry::Delivered { effect: effect_number });
            answer
        })
    }
}

/// What a record has of an effect when it begins now.
fn asked(effect: &Effect) -> Entry {
    let at = now();
    match effect {
        Effect::Sleep(time) => Entry::Sleep { at, nanoseconds: nanoseconds(*time) },
        Effect::Request(message) => {
            let bytes = message.get().as_bytes();
            let shown = bytes.get(..SHOWN).unwrap_or(bytes).to_vec();
            Entry::Request { at, hash: *blake3::hash(bytes).as_bytes(), shown }
        }
    }
}

/// Whether the program asks what is recorded, whenever that was and whatever was answered.
fn is_same(recorded: &Entry, asked: &Entry) -> bool {
    match (recorded, asked) {
        (Entry::Read(recorded, _), Entry::Read(asked, _)) => recorded == asked,
        (Entry::Sleep { nanoseconds: recorded, .. }, Entry::Sleep { nanoseconds: asked, .. }) => recorded == asked,
        (Entry::Request { hash: recorded, .. }, Entry::Request { hash: asked, .. }) => recorded == asked,
        _ => false,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
