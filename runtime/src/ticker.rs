//! Advances the engine's epoch while programs run, so that none can hold a thread for longer than a tick.

use crate::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::EngineWeak;

/// How often. A run over its limit is stopped within about two of them.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a run before the thread goes to sleep. Waking it costs a run some microseconds.
const IDLE_TICKS: u32 = 100;

/// The thread, and how many runs it ticks for.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: EngineWeak) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let weak = Arc::downgrade(&shared);
        let handle = thread::Builder::new()
            .name("exuvia-ticker".into())
            .spawn(move || tick(&weak, &engine))
            .map_err(|source| Error::Thread { source })?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Ticks for as long as the guard lives.
    pub(crate) fn ticking(&self) -> Ticking {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

pub(crate) struct Ticking(Arc<Shared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(shared: &Weak<Shared>, engine: &EngineWeak) {
    let mut idle = 0;
    // Ends with the sandbox: nothing else holds `shared` or the engine.
    while let (Some(shared), Some(engine)) = (shared.upgrade(), engine.upgrade()) {
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
            engine.increment_epoch();
        } else {
            idle += 1;
        }
        drop(engine);
        if idle < IDLE_TICKS {
            drop(shared);
            thread::sleep(TICK);
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        // A run that came before `asleep` was set has not unparked us.
        let wait = shared.running.load(Ordering::SeqCst) == 0;
        let weak = Arc::downgrade(&shared);
        drop(shared);
        if wait {
            thread::park();
        }
        idle = 0;
        if let Some(shared) = weak.upgrade() {
            shared.asleep.store(false, Ordering::SeqCst);
        }
    }
}
