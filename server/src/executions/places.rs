//! How many executions each grant has under way: a policy may bound them.

use crate::sessions::Line;
use exuvia_policies::Receipt;
use exuvia_runtime::{Layer, Sandbox};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The executions under way, by grant.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<String, u64>>);

/// One execution's place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    grant: String,
    is_left: bool,
}

impl Place {
    /// Stays taken when this is dropped, until [`Places::found`] gives it to somebody again.
    pub(super) fn leave(&mut self) {
        self.is_left = true;
    }
}

/// What an execution holds from its acceptance to its end.
pub(super) struct Held {
    /// Where its end is reported; none for one that an earlier process accepted.
    pub(super) receipt: Option<Receipt>,
    pub(super) place: Place,
    /// Its place among the calls of its session, if it is one.
    pub(super) line: Option<Line>,
    /// What it runs in.
    pub(super) sandbox: Arc<Sandbox>,
    /// The packages that it had begun with in an earlier process: nobody removes them before it goes on.
    pub(super) layer: Option<Layer>,
}

impl Places {
    pub(super) fn take(self: &Arc<Self>, grant: &str) -> Place {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(grant.to_owned()).or_default() += 1;
        self.found(grant)
    }

    /// A place that was left.
    pub(super) fn found(self: &Arc<Self>, grant: &str) -> Place {
        Place { places: Arc::clone(self), grant: grant.to_owned(), is_left: false }
    }

    /// A place, if the grant has fewer than `most`.
    pub(super) fn take_within(self: &Arc<Self>, grant: &str, most: Option<u64>) -> Option<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(grant.to_owned()).or_default();
        if most.is_some_and(|most| *taken >= most) {
            return None;
        }
        *taken += 1;
        drop(places);
        Some(self.found(grant))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        let mut places = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&self.grant) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                places.remove(&self.grant);
            }
        }
    }
}
