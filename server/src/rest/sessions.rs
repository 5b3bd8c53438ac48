//! `/v1/sessions`: a grant's own, and an end to one of them. They are begun by running code.

use super::error::Error;
use super::executions::permit;
use crate::app::App;
use crate::grants::Principal;
use crate::sessions::{self, Name};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use serde_json::{Value, json};

/// Decided as `listCodeExecs` is.
pub(super) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Error> {
    permit(&app, &principal, "listCodeExecs", &json!({})).await?;
    Ok(Json(json!({ "sessions": app.sessions.list(&principal.grant)? })))
}

/// Decided as `cancelCodeExec` is.
pub(super) async fn remove(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Error> {
    let name = Name::parse(&id).map_err(Error::wrong)?;
    permit(&app, &principal, "cancelCodeExec", &json!({ "session_id": id })).await?;
    if app.sessions.remove(&principal.grant, &name).await? {
        return Ok(Json(json!({ "session_id": id, "removed": true })));
    }
    Err(Error::unknown(format!("there is no session `{id}`, or it is not yours")))
}

impl From<sessions::Error> for Error {
    fn from(error: sessions::Error) -> Self {
        match error {
            sessions::Error::Busy => Self::Plain(StatusCode::CONFLICT, error.to_string()),
            sessions::Error::Store(error) => error.into(),
            other => Self::Plain(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
        }
    }
}
