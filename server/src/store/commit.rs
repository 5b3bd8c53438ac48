//! Group commit: one thread makes the writes of all waiting writers durable at once.
//!
//! sled's own `flush_async` must not be used concurrently: its flush jobs fill the pool of threads that the write which
//! they wait for is queued in, and nothing ever moves again.

use super::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A disk that takes longer is taken for broken: sled waits for ever for a write that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

type Waiter = oneshot::Sender<Result<(), Arc<Error>>>;

pub(super) struct Committer {
    waiters: Option<mpsc::UnboundedSender<Waiter>>,
    thread: Option<JoinHandle<()>>,
    /// Set while a write takes longer than anybody waits.
    stuck: Arc<AtomicBool>,
    patience: Duration,
}

impl Committer {
    /// Starts the thread; `flush` makes everything written so far durable.
    pub(super) fn start(flush: impl Fn() -> Result<(), Error> + Send + 'static) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let stuck = Arc::new(AtomicBool::new(false));
        let flushed = Arc::clone(&stuck);
        let thread =
            thread::Builder::new().name("exuvia-commit".into()).spawn(move || commit(receiver, &flush, &flushed));
        Ok(Self { waiters: Some(sender), thread: Some(thread.map_err(Error::Io)?), stuck, patience: PATIENCE })
    }

    pub(super) async fn durable(&self) -> Result<(), Error> {
        let stuck = || Error::Stuck(self.patience.as_secs());
        if self.stuck.load(Ordering::Relaxed) {
            return Err(stuck());
        }
        let (sender, receiver) = oneshot::channel();
        let sent = self.waiters.as_ref().is_some_and(|waiters| waiters.send(sender).is_ok());
        if !sent {
            return Err(Error::Stopped);
        }
        match tokio::time::timeout(self.patience, receiver).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(shared(&error)),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => {
                self.stuck.store(true, Ordering::Relaxed);
                Err(stuck())
            }
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.waiters = None;
        // Nothing waits for a disk that may never answer.
        if let Some(thread) = self.thread.take().filter(|_| !self.stuck.load(Ordering::Relaxed)) {
            // Nothing is left to do about a thread that panicked.
            let _ = thread.join();
        }
    }
}

fn commit(mut waiters: mpsc::UnboundedReceiver<Waiter>, flush: &dyn Fn() -> Result<(), Error>, stuck: &AtomicBool) {
    while let Some(first) = waiters.blocking_recv() {
        // Those who come while the disk writes are served by the next turn.
        let mut together = vec![first];
        while let Ok(next) = waiters.try_recv() {
            together.push(next);
        }
        let flushed = flush().map_err(Arc::new);
        stuck.store(false, Ordering::Relaxed);
        for waiter in together {
            // A writer that no longer waits does not mind.
            let _ = waiter.send(flushed.clone());
        }
    }
}

/// One failure of the disk, told to one more waiter.
fn shared(error: &Error) -> Error {
    match error {
        Error::Full => Error::Full,
        Error::Io(source) => Error::Io(std::io::Error::new(source.kind(), source.to_string())),
        other => Error::Io(std::io::Error::other(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_disk_that_takes_nothing_is_an_error_until_it_takes_something_again() {
        let (release, released) = mpsc::channel();
        let mut committer = Committer::start(move || released.recv().map_err(|_| Error::Stopped)).unwrap();
        committer.patience = Duration::from_millis(50);
        for _ in 0..2 {
            assert!(matches!(committer.durable().await, Err(Error::Stuck(_))));
        }
        release.send(()).unwrap();
        while committer.stuck.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        assert!(committer.durable().await.is_ok());
    }
}
