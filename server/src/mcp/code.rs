//! The tools that run code.

use super::answer::{self, Answered, failed, structured};
use super::arguments::{self, CodeArguments, Way, read};
use super::{files, progress};
use crate::app::App;
use crate::executions::{Cancelled, Cursor, Id, Live, Refused, Request, State, Status, Submitted, Wait};
use crate::gate::Granted;
use rmcp::service::{RequestContext, RoleServer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Most seconds that a status call waits.
const LONGEST_WAIT: f64 = 60.0;
/// Most executions in one list, and how many without a word.
const MOST_LISTED: usize = 100;
const LISTED: usize = 20;

/// Runs a script and waits for its end. When the client leaves, the script is stopped. When its time passes while it waits
/// for a person, the client is told so, and it goes on.
pub(super) async fn execute(app: &App, granted: Granted, context: &RequestContext<RoleServer>) -> Answered {
    let most = app.gate.caps(granted.grant()).wall_s.map_or(Duration::MAX, Duration::from_secs);
    let mut within = most;
    let read = |given| {
        let request = request(given, Way::Sync)?;
        within = request.wall.unwrap_or(Duration::MAX).min(most);
        Ok(request)
    };
    let live = match app.executor.submit(granted, read, Wait::ForEnd).await {
        Ok(live) => live,
        Err(refused) => return not_accepted(refused),
    };
    let leaving = live.cancel.clone().drop_guard();
    tokio::select! {
        biased;
        // First, so that a client that asked for reports has one of every script.
        () = progress::report(&live, context) => {}
        () = live.ended() => {}
        () = waits_after(&live, within) => {
            drop(leaving.disarm());
            return waiting(app, &live).await;
        }
        () = context.ct.cancelled() => live.cancel.cancel(),
    }
    live.ended().await;
    drop(leaving.disarm());
    let status = Status::of_live(&live, Cursor::default());
    let result = if status.success == Some(true) { structured(&status) } else { failed(&status) };
    Ok(files::beside(app, live.grant(), &status, context.protocol_version(), result?).await)
}

/// Ends when the time has passed, as soon as the execution then waits for a person.
async fn waits_after(live: &Live, time: Duration) {
    tokio::time::sleep(time).await;
    live.waits().await;
}

/// Where a script is that waits for a person, in the place of its end. From here on it is looked for by its id.
async fn waiting(app: &App, live: &Live) -> Answered {
    app.executor.keep().durable().await.map_err(|error| error.to_string())?;
    let mut status = Status::of_live(live, Cursor::default());
    status.warnings.push(format!(
        "a person has to approve a call of this script, which goes on then: tell your user, and poll checkCodeExecStatus with \
         execution_uuid `{}`",
        live.id()
    ));
    structured(&status)
}

/// What the arguments of the tools that take code ask for.
pub(crate) fn request(given: Map<String, Value>, way: Way) -> Result<Request, String> {
    arguments::code(read::<CodeArguments>(given)?, way)
}

fn not_accepted(refused: Refused) -> Answered {
    match refused {
        Refused::Denied(denied) => Ok(answer::denied(&denied)),
        other => Err(other.to_string()),
    }
}

const POLL: &str = "Poll checkCodeExecStatus with this execution_uuid; give wait_seconds so that it waits for you.";
const KNOWN: &str =
    "This was submitted before with the same idempotency_key, and is not run again. Poll checkCodeExecStatus.";

pub(super) async fn submit(app: &App, granted: Granted) -> Answered {
    let grant = granted.grant().to_owned();
    let submitted = match app.executor.submit_job(granted, |given| request(given, Way::Async)).await {
        Ok(submitted) => submitted,
        Err(refused) => return not_accepted(refused),
    };
    let (id, state, message) = match submitted {
        Submitted::New(live) => (live.id(), live.state(), POLL),
        Submitted::Known(id) => {
            let status = app.executor.status(&grant, id, Cursor::default()).map_err(|error| error.to_string())?;
            (id, status.ok_or_else(|| unknown(id))?.summary.status, KNOWN)
        }
    };
    structured(&json!({ "success": true, "execution_uuid": id, "status": state, "message": message }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusArguments {
    execution_uuid: String,
    wait_seconds: Option<f64>,
    since: Option<String>,
}

/// Where an execution is. With `wait_seconds`, the answer comes when it has ended, or after that time.
pub(super) async fn status(
    app: &App,
    grant: &str,
    given: Map<String, Value>,
    context: &RequestContext<RoleServer>,
) -> Answered {
    let StatusArguments { execution_uuid, wait_seconds, since } = read(given)?;
    let id = id(&execution_uuid)?;
    let since = match &since {
        None => Cursor::default(),
        Some(text) => Cursor::parse(text)
            .ok_or_else(|| format!("`since` is `{text}`: give the `next` of an earlier status, or leave it out"))?,
    };
    let wait = wait_seconds.unwrap_or_default();
    if !(0.0..=LONGEST_WAIT).contains(&wait) {
        return Err(format!(
            "`wait_seconds` is {wait}: give 0 to {LONGEST_WAIT} seconds, and call again if it goes on"
        ));
    }
    if wait > 0.0
        && let Some(live) = app.executor.attend(grant, id).map_err(|error| error.to_string())?
    {
        live.left_within(Duration::from_secs_f64(wait)).await;
        let status = Status::of_live(&live, since);
        return Ok(files::beside(app, grant, &status, context.protocol_version(), structured(&status)?).await);
    }
    match app.executor.status(grant, id, since) {
        Ok(Some(status)) => {
            Ok(files::beside(app, grant, &status, context.protocol_version(), structured(&status)?).await)
        }
        Ok(None) => Err(unknown(id)),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelArguments {
    execution_uuid: String,
}

pub(super) async fn cancel(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let id = id(&read::<CancelArguments>(given)?.execution_uuid)?;
    match app.executor.cancel(grant, id).await {
        Ok(Cancelled::Now(live)) => {
            structured(&json!({ "success": true, "execution_uuid": id, "status": live.state() }))
        }
        Ok(Cancelled::Over(state)) => Err(format!("execution `{id}` is over already: it is {state}")),
        Ok(Cancelled::Unknown) => Err(unknown(id)),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    status: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
}

pub(super) fn list(app: &App, grant: &str, given: Map<String, Value>) -> Answered {
    let ListArguments { status, limit, before } = read(given)?;
    let state = status.map(|name| State::from_name(&name).ok_or_else(|| unknown_state(&name))).transpose()?;
    let limit = limit.unwrap_or(LISTED).clamp(1, MOST_LISTED);
    let before = before.map(|text| id(&text)).transpose()?;
    let executions = app.executor.list(grant, state, before, limit).map_err(|error| error.to_string())?;
    structured(&json!({ "executions": executions }))
}

pub(crate) fn unknown_state(name: &str) -> String {
    let names: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
    format!("`status` is `{name}`: it can be {}", names.join(", "))
}

fn id(text: &str) -> Result<Id, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{text}` is not an execution_uuid: give the one that asyncExecuteCode answered"))
}

fn unknown(id: Id) -> String {
    format!(
        "there is no execution `{id}`: it is another's, or was removed because of its age; `listCodeExecs` lists yours"
    )
}
