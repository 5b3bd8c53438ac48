//! An execution that this process holds: what it has printed so far, and where it is.

use super::id::Id;
use super::record::{Given, Record, ToolCall, now};
use super::seen::{Cursor, Printed, Progress, Seen};
use super::state::{Event, IllegalEvent, State};
use super::waits::{Waiting, Waits};
use crate::approvals;
use crate::secrets::{Bound, Scrubber, Stream as Scrubbed};
use exuvia_runtime::Stream;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) struct Live {
    id: Id,
    grant: String,
    /// Somebody wants it stopped, whatever it is doing.
    pub(crate) cancel: CancellationToken,
    /// It has to stop, for that reason or because the server does.
    pub(super) leave: CancellationToken,
    inner: Mutex<Inner>,
    /// Counts the changes of output and state.
    changes: watch::Sender<u64>,
}

struct Inner {
    record: Record,
    seen: Seen,
    given: Option<Arc<Given>>,
    waits: Waits,
    /// Whether it is left to the next process.
    is_left: bool,
    scrubs: Option<Scrubs>,
}

/// What takes the values of secrets out of all that a program says: stdout and stderr as they come, the rest whole.
struct Scrubs {
    stdout: Scrubbed,
    stderr: Scrubbed,
    all: Arc<Scrubber>,
}

impl Inner {
    /// What cannot happen to an execution that is over does not.
    fn happens(&mut self, event: Event) {
        if let Ok(state) = self.record.state.apply(event) {
            self.record.state = state;
            tracing::info!(execution = %self.record.id, %state, "changed");
        }
    }
}

impl Live {
    pub(super) fn new(record: Record, seen: Seen) -> Self {
        let cancel = CancellationToken::new();
        Self {
            id: record.id,
            grant: record.grant.clone(),
            leave: cancel.child_token(),
            cancel,
            inner: Mutex::new(Inner {
                record,
                seen,
                given: None,
                waits: Waits::default(),
                is_left: false,
                scrubs: None,
            }),
            changes: watch::Sender::new(0),
        }
    }

    /// The next process goes on with it.
    pub(super) fn leaves(&self) {
        self.lock().is_left = true;
        self.changed();
    }

    /// Its run has left memory.
    pub(super) fn suspends(&self) {
        self.lock().record.suspended = true;
        self.changed();
    }

    /// Its program begins anew, and shows again what it has shown.
    pub(super) fn resumes(&self) {
        let mut inner = self.lock();
        inner.record.suspended = false;
        inner.seen = inner.seen.again();
        drop(inner);
        self.changed();
    }

    /// What it has shown so far.
    pub(super) fn so_far(&self) -> Given {
        self.lock().seen.so_far()
    }

    /// From now on nothing that the program says has the value of a secret. To be called before it begins.
    pub(super) fn scrub(&self, bound: &Bound) {
        let scrubs =
            bound.scrubber().map(|all| Scrubs { stdout: all.stream(), stderr: all.stream(), all: Arc::clone(all) });
        self.lock().scrubs = scrubs;
    }

