//! An execution that this process holds: what it has printed so far, and where it is.

use super::id::Id;
use super::record::{Given, Record, ToolCall, now};
use super::state::{Event, IllegalEvent, State};
use super::waits::{Waiting, Waits};
use crate::approvals;
use exuvia_runtime::{Kept, Stream};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most calls of tools that one execution lists; further ones are counted.
const MOST_CALLS: usize = 200;

pub(crate) struct Live {
    id: Id,
    grant: String,
    /// Stops it, whatever it is doing.
    pub(crate) cancel: CancellationToken,
    inner: Mutex<Inner>,
    /// Counts the changes of output and state.
    changes: watch::Sender<u64>,
}

struct Inner {
    record: Record,
    stdout: Kept,
    stderr: Kept,
    tool_calls: Vec<ToolCall>,
    calls: u64,
    given: Option<Arc<Given>>,
    progress: Option<Progress>,
    waits: Waits,
}

/// Most bytes of what a program says that it does now.
const LONGEST_STEP: usize = 200;

/// How far a program is, by its own word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// 0 to 1.
    pub(crate) fraction: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
}

/// How far a client has read of either stream, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

impl Cursor {
    /// Reads the text that a client was given.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stdout, stderr) = text.split_once('.')?;
        Some(Self { stdout: stdout.parse().ok()?, stderr: stderr.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.stdout, self.stderr)
    }
}

/// What was printed after a [`Cursor`], and where to read on.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) next: Cursor,
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
    /// `output`: bytes kept of each stream.
    pub(crate) fn new(record: Record, output: usize) -> Self {
        Self {
            id: record.id,
            grant: record.grant.clone(),
            cancel: CancellationToken::new(),
            inner: Mutex::new(Inner {
                record,
                stdout: Kept::new(output),
                stderr: Kept::new(output),
                tool_calls: Vec::new(),
                calls: 0,
                given: None,
                progress: None,
                waits: Waits::default(),
            }),
            changes: watch::Sender::new(0),
        }
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
            Event::Started => record.started = record.started.or_else(|| Some(now())),
            Event::Ended(_) => record.ended = Some(now()),
            Event::Restarted | Event::Asked | Event::Answered => {}
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

    pub(crate) fn given(&self) -> Option<Arc<Given>> {
        self.lock().given.clone()
    }

    pub(crate) fn print(&self, stream: Stream, bytes: &[u8]) {
        let mut inner = self.lock();
        match stream {
            Stream::Stdout => inner.stdout.push(bytes),
            Stream::Stderr => inner.stderr.push(bytes),
        }
        drop(inner);
        self.changed();
    }

    pub(crate) fn progresses(&self, mut progress: Progress) {
        progress.fraction = progress.fraction.clamp(0.0, 1.0);
        if let Some(step) = &mut progress.step {
            step.truncate(step.floor_char_boundary(LONGEST_STEP));
        }
        self.lock().progress = Some(progress);
        self.changed();
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        self.lock().progress.clone()
    }

    pub(crate) fn called(&self, call: ToolCall) {
        let mut inner = self.lock();
        inner.calls += 1;
        if inner.tool_calls.len() < MOST_CALLS {
            inner.tool_calls.push(call);
        }
    }

    /// Adds to `given` what was seen from here: output and calls.
    pub(crate) fn fill(&self, given: &mut Given) {
        let inner = self.lock();
        given.stdout = inner.stdout.to_text();
        given.stderr = inner.stderr.to_text();
        given.truncated = inner.stdout.cut() + inner.stderr.cut() > 0;
        given.written = [inner.stdout.written(), inner.stderr.written()];
        given.tool_calls.clone_from(&inner.tool_calls);
        given.calls = inner.calls;
    }

    pub(crate) fn printed(&self, since: Cursor) -> Printed {
        let inner = self.lock();
        let text = |kept: &Kept, position| String::from_utf8_lossy(&kept.since(position)).into_owned();
        Printed {
            stdout: text(&inner.stdout, since.stdout),
            stderr: text(&inner.stderr, since.stderr),
            next: Cursor { stdout: inner.stdout.written(), stderr: inner.stderr.written() },
        }
    }

    /// The last line that it printed, for a progress message.
    pub(crate) fn last_line(&self) -> Option<String> {
        let text = self.lock().stdout.to_text();
        let line = text.trim_end().lines().next_back()?.trim_end();
        (!line.is_empty()).then(|| line.chars().take(200).collect())
    }

    /// What tells of each change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits for its end, but not longer than `most`.
    pub(crate) async fn ended_within(&self, most: Duration) {
        // Time passing is as good an end of this wait.
        let _ = tokio::time::timeout(most, self.ended()).await;
    }

    /// Waits until it has ended, or is left to the next process.
    pub(crate) async fn left(&self) {
        let mut changes = self.watch();
        while !(self.state().is_final() || self.state() == State::Queued) {
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
