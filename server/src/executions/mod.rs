//! Executions: from a request to a record that says how it ended.
//!
//! [`Executor`] is the only place that moves an execution between states. Each event is stored, then acted on.

mod artifacts;
mod crashes;
mod frames;
mod guests;
mod host;
mod id;
mod journal_room;
mod journals;
mod keep;
mod keys;
mod life;
mod live;
mod meanwhile;
mod outputs;
mod packages;
mod places;
mod prune;
mod record;
mod recorded;
mod recover;
mod request;
mod rest;
mod run;
mod sandboxes;
mod seen;
mod session;
mod sleepers;
mod state;
mod time;
mod timeline;
mod tools;
mod turns;
mod underway;
mod view;
mod waits;
mod wake;
mod whole;

pub(crate) use artifacts::{Artifact, Listed, Source, View as ArtifactView, ends};
pub(crate) use frames::{Frame, Frames};
pub(crate) use id::Id;
use keep::Finished;
pub(crate) use keep::Keep;
pub(crate) use keys::Submitted;
pub(crate) use live::Live;
pub(crate) use outputs::nearest;
pub(crate) use record::Bounds;
use record::Record;
pub(crate) use recorded::{Difference, Recorded, Verdict};
pub(crate) use request::{InSession, Priority, Reach, Request, seed};
pub(crate) use sandboxes::Sandboxes;
pub(crate) use seen::{Cursor, Progress};
pub(crate) use state::State;
pub(crate) use timeline::{Decision, Timeline, is_shown};
pub(crate) use tools::{Answer, Answering, Caller, Tools};
pub(crate) use view::{Cancelled, Status, Summary};

use self::guests::Guests;
use self::journals::Journals;
use self::keys::Key;
use self::meanwhile::Meanwhile;
use self::places::{Held, Place, Places};
use self::record::now;
use self::run::{Origin, Run};
use self::seen::Seen;
use self::sleepers::Sleepers;
use self::time::Time;
use self::turns::Turns;
use self::underway::{Room, Underway};
use crate::egress::Egress;
use crate::gate::{Asker, Denied, Gate, Granted};
use crate::packages::Packages;
use crate::secrets::Secrets;
use crate::sessions::{Line, Sessions};
use crate::shelf::{self, Shelf};
use crate::store;
use exuvia_policies::Caps;
use exuvia_runtime::{Limits, Spill};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tracing::info;

/// How many executions there may be, and what one may use.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Most executions under way at once.
    pub(crate) at_once: usize,
    /// Most executions that wait for their turn.
    pub(crate) queue: usize,
    /// Threads for programs that do not compute for long. Each that does has one of its own besides.
    pub(crate) threads: usize,
    /// What one execution may use; its wall time is set by each request.
    pub(crate) limits: Limits,
    /// Most bytes of a result, or of an output variable, in a record.
    pub(crate) result: usize,
    /// Most bytes of what is kept of one execution beside its record.
    pub(crate) artifacts: u64,
    /// Most bytes kept of what one execution prints.
    pub(crate) printed: u64,
    /// Most bytes of the journal of one execution.
    pub(crate) journal: u64,
    /// Most entries of it.
    pub(crate) journal_entries: u64,
    /// An execution with a journal leaves memory once it has waited so long.
    pub(crate) suspend_after: Duration,
    /// And so many times as long as it has computed, as all of that is done again when it goes on.
    pub(crate) suspend_factor: u32,
    /// Most executions that only sleep, and are not in memory.
    pub(crate) sleeping: usize,
    /// How often an execution is begun again that was running when a process died.
    pub(crate) recoveries: u32,
    /// Before the third beginning; it grows with each further one.
    pub(crate) recovery_pause: Duration,
    /// Executions older than this are removed.
    pub(crate) keep_for: Duration,
    /// The oldest executions above this number are removed.
    pub(crate) keep_most: usize,
    /// Most bytes of the journals of executions that have ended.
    pub(crate) keep_journals: u64,
}

