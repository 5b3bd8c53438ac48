//! Writes sync executions while they run, once they take longer than a moment. One that is over sooner is written once,
//! at its end.
//!
//! On the server's threads: the execution's own may be computing.

use super::Inner;
use super::live::Live;
use super::request::Request;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tracing::error;

/// What that moment is.
const MOMENT: Duration = Duration::from_millis(50);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Between two looks at whether there is a server at all.
const LONG: Duration = Duration::from_secs(60);

/// Executions that began and are not in the store, the oldest first.
#[derive(Default)]
pub(super) struct Meanwhile {
    begun: Mutex<VecDeque<(Instant, Weak<Unwritten>)>>,
    some: Notify,
}

/// One of them.
pub(super) struct Unwritten {
    live: Arc<Live>,
    request: Arc<Request>,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unwritten,
    Written,
    Over,
}

impl Meanwhile {
    /// Writes this one in a moment, if it is not over by then.
    pub(super) fn begin(&self, live: &Arc<Live>, request: &Arc<Request>) -> Arc<Unwritten> {
        let unwritten = Arc::new(Unwritten {
            live: Arc::clone(live),
            request: Arc::clone(request),
            stage: Mutex::new(Stage::Unwritten),
        });
        let mut begun = self.begun();
        let first = begun.is_empty();
        begun.push_back((Instant::now() + MOMENT, Arc::downgrade(&unwritten)));
        drop(begun);
        if first {
            self.some.notify_one();
        }
        unwritten
    }

    /// Those whose moment is over.
    fn due(&self) -> Vec<Arc<Unwritten>> {
        let mut begun = self.begun();
        let now = Instant::now();
        let count = begun.partition_point(|(due, _)| *due <= now);
        begun.drain(..count).filter_map(|(_, one)| one.upgrade()).collect()
    }

    fn begun(&self) -> MutexGuard<'_, VecDeque<(Instant, Weak<Unwritten>)>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwritten {
    /// Its program is over. Whether it is in the store.
    pub(super) fn end(&self) -> bool {
        std::mem::replace(&mut *self.stage(), Stage::Over) == Stage::Written
    }

    fn write(&self, inner: &Inner) {
        let mut stage = self.stage();
        if *stage != Stage::Unwritten {
            return;
        }
        match inner.keep.begin(&self.live.record(), &self.request) {
            Ok(()) => *stage = Stage::Written,
            Err(error) => error!(execution = %self.live.id(), %error, "could not write an execution under way"),
        }
    }

    /// Held while it is being written, so that its end is written after it.
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn write_meanwhile(inner: Weak<Inner>) {
    while let Some(strong) = inner.upgrade() {
        if strong.meanwhile.begun().is_empty() {
            // It may be time to look whether there is a server.
            let _ = tokio::time::timeout(LONG, strong.meanwhile.some.notified()).await;
            continue;
        }
        let due = strong.meanwhile.due();
        if !due.is_empty() {
            let writing = Arc::clone(&strong);
            let written = tokio::task::spawn_blocking(move || due.iter().for_each(|one| one.write(&writing))).await;
            if let Err(error) = written {
                error!(%error, "writing executions under way failed");
            }
            strong.soon.notify_one();
        }
        drop(strong);
        tokio::time::sleep(LOOK).await;
    }
}
