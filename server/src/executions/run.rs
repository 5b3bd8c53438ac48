//! One execution, from its first turn to its end: lives in an instance, and rests between them in which it waits without one.
//!
//! `life` is one life, `rest` the time between two.

use super::Inner;
use super::crashes;
use super::journals::Pen;
use super::keep::Finished;
use super::life;
use super::live::Live;
use super::packages::{self, NotReady};
use super::places::Held;
use super::record::{Failure, Given, Record, now};
use super::request::Request;
use super::rest::{self, Rest};
use super::sleepers::{Bed, Woken};
use super::state::{Ending, Event, State};
use super::time::Time;
use super::turns::Turn;
use super::underway::Underway;
use crate::store;
use exuvia_policies::Caps;
use exuvia_runtime::{Limit, Suspended};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{error, info};

/// A wall limit for those that have none.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(super) const INTERRUPTED: &str = "the server stopped while this was running, and what it had done by then is not \
     known: look at what it was to change, then submit it again";

/// The pause before an execution is begun once more grows so many times with each, so often.
const BACKOFF_GROWTH: u32 = 4;
const MOST_GROWTHS: u32 = 3;
/// Before what the store did not take is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One execution under way.
pub(super) struct Run {
    pub(super) inner: Arc<Inner>,
    pub(super) live: Arc<Live>,
    pub(super) request: Arc<Request>,
    pub(super) held: Held,
    pub(super) underway: Arc<Underway>,
    pub(super) time: Time,
    /// The pen of its journal, if it has one: there must be no other.
    pub(super) pen: Option<Arc<Pen>>,
    /// Whether the store has it.
    pub(super) is_written: bool,
    /// Whether it has ever been suspended.
    pub(super) has_rested: bool,
}

/// How it comes to this process.
pub(super) enum Origin {
    /// It was accepted, or found after a restart, and has to begin. The store has it in this state, if it has it.
    Queue(Option<State>),
    /// It slept.
    Bed(Bed, Woken),
}

/// What is next for an execution.
pub(super) enum Next {
    /// A life of its own, after a rest; with its journal, if something of it is still under way.
    Life(Option<Suspended>, Option<Woken>),
    Rest(Rest),
    Ended(Box<Given>, Ending),
    /// It is left to the next process.
    Left,
    /// It sleeps: nothing of it stays here.
    Asleep,
}

impl Next {
    pub(super) fn failed(failure: Failure) -> Self {
        Self::Ended(Box::new(Given::failed(failure)), Ending::Failed)
    }

    pub(super) fn stopped(limit: &Limit, ending: Ending) -> Self {
        Self::Ended(Box::new(Given::failed(limit.into())), ending)
    }
}

pub(super) async fn run(mut run: Run, origin: Origin) {
    let mut next = match origin {
        Origin::Queue(stored) => run.begins(stored).await,
        Origin::Bed(bed, woken) => Next::Rest(Rest::of_sleeper(bed, woken)),
    };
    loop {
        next = match next {
            Next::Life(journal, woken) => run.wakes(journal, woken).await,
            Next::Rest(rest) => rest::rest(&mut run, rest).await,
            Next::Ended(given, ending) => return run.ends(*given, ending),
            Next::Left => {
                run.underway.stop();
                run.live.leaves();
                // As long as this process is there, it may still be told to stop it.
                run.live.cancel.cancelled().await;
                Next::stopped(&Limit::Cancelled, Ending::Cancelled)
            }
            Next::Asleep => return,
        }
    }
}

impl Run {
    /// Waits for its first turn, and lives.
    async fn begins(&mut self, stored: Option<State>) -> Next {
        let turn = tokio::select! {
            biased;
            () = self.live.leave.cancelled() => None,
            turn = turn(&self.inner, &self.live, &self.request, &mut self.held) => Some(turn),
        };
        self.inner.queued.fetch_sub(1, Ordering::Relaxed);
        let _turn = match turn {
            // It is in the store, and the next process begins with it.
            None if self.is_written && !self.live.cancel.is_cancelled() => return Next::Left,
            None => return Next::stopped(&Limit::Cancelled, Ending::Cancelled),
            Some(Err(failure)) => return Next::failed(failure),
            Some(Ok(turn)) => turn,
        };
        if let Err(next) = self.equips().await {
            return next;
        }
        if let Err(why) = started(&self.inner, &self.live, stored).await {
            return Next::failed(Failure::new("StoreError", why));
        }
        let unwritten = (!self.is_written).then(|| self.inner.meanwhile.begin(&self.live, &self.request));
        let next = life::live(self, None).await;
        self.is_written = unwritten.is_none_or(|unwritten| unwritten.end());
        next
    }

    /// Makes its packages ready: those that it began with, if it has begun. A call of a session has those of that (`session`).
    pub(super) async fn equips(&mut self) -> Result<(), Next> {
        if self.request.session.is_some() || self.held.layer.is_some() {
            return Ok(());
        }
        let (begun, caps) = (self.live.record().packages, self.inner.gate.caps(self.live.grant()));
        let wall = self.wall(&caps).saturating_sub(self.time.counted(&self.live));
        // They are of the same time that the client waits.
        self.time.begin();
        let ready = packages::ready(&self.inner, &self.live, &self.request.packages, begun.as_deref(), wall).await;
        let ready = ready.map_err(|why| self.unready(why))?;
        if let Some(layer) = &ready.layer {
            self.live.begins_with(layer.name());
        }
        self.held.layer = ready.layer;
        Ok(())
    }

