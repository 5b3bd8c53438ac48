//! What a replay has come to: how far it is, where it was stopped, and what it printed.

use super::judge::Judge;
use super::known::Known;
use super::words::{Call, Printer};
use exuvia_runtime::{Clock, Effect, Kept, Stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Why a replay was stopped before the program came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is at the effect that was named.
    Until,
    /// The record has no more.
    RecordEnds,
    /// The record has no answer to that.
    NotRecorded,
}

#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) why: Why,
    /// Its number; none of a reading of a clock.
    pub(super) effect: Option<u64>,
    pub(super) asks: String,
}

/// Shared by the hosts of one replay.
#[derive(Clone)]
pub(super) struct Seen(Arc<Mutex<Inner>>);

pub(super) struct Inner {
    /// Effects that people see, begun so far.
    pub(super) effects: u64,
    /// The program is reading a clock.
    pub(super) is_reading: bool,
    pub(super) stopped: Option<Stopped>,
    /// Where the program stands, as it says.
    pub(super) stack: String,
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
    pub(super) judge: Option<Judge>,
    printer: Printer,
    cancel: CancellationToken,
}

impl Seen {
    /// `output`: bytes kept of each stream, as the execution itself kept them.
    pub(super) fn new(output: usize, judge: Option<Judge>, cancel: CancellationToken) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            effects: 0,
            is_reading: false,
            stopped: None,
            stack: String::new(),
            stdout: Kept::new(output),
            stderr: Kept::new(output),
            judge,
            printer: Printer::new(),
            cancel,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the program here. The first time counts.
    pub(super) fn stop(&self, why: Why, effect: u64, asks: String) {
        self.lock().stopped.get_or_insert(Stopped { why, effect: Some(effect), asks });
    }

    /// Has the policy decide a call that is recorded.
    pub(super) fn judge(&self, effect: &Effect, known: &Known) {
        let mut inner = self.lock();
        let number = inner.effects;
        if let (Some(judge), Some(call)) = (&mut inner.judge, Call::of(effect)) {
            judge.decide(number, call, known);
        }
    }
}

impl Inner {
    pub(super) fn prints(&mut self, stream: Stream, bytes: &[u8]) {
        // What it prints after that is of no run that there was.
        if self.stopped.is_some() {
            return;
        }
        match stream {
            Stream::Stdout => self.stdout.push(bytes),
            Stream::Stderr => self.stderr.push(bytes),
        }
        self.printer.print(stream, bytes);
    }

    /// The program has said where it stands: no more is wanted of it.
    pub(super) fn stands(&mut self, stack: String) {
        self.stack = stack;
        self.cancel.cancel();
    }

    /// The program reads a clock where the record has no more. It cannot be told to say where it stands then.
    pub(super) fn reads_at_the_end(&mut self, clock: Clock) {
        let asks = match clock {
            Clock::Wall => "a reading of the wall clock",
            Clock::Monotonic => "a reading of the monotonic clock",
        };
        self.stopped.get_or_insert(Stopped { why: Why::RecordEnds, effect: None, asks: asks.to_owned() });
        self.cancel.cancel();
    }

    pub(super) fn finish(&mut self) {
        self.printer.finish();
    }
}
