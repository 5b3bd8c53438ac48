//! One life of an execution: a run in an instance, from the beginning of its program to its end, or to a long wait.

use super::Settings;
use super::artifacts::{self, Left};
use super::host::Reaching;
use super::journals::Pen;
use super::record::{Failure, Given};
use super::rest::Rest;
use super::run::{INTERRUPTED, Next, Run, lowered};
use super::session::{self, Marks, NotRun};
use super::state::Ending;
use super::tools::Caller;
use super::whole::Whole;
use crate::egress::Exchanges;
use crate::gate::Asker;
use crate::secrets::{Bound, Scope};
use crate::store;
use exuvia_policies::Caps;
use exuvia_runtime::{
    Bounds, Halt, Host, Input, Isolated, Journal, Ledger, Limit, Limits, Outcome, Patience, Program, Suspended, Verdict,
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tracing::error;

/// The journal of a life, and where it is written.
struct Journaled {
    pen: Arc<Pen>,
    verdict: Verdict,
}

/// What a life came to, and what is next. `before`: the journal of the life before it, if something of that is under way.
pub(super) async fn live(run: &mut Run, before: Option<Suspended>) -> Next {
    run.time.begin();
    let bound = match bound(run) {
        Ok(bound) => Arc::new(bound),
        Err(failure) => return Next::failed(failure),
    };
    run.live.scrub(&bound);
    // One that slept held nothing.
    if let Err(next) = run.equips().await {
        return next;
    }
    let caps = run.inner.gate.caps(run.live.grant());
    let wall = run.wall(&caps).saturating_sub(run.time.counted(&run.live));
    // What is kept of the output is in `live`.
    let limits = Limits { wall, cpu: lowered(run.wall(&caps), caps.cpu_s), output: 0, ..run.inner.limits(&caps) };
    let cancel = run.live.leave.child_token();
    // Of this life alone: a further one prints all of it again.
    let whole = Whole::new(Some(run.inner.spill.clone()), run.inner.limits(&caps).output, run.inner.settings.printed);
    let whole = Arc::new(Mutex::new(whole));
    let host = host(run, &caps, &bound, &whole);
    let (host, journaled) = match journaled(run, host, before, cancel.clone()).await {
        Ok(host) => host,
        Err(why) => return Next::failed(halted(&Halt::Unreadable(why))),
    };
    let program = match program(run, &bound) {
        Ok(program) => program,
        Err(error) => return Next::failed(Failure::new("StoreError", error.to_string())),
    };
    // Holds this thread while the program computes: nothing else can go on here meanwhile.
    let ran = if let Some(session) = &run.request.session {
        session::run(&run.inner, &run.live, session, &run.request, program, limits, host).await
    } else {
        let ran = run.held.sandbox.run(&program, &limits, host, cancel).await;
        ran.map(|outcome| (outcome, Marks::default())).map_err(NotRun::Sandbox)
    };
    match ran {
        Ok((mut outcome, marks)) => {
            let left = left(run, &mut outcome, &whole);
            after(run, outcome, left, marks, journaled).await
        }
        Err(NotRun::Packages(why)) => run.unready(why),
        Err(NotRun::Session(error)) => Next::failed(Failure::new("SessionError", error.to_string())),
        Err(NotRun::Sandbox(failed)) => {
            error!(execution = %run.live.id(), error = &failed as &dyn std::error::Error, "the sandbox failed");
            Next::failed(Failure::new("SandboxError", failed.to_string()))
        }
    }
}

/// What follows from an outcome.
async fn after(run: &mut Run, outcome: Outcome, left: Left, marks: Marks, journaled: Option<Journaled>) -> Next {
    let is_cancelled = run.live.cancel.is_cancelled();
    if let Some(Journaled { pen, verdict }) = journaled {
        let halt = match &outcome {
            Outcome::Finished(_) | Outcome::Raised(..) => verdict.ended(),
            Outcome::Stopped(..) => verdict.halted(),
        };
        if let Some(halt) = halt {
            let mut given = Given { error: Some(halted(&halt)), ..Given::from_outcome(outcome, &run.request) };
            artifacts::keep(&run.inner, &run.live, left, &mut given).await;
            return Next::Ended(Box::new(given), Ending::Failed);
        }
        if matches!(outcome, Outcome::Stopped(_, Limit::Suspended))
            && let Some(journal) = verdict.suspended()
        {
            return Next::Rest(Rest::of_run(journal));
        }
        if matches!(outcome, Outcome::Stopped(_, Limit::Cancelled)) && !is_cancelled {
            // What is lost of it is in doubt when it goes on.
            if let Err(why) = pen.durable().await {
                error!(execution = %run.live.id(), why, "could not write a journal");
            }
            return run.stops();
        }
    }
    let ending = ending(&outcome, is_cancelled);
    let mut given = Given::from_outcome(outcome, &run.request);
    marks.put(&mut given);
    artifacts::keep(&run.inner, &run.live, left, &mut given).await;
    if ending == Ending::Failed && given.error.as_ref().is_some_and(|error| error.kind == "Cancelled") {
        given.error = Some(Failure::new("Interrupted", INTERRUPTED));
    }
    let is_failed = ending == Ending::Finished && given.error.is_some();
    Next::Ended(Box::new(given), if is_failed { Ending::Failed } else { ending })
}

/// What a run left. One that is suspended prints on when it goes on.
fn left(run: &Run, outcome: &mut Outcome, whole: &Mutex<Whole>) -> Left {
    if !matches!(outcome, Outcome::Stopped(_, Limit::Suspended)) {
        let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, rest) in run.live.printed_all() {
            whole.print(stream, &rest);
        }
    }
    Left::of(outcome, whole)
}