/// Runs what is asked for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Executor(Arc<Inner>);

/// What executions are run with.
pub(crate) struct Parts {
    pub(crate) sandboxes: Sandboxes,
    pub(crate) packages: Packages,
    /// Where long output lies while it comes.
    pub(crate) spill: Spill,
    pub(crate) keep: Keep,
    pub(crate) tools: Arc<dyn Tools>,
    pub(crate) egress: Arc<Egress>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) sessions: Sessions,
    pub(crate) shelf: Shelf,
}

struct Inner {
    sandboxes: Sandboxes,
    packages: Packages,
    spill: Spill,
    keep: Keep,
    tools: Arc<dyn Tools>,
    egress: Arc<Egress>,
    gate: Arc<Gate>,
    sessions: Sessions,
    shelf: Shelf,
    secrets: Arc<Secrets>,
    places: Arc<Places>,
    settings: Settings,
    guests: Guests,
    journals: Arc<Journals>,
    server: Handle,
    turns: Turns,
    sleepers: Arc<Sleepers>,
    room: Arc<Room>,
    /// Held while a sleeper is brought back.
    rousing: Mutex<()>,
    queued: AtomicUsize,
    live: Mutex<HashMap<Id, Arc<Live>>>,
    /// Executions whose end is not written yet: many are one write. They stay in `live` until then.
    finished: Mutex<Vec<Finished>>,
    /// Held while they are written, so that whoever finds none knows that they are.
    writing: tokio::sync::Mutex<()>,
    meanwhile: Meanwhile,
    /// Wakes the task that writes those, and makes what was written durable.
    soon: Notify,
    /// Held while a job with a key is accepted.
    keys: tokio::sync::Mutex<()>,
    stopping: AtomicBool,
}

/// How a client waits, and so what must be on the disk before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// For the end. The record follows the answer within 100 ms.
    ForEnd,
    /// Not at all. The record is on the disk before the id is given.
    Not,
}

/// Why an execution was not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{waiting} executions wait for their turn already, which is the most: try again in a few seconds")]
    Full { waiting: usize },
    #[error("the server is stopping: try again when it has started anew")]
    Stopping,
    #[error("{}", .0.text())]
    Denied(Denied),
    #[error("{0}")]
    Arguments(String),
    #[error("the execution could not be kept: {0}")]
    Store(#[from] store::Error),
}

impl From<shelf::Error> for Refused {
    fn from(error: shelf::Error) -> Self {
        match error {
            shelf::Error::Store(error) => Self::Store(error),
            other => Self::Arguments(format!("`files`: {other}")),
        }
    }
}

impl Executor {
    /// Starts the threads for programs, and whatever an earlier process left in the queue.
    pub(crate) fn start(parts: Parts, settings: Settings) -> Result<Self, Error> {
        let Parts { sandboxes, packages, spill, keep, tools, egress, gate, secrets, sessions, shelf } = parts;
        let guests = Guests::start(settings.threads, settings.at_once).map_err(Error::Threads)?;
        let sleepers = Sleepers::new(settings.sleeping);
        // As many as may be under way besides: those, too, are bounded by what they take of memory.
        let room = Room { underway: Arc::new(Semaphore::new(settings.at_once)), sleepers: Arc::clone(&sleepers) };
        let executor = Self(Arc::new(Inner {
            turns: Turns::new(settings.at_once),
            sleepers,
            room: Arc::new(room),
            rousing: Mutex::default(),
            sandboxes,
            packages,
            spill,
            shelf,
            journals: Journals::start(keep.clone()),
            keep,
            tools,
            egress,
            gate,
            sessions,
            secrets,
            places: Arc::default(),
            settings,
            guests,
            server: Handle::current(),
            queued: AtomicUsize::new(0),
            live: Mutex::default(),
            finished: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            meanwhile: Meanwhile::default(),
            soon: Notify::new(),
            keys: tokio::sync::Mutex::default(),
            stopping: AtomicBool::new(false),
        }));
        executor.recover()?;
        executor.0.guests.begin();
        prune::start(&executor.0);
        Ok(executor)
    }

