//! One execution, from its turn to its end.

use super::Inner;
use super::host::Reaching;
use super::journals::Pen;
use super::keep::Finished;
use super::live::Live;
use super::packages::{self, NotReady, Ready};
use super::places::Held;
use super::record::{Failure, Given, now};
use super::request::Request;
use super::session::{self, Marks, NotRun};
use super::state::{Ending, Event, State};
use super::tools::Caller;
use super::turns::Turn;
use exuvia_policies::Caps;
use exuvia_runtime::{Halt, Host, Isolated, Journal, Ledger, Limit, Limits, Outcome, Program, Verdict};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// A wall limit for those that have none.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(super) const INTERRUPTED: &str = "the server stopped while this was running, and what it had done by then is not \
     known: look at what it was to change, then submit it again";

/// The pause before an execution is begun once more grows so many times with each, so often.
const BACKOFF_GROWTH: u32 = 4;
const MOST_GROWTHS: u32 = 3;

pub(super) async fn run(inner: Arc<Inner>, live: Arc<Live>, request: Request, stored: Option<State>, mut held: Held) {
    let turn = tokio::select! {
        biased;
        () = live.cancel.cancelled() => None,
        turn = turn(&inner, &live, &request, &mut held) => Some(turn),
    };
    inner.queued.fetch_sub(1, Ordering::Relaxed);
    let request = Arc::new(request);
    let mut written = stored.is_some();
    if turn.is_none() && written && inner.stopping.load(Ordering::Relaxed) {
        // It is in the store, and the next process begins with it.
        return;
    }
    let (given, ending) = match turn {
        None => (Given::failed((&Limit::Cancelled).into()), Ending::Cancelled),
        Some(_) => match begun(&inner, &live, &request, stored).await {
            Ok(ready) => {
                let unwritten = (!written).then(|| inner.meanwhile.begin(&live, &request));
                let ran = ran(&inner, &live, &request, ready).await;
                written = unwritten.is_none_or(|unwritten| unwritten.end());
                let Some(ended) = ran else { return left(&inner, &live) };
                ended
            }
            // It is in the store, and the next process begins with it.
            Err(NotReady::Cancelled) if written && inner.stopping.load(Ordering::Relaxed) => return,
            Err(why) => unready(why),
        },
    };
    // Before the end is told: a client that then begins the next one finds its place free, and its failures counted.
    let Held { receipt, place, line, layer } = held;
    drop((place, line, layer));
    if let Some(receipt) = receipt
        && ending != Ending::Cancelled
    {
        inner.gate.settle(receipt, ending == Ending::Finished);
    }
    ended(&inner, &live, given, ending, (!written).then_some(request));
}

