//! When a run must end.

use crate::host::Uncounted;
use crate::limits::Limits;
use crate::stop::Limit;
use crate::usage::Meter;
use std::fmt;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A limit that `Instant` cannot hold becomes this.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Shortest wait of a run whose time does not count: its deadline moves on with the clock, and would be looked at without
/// end. A limit that is reached in such a wait is noticed so much later.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// What ends one run. The watchdog asks while it computes, its waits see to the rest.
pub(crate) struct Watch {
    /// If all of its time counts.
    deadline: Instant,
    /// How much of it does not.
    uncounted: Option<Uncounted>,
    /// Most processor time.
    pub(crate) cpu: Duration,
    pub(crate) meter: Meter,
    pub(crate) cancel: CancellationToken,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("deadline", &self.deadline).field("cpu", &self.cpu).finish_non_exhaustive()
    }
}

impl Watch {
    /// For a run that begins now.
    pub(crate) fn new(limits: &Limits, uncounted: Option<Uncounted>, cancel: CancellationToken) -> Self {
        let deadline = after(Instant::now(), limits.wall);
        Self { deadline, uncounted, cpu: limits.cpu, meter: Meter::default(), cancel }
    }

    fn uncounted(&self) -> Duration {
        self.uncounted.as_ref().map_or(Duration::ZERO, |uncounted| uncounted())
    }

    /// Until when a wait may last before it has to be asked again whether the run is over.
    pub(crate) fn next_look(&self) -> Instant {
        match self.uncounted() {
            Duration::ZERO => self.deadline,
            more => after(self.deadline, more).max(Instant::now() + LEAST_WAIT),
        }
    }

    /// Whether the run is over at `now`, but for its processor time.
    pub(crate) fn over(&self, now: Instant) -> Option<Limit> {
        if self.cancel.is_cancelled() {
            Some(Limit::Cancelled)
        } else if now >= self.deadline && now.duration_since(self.deadline) >= self.uncounted() {
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