    /// Accepts a job: its record is on the disk when this returns. One with a key that was used before is not run again.
    pub(crate) async fn submit_job(
        &self,
        granted: Granted,
        read: impl FnOnce(Map<String, Value>) -> Result<Request, String>,
    ) -> Result<Submitted, Refused> {
        let Some(key) = Key::of(&granted) else {
            return Ok(Submitted::New(self.submit(granted, read, Wait::Not).await?));
        };
        // Held until the record is kept, so that of two at once one is the first.
        let _one = self.0.keys.lock().await;
        let Some(before) = self.0.keep.keyed(granted.grant(), &key)? else {
            return Ok(Submitted::New(self.submit(granted, read, Wait::Not).await?));
        };
        self.0.gate.refund(granted);
        if before.arguments == key.arguments {
            return Ok(Submitted::Known(before.id));
        }
        Err(Refused::Arguments(format!(
            "`idempotency_key` `{}` was used for other arguments, by execution `{}`: give another key",
            key.text, before.id
        )))
    }

    /// Accepts an execution; it runs whether anybody waits for it or not. What is run is what `read` makes of the
    /// arguments that were granted.
    pub(crate) async fn submit(
        &self,
        granted: Granted,
        read: impl FnOnce(Map<String, Value>) -> Result<Request, String>,
        wait: Wait,
    ) -> Result<Arc<Live>, Refused> {
        let inner = &self.0;
        let place = match inner.place(&granted) {
            Ok(place) => place,
            Err(refused) => {
                inner.gate.refund(granted);
                return Err(refused);
            }
        };
        let grant = granted.grant().to_owned();
        let key = Key::of(&granted);
        let (given, receipt) = granted.spend_as_given();
        let mut request = read(given).map_err(Refused::Arguments)?;
        if let Err(refused) = inner.admitted(&grant, &mut request) {
            inner.gate.unsent(receipt);
            return Err(refused);
        }
        let mut record = Record { key, ..Record::new(&grant, &request) };
        if !request.files.is_empty() {
            inner.shelf.lend(&grant, record.id.uuid(), &mut request.files)?;
        }
        let sandbox = Arc::clone(inner.sandboxes.own());
        let mut stored = None;
        if wait == Wait::Not {
            // It outlives its client, and so this process; but for a call of a session, whose state may have moved on.
            record.image = request.session.is_none().then(|| sandbox.image_digest().to_owned());
            record.bounds = record.image.is_some().then(|| inner.limits(&inner.gate.caps(&grant)).into());
            // What begins at once is stored as begun: one write to the disk instead of two. A call of a session may have to wait for others.
            let mut first = record.clone();
            // So may one with packages, which have to be there, and are written down, before it begins.
            let at_once = request.run_at.is_none() && request.session.is_none() && request.packages.is_empty();
            if inner.turns.is_free() && at_once {
                first.state = State::Running;
                first.started = Some(first.submitted);
            }
            inner.keep.begin(&first, &request)?;
            inner.keep.durable().await?;
            stored = Some(first.state);
        }
        // In line from here on: calls of a session come in the order in which they are stored.
        let line = inner.line(&grant, &request);
        let held = Held { receipt: Some(receipt), place, line, sandbox, layer: None };
        info!(execution = %record.id, grant, "submitted");
        Ok(inner.enqueue(record, request, stored, held))
    }

    /// An execution that this process holds.
    pub(crate) fn live(&self, id: Id) -> Option<Arc<Live>> {
        self.0.lock().get(&id).cloned()
    }

    /// Executions under way, those that wait for their turn included.
    pub(crate) fn under_way(&self) -> usize {
        self.0.lock().values().filter(|live| !live.state().is_final()).count() + self.0.sleepers.count()
    }

