//! Stops programs that are over their limits while they compute.
//!
//! A thread looks at all of them every millisecond. Who enters a guest takes a place here and leaves it when the guest
//! waits or ends, so a suspended run costs nothing.

use crate::error::Error;
use crate::fence::{Fence, Within};
use crate::stop::Limit;
use crate::thread_clock::ThreadClock;
use crate::watch::{Watch, after};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How often it looks. A run over its limit is stopped within about two of them.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a run before the thread goes to sleep. Waking it costs a run some microseconds.
const IDLE_TICKS: u32 = 100;
/// Longest time between two closings of one run's memory. It is closed again when the host came upon it before the guest;
/// each time the host is given twice as long as before, so that a long copy comes to its end.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// Places in the first group; each further group has twice as many.
const FIRST_PLACES: usize = 64;
/// Groups of places: more of them than there can be threads.
const GROUPS: usize = 20;

/// The thread, and where it looks.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    /// Groups are made when they are first needed, and stay.
    groups: [OnceLock<Box<[Place]>>; GROUPS],
    asleep: AtomicBool,
}

/// Room for one thread that is inside a guest. On cache lines of its own, as another thread writes to the next one.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place {
    taken: AtomicBool,
    inside: Mutex<Option<Watched>>,
}

/// One run, while a thread computes for it.
#[derive(Debug)]
struct Watched {
    watch: Arc<Watch>,
    fence: Arc<Fence>,
    clock: ThreadClock,
    /// Before this its processor time cannot be used up.
    look: Instant,
    /// Why it is over.
    over: Option<Limit>,
    /// When its memory is closed again, if it is still inside, and how long after that again.
    close: Instant,
    pause: Duration,
}

impl Watchdog {
    pub(crate) fn start() -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        let handle = thread::Builder::new()
            .name("exuvia-watchdog".into())
            .spawn(move || keep_watch(&weak))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Watches a run that this thread is about to enter.
    pub(crate) fn enter<'a>(&'a self, watch: &'a Arc<Watch>, fence: &'a Arc<Fence>) -> Inside<'a> {
        watch.meter.begin_poll();
        let place = self.shared.take_place();
        let now = Instant::now();
        *place.inside() = Some(Watched {
            watch: Arc::clone(watch),
            fence: Arc::clone(fence),
            clock: ThreadClock::of_this(),
            look: now,
            over: None,
            close: now,
            pause: TICK,
        });
        if self.shared.asleep.load(SeqCst) {
            self.thread.unpark();
        }
        Inside { place, watch, fence, _within: Within::new(fence) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// A thread inside a guest. When it is dropped, the memory is open again, as far as a new instance needs it.
pub(crate) struct Inside<'a> {
    place: &'a Place,
    watch: &'a Watch,
    fence: &'a Fence,
    _within: Within<'a>,
}

impl Inside<'_> {
    /// Ends the watch. If the run's memory was closed, then for this reason.
    pub(crate) fn leave(self) -> Option<Limit> {
        // From here on it cannot be closed.
        self.place.inside().take().and_then(|watched| watched.over)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.place.inside().take();
        if self.fence.was_closed()
            && let Err(error) = self.fence.open_known()
        {
            // The instance that comes next in its place will be stopped at its first access.
            tracing::error!(%error, "could not open a guest's memory again");
        }
        self.place.taken.store(false, SeqCst);
        self.watch.meter.end_poll();
    }
}

impl Shared {
    fn take_place(&self) -> &Place {
        thread_local! {
            /// The place that this thread had the last time: its own, unless another took it meanwhile.
            static LAST: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
        }
        let (group, number) = LAST.get();
        let last = self.groups.get(group).and_then(OnceLock::get).and_then(|places| places.get(number));
        if let Some(place) = last
            && place.take()
        {
            return place;
        }
        loop {
            for (group, places) in self.groups.iter().enumerate() {
                let places = places.get_or_init(|| (0..FIRST_PLACES << group).map(|_| Place::default()).collect());
                if let Some((number, place)) = places.iter().enumerate().find(|(_, place)| place.take()) {
                    LAST.set((group, number));
                    return place;
                }
            }
            // Sixty million threads are inside guests.
            thread::yield_now();
        }
    }

    /// Looks at every run once. Whether there is any.
    fn look(&self) -> bool {
        let now = Instant::now();
        let places = self.groups.iter().map_while(OnceLock::get).flatten();
        let mut any = false;
        for place in places.filter(|place| place.taken.load(SeqCst)) {
            any = true;
            if let Some(watched) = place.inside().as_mut() {
                watched.look(now);
            }
        }
        any
    }
}

impl Place {
    fn take(&self) -> bool {
        !self.taken.load(SeqCst) && !self.taken.swap(true, SeqCst)
    }

    fn inside(&self) -> MutexGuard<'_, Option<Watched>> {
        // Nothing between lock and unlock can panic and leave it half changed.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn look(&mut self, now: Instant) {
        if self.over.is_none() {
            self.over = self.watch.over(now).or_else(|| self.exhausted(now));
        }
        if self.over.is_none() || now < self.close {
            return;
        }
        if let Err(error) = self.fence.close() {
            tracing::error!(%error, "could not close a guest's memory");
        }
        // Closing a large memory takes long itself: the pause comes after it.
        self.close = Instant::now() + self.pause;
        self.pause = LONGEST_PAUSE.min(self.pause * 2);
    }

    fn exhausted(&mut self, now: Instant) -> Option<Limit> {
        if now < self.look {
            return None;
        }
        let used = self.watch.meter.used(self.clock);
        // A thread's processor time is no faster than the clock on the wall.
        self.look = after(now, self.watch.cpu.saturating_sub(used));
        self.watch.exhausted(used)
    }
}

fn keep_watch(shared: &Weak<Shared>) {
    let mut idle = 0;
    // Ends with the sandbox: nothing else holds `shared`.
    while let Some(shared) = shared.upgrade() {
        idle = if shared.look() { 0 } else { idle + 1 };
        if idle < IDLE_TICKS {
            drop(shared);
            thread::sleep(TICK);
            continue;
        }
        idle = 0;
        shared.asleep.store(true, SeqCst);
        // Who came before `asleep` was set has not unparked us.
        let wait = !shared.look();
        let weak = Arc::downgrade(&shared);
        drop(shared);
        if wait {
            thread::park();
        }
        if let Some(shared) = weak.upgrade() {
            shared.asleep.store(false, SeqCst);
        }
    }
}