fn host(run: &Run, caps: &Caps, bound: &Arc<Bound>, whole: &Arc<Mutex<Whole>>) -> Box<dyn Host> {
    let (egress, live) = (Arc::clone(&run.inner.egress), Arc::clone(&run.live));
    Box::new(Reaching {
        caller: Caller { live: Arc::clone(&run.live), reach: run.request.reach.clone() },
        tools: Arc::clone(&run.inner.tools),
        gate: Arc::clone(&run.inner.gate),
        most_calls: caps.tool_calls,
        calls: 0,
        begun: 0,
        bound: Arc::clone(bound),
        exchanges: Arc::new(Exchanges::new(egress, live, Arc::clone(bound), caps.egress_bytes)),
        server: run.inner.server.clone(),
        underway: Arc::clone(&run.underway),
        clocks: Isolated::default(),
        whole: Arc::clone(whole),
    })
}

/// The host of an execution, with the journal of one that outlives this process before it.
async fn journaled(
    run: &mut Run,
    host: Box<dyn Host>,
    before: Option<Suspended>,
    cancel: CancellationToken,
) -> Result<(Box<dyn Host>, Option<Journaled>), String> {
    if run.live.record().image.is_none() {
        return Ok((host, None));
    }
    let (journals, id) = (&run.inner.journals, run.live.id());
    let pen = Arc::clone(run.pen.get_or_insert_with(|| Arc::new(Pen(journals.book(id)))));
    let (ledger, bounds): (Arc<dyn Ledger>, _) = (Arc::clone(&pen) as _, bounds(&run.inner.settings));
    // All of it is read: not on a thread for programs.
    let opened = run.inner.server.spawn_blocking(move || match before {
        Some(before) => before.again(bounds, cancel),
        None => Journal::open(ledger, bounds, cancel),
    });
    let journal = opened.await.map_err(|error| error.to_string())??;
    let verdict = journal.verdict();
    Ok((Box::new(journal.before(host)), Some(Journaled { pen, verdict })))
}

fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        bytes: settings.journal,
        entries: settings.journal_entries,
        patience: Some(Patience { after: settings.suspend_after, factor: settings.suspend_factor }),
    }
}

fn halted(halt: &Halt) -> Failure {
    let kind = match halt {
        Halt::Diverged { .. } => "Diverged",
        Halt::Full { .. } | Halt::TooMany { .. } => "JournalFull",
        Halt::Unreadable(_) => "JournalDamaged",
    };
    Failure::new(kind, halt.to_string())
}

/// The secrets of an execution, as the policy has them now.
fn bound(run: &Run) -> Result<Bound, Failure> {
    let (inner, live, request) = (&run.inner, &run.live, &run.request);
    let granted = inner.gate.bind(Asker::program(live), &request.secrets);
    let granted = granted.map_err(|denied| Failure::new("PolicyDenied", denied.text()))?;
    let scope = match &request.session {
        Some(session) => Scope::Session { grant: live.grant(), id: &session.id },
        None => Scope::Execution(live.id()),
    };
    let bound = inner.secrets.bind(granted, inner.gate.policy(live.grant()).as_ref(), scope);
    bound.map_err(|error| Failure::new("SecretError", error.to_string()))
}

fn program(run: &Run, bound: &Bound) -> Result<Program, store::Error> {
    let (inner, live, request) = (&run.inner, &run.live, &run.request);
    let files = request.files.iter().map(|wanted| {
        let file = inner.shelf.lent(live.grant(), live.id().uuid(), &wanted.hash)?;
        Ok((wanted.name.clone().unwrap_or_default(), Input::File(Arc::new(file))))
    });
    Ok(Program {
        packages: run.held.layer.clone(),
        files: files.collect::<Result<_, store::Error>>()?,
        source: request.script.clone(),
        inputs: request.inputs.clone(),
        globals: bound.globals(),
        outputs: request.outputs.keys().cloned().collect(),
        seed: request.seed,
        ..Program::default()
    })
}

fn ending(outcome: &Outcome, is_cancelled: bool) -> Ending {
    match outcome {
        Outcome::Finished(_) => Ending::Finished,
        Outcome::Stopped(_, Limit::Cancelled) if is_cancelled => Ending::Cancelled,
        Outcome::Stopped(_, Limit::Wall) => Ending::TimedOut,
        Outcome::Raised(..) | Outcome::Stopped(..) => Ending::Failed,
    }
}
