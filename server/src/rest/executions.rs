//! `/v1/executions`: submit, look, list, cancel.

use super::error::{Body, Error};
use crate::app::App;
use crate::executions::{Cancelled, Cursor, Id, State as ExecutionState, Status, Submitted, Summary};
use crate::grants::Principal;
use crate::mcp::{Way, decide, request, unknown_state};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Most seconds that a request for a status waits.
const LONGEST_WAIT: f64 = 60.0;
const LISTED: usize = 20;
const MOST_LISTED: usize = 100;

/// Accepts a script. It is stored when this answers.
pub(super) async fn submit(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Body(arguments): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Status>), Error> {
    let granted = decide(&app, &principal.grant, "asyncExecuteCode", arguments).await?;
    match app.executor.submit_job(granted, |given| request(given, Way::Async)).await? {
        Submitted::New(live) => Ok((StatusCode::ACCEPTED, Json(Status::of_live(&live, Cursor::default())))),
        Submitted::Known(id) => {
            let status = app.executor.status(&principal.grant, id, Cursor::default())?;
            Ok((StatusCode::OK, Json(status.ok_or_else(|| unknown(id))?)))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Looking {
    wait_seconds: f64,
    since: Option<String>,
}

pub(super) async fn status(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
    Query(looking): Query<Looking>,
) -> Result<Json<Status>, Error> {
    let id = id(&uuid)?;
    let since = cursor(looking.since.as_deref())?;
    if !(0.0..=LONGEST_WAIT).contains(&looking.wait_seconds) {
        return Err(Error::wrong(format!("`wait_seconds`: give 0 to {LONGEST_WAIT} seconds")));
    }
    permit(&app, &principal, "checkCodeExecStatus", &json!({ "execution_uuid": id })).await?;
    if looking.wait_seconds > 0.0
        && let Some(live) = app.executor.attend(&principal.grant, id)?
    {
        live.left_within(Duration::from_secs_f64(looking.wait_seconds)).await;
        return Ok(Json(Status::of_live(&live, since)));
    }
    match app.executor.status(&principal.grant, id, since)? {
        Some(status) => Ok(Json(status)),
        None => Err(unknown(id)),
    }
}

/// Stops an execution; one that is over stays as it is.
pub(super) async fn cancel(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
) -> Result<Json<Status>, Error> {
    let id = id(&uuid)?;
    permit(&app, &principal, "cancelCodeExec", &json!({ "execution_uuid": id })).await?;
    match app.executor.cancel(&principal.grant, id).await? {
        Cancelled::Now(live) => Ok(Json(Status::of_live(&live, Cursor::default()))),
        Cancelled::Over(state) => {
            Err(Error::Plain(StatusCode::CONFLICT, format!("execution `{id}` is over already: it is {state}")))
        }
        Cancelled::Unknown => Err(unknown(id)),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listing {
    status: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Listed {
    executions: Vec<Summary>,
}

pub(super) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Query(listing): Query<Listing>,
) -> Result<Json<Listed>, Error> {
    let state = listing.status.map(|name| ExecutionState::from_name(&name).ok_or_else(|| unknown_state(&name)));
    let before = listing.before.as_deref().map(id).transpose()?;
    let limit = listing.limit.unwrap_or(LISTED).clamp(1, MOST_LISTED);
    let state = state.transpose().map_err(Error::wrong)?;
    permit(&app, &principal, "listCodeExecs", &json!({ "limit": limit })).await?;
    let executions = app.executor.list(&principal.grant, state, before, limit)?;
    Ok(Json(Listed { executions }))
}

/// Decides what the tool of MCP does too, and spends what is granted.
pub(super) async fn permit(app: &App, principal: &Principal, tool: &str, arguments: &Value) -> Result<(), Error> {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let (_, receipt) = decide(app, &principal.grant, tool, arguments).await?.spend_as_given();
    app.gate.settle(receipt, true);
    Ok(())
}

pub(super) fn id(text: &str) -> Result<Id, Error> {
    text.parse().map_err(|_| Error::wrong(format!("`{text}` is not the UUID of an execution")))
}

pub(super) fn cursor(since: Option<&str>) -> Result<Cursor, Error> {
    let Some(text) = since else { return Ok(Cursor::default()) };
    Cursor::parse(text)
        .ok_or_else(|| Error::wrong(format!("`since` is `{text}`: give the `next` of an earlier answer")))
}

pub(super) fn unknown(id: Id) -> Error {
    Error::unknown(format!("there is no execution `{id}`, or it is not yours"))
}
