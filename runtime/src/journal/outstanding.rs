//! What a run has under way, as whoever may suspend it needs to know.

use crate::host::Outstanding;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The effects that have begun and are not over, in this life of the run.
#[derive(Default)]
pub(super) struct Table(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    requests: usize,
    /// When each sleep ends, in milliseconds since 1970, and its number.
    sleeps: BTreeSet<(u64, u64)>,
}

/// One of them, until it is dropped.
pub(super) struct Mark {
    table: Arc<Table>,
    /// None for a request.
    sleep: Option<(u64, u64)>,
}

impl Table {
    /// `due`: when it ends, if it is a sleep.
    pub(super) fn begin(self: &Arc<Self>, effect: u64, due: Option<u64>) -> Mark {
        let sleep = due.map(|due| (due, effect));
        let mut inner = self.inner();
        match sleep {
            Some(sleep) => drop(inner.sleeps.insert(sleep)),
            None => inner.requests += 1,
        }
        drop(inner);
        Mark { table: Arc::clone(self), sleep }
    }

    pub(super) fn now(&self) -> Outstanding {
        let inner = self.inner();
        Outstanding { requests: inner.requests, due: inner.sleeps.first().map(|(due, _)| *due) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut inner = self.table.inner();
        match self.sleep {
            Some(sleep) => drop(inner.sleeps.remove(&sleep)),
            None => inner.requests = inner.requests.saturating_sub(1),
        }
    }
}
