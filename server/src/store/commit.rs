//! Group commit: one thread makes the writes of all waiting writers durable at once.
//!
//! sled's own `flush_async` must not be used concurrently: its flush jobs fill the pool of threads that the write which
//! they wait for is queued in, and nothing ever moves again.

use super::Error;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

type Waiter = oneshot::Sender<Result<(), Arc<Error>>>;

pub(super) struct Committer {
    waiters: Option<mpsc::UnboundedSender<Waiter>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread; `flush` makes everything written so far durable.
    pub(super) fn start(flush: impl Fn() -> Result<(), Error> + Send + 'static) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let thread = thread::Builder::new().name("exuvia-commit".into()).spawn(move || commit(receiver, &flush));
        Ok(Self { waiters: Some(sender), thread: Some(thread.map_err(Error::Io)?) })
    }

    pub(super) async fn durable(&self) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.waiters.as_ref().is_some_and(|waiters| waiters.send(sender).is_ok());
        if !sent {
            return Err(Error::Stopped);
        }
        match receiver.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(shared(&error)),
            Err(_) => Err(Error::Stopped),
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.waiters = None;
        if let Some(thread) = self.thread.take() {
            // Nothing is left to do about a thread that panicked.
            let _ = thread.join();
        }
    }
}

fn commit(mut waiters: mpsc::UnboundedReceiver<Waiter>, flush: &dyn Fn() -> Result<(), Error>) {
    while let Some(first) = waiters.blocking_recv() {
        // Those who come while the disk writes are served by the next turn.
        let mut together = vec![first];
        while let Ok(next) = waiters.try_recv() {
            together.push(next);
        }
        let flushed = flush().map_err(Arc::new);
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