/// Waits for its time, for the other calls of its session, and then for its turn among all. What was running when the
/// server died waits longer each time: it may be what kills it.
async fn turn(inner: &Inner, live: &Live, request: &Request, held: &mut Held) -> Turn {
    if let Some(wait) = request.run_at.map(|at| at.saturating_sub(now())).filter(|wait| *wait > 0) {
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    if let Some(times) = live.record().recoveries.checked_sub(2) {
        let pause = inner.settings.recovery_pause.saturating_mul(BACKOFF_GROWTH.pow(times.min(MOST_GROWTHS)));
        tokio::time::sleep(pause).await;
    }
    if let Some(line) = &mut held.line {
        line.turn().await;
    }
    inner.turns.take(live.grant(), request.priority).await
}

/// Leaves it to the next process, as one that waits for its turn: the server has not died of it.
fn left(inner: &Inner, live: &Live) {
    let Ok(record) = live.after(Event::Restarted) else { return };
    let stored = inner.keep.update(&record);
    if let Err(error) = stored {
        error!(execution = %live.id(), %error, "could not write that an execution is left to the next process");
    }
    info!(execution = %live.id(), "left to the next process");
    live.set(record, None);
}

/// Makes ready what it needs, and stores that it begins. A call of a session has its packages from that (`session`).
async fn begun(
    inner: &Arc<Inner>,
    live: &Arc<Live>,
    request: &Request,
    stored: Option<State>,
) -> Result<Ready, NotReady> {
    let ready = if request.session.is_none() {
        let begun = live.record().packages;
        packages::ready(inner, live, &request.packages, begun.as_deref(), wall(inner, live, request)).await?
    } else {
        Ready::default()
    };
    if let Some(layer) = &ready.layer {
        live.begins_with(layer.name());
    }
    let started = started(inner, live, stored).await;
    started.map(|()| ready).map_err(|why| NotReady::Failed(Failure::new("StoreError", why)))
}

fn unready(why: NotReady) -> (Given, Ending) {
    let ending = match &why {
        NotReady::Failed(_) => Ending::Failed,
        NotReady::Late => Ending::TimedOut,
        NotReady::Cancelled => Ending::Cancelled,
    };
    (Given::failed(why.failure()), ending)
}

/// Most time that it may take.
fn wall(inner: &Inner, live: &Live, request: &Request) -> Duration {
    lowered(request.wall.unwrap_or(FOR_EVER), inner.gate.caps(live.grant()).wall_s)
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

/// What came of it; none when the server stops, and the next process goes on with it.
async fn ran(inner: &Arc<Inner>, live: &Arc<Live>, request: &Request, ready: Ready) -> Option<(Given, Ending)> {
    let program = Program { packages: ready.layer, ..program(request) };
    let caps = inner.gate.caps(live.grant());
    // What the packages took is of the same time that the client waits.
    let wall = wall(inner, live, request).saturating_sub(ready.took);
    // What is kept of the output is in `live`.
    let limits = Limits { wall, cpu: lowered(wall, caps.cpu_s), output: 0, ..inner.limits(&caps) };
    let host = Reaching {
        caller: Caller { live: Arc::clone(live), reach: request.reach.clone() },
        tools: Arc::clone(&inner.tools),
        gate: Arc::clone(&inner.gate),
        most_calls: caps.tool_calls,
        calls: 0,
        server: inner.server.clone(),
        clocks: Isolated::default(),
    };
    let cancel = live.cancel.child_token();
    let (host, journaled) = match journaled(inner, live, Box::new(host), cancel.clone()).await {
        Ok(host) => host,
        Err(why) => return Some((Given::failed(halted(&Halt::Unreadable(why))), Ending::Failed)),
    };
    // Holds this thread while the program computes: nothing else can go on here meanwhile.
    let ran = if let Some(session) = &request.session {
        session::run(inner, live, session, request, program, limits, host).await
    } else {
        let ran = inner.sandbox.run(&program, &limits, host, cancel).await;
        ran.map(|outcome| (outcome, Marks::default())).map_err(NotRun::Sandbox)
    };
    match ran {
        Ok((outcome, marks)) => {
            if let Some((pen, verdict)) = journaled {
                let halt = match &outcome {
                    Outcome::Finished(_) | Outcome::Raised(..) => verdict.ended(),
                    Outcome::Stopped(..) => verdict.halted(),
                };
                if let Some(halt) = halt {
                    let given = Given { error: Some(halted(&halt)), ..Given::from_outcome(outcome, request) };
                    return Some((given, Ending::Failed));
                }
                if matches!(outcome, Outcome::Stopped(_, Limit::Cancelled)) && inner.stopping.load(Ordering::Relaxed) {
                    // What is lost of it is in doubt when it goes on.
                    if let Err(why) = pen.durable().await {
                        error!(execution = %live.id(), why, "could not write a journal");
                    }
                    return None;
                }
            }
            let ending = ending(&outcome, inner.stopping.load(Ordering::Relaxed));
            let mut given = Given::from_outcome(outcome, request);
            marks.put(&mut given);
            if ending == Ending::Failed && given.error.as_ref().is_some_and(|error| error.kind == "Cancelled") {
                given.error = Some(Failure::new("Interrupted", INTERRUPTED));
            }
            if ending == Ending::Finished && given.error.is_some() {
                return Some((given, Ending::Failed));
            }
            Some((given, ending))
        }
        Err(NotRun::Packages(why)) => Some(unready(why)),
        Err(NotRun::Session(error)) => {
            Some((Given::failed(Failure::new("SessionError", error.to_string())), Ending::Failed))
        }
        Err(NotRun::Sandbox(failed)) => {
            error!(execution = %live.id(), error = &failed as &dyn std::error::Error, "the sandbox failed");
            Some((Given::failed(Failure::new("SandboxError", failed.to_string())), Ending::Failed))
        }
    }
}

/// The host of an execution, with the journal of one that outlives this process before it.
async fn journaled(
    inner: &Inner,
    live: &Live,
    host: Box<dyn Host>,
    cancel: CancellationToken,
) -> Result<(Box<dyn Host>, Option<(Arc<Pen>, Verdict)>), String> {
    if live.record().image.is_none() {
        return Ok((host, None));
    }
    let pen = Arc::new(Pen(inner.journals.book(live.id())));
    let (ledger, most): (Arc<dyn Ledger>, _) = (Arc::clone(&pen) as _, inner.settings.journal);
    // All of it is read: not on a thread for programs.
    let opened = inner.server.spawn_blocking(move || Journal::open(ledger, most, cancel)).await;
    let journal = opened.map_err(|error| error.to_string())??;
    let verdict = journal.verdict();
    Ok((Box::new(journal.before(host)), Some((pen, verdict))))
}

fn halted(halt: &Halt) -> Failure {
    let kind = match halt {
        Halt::Diverged { .. } => "Diverged",
        Halt::Full { .. } => "JournalFull",
        Halt::Unreadable(_) => "JournalDamaged",
    };
    Failure::new(kind, halt.to_string())
}

fn lowered(limit: Duration, cap: Option<u64>) -> Duration {
    Duration::from_secs(Caps::lower(u64::MAX, cap)).min(limit)
}

fn program(request: &Request) -> Program {
    Program {
        source: request.script.clone(),
        inputs: request.inputs.clone(),
        outputs: request.outputs.keys().cloned().collect(),
        seed: request.seed,
        ..Program::default()
    }
}

fn ending(outcome: &Outcome, stopping: bool) -> Ending {
    match outcome {
        Outcome::Finished(_) => Ending::Finished,
        Outcome::Stopped(_, Limit::Cancelled) if !stopping => Ending::Cancelled,
        Outcome::Stopped(_, Limit::Wall) => Ending::TimedOut,
        Outcome::Raised(..) | Outcome::Stopped(..) => Ending::Failed,
    }
}

/// Shows the end, and has it stored soon. `request` is given when nothing of this execution has been stored.
fn ended(inner: &Inner, live: &Live, mut given: Given, ending: Ending, request: Option<Arc<Request>>) {
    live.fill(&mut given);
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
