//! What a run used, and the meter that counts computing time.

use crate::pages;
use crate::thread_clock::{self, ThreadClock};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What one run used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Spent computing.
    pub cpu: Duration,
    /// Most bytes of linear memory and files together.
    pub peak_memory: u64,
    /// A hash of all linear memory at the end, with [`Config::digest`](crate::Config::digest).
    pub memory_digest: Option<[u8; 32]>,
    /// The same before the program was given to it.
    pub memory_before: Option<[u8; 32]>,
}

/// Counts the processor time of the threads that poll one run. Only one of them does at a time.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Nanoseconds of all polls that are over.
    used: AtomicU64,
    /// Page faults in all polls; with the count of the thread at the beginning of a poll subtracted while it lasts.
    faults: AtomicU64,
    /// The polling thread's processor time when the present poll began.
    began: AtomicU64,
}

impl Meter {
    pub(crate) fn begin_poll(&self) {
        self.began.store(thread_clock::own(), Relaxed);
        self.faults.store(self.faults().wrapping_sub(pages::faults()), Relaxed);
    }

    pub(crate) fn end_poll(&self) {
        self.used.store(self.with(thread_clock::own()), Relaxed);
        self.faults.store(self.faults().wrapping_add(pages::faults()), Relaxed);
    }

    /// Page faults in all polls so far. Called between polls.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }

    /// Called while a poll lasts, with the clock of the thread that it lasts on.
    pub(crate) fn used(&self, clock: ThreadClock) -> Duration {
        Duration::from_nanos(self.with(clock.read()))
    }

    /// Called during a poll, on its thread.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_nanos(self.with(thread_clock::own()))
    }

    /// Called between polls.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed))
    }

    fn with(&self, clock: u64) -> u64 {
        self.used.load(Relaxed) + clock.saturating_sub(self.began.load(Relaxed))
    }
}
