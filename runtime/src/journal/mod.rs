//! A journal: the record of all that the host told a run, from which the run can be built again exactly.
//!
//! A guest computes, and asks its [`Host`] for everything else. [`Journaled`] stands between the two: it writes down what the
//! host says, and where a record is there already it answers from that, until it ends. Then the run goes on live.
//!
//! - `entry`: one fact, and its bytes; `reader`: a record from its beginning; `ledger`: where it is kept;
//! - `recorder`: writing, and what may leave when; `replay`: answering from the record;
//! - `told`: an effect that the record has begun; `halt`: why a run cannot go on;
//! - `outstanding`, `suspended`: a run that waits for long, and is dropped meanwhile.

mod entry;
mod halt;
mod ledger;
mod outstanding;
mod reader;
mod recorder;
mod replay;
mod suspended;
mod told;

pub use halt::Halt;
pub use ledger::{Durable, Ledger, Memory};
pub use reader::lived;
pub use recorder::{Stay, Witness};
pub use suspended::{Patience, Suspended};

use self::entry::Entry;
use self::halt::{NOTHING, SHOWN, shown};
use self::outstanding::{Mark, Table};
use self::reader::Found;
use self::recorder::{Recorder, now};
use self::replay::Replay;
use self::told::Told;
use crate::clock::Clock;
use crate::host::{Effect, Host, Outstanding, Pending, Rest, Stream, Uncounted};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Before a run that could not be suspended is asked about again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a journal may come to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most bytes.
    pub bytes: u64,
    /// Most entries: a replay takes time for each.
    pub entries: u64,
    /// When the run is suspended; none: never.
    pub patience: Option<Patience>,
}

/// The journal of one run.
pub struct Journal {
    shared: Shared,
    found: Newest,
    patience: Option<Patience>,
}

/// What a journal, its host and its effects have in common.
#[derive(Clone)]
struct Shared {
    ledger: Arc<dyn Ledger>,
    recorder: Arc<Recorder>,
    replay: Arc<Mutex<Replay>>,
    table: Arc<Table>,
    /// What it waited for when it was suspended, if it was.
    left: Arc<Mutex<Option<Outstanding>>>,
}

/// How far the clocks were.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    wall: u64,
    monotonic: u64,
    /// Milliseconds since 1970 at the last thing that happened; 0 when nothing did.
    at: u64,
    /// A moment, and what the monotonic clock was then, in nanoseconds.
    base: Option<(u64, u64)>,
}

impl Newest {
    fn of(found: &Found) -> Self {
        Self { wall: found.last.wall, monotonic: found.last.monotonic, at: found.newest, base: found.base }
    }

    /// What the monotonic clock has to be by now: the time without a process counts, as it does for a sleep.
    fn elapsed(&self) -> u64 {
        let since = |at: u64| now().saturating_sub(at).saturating_mul(1_000_000);
        let elapsed = match self.base {
            Some((at, monotonic)) => monotonic.saturating_add(since(at)),
            None if self.at > 0 => self.monotonic.saturating_add(since(self.at)),
            None => self.monotonic,
        };
        elapsed.max(self.monotonic)
    }
}

