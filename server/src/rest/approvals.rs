//! `/operator/v1/approvals`: what waits for a person, and what the person says. Only the operator's token comes here.

use super::error::{Body, Error};
use crate::app::App;
use crate::approvals::{self, Id};
use axum::Json;
use axum::extract::{Path, State};
use exuvia_policies::ApprovalError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest reason that a person gives, in characters: it goes to the program.
const LONGEST_REASON: usize = 1000;

pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, Error> {
    let open = app.gate.open_approvals()?;
    let open: Vec<_> = open.iter().map(|record| record.view(false)).collect();
    Ok(Json(json!({ "approvals": open })))
}

/// One, with its whole arguments.
pub(super) async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Error> {
    whole(&app.gate.approval(self::id(&id)?)?)
}

/// What is sent with it means nothing, and is read: a body that is left unread ends the connection.
pub(super) async fn approve(
    State(app): State<App>,
    Path(id): Path<String>,
    _: axum::body::Bytes,
) -> Result<Json<Value>, Error> {
    whole(&app.gate.approve(self::id(&id)?).await?)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Denial {
    #[serde(default)]
    reason: Option<String>,
}

pub(super) async fn deny(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(Denial { reason }): Body<Denial>,
) -> Result<Json<Value>, Error> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        return Err(Error::wrong(format!("`reason` has more than {LONGEST_REASON} characters")));
    }
    whole(&app.gate.reject(self::id(&id)?, reason).await?)
}

fn whole(record: &approvals::Record) -> Result<Json<Value>, Error> {
    serde_json::to_value(record.view(true)).map(Json).map_err(|error| Error::wrong(error.to_string()))
}

fn id(text: &str) -> Result<Id, Error> {
    text.parse().map_err(|_| Error::wrong(format!("`{text}` is not the id of an approval")))
}

impl From<approvals::Error> for Error {
    fn from(error: approvals::Error) -> Self {
        match error {
            approvals::Error::Store(error) => error.into(),
            approvals::Error::Unknown(_) => Self::unknown(error.to_string()),
            approvals::Error::State(ApprovalError::Expired | ApprovalError::Decided | ApprovalError::Used) => {
                Self::Plain(StatusCode::CONFLICT, error.to_string())
            }
            other => {
                tracing::error!(error = %other, "could not decide an approval");
                Self::Plain(StatusCode::INTERNAL_SERVER_ERROR, other.to_string())
            }
        }
    }
}