    /// What is next when there are no packages.
    pub(super) fn unready(&self, why: NotReady) -> Next {
        let ending = match &why {
            NotReady::Failed(_) => Ending::Failed,
            NotReady::Late => Ending::TimedOut,
            NotReady::Cancelled if self.is_written && !self.live.cancel.is_cancelled() => return self.stops(),
            NotReady::Cancelled => Ending::Cancelled,
        };
        Next::Ended(Box::new(Given::failed(why.failure())), ending)
    }

    /// Waits for another turn, and goes on.
    async fn wakes(&mut self, journal: Option<Suspended>, woken: Option<Woken>) -> Next {
        let turn = tokio::select! {
            biased;
            () = self.live.leave.cancelled() => return self.stops(),
            turn = self.inner.turns.take(self.live.grant(), self.request.priority) => turn,
        };
        drop(woken);
        let mut record = self.live.record();
        record.suspended = false;
        // Before anything of it happens: if the server dies of it, that has to count.
        while let Err(error) = self.write_woken(&record).await {
            error!(execution = %self.live.id(), %error, "could not write that an execution goes on; trying again");
            tokio::select! {
                () = self.live.leave.cancelled() => return self.stops(),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        info!(execution = %self.live.id(), "woken");
        self.live.resumes();
        self.underway.resume();
        let next = life::live(self, journal).await;
        drop(turn);
        next
    }

    async fn write_woken(&mut self, record: &Record) -> Result<(), store::Error> {
        self.inner.keep.wakes(record)?;
        self.inner.keep.durable().await
    }

    /// Somebody, or the end of the server, stops it while it has no instance.
    pub(super) fn stops(&self) -> Next {
        if self.live.cancel.is_cancelled() {
            return Next::stopped(&Limit::Cancelled, Ending::Cancelled);
        }
        self.leaves();
        Next::Left
    }

    /// Leaves it to the next process, as one that waits for its turn: the server has not died of it.
    pub(super) fn leaves(&self) {
        let Ok(record) = self.live.after(Event::Restarted) else { return };
        if let Err(error) = self.inner.keep.update(&record) {
            error!(execution = %self.live.id(), %error, "could not write that an execution is left to the next process");
        }
        info!(execution = %self.live.id(), "left to the next process");
        self.live.set(record, None);
    }

    /// Its time limit, by the policy as it is now.
    pub(super) fn wall(&self, caps: &Caps) -> Duration {
        lowered(self.request.wall.unwrap_or(FOR_EVER), caps.wall_s)
    }

    fn ends(self, mut given: Given, ending: Ending) {
        let Self { inner, live, request, held, underway, time, is_written, has_rested, .. } = self;
        if has_rested {
            given.usage.wall_ms = (time.took().as_secs_f64() * 1e6).round() / 1e3;
        }
        underway.stop();
        if !request.files.is_empty() {
            inner.shelf.give_back(live.grant(), live.id().uuid());
        }
        // Before the end is told: a client that then begins the next one finds its place free, and its failures counted.
        let Held { receipt, place, line, sandbox, layer } = held;
        drop((place, line, sandbox, layer));
        if let Some(receipt) = receipt
            && ending != Ending::Cancelled
        {
            inner.gate.settle(receipt, ending == Ending::Finished);
        }
        ended(&inner, &live, given, ending, (!is_written).then_some(request));
    }
}

/// Waits for its time, for the other calls of its session, and then for its turn among all. What was running when the
/// server died waits longer each time: it may be what kills it. Once that was too often, there is no turn.
async fn turn(inner: &Arc<Inner>, live: &Live, request: &Request, held: &mut Held) -> Result<Turn, Failure> {
    if let Some(wait) = request.run_at.map(|at| at.saturating_sub(now())).filter(|wait| *wait > 0) {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    crashes::count(inner, live).await?;
    if let Some(times) = live.record().recoveries.checked_sub(2) {
        let pause = inner.settings.recovery_pause.saturating_mul(BACKOFF_GROWTH.pow(times.min(MOST_GROWTHS)));
        tokio::time::sleep(pause).await;
    }
    if let Some(line) = &mut held.line {
        line.turn().await;
    }
    Ok(inner.turns.take(live.grant(), request.priority).await)
}

/// Stores that it begins, before anything of it can happen.
async fn started(inner: &Inner, live: &Live, stored: Option<State>) -> Result<(), String> {
    let record = live.after(Event::Started).map_err(|error| error.to_string())?;
    if stored == Some(State::Queued) {
        inner.keep.update(&record).map_err(|error| error.to_string())?;
        inner.keep.durable().await.map_err(|error| error.to_string())?;
    }
    live.set(record, None);
    Ok(())
}

pub(super) fn lowered(limit: Duration, cap: Option<u64>) -> Duration {
    Duration::from_secs(Caps::lower(u64::MAX, cap)).min(limit)
}

/// Shows the end, and has it stored soon. `request` is given when nothing of this execution has been stored.
fn ended(inner: &Inner, live: &Live, mut given: Given, ending: Ending, request: Option<Arc<Request>>) {
    live.printed_all();
    live.fill(&mut given);
    given.truncated |= given.cut;
    let record = match live.after(Event::Ended(ending)) {
        Ok(record) => record,
        Err(error) => {
            error!(execution = %live.id(), %error, "an execution ended twice");
            return;
        }
    };
    info!(execution = %live.id(), state = %record.state, wall_ms = given.usage.wall_ms, "ended");
    let given = Arc::new(given);
    // First: whoever sees the end may rely on its being written.
    inner.finished().push(Finished { record: record.clone(), given: Arc::clone(&given), request });
    live.set(record, Some(given));
    inner.soon.notify_one();
}
