//! How long an execution has taken, over all of its lives in memory and the waits between them.

use super::live::Live;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Time {
    /// When this process began to hold it.
    began: Option<Instant>,
    /// How long it had taken before that, and how much of it its limit counts.
    took: Duration,
    counted: Duration,
}

impl Time {
    /// Of an execution that had taken so long before now.
    pub(super) fn after(took: Duration, counted: Duration) -> Self {
        Self { began: Some(Instant::now()), took, counted }
    }

    /// It counts from now on, if it does not yet.
    pub(super) fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    pub(super) fn took(&self) -> Duration {
        self.took + self.here()
    }

    /// What its time limit counts: all but the time for which it waited for people.
    pub(super) fn counted(&self, live: &Live) -> Duration {
        self.counted + self.here().saturating_sub(live.waited())
    }

    fn here(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }
}