impl Journal {
    /// Opens the journal in `ledger`, which is empty for a run that has not begun. Beyond its bounds, or when the program
    /// does not follow it, `cancel` stops the run and [`Verdict::halted`] says why.
    ///
    /// # Errors
    /// When what is there cannot be read; the text is for people.
    pub fn open(ledger: Arc<dyn Ledger>, bounds: Bounds, cancel: CancellationToken) -> Result<Self, String> {
        let found = Found::read(&ledger)?;
        let recorder = Arc::new(Recorder::new(Arc::clone(&ledger), bounds, cancel, &found));
        let newest = Newest::of(&found);
        let replay = Arc::new(Mutex::new(Replay::new(&ledger, found)));
        let shared = Shared { ledger, recorder, replay, table: Arc::default(), left: Arc::default() };
        Ok(Self { shared, found: newest, patience: bounds.patience })
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
            patience: self.patience,
            effects: 0,
            is_live: false,
            is_dated: false,
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

    /// The journal of a run that ended with [`Limit::Suspended`](crate::Limit::Suspended).
    pub fn suspended(&self) -> Option<Suspended> {
        let outstanding = *self.0.left.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Suspended { shared: self.0.clone(), outstanding: outstanding? })
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
    patience: Option<Patience>,
    effects: u64,
    /// Whether the program has come to the end of what was recorded of it.
    is_live: bool,
    /// Whether the record says when a reading of this life's monotonic clock was.
    is_dated: bool,
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
        if clock == Clock::Monotonic && !std::mem::replace(&mut self.is_dated, true) {
            self.shared.recorder.happened(&Entry::Moment { at: now() });
        }
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
        let asked = asked(&effect, &**self.inner());
        let request = matches!(effect, Effect::Request(_)).then(|| self.shared.recorder.request());
        let recorded = self.recorded(&asked);
        let mark = self.shared.table.begin(number, due(recorded.as_ref().unwrap_or(&asked)));
        let began = Began { number, request, inner: Arc::clone(&self.inner), shared: self.shared.clone(), mark };
        match recorded {
            Some(Entry::Sleep { at, .. } | Entry::Request { at, .. }) => {
                let underway = request.and_then(|_| self.inner().underway(number));
                Told::new(began, effect, at, underway).pending()
            }
            Some(_) => Box::pin(pending()),
            None => {
                self.shared.recorder.happened(&asked);
                began.live(effect)
            }
        }
    }

    fn rests(&mut self, waited: Duration, cpu: &dyn Fn() -> Duration) -> Rest {
        let Some(patience) = self.patience else { return Rest::Stay };
        let outstanding = self.shared.table.now();
        let least = patience.least(cpu());
        let is_sleep = outstanding.requests == 0
            && outstanding.due.is_some_and(|due| due.saturating_sub(now()) >= milliseconds(least));
        if waited < least && !is_sleep {
            return Rest::Ask(least.saturating_sub(waited));
        }
        let may = self.shared.replay().is_over() && self.shared.recorder.halted().is_none();
        if !may || !self.inner().suspends(&outstanding) {
            return Rest::Ask(least.max(AGAIN));
        }
        *self.shared.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(outstanding);
        Rest::Leave
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
            let here = self.inner().clock(Clock::Monotonic);
            self.ahead = self.found.elapsed().saturating_sub(here);
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
    mark: Mark,
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
                let _mark = self.mark;
                let answer = pending.await;
                recorder.happened(&Entry::Over { effect: effect_number });
                answer
            });
        };
        let witness = Witness::new(Arc::clone(&recorder), effect_number, request);
        let pending = self.host().begin(effect, witness.clone());
        Box::pin(async move {
            let _mark = self.mark;
            let answer = pending.await;
            witness.answered(&answer);
            recorder.happened(&Entry::Delivered { effect: effect_number });
            answer
        })
    }
}

/// What a record has of an effect when it begins now.
fn asked(effect: &Effect, host: &dyn Host) -> Entry {
    let at = now();
    match effect {
        Effect::Sleep(time) => Entry::Sleep { at, nanoseconds: nanoseconds(*time) },
        Effect::Request(message) => {
            let json = message.get().as_bytes();
            let shown = host.shown(json);
            let shown = shown.get(..SHOWN).unwrap_or(&shown).to_vec();
            let mut hash = blake3::Hasher::new();
            for part in message.parts() {
                hash.update(part);
            }
            Entry::Request { at, hash: *hash.finalize().as_bytes(), shown }
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

/// When a sleep ends, in milliseconds since 1970.
fn due(began: &Entry) -> Option<u64> {
    match began {
        Entry::Sleep { at, nanoseconds } => Some(at.saturating_add(nanoseconds.div_ceil(1_000_000))),
        _ => None,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
