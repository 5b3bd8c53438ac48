//! One execution as the pool sees it: polled by one thread at a time, and put back in the queue when it can go on.

use super::Pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use tracing::error;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Nobody has woken it since it was last polled.
const WAITING: u8 = 0;
/// It is in the queue.
const QUEUED: u8 = 1;
const POLLED: u8 = 2;
/// It was woken during the poll that is under way.
const WOKEN: u8 = 3;
const OVER: u8 = 4;

pub(super) struct Task {
    work: Mutex<Option<Work>>,
    state: AtomicU8,
    pool: Weak<Pool>,
}

impl Task {
    /// For the queue, which it is put in next.
    pub(super) fn new(work: Work, pool: Weak<Pool>) -> Arc<Self> {
        Arc::new(Self { work: Mutex::new(Some(work)), state: AtomicU8::new(QUEUED), pool })
    }

    /// Lets it go on; it was taken from the queue.
    pub(super) fn poll(self: Arc<Self>) {
        self.state.store(POLLED, SeqCst);
        let waker = Waker::from(Arc::clone(&self));
        // Never waited for: a task is in the queue once.
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(future) = work.as_mut() else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        if matches!(polled, Ok(polled) if polled.is_pending()) {
            drop(work);
            if self.state.compare_exchange(POLLED, WAITING, SeqCst, SeqCst).is_err() {
                self.queue();
            }
            return;
        }
        if polled.is_err() {
            error!("an execution panicked");
        }
        self.state.store(OVER, SeqCst);
        *work = None;
    }

    fn queue(self: Arc<Self>) {
        self.state.store(QUEUED, SeqCst);
        if let Some(pool) = self.pool.upgrade() {
            pool.push(self);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        loop {
            let now = self.state.load(SeqCst);
            let next = match now {
                WAITING => QUEUED,
                POLLED => WOKEN,
                _ => return,
            };
            if self.state.compare_exchange(now, next, SeqCst, SeqCst).is_ok() {
                if next == QUEUED {
                    self.queue();
                }
                return;
            }
        }
    }
}
