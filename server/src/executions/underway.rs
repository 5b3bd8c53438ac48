//! What a run has under way: it belongs to the execution, not to the instance that asked for it. When the run is suspended it
//! goes on, and the next life of the run takes the answer.

use super::record::ToolCall;
use super::sleepers::Sleepers;
use exuvia_runtime::{Outstanding, Pending};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

/// What came of it: the message for the program, and the call as it is listed, if it is one.
pub(super) struct Came {
    pub(super) message: Vec<u8>,
    pub(super) call: Option<ToolCall>,
}

/// Takes what came when the program is told of it.
pub(super) type Seen = Box<dyn FnOnce(&Came) + Send>;

/// How many executions may be suspended.
pub(super) struct Room {
    /// Those with something under way: each is some kilobytes of memory.
    pub(super) underway: Arc<Semaphore>,
    /// Those that only sleep.
    pub(super) sleepers: Arc<Sleepers>,
}

/// The effects of one execution that its program waits for.
pub(super) struct Underway {
    room: Arc<Room>,
    state: Mutex<State>,
    some: Notify,
}

#[derive(Default)]
struct State {
    effects: HashMap<u64, Effect>,
    /// Whether the run is suspended, and so what it let go of is kept.
    is_kept: bool,
    place: Option<OwnedSemaphorePermit>,
}

struct Effect {
    is_call: bool,
    came: watch::Receiver<Option<Arc<Came>>>,
    /// Dropped with this: then nobody waits for the answer.
    _task: AbortOnDropHandle<()>,
}

impl Effect {
    fn is_over(&self) -> bool {
        // Without a sender it was lost, which is an end, too.
        self.came.borrow().is_some() || self.came.has_changed().is_err()
    }
}

impl Underway {
    pub(super) fn new(room: Arc<Room>) -> Arc<Self> {
        Arc::new(Self { room, state: Mutex::default(), some: Notify::new() })
    }

    /// Begins effect `number` on the server's threads; `lost` is what its program is told if it is lost there.
    pub(super) fn begin(
        self: &Arc<Self>,
        server: &Handle,
        number: u64,
        is_call: bool,
        work: impl Future<Output = Came> + Send + 'static,
        seen: Seen,
        lost: fn() -> Vec<u8>,
    ) -> Pending {
        let (sender, came) = watch::channel(None);
        let underway = Arc::downgrade(self);
        let task = server.spawn(async move {
            let work = work.await;
            // Nobody waits any more, if it cannot be sent.
            let _ = sender.send(Some(Arc::new(work)));
            if let Some(underway) = underway.upgrade() {
                underway.some.notify_one();
            }
        });
        let effect = Effect { is_call, came: came.clone(), _task: AbortOnDropHandle::new(task) };
        self.state().effects.insert(number, effect);
        self.told(number, came, seen, lost)
    }

    /// An effect that an earlier life of the run began, and that its program was not told of; and whether it is a call.
    pub(super) fn find(self: &Arc<Self>, number: u64, seen: Seen, lost: fn() -> Vec<u8>) -> Option<(Pending, bool)> {
        let state = self.state();
        let Effect { came, is_call, .. } = state.effects.get(&number)?;
        let (came, is_call) = (came.clone(), *is_call);
        drop(state);
        Some((self.told(number, came, seen, lost), is_call))
    }

    /// Ends all that is under way.
    pub(super) fn stop(&self) {
        let stopped = std::mem::take(&mut self.state().effects);
        drop(stopped);
    }

    fn told(
        self: &Arc<Self>,
        number: u64,
        mut came: watch::Receiver<Option<Arc<Came>>>,
        seen: Seen,
        lost: fn() -> Vec<u8>,
    ) -> Pending {
        let waits = Waits { underway: Arc::clone(self), number };
        Box::pin(async move {
            let _waits = waits;
            let came = came.wait_for(Option::is_some).await.ok().and_then(|came| came.clone());
            let Some(came) = came else { return lost() };
            seen(&came);
            came.message.clone()
        })
    }

    /// Whether the run may be suspended, which waits for `outstanding`. From then on what it lets go of is kept.
    pub(super) fn keep(&self, outstanding: &Outstanding) -> bool {
        let mut state = self.state();
        if outstanding.requests == 0 {
            state.is_kept = self.room.sleepers.has_room();
        } else if let Ok(place) = Arc::clone(&self.room.underway).try_acquire_owned() {
            state.is_kept = true;
            state.place = Some(place);
        }
        state.is_kept
    }

    /// A new life of the run begins.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        state.is_kept = false;
        state.place = None;
    }

    /// Waits until one of the effects is over. Without any, for ever.
    pub(super) async fn ready(&self) {
        while !self.state().effects.values().any(Effect::is_over) {
            self.some.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that waits for one of them. What it no longer waits for is stopped, unless the whole run was suspended.
struct Waits {
    underway: Arc<Underway>,
    number: u64,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut state = self.underway.state();
        let dropped = if state.is_kept { None } else { state.effects.remove(&self.number) };
        drop(state);
        drop(dropped);
    }
}
