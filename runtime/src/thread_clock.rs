//! The processor time of a thread, also as seen from another one.
#![expect(unsafe_code, reason = "rustix knows this thread's clock only")]

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds that this thread has computed.
pub(crate) fn own() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

/// One thread's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// This thread's, for others to read.
    pub(crate) fn of_this() -> Self {
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: names the clock of a living thread, this one, and writes to `clock`. On an error that stays as it is.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        Self(clock)
    }

    /// Nanoseconds; 0 when the thread has ended.
    pub(crate) fn read(self) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes to `time`, or fails when there is no such clock any more.
        unsafe { libc::clock_gettime(self.0, &raw mut time) };
        nanoseconds(Timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec })
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_read_from_another() {
        let clock = ThreadClock::of_this();
        let before = own();
        let seen = std::thread::scope(|scope| scope.spawn(|| clock.read()).join().unwrap());
        assert!((before..=own()).contains(&seen));
    }
}
