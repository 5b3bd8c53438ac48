//! What an earlier process left: begun, gone on with, or ended with the reason why it cannot be.

use super::keep::Finished;
use super::places::Held;
use super::record::{Failure, Given, Record, now};
use super::state::{Event, State};
use super::{Error, Executor, Inner, Sandboxes, run};
use crate::store;
use exuvia_runtime::Sandbox;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::info;

const OTHER_IMAGE: &str = "interrupted: image changed. This server has another build of Python than the one that \
     had begun with this, which is not in the cache, and cannot go on with it: look at what it was to change, then submit it again";

/// An execution cannot go on, as the image that it began in is not to be had.
pub(super) fn other_image() -> Failure {
    Failure::new("Interrupted", OTHER_IMAGE)
}

/// The images of unfinished executions, open while their recovery lasts.
struct Open<'a> {
    sandboxes: &'a Sandboxes,
    found: HashMap<String, Option<Arc<Sandbox>>>,
}

impl Open<'_> {
    fn of(&mut self, image: &str) -> Result<Option<Arc<Sandbox>>, store::Error> {
        if let Some(found) = self.found.get(image) {
            return Ok(found.clone());
        }
        let found = self.sandboxes.of(image)?;
        self.found.insert(image.to_owned(), found.clone());
        Ok(found)
    }
}

impl Executor {
    /// Puts into the queue whatever no process has ended.
    pub(super) fn recover(&self) -> Result<(), Error> {
        let inner = &self.0;
        let mut open = Open { sandboxes: &inner.sandboxes, found: HashMap::new() };
        for (id, bed) in inner.keep.sleepers()? {
            if open.of(bed.image())?.is_none() {
                if let Some(record) = inner.keep.record(id)? {
                    inner.given_up(record, other_image())?;
                }
                continue;
            }
            // Nothing but when it is to be woken: that is fast, however many there are.
            inner.places.take(&bed.grant).leave();
            inner.sleepers.put(id, &bed.grant, bed.wakes());
        }
        for id in inner.keep.unfinished()? {
            let Some(record) = inner.keep.record(id)? else { continue };
            let stored = record.state;
            let (record, sandbox) = match inner.resumed(record, &mut open)? {
                Ok(resumed) => resumed,
                Err((record, failure)) => {
                    inner.given_up(record, failure)?;
                    continue;
                }
            };
            match inner.keep.request(id)? {
                Some(request) => {
                    info!(execution = %id, recoveries = record.recoveries, %stored, "found after a restart");
                    // It was decided when it was accepted.
                    let place = inner.places.take(&record.grant);
                    let layer = record.packages.as_ref().and_then(|name| inner.packages.hold(name));
                    let line = inner.line(&record.grant, &request);
                    let held = Held { receipt: None, place, line, sandbox, layer };
                    // That it begins is written before it does, with how often it has.
                    inner.enqueue(record, request, Some(State::Queued), held);
                }
                None => inner.given_up(record, Failure::new("Interrupted", run::INTERRUPTED))?,
            }
        }
        let needed = open.found.iter().filter(|(_, found)| found.is_some());
        inner.sandboxes.keep(needed.map(|(image, _)| &**image));
        Ok(())
    }
}

/// A record that is gone on with, and in what; or one that is not, and why.
type Resumed = Result<(Record, Arc<Sandbox>), (Record, Failure)>;

impl Inner {
    /// The record as this process goes on with it, and what it runs in; or why it does not.
    fn resumed(&self, mut record: Record, open: &mut Open<'_>) -> Result<Resumed, Error> {
        let was_running = record.state != State::Queued;
        let waited_for_a_person = record.state == State::WaitingApproval;
        record.state = record.state.apply(Event::Restarted)?;
        let Some(image) = &record.image else {
            // Its client waited for it, and is gone.
            let failure = Failure::new("Interrupted", run::INTERRUPTED);
            let own = Arc::clone(self.sandboxes.own());
            return Ok(if was_running { Err((record, failure)) } else { Ok((record, own)) });
        };
        let sandbox = match open.of(image)? {
            Some(sandbox) => sandbox,
            None if was_running || record.started.is_some() => return Ok(Err((record, other_image()))),
            // Nothing of it has been done.
            None => {
                let own = Arc::clone(self.sandboxes.own());
                own.image_digest().clone_into(record.image.get_or_insert_default());
                own
            }
        };
        // Of one that was suspended and waits for a person, nothing ran that could have been the cause; of another, a call.
        // `crashes` says how many are too many.
        if was_running && !(record.suspended && waited_for_a_person) {
            record.recoveries += 1;
        }
        record.suspended = false;
        Ok(Ok((record, sandbox)))
    }

    /// Ends what an earlier process had begun.
    pub(super) fn given_up(&self, mut record: Record, failure: Failure) -> Result<(), store::Error> {
        self.shelf.give_back(&record.grant, record.id.uuid());
        record.ended = Some(now());
        record.state = State::Failed;
        record.suspended = false;
        info!(execution = %record.id, error = failure.kind, "an execution of an earlier process is given up");
        // What it showed when it last slept.
        let shown = self.keep.given(record.id)?.unwrap_or_default();
        let given = Arc::new(Given { error: Some(failure), ..shown });
        self.keep.ended(&[Finished { record, given, request: None }])
    }
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
