//! A run that is one call of a session: what it begins with, and what becomes of what it leaves.

use super::Inner;
use super::live::Live;
use super::packages::{self, NotReady};
use super::record::Given;
use super::request::{InSession, Request};
use crate::sessions::{self, Call};
use exuvia_runtime::{self as runtime, Host, Left, Limits, Outcome, Program, Saved, Session};
use std::sync::Arc;
use tracing::{error, info};

/// Why there was no run.
pub(super) enum NotRun {
    Sandbox(runtime::Error),
    Session(sessions::Error),
    Packages(NotReady),
}

/// What a call of a session adds to what it gave.
#[derive(Default)]
pub(super) struct Marks {
    new: Option<bool>,
    warning: Option<String>,
}

impl Marks {
    pub(super) fn put(self, given: &mut Given) {
        given.new_session = self.new;
        given.warnings.extend(self.warning);
    }
}

/// Runs `program` in its session's turn. What it leaves is on the disk when this returns.
pub(super) async fn run(
    inner: &Arc<Inner>,
    live: &Arc<Live>,
    session: &InSession,
    request: &Request,
    mut program: Program,
    mut limits: Limits,
    host: Box<dyn Host>,
) -> Result<(Outcome, Marks), NotRun> {
    // The store and the files are read on the server's threads.
    let sessions = inner.sessions.clone();
    let (grant, id) = (live.grant().to_owned(), session.id.clone());
    let before = if session.reset {
        None
    } else {
        let state = inner.server.spawn(async move { sessions.state(&grant, &id).await });
        state.await.unwrap_or(Err(sessions::Error::Lost)).map_err(NotRun::Session)?
    };
    let is_first = before.is_none();
    let layer = match before.as_deref() {
        None => None,
        Some(state) => packages_of(inner, state, request).map_err(|error| NotRun::Packages(error.into()))?,
    };
    let wanted = if is_first { &*request.packages } else { &[] };
    let ready = packages::ready(inner, live, wanted, layer.as_deref(), limits.wall).await.map_err(NotRun::Packages)?;
    limits.wall = limits.wall.saturating_sub(ready.took);
    program.packages = ready.layer;
    let begin = Session { from: before, most: inner.sessions.largest() };
    let ran = inner.sandboxes.own().run_in_session(&program, &limits, host, live.cancel.clone(), begin).await;
    let (outcome, left) = ran.map_err(|error| not_run(error, session))?;
    let warning = match left {
        Left::State(state) => keep(inner, live, session, is_first, state).await,
        Left::Nothing => Some("this call did not come to its end".into()),
        Left::TooLarge(size) => Some(format!(
            "it would have {size} bytes, more than the {} allowed (what Python has freed counts, too)",
            inner.sessions.largest()
        )),
        Left::Failed(failed) => {
            error!(execution = %live.id(), error = &failed as &dyn std::error::Error, "a session could not be kept");
            Some("what this call left could not be read".into())
        }
    };
    let warning = warning.map(|why| format!("the session `{}` is as it was before this call: {why}", session.id));
    Ok((outcome, Marks { new: Some(is_first), warning }))
}

/// The layer that the session began with: a session has the packages of its first call, as modules and open files of them are in its
/// memory.
fn packages_of(inner: &Inner, state: &Saved, request: &Request) -> Result<Option<String>, crate::packages::Error> {
    let has = state.packages();
    let met = request.packages.is_empty() || has.is_some_and(|name| inner.packages.meets(name, &request.packages));
    if met {
        return Ok(has.map(str::to_owned));
    }
    Err(crate::packages::Error::OfSession { wanted: format!("`{}`", request.packages.join("`, `")) })
}

/// What is wrong, if the state is not kept.
async fn keep(inner: &Arc<Inner>, live: &Live, session: &InSession, is_first: bool, state: Saved) -> Option<String> {
    let sessions = inner.sessions.clone();
    let (grant, id, call) = (live.grant().to_owned(), session.id.clone(), Call { by: live.id(), is_first });
    let kept = inner.server.spawn(async move { sessions.keep(&grant, &id, call, state).await });
    let failed = kept.await.unwrap_or(Err(sessions::Error::Lost)).err()?;
    match &failed {
        sessions::Error::Store(_) | sessions::Error::Lost => {
            error!(execution = %live.id(), error = &failed as &dyn std::error::Error, "a session could not be kept");
        }
        _ => info!(execution = %live.id(), "a session was not kept"),
    }
    Some(failed.to_string())
}

fn not_run(error: runtime::Error, session: &InSession) -> NotRun {
    match error {
        runtime::Error::OtherSnapshot => NotRun::Session(sessions::Error::OtherVersion(session.id.clone())),
        runtime::Error::SessionAboveLimit { needed, limit } => {
            NotRun::Session(sessions::Error::AboveLimit { name: session.id.clone(), needed, limit })
        }
        error => NotRun::Sandbox(error),
    }
}
