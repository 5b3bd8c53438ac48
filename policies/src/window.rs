//! Time as the caller tells it, and the fixed windows that limits count in.

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC. This crate has no clock: every decision is told the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1000)))
    }

    /// Seconds from here to `later`, rounded up, so that waiting that long is enough; at least 1.
    pub(crate) fn wait_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(1000).max(1)
    }
}

/// The length of a limit's window. Windows are fixed and aligned to UTC: a minute starts when the clock's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Minute,
    Hour,
    Day,
}

impl Window {
    pub(crate) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The start of the window that `now` lies in.
    pub const fn start(self, now: Timestamp) -> Timestamp {
        Timestamp(now.0 - now.0 % self.millis())
    }

    /// The first moment after the window that starts at `start`.
    pub const fn end(self, start: Timestamp) -> Timestamp {
        Timestamp(start.0.saturating_add(self.millis()))
    }

    const fn millis(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_utc() {
        // 2026-11-22T16:59:59.999Z
        let now = Timestamp::from_millis(1_795_366_799_999);
        assert_eq!(Window::Minute.start(now).as_millis(), 1_795_366_740_000);
        assert_eq!(Window::Hour.end(Window::Hour.start(now)).as_millis(), 1_795_366_800_000);
        assert_eq!(Window::Day.start(now).as_millis() % 86_400_000, 0);
    }

    #[test]
    fn a_wait_is_rounded_up_and_never_zero() {
        let now = Timestamp::from_millis(1_001);
        assert_eq!(now.wait_until(Timestamp::from_millis(2_000)), 1);
        assert_eq!(now.wait_until(Timestamp::from_millis(2_002)), 2);
        assert_eq!(now.wait_until(now), 1);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!(Window::Day.end(Window::Day.start(last)), last);
    }
}
