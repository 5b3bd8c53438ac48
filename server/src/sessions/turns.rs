//! The calls of one session, one after the other, in the order in which they were accepted.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions beyond which those that nobody uses are looked for.
const MANY: usize = 1000;

/// Who has the turn, and who waits for it, by session.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Vec<u8>, Weak<Semaphore>>>);

type Waiting = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// One call's place. The next one's turn comes when it is dropped.
pub(crate) struct Line {
    waiting: Waiting,
    turn: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A place behind all that were given before.
    pub(super) fn line(&self, key: Vec<u8>) -> Line {
        let semaphore = self.semaphore(key);
        let mut waiting: Waiting = Box::pin(async move { semaphore.acquire_owned().await.ok() });
        // A semaphore gives its turns in the order in which they were first asked for: now, and not when a thread gets to it.
        let turn = match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => turn,
            Poll::Pending => None,
        };
        Line { waiting, turn }
    }

    /// The turn, if nobody has it or waits for it.
    pub(super) fn free(&self, key: &[u8]) -> Option<OwnedSemaphorePermit> {
        self.semaphore(key.to_vec()).try_acquire_owned().ok()
    }

    fn semaphore(&self, key: Vec<u8>) -> Arc<Semaphore> {
        let mut turns = self.turns();
        if let Some(semaphore) = turns.get(&key).and_then(Weak::upgrade) {
            return semaphore;
        }
        if turns.len() >= MANY {
            turns.retain(|_, semaphore| semaphore.strong_count() > 0);
        }
        let semaphore = Arc::new(Semaphore::new(1));
        turns.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Weak<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Waits until all before it have gone.
    pub(crate) async fn turn(&mut self) {
        if self.turn.is_none() {
            self.turn = (&mut self.waiting).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll::{Pending, Ready};

    fn poll(line: &mut Line) -> Poll<()> {
        std::pin::pin!(line.turn()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn turns_come_in_the_order_of_the_places_whoever_looks_first() {
        let turns = Turns::default();
        let mut lines: Vec<_> = (0..4).map(|_| turns.line(b"one".to_vec())).collect();
        let mut other = turns.line(b"two".to_vec());
        assert_eq!(poll(&mut other), Ready(()));
        let (mut last, mut third) = (lines.pop().unwrap(), lines.pop().unwrap());
        assert_eq!((poll(&mut last), poll(&mut third)), (Pending, Pending));
        assert!(turns.free(b"one").is_none());
        // The second goes without ever having looked, while the first is under way: nobody's turn has come by that.
        let (second, mut first) = (lines.pop().unwrap(), lines.pop().unwrap());
        assert_eq!(poll(&mut first), Ready(()));
        drop(second);
        assert_eq!((poll(&mut last), poll(&mut third)), (Pending, Pending));
        drop(first);
        assert_eq!((poll(&mut last), poll(&mut third)), (Pending, Ready(())));
        drop(third);
        assert_eq!(poll(&mut last), Ready(()));
        drop(last);
        assert!(turns.free(b"one").is_some());
    }
}