    /// What takes the values of secrets out of what it leaves.
    pub(super) fn scrubber(&self) -> Option<Arc<Scrubber>> {
        self.lock().scrubs.as_ref().map(|scrubs| Arc::clone(&scrubs.all))
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn grant(&self) -> &str {
        &self.grant
    }

    pub(crate) fn state(&self) -> State {
        self.lock().record.state
    }

    pub(crate) fn record(&self) -> Record {
        self.lock().record.clone()
    }

    /// Notes the layer of packages that it begins with.
    pub(super) fn begins_with(&self, layer: &str) {
        self.lock().record.packages = Some(layer.to_owned());
    }

    /// The record as it would be after `event`, which has not happened yet.
    pub(crate) fn after(&self, event: Event) -> Result<Record, IllegalEvent> {
        let mut record = self.record();
        record.state = record.state.apply(event)?;
        match event {
            Event::Started => {
                record.started = record.started.or_else(|| Some(now()));
                record.suspended = false;
            }
            Event::Ended(_) => {
                record.ended = Some(now());
                record.suspended = false;
            }
            Event::Restarted => record.suspended = false,
            Event::Asked | Event::Answered => {}
        }
        Ok(record)
    }

    /// Makes `record`, which has been stored, what everybody sees; with what the execution gave, if it has ended.
    pub(crate) fn set(&self, record: Record, given: Option<Arc<Given>>) {
        let mut inner = self.lock();
        inner.record = record;
        inner.given = given;
        drop(inner);
        self.changed();
    }

    /// One of its calls waits for a person, for as long as what is given here is held. This state is of the process
    /// alone: what the store has of it is the approval, and it reads as running.
    pub(crate) fn asks(self: &Arc<Self>, id: approvals::Id) -> Waiting {
        let mut inner = self.lock();
        if inner.waits.begin(id, Instant::now()) {
            inner.happens(Event::Asked);
        }
        drop(inner);
        self.changed();
        Waiting { live: Arc::clone(self), id }
    }

    pub(super) fn answered(&self, id: approvals::Id) {
        let mut inner = self.lock();
        if inner.waits.end(id, Instant::now()) {
            inner.happens(Event::Answered);
        }
        drop(inner);
        self.changed();
    }

    /// How long it has waited for people.
    pub(crate) fn waited(&self) -> Duration {
        self.lock().waits.total(Instant::now())
    }

    /// The approvals that it waits for.
    pub(crate) fn asked(&self) -> Vec<approvals::Id> {
        self.lock().waits.asked().to_vec()
    }

    /// Waits until one of its calls waits for a person.
    pub(crate) async fn waits(&self) {
        let mut changes = self.watch();
        while self.state() != State::WaitingApproval {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Its record, and what it gave if it has ended.
    pub(super) fn now(&self) -> (Record, Option<Arc<Given>>) {
        let inner = self.lock();
        (inner.record.clone(), inner.given.clone())
    }

    /// Shows what the program prints, and gives what of it may be kept.
    pub(super) fn print<'b>(&self, stream: Stream, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut inner = self.lock();
        let Inner { seen, scrubs, .. } = &mut *inner;
        let said = match (scrubs, stream) {
            (None, _) => Cow::Borrowed(bytes),
            (Some(scrubs), Stream::Stdout) => Cow::Owned(scrubs.stdout.push(bytes)),
            (Some(scrubs), Stream::Stderr) => Cow::Owned(scrubs.stderr.push(bytes)),
        };
        seen.print(stream, &said);
        drop(inner);
        self.changed();
        said
    }

    /// The program prints no more. Gives what was held back of it, as it might have been the beginning of a value.
    pub(super) fn printed_all(&self) -> [(Stream, Vec<u8>); 2] {
        let mut inner = self.lock();
        let Inner { seen, scrubs, .. } = &mut *inner;
        let ends = scrubs.as_mut().map(|scrubs| (scrubs.stdout.end(), scrubs.stderr.end()));
        let (stdout, stderr) = ends.unwrap_or_default();
        let rest = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        for (stream, bytes) in &rest {
            seen.print(*stream, bytes);
        }
        rest
    }

    pub(crate) fn progresses(&self, mut progress: Progress) {
        let mut inner = self.lock();
        if let (Some(step), Some(scrubs)) = (&mut progress.step, &inner.scrubs) {
            // First: half of a value would not be found.
            scrubs.all.text(step);
        }
        inner.seen.progresses(progress);
        drop(inner);
        self.changed();
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        self.lock().seen.progress()
    }

    /// Lists a call. Its name and its error have no value of a secret: one is refused with it, the other an answer, which was looked at.
    pub(crate) fn called(&self, call: ToolCall) {
        self.lock().seen.called(call);
    }

    /// Counts bytes that it sent or received over HTTP; all of them so far.
    pub(crate) fn exchanged(&self, bytes: u64) -> u64 {
        self.lock().seen.exchanged(bytes)
    }

    /// Adds to `given` what was seen from here: output and calls.
    pub(crate) fn fill(&self, given: &mut Given) {
        self.lock().seen.fill(given);
    }

    pub(crate) fn printed(&self, since: Cursor) -> Printed {
        self.lock().seen.printed(since)
    }

    /// The last line that it printed, for a progress message.
    pub(crate) fn last_line(&self) -> Option<String> {
        self.lock().seen.last_line()
    }

    /// What tells of each change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until it has ended, or is left to the next process, but not longer than `most`.
    pub(crate) async fn left_within(&self, most: Duration) {
        // Time passing is as good an end of this wait.
        let _ = tokio::time::timeout(most, self.left()).await;
    }

    /// Whether this process has nothing more to say of it.
    pub(crate) fn is_left(&self) -> bool {
        self.lock().is_left
    }

    /// Waits until it has ended, or is left to the next process.
    pub(crate) async fn left(&self) {
        let mut changes = self.watch();
        while !(self.state().is_final() || self.is_left()) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) async fn ended(&self) {
        let mut changes = self.watch();
        while !self.state().is_final() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
