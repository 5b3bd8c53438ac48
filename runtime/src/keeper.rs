//! Makes new slots in the background for those that had to be dropped, so that no run waits for it.

use crate::error::Error;
use crate::slots::Slots;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;

/// The thread that does it. It ends with the sandbox.
#[derive(Debug)]
pub(crate) struct Keeper(Sender<()>);

impl Keeper {
    pub(crate) fn start(slots: &Arc<Slots>) -> Result<Self, Error> {
        let (orders, inbox) = channel();
        let slots = Arc::downgrade(slots);
        let keeper = move || keep(&slots, &inbox);
        let started = thread::Builder::new().name("exuvia-keeper".into()).spawn(keeper);
        started.map_err(|source| Error::Thread { source })?;
        Ok(Self(orders))
    }

    /// Asks for one more slot.
    pub(crate) fn order(&self) {
        // Without the thread the next run makes its own.
        let _ = self.0.send(());
    }
}

fn keep(slots: &Weak<Slots>, inbox: &Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::warn!(%error, "slots are not made in the background");
            return;
        }
    };
    while inbox.recv().is_ok() {
        let Some(slots) = slots.upgrade() else { return };
        if let Err(error) = runtime.block_on(slots.prepare()) {
            tracing::debug!(%error, "could not prepare a slot");
        }
    }
}
