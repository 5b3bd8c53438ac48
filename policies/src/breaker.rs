//! The state of one breaker: what a grant's last calls of one tool were like. It stops a loop that fails for ever, and
//! one that asks the same thing for ever.

use crate::counters::{Outcome, Trip};
use crate::extensions::BreakerRules;
use crate::window::Timestamp;

#[derive(Debug)]
pub(crate) struct Breaker {
    failures: u32,
    failed_at: Timestamp,
    /// A keyed hash of the last call's arguments.
    last: Option<u64>,
    repeats: u32,
    /// When the last call passed.
    pub(crate) passed_at: Timestamp,
}

impl Breaker {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { failures: 0, failed_at: now, last: None, repeats: 0, passed_at: now }
    }

    /// What keeps a call from passing, and until when.
    pub(crate) fn tripped(&self, rules: &BreakerRules, arguments: u64, now: Timestamp) -> Option<(Trip, Timestamp)> {
        let cooled = |since: Timestamp| since.plus_secs(rules.cooldown_s.get());
        let reached = |count: u32, max: Option<std::num::NonZeroU32>| max.is_some_and(|max| count >= max.get());
        if reached(self.failures, rules.consecutive_failures) && now < cooled(self.failed_at) {
            return Some((Trip::ConsecutiveFailures, cooled(self.failed_at)));
        }
        let repeated = self.last == Some(arguments) && reached(self.repeats, rules.identical_calls);
        (repeated && now < cooled(self.passed_at)).then(|| (Trip::IdenticalCalls, cooled(self.passed_at)))
    }

    /// A call passes. After a cooldown, the count of identical calls starts anew.
    pub(crate) fn pass(&mut self, rules: &BreakerRules, arguments: u64, now: Timestamp) {
        let full = rules.identical_calls.is_some_and(|max| self.repeats >= max.get());
        let same = self.last == Some(arguments) && !full;
        self.repeats = if same { self.repeats.saturating_add(1) } else { 1 };
        self.last = Some(arguments);
        self.passed_at = now;
    }

    /// A call that passed did not start.
    pub(crate) fn undo(&mut self, arguments: u64) {
        if self.last == Some(arguments) {
            self.repeats = self.repeats.saturating_sub(1);
        }
    }

    /// A call ended. After a cooldown, one more failure opens the breaker again at once.
    pub(crate) fn settle(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Succeeded => self.failures = 0,
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.failed_at = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::{NonZeroU32, NonZeroU64};

    const RULES: BreakerRules = BreakerRules {
        consecutive_failures: NonZeroU32::new(2),
        identical_calls: NonZeroU32::new(3),
        cooldown_s: NonZeroU64::new(60).unwrap(),
    };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn failures_in_a_row_open_it_until_it_has_cooled() {
        let mut breaker = Breaker::new(at(0));
        breaker.settle(Outcome::Failed, at(1));
        breaker.settle(Outcome::Succeeded, at(2));
        breaker.settle(Outcome::Failed, at(3));
        assert_eq!(breaker.tripped(&RULES, 7, at(3)), None);
        breaker.settle(Outcome::Failed, at(4));
        assert_eq!(breaker.tripped(&RULES, 7, at(5)), Some((Trip::ConsecutiveFailures, at(64))));
        assert_eq!(breaker.tripped(&RULES, 7, at(64)), None);
        breaker.settle(Outcome::Failed, at(65));
        assert_eq!(breaker.tripped(&RULES, 7, at(66)), Some((Trip::ConsecutiveFailures, at(125))));
    }

    #[test]
    fn identical_calls_open_it_for_that_call() {
        let mut breaker = Breaker::new(at(0));
        for second in 0..3 {
            assert_eq!(breaker.tripped(&RULES, 7, at(second)), None);
            breaker.pass(&RULES, 7, at(second));
        }
        assert_eq!(breaker.tripped(&RULES, 7, at(3)), Some((Trip::IdenticalCalls, at(62))));
        assert_eq!(breaker.tripped(&RULES, 8, at(3)), None);
        assert_eq!(breaker.tripped(&RULES, 7, at(62)), None);
        breaker.pass(&RULES, 7, at(62));
        assert_eq!(breaker.tripped(&RULES, 7, at(63)), None);
    }

    #[test]
    fn a_call_that_never_started_is_not_counted() {
        let mut breaker = Breaker::new(at(0));
        for _ in 0..10 {
            breaker.pass(&RULES, 7, at(0));
            breaker.undo(7);
        }
        assert_eq!(breaker.tripped(&RULES, 7, at(0)), None);
    }
}
