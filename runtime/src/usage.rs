//! What a run used, and the meter that counts computing time.

use crate::pages;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
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
}

/// Counts the processor time of the threads that poll one run. Only one of them does at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    used: AtomicU64,
    /// Page faults in all polls; with the count of the thread at the beginning of a poll subtracted while it lasts.
    faults: AtomicU64,
    /// This thread's processor time when the present poll began.
    began: AtomicU64,
}

impl Meter {
    pub(crate) fn begin_poll(&self) {
        self.0.began.store(thread_time(), Relaxed);
        self.0.faults.store(self.faults().wrapping_sub(pages::faults()), Relaxed);
    }

    pub(crate) fn end_poll(&self) {
        self.0.used.store(self.nanoseconds(), Relaxed);
        self.0.faults.store(self.faults().wrapping_add(pages::faults()), Relaxed);
    }

    /// Page faults in all polls so far. Called between polls.
    pub(crate) fn faults(&self) -> u64 {
        self.0.faults.load(Relaxed)
    }

    /// Called within a poll.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds())
    }

    /// Called between polls.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.used.load(Relaxed))
    }

    fn nanoseconds(&self) -> u64 {
        self.0.used.load(Relaxed) + thread_time().saturating_sub(self.0.began.load(Relaxed))
    }
}

fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
