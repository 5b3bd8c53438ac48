//! The states that were used last, in memory. All of them are on the disk, too, so that any may be dropped.

use exuvia_runtime::Saved;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Lately {
    most: u64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    states: HashMap<Vec<u8>, (u64, Arc<Saved>)>,
    bytes: u64,
    /// Counts the uses.
    uses: u64,
}

impl Lately {
    /// `most`: bytes of all that is held.
    pub(super) fn new(most: u64) -> Self {
        Self { most, held: Mutex::default() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Arc<Saved>> {
        let mut held = self.held();
        held.uses += 1;
        let now = held.uses;
        let (used, state) = held.states.get_mut(key)?;
        *used = now;
        Some(Arc::clone(state))
    }

    /// Holds `state`, and lets go of those that were not used for longest.
    pub(super) fn put(&self, key: Vec<u8>, state: &Arc<Saved>) {
        let mut held = self.held();
        held.remove(&key);
        let size = state.bytes().len() as u64;
        if size > self.most {
            return;
        }
        while held.bytes + size > self.most {
            let oldest = held.states.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            held.remove(&oldest);
        }
        held.uses += 1;
        held.bytes += size;
        let used = held.uses;
        held.states.insert(key, (used, Arc::clone(state)));
    }

    pub(super) fn remove(&self, key: &[u8]) {
        self.held().remove(key);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn remove(&mut self, key: &[u8]) {
        if let Some((_, state)) = self.states.remove(key) {
            self.bytes = self.bytes.saturating_sub(state.bytes().len() as u64);
        }
    }
}
