//! `/v1/executions/{uuid}/timeline` and `/journal`: what happened to an execution, and all that a replay of it needs. Both are
//! decided as a look at its status is, and are for its grant alone.

use super::error::Error;
use super::executions::{id, permit, unknown};
use crate::app::App;
use crate::executions::{Frame, Frames, Timeline};
use crate::grants::Principal;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::stream::unfold;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Showing {
    /// Not only the names of arguments.
    values: bool,
}

pub(super) async fn timeline(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
    Query(showing): Query<Showing>,
) -> Result<Json<Timeline>, Error> {
    let id = id(&uuid)?;
    permit(&app, &principal, "checkCodeExecStatus", &json!({ "execution_uuid": id })).await?;
    let timeline = app.executor.timeline(&principal.grant, id, showing.values).await?;
    timeline.map(Json).ok_or_else(|| unknown(id))
}

/// Sent as it is read: a journal may be larger than what should be in memory.
pub(super) async fn journal(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
) -> Result<Response, Error> {
    let id = id(&uuid)?;
    permit(&app, &principal, "checkCodeExecStatus", &json!({ "execution_uuid": id })).await?;
    let recorded = app.executor.recorded(&principal.grant, id).await?.ok_or_else(|| unknown(id))?;
    let mut recorded = recorded.map_err(|why| Error::Plain(StatusCode::CONFLICT, why))?;
    let catalog = app.upstreams.catalog();
    for alias in std::mem::take(&mut recorded.tools) {
        if let Some(tool) = catalog.find(&alias).filter(|_| app.gate.shows(&principal.grant, &alias)) {
            recorded.schemas.insert(alias, Value::Object((*tool.input_schema).clone()));
        }
    }
    let about = serde_json::to_vec(&recorded).map_err(|error| Error::wrong(error.to_string()))?;
    let frames = Frames::of(about, app.executor.keep().reading(id));
    let body = Body::from_stream(unfold(frames, next));
    Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

async fn next(mut frames: Frames) -> Option<(Result<Bytes, Infallible>, Frames)> {
    // It reads the disk. When that panics, the answer ends without its last frame, which its reader notices.
    let read = tokio::task::spawn_blocking(move || (frames.next().map(Frame::write), frames)).await;
    let (frame, frames) = read.ok()?;
    Some((Ok(frame?.into()), frames))
}
