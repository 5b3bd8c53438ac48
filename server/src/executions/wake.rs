//! Sleeping executions come back: when they are due, or when somebody watches or stops one.

use super::live::Live;
use super::places::Held;
use super::record::{Record, now};
use super::run::{Origin, Run, run};
use super::seen::Seen;
use super::time::Time;
use super::underway::Underway;
use super::{Executor, Id, Inner, recover};
use crate::store::Error;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tracing::error;

/// Before one that could not be woken is tried again, in milliseconds.
const AGAIN: u64 = 60_000;
/// Longest wait between two looks at the clock: it may be set.
const LOOK: Duration = Duration::from_secs(60);

impl Executor {
    /// The execution `id` of `grant` as this process holds it; one that sleeps it holds from then on, for as long as what is
    /// given here is.
    pub(crate) fn attend(&self, grant: &str, id: Id) -> Result<Option<Arc<Live>>, Error> {
        if let Some(live) = self.find_live(grant, id) {
            return Ok(Some(live));
        }
        if !self.0.sleepers.contains(id) || self.keep().record(id)?.is_none_or(|record| record.grant != grant) {
            // It may have been woken in this moment.
            return Ok(self.find_live(grant, id));
        }
        self.0.rouse(id)
    }

    /// Whether an execution is under way, in memory or not.
    pub(crate) fn holds(&self, id: Id) -> bool {
        self.live(id).is_some() || self.0.sleepers.contains(id)
    }
}

impl Inner {
    /// Brings a sleeping execution back to memory, not yet its run. None when it does not sleep and is not there.
    pub(super) fn rouse(self: &Arc<Self>, id: Id) -> Result<Option<Arc<Live>>, Error> {
        // Held throughout: whoever else looks for it finds it in the one place or in the other.
        let _one = self.rousing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = self.lock().get(&id) {
            return Ok(Some(Arc::clone(live)));
        }
        if !self.sleepers.contains(id) {
            return Ok(None);
        }
        // Whatever fails here, it sleeps on.
        let found = (self.keep.record(id)?, self.keep.request(id)?, self.keep.bed(id)?, self.keep.given(id)?);
        let (Some(record), Some(request), Some(bed), given) = found else {
            return Err(Error::Record { key: format!("Sleepers/{id}") });
        };
        let sandbox = self.sandboxes.of(bed.image())?;
        if sandbox.is_none() {
            self.given_up(record.clone(), recover::other_image())?;
        }
        let Some(woken) = self.sleepers.take(id) else { return Ok(None) };
        let Some(sandbox) = sandbox else {
            drop(self.places.found(&record.grant));
            return Ok(None);
        };
        let live = Arc::new(self.sleeper(record, given.unwrap_or_default()));
        self.lock().insert(id, Arc::clone(&live));
        let slept = Duration::from_millis(now().saturating_sub(bed.since));
        let time = |before: u64| Duration::from_millis(before) + slept;
        self.guests.spawn(run(
            Run {
                inner: Arc::clone(self),
                live: Arc::clone(&live),
                request: Arc::new(request),
                held: Held { receipt: None, place: self.places.found(live.grant()), line: None, sandbox, layer: None },
                underway: Underway::new(Arc::clone(&self.room)),
                time: Time::after(time(bed.took), time(bed.counted)),
                pen: None,
                is_written: true,
                has_rested: true,
            },
            Origin::Bed(bed, woken),
        ));
        Ok(Some(live))
    }

    fn sleeper(&self, record: Record, given: super::record::Given) -> Live {
        let output = self.limits(&self.gate.caps(&record.grant)).output;
        Live::new(record, Seen::after(output, given))
    }
}

/// Wakes those that are due, for as long as there is a server.
pub(super) async fn wake(inner: Weak<Inner>) {
    while let Some(strong) = inner.upgrade() {
        let sleepers = Arc::clone(&strong.sleepers);
        let (due, next) = sleepers.due(now());
        if due.is_empty() {
            drop(strong);
            let pause = next.map_or(LOOK, |next| Duration::from_millis(next.saturating_sub(now())).min(LOOK));
            // A change, or time: either way, another look.
            let _ = tokio::time::timeout(pause, sleepers.changed()).await;
            continue;
        }
        let woken = tokio::task::spawn_blocking(move || {
            for id in due {
                if let Err(error) = strong.rouse(id) {
                    error!(execution = %id, error = crate::cli::chain(&error), "a sleeping execution cannot be woken; trying again in a minute");
                    strong.sleepers.later(id, now().saturating_add(AGAIN));
                }
            }
        });
        if let Err(error) = woken.await {
            error!(%error, "waking failed");
        }
    }
}
