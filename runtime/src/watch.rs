//! When a run must end.

use crate::limits::Limits;
use crate::stop::Limit;
use crate::usage::Meter;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A limit that `Instant` cannot hold becomes this.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What ends one run. The watchdog asks while it computes, its waits see to the rest.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) deadline: Instant,
    /// Most processor time.
    pub(crate) cpu: Duration,
    pub(crate) meter: Meter,
    pub(crate) cancel: CancellationToken,
}

impl Watch {
    /// For a run that begins now.
    pub(crate) fn new(limits: &Limits, cancel: CancellationToken) -> Self {
        Self { deadline: after(Instant::now(), limits.wall), cpu: limits.cpu, meter: Meter::default(), cancel }
    }

    /// Whether the run is over at `now`, but for its processor time.
    pub(crate) fn over(&self, now: Instant) -> Option<Limit> {
        if self.cancel.is_cancelled() {
            Some(Limit::Cancelled)
        } else if now >= self.deadline {
            Some(Limit::Wall)
        } else {
            None
        }
    }

    /// Whether it is over for the processor time that it has `used`.
    pub(crate) fn exhausted(&self, used: Duration) -> Option<Limit> {
        (used >= self.cpu).then_some(Limit::Cpu)
    }
}

/// The moment that is `time` after `now`.
pub(crate) fn after(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or_else(|| now + FAR)
}
