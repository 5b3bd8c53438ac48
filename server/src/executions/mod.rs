//! Executions: from a request to a record that says how it ended.
//!
//! [`Executor`] is the only place that moves an execution between states. Each event is stored, then acted on.

mod guests;
mod host;
mod id;
mod journals;
mod keep;
mod keys;
mod live;
mod meanwhile;
mod outputs;
mod packages;
mod places;
mod prune;
mod record;
mod recover;
mod request;
mod run;
mod session;
mod state;
mod tools;
mod turns;
mod view;
mod waits;

pub(crate) use id::Id;
use keep::Finished;
pub(crate) use keep::Keep;
pub(crate) use keys::Submitted;
pub(crate) use live::{Cursor, Live, Progress};
pub(crate) use outputs::nearest;
use record::Record;
pub(crate) use request::{InSession, Priority, Reach, Request, seed};
pub(crate) use state::State;
pub(crate) use tools::{Answer, Answering, Caller, Tools};
pub(crate) use view::{Cancelled, Status, Summary};

use self::guests::Guests;
use self::journals::Journals;
use self::keys::Key;
use self::meanwhile::Meanwhile;
use self::places::{Held, Place, Places};
use self::record::now;
use self::turns::Turns;
use crate::gate::{Asker, Denied, Gate, Granted};
use crate::packages::Packages;
use crate::sessions::{Line, Sessions};
use crate::store;
use exuvia_policies::Caps;
use exuvia_runtime::{Limits, Sandbox};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
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
    /// Most bytes of the journal of one execution.
    pub(crate) journal: u64,
    /// How often an execution is begun again that was running when a process died.
    pub(crate) recoveries: u32,
    /// Before the third beginning; it grows with each further one.
    pub(crate) recovery_pause: Duration,
    /// Executions older than this are removed.
    pub(crate) keep_for: Duration,
    /// The oldest executions above this number are removed.
    pub(crate) keep_most: usize,
}

/// Runs what is asked for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Executor(Arc<Inner>);

struct Inner {
    sandbox: Arc<Sandbox>,
    packages: Packages,
    keep: Keep,
    tools: Arc<dyn Tools>,
    gate: Arc<Gate>,
    sessions: Sessions,
    places: Arc<Places>,
    settings: Settings,
    guests: Guests,
    journals: Arc<Journals>,
    server: Handle,
    turns: Turns,
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

impl Executor {
    /// Starts the threads for programs, and whatever an earlier process left in the queue.
    pub(crate) fn start(
        sandbox: Arc<Sandbox>,
        packages: Packages,
        keep: Keep,
        tools: Arc<dyn Tools>,
        gate: Arc<Gate>,
        sessions: Sessions,
        settings: Settings,
    ) -> Result<Self, Error> {
        let guests = Guests::start(settings.threads, settings.at_once).map_err(Error::Threads)?;
        let executor = Self(Arc::new(Inner {
            turns: Turns::new(settings.at_once),
            sandbox,
            packages,
            journals: Journals::start(keep.clone()),
            keep,
            tools,
            gate,
            sessions,
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
        let mut stored = None;
        if wait == Wait::Not {
            // It outlives its client, and so this process; but for a call of a session, whose state may have moved on.
            record.image = request.session.is_none().then(|| inner.sandbox.image_digest().to_owned());
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
        let held = Held { receipt: Some(receipt), place, line: inner.line(&grant, &request), layer: None };
        info!(execution = %record.id, grant, "submitted");
        Ok(inner.enqueue(record, request, stored, held))
    }

    /// An execution that this process holds.
    pub(crate) fn live(&self, id: Id) -> Option<Arc<Live>> {
        self.0.lock().get(&id).cloned()
    }

    /// Executions under way, those that wait for their turn included.
    pub(crate) fn under_way(&self) -> usize {
        self.0.lock().values().filter(|live| !live.state().is_final()).count()
    }

    pub(crate) fn keep(&self) -> &Keep {
        &self.0.keep
    }

    /// Accepts nothing more, waits for what is running, and stops what is still there after `grace`. What had not begun,
    /// and what has a journal, is left to the next process.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.gate.stopping();
        let all: Vec<_> = self.0.lock().values().cloned().collect();
        let running = || all.iter().filter(|live| live.state() == State::Running);
        let _ = tokio::time::timeout(grace, async {
            for live in running() {
                live.ended().await;
            }
        })
        .await;
        for live in &all {
            live.cancel.cancel();
        }
        for live in all.iter().filter(|live| matches!(live.state(), State::Running | State::WaitingApproval)) {
            // Time passing is as good an end of this wait.
            let _ = tokio::time::timeout(grace.max(Duration::from_secs(1)), live.left()).await;
        }
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
        self.packages.admit(&self.gate, Asker::client(grant), &request.packages).map_err(Refused::Denied)
    }

    /// `stored`: the state that the store has of it, if it has it.
    fn enqueue(self: &Arc<Self>, record: Record, request: Request, stored: Option<State>, held: Held) -> Arc<Live> {
        let output = self.limits(&self.gate.caps(&record.grant)).output;
        let live = Arc::new(Live::new(record, output));
        self.lock().insert(live.id(), Arc::clone(&live));
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.guests.spawn(run::run(Arc::clone(self), Arc::clone(&live), request, stored, held));
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
