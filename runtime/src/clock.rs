//! The clocks that a guest can read. They are the host's to give, so that a run can be repeated.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Which clock the guest reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Nanoseconds since 1970-01-01 UTC.
    Wall,
    /// Nanoseconds since some moment before the run.
    Monotonic,
}

/// This machine's own clocks; the monotonic one starts with the run.
#[derive(Debug)]
pub struct RealClock {
    started: Instant,
}

impl Default for RealClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl RealClock {
    /// Nanoseconds on `clock`.
    pub fn read(&self, clock: Clock) -> u64 {
        let elapsed = match clock {
            Clock::Wall => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Monotonic => self.started.elapsed(),
        };
        nanoseconds(elapsed)
    }
}

/// A clock that moves only when it is read or slept on: the same program reads the same times in every run.
#[derive(Debug, Clone)]
pub struct SteppedClock {
    started: u64,
    now: u64,
    step: u64,
}

impl SteppedClock {
    /// Starts at `wall` after 1970 and moves by `step` at each reading.
    pub fn new(wall: Duration, step: Duration) -> Self {
        let started = nanoseconds(wall);
        Self { started, now: started, step: nanoseconds(step) }
    }

    /// Nanoseconds on `clock`, after one step.
    pub fn read(&mut self, clock: Clock) -> u64 {
        self.now = self.now.saturating_add(self.step);
        match clock {
            Clock::Wall => self.now,
            Clock::Monotonic => self.now.saturating_sub(self.started),
        }
    }

    /// Lets `time` pass, as a sleep does.
    pub fn advance(&mut self, time: Duration) {
        self.now = self.now.saturating_add(nanoseconds(time));
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