    pub(crate) fn keep(&self) -> &Keep {
        &self.0.keep
    }

    /// Accepts nothing more, waits for what is running, and stops what is still there after `grace`. What had not begun,
    /// and what has a journal, is left to the next process.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.gate.stopping();
        self.0.sleepers.close();
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        let running = || all.iter().filter(|live| live.state() == State::Running && !live.record().suspended);
        let _ = tokio::time::timeout(grace, async {
            for live in running() {
                live.ended().await;
            }
        })
        .await;
        for live in &all {
            live.leave.cancel();
        }
        for live in all.iter().filter(|live| matches!(live.state(), State::Running | State::WaitingApproval)) {
            live.left_within(grace.max(Duration::from_secs(1))).await;
        }
        self.written().await;
    }

    /// Waits until all that has ended is on the disk.
    pub(crate) async fn written(&self) {
        prune::write(&self.0).await;
    }
}

impl Inner {
    /// A place for one more execution of the grant.
    fn place(&self, granted: &Granted) -> Result<Place, Refused> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Refused::Stopping);
        }
        self.keep.room()?;
        let waiting = self.queued.load(Ordering::Relaxed);
        if waiting >= self.settings.queue {
            return Err(Refused::Full { waiting });
        }
        let most = granted.caps().concurrent;
        self.places.take_within(granted.grant(), most).ok_or_else(|| {
            let reason = "As many executions as the policy allows at a time are under way; wait for one to end.";
            let asker = Asker::client(granted.grant());
            Refused::Denied(self.gate.capped(asker, granted.tool(), "concurrent", reason))
        })
    }

    /// Leaves in the request the packages that the image does not have, and refuses those that no policy allows at all.
    fn admitted(&self, grant: &str, request: &mut Request) -> Result<(), Refused> {
        request.packages = self.packages.wanted(&request.packages).map_err(Refused::Arguments)?;
        Packages::admit(&self.gate, Asker::client(grant), &request.packages).map_err(Refused::Denied)
    }

    /// `stored`: the state that the store has of it, if it has it.
    fn enqueue(self: &Arc<Self>, record: Record, request: Request, stored: Option<State>, held: Held) -> Arc<Live> {
        let output = self.limits(&self.gate.caps(&record.grant)).output;
        let live = Arc::new(Live::new(record, Seen::new(output)));
        self.lock().insert(live.id(), Arc::clone(&live));
        self.queued.fetch_add(1, Ordering::Relaxed);
        let run = Run {
            inner: Arc::clone(self),
            live: Arc::clone(&live),
            request: Arc::new(request),
            held,
            underway: Underway::new(Arc::clone(&self.room)),
            time: Time::default(),
            pen: None,
            is_written: stored.is_some(),
            has_rested: false,
        };
        self.guests.spawn(run::run(run, Origin::Queue(stored)));
        live
    }

    /// A place among the calls of its session, if it is one.
    fn line(&self, grant: &str, request: &Request) -> Option<Line> {
        request.session.as_ref().map(|session| self.sessions.line(grant, &session.id))
    }

    fn finished(&self) -> MutexGuard<'_, Vec<Finished>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one execution may use under its policy, which lowers limits and never raises them.
    fn limits(&self, caps: &Caps) -> Limits {
        let limits = self.settings.limits.clone();
        let memory = caps.memory_mb.map(|megabytes| megabytes.saturating_mul(1 << 20));
        let output = Caps::lower(u64::try_from(limits.output).unwrap_or(u64::MAX), caps.output_bytes);
        Limits {
            memory: Caps::lower(limits.memory, memory),
            files: Caps::lower(limits.files, memory),
            output: usize::try_from(output).unwrap_or(usize::MAX),
            ..limits
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why no execution can be run at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not start the threads for programs")]
    Threads(#[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("a record in the data folder makes no sense")]
    State(#[from] state::IllegalEvent),
}
