//! The calls of one execution that wait for a person, and how long it has waited for people so far.

use super::live::Live;
use crate::approvals;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Waits {
    /// What is waited for now. Two calls may not wait for the same.
    asked: Vec<approvals::Id>,
    since: Option<Instant>,
    before: Duration,
}

impl Waits {
    /// Whether it is the first.
    pub(super) fn begin(&mut self, id: approvals::Id, now: Instant) -> bool {
        self.asked.push(id);
        let is_first = self.since.is_none();
        self.since.get_or_insert(now);
        is_first
    }

    /// Whether it was the last.
    pub(super) fn end(&mut self, id: approvals::Id, now: Instant) -> bool {
        self.asked.retain(|asked| *asked != id);
        if !self.asked.is_empty() {
            return false;
        }
        self.before = self.total(now);
        self.since = None;
        true
    }

    /// Time in which at least one call waited.
    pub(super) fn total(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    pub(super) fn asked(&self) -> &[approvals::Id] {
        &self.asked
    }
}

/// A call that waits for a person. Dropped, it does so no more.
pub(crate) struct Waiting {
    pub(super) live: Arc<Live>,
    pub(super) id: approvals::Id,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.live.answered(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_overlap_count_once() {
        let mut waits = Waits::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (one, other) = (approvals::Id::new(), approvals::Id::new());
        assert!(waits.begin(one, at(0)));
        assert!(!waits.begin(other, at(2)));
        assert_eq!(waits.total(at(3)), Duration::from_secs(3));
        assert!(!waits.end(one, at(4)));
        assert!(waits.end(other, at(5)));
        assert_eq!(waits.total(at(9)), Duration::from_secs(5));
        assert!(waits.begin(one, at(10)));
        assert_eq!(waits.total(at(11)), Duration::from_secs(6));
        assert_eq!(waits.asked(), [one]);
    }
}
