//! Files over REST: what executions left, and what clients give to further ones.

use super::content::{Described, answer};
use super::error::Error;
use super::executions::{id, permit, unknown};
use crate::app::App;
use crate::executions::{Id, Listed, Source};
use crate::grants::Principal;
use crate::shelf::{self, Owner, View};
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, Read};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Pieces of an upload that wait for the disk, each of them what came in one read from the client.
const WAITING: usize = 4;

/// Decided as a status is.
pub(super) async fn list(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
) -> Result<Json<Listed>, Error> {
    let id = looked_at(&app, &principal, &uuid).await?;
    app.executor.artifacts(&principal.grant, id)?.map(Json).ok_or_else(|| unknown(id))
}

pub(super) async fn file(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((uuid, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    artifact(&app, &principal, &uuid, Source::Files, &name, &headers).await
}

pub(super) async fn output(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((uuid, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    artifact(&app, &principal, &uuid, Source::Output, &name, &headers).await
}

async fn artifact(
    app: &App,
    principal: &Principal,
    uuid: &str,
    place: Source,
    name: &str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let id = looked_at(app, principal, uuid).await?;
    let Some((artifact, file)) = app.executor.artifact(&principal.grant, id, place, name)? else {
        return Err(Error::unknown(format!(
            "execution `{id}` left no such file, is not over, or is not yours: `GET /v1/executions/{id}/files` lists what it left"
        )));
    };
    let described = Described { name: &artifact.name, kind: &artifact.kind, size: artifact.size, hash: &artifact.hash };
    answer(described, file, headers).await
}

async fn looked_at(app: &App, principal: &Principal, uuid: &str) -> Result<Id, Error> {
    let id = id(uuid)?;
    permit(app, principal, "checkCodeExecStatus", &json!({ "execution_uuid": id })).await?;
    Ok(id)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: Option<String>,
}

/// Keeps the body as a file, piece by piece as it comes.
pub(super) async fn give(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Query(Named { name }): Query<Named>,
    request: Request,
) -> Result<(StatusCode, Json<View>), Error> {
    let name = name.ok_or_else(|| Error::wrong("`name` is missing: give `?name=rows.csv`"))?;
    shelf::name::check(&name).map_err(Error::wrong)?;
    permit(&app, &principal, "uploadFile", &json!({ "name": name })).await?;
    let (pieces, coming) = mpsc::channel(WAITING);
    let shelf = app.shelf.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut coming = Coming { pieces: coming, rest: Vec::new() };
        shelf.give(&principal.grant, &name, &mut coming)
    });
    let mut body = request.into_body().into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(io::Error::other);
        // Nobody takes more once it is too large, or the disk is full.
        if pieces.send(Some(piece.map(Vec::from))).await.is_err() {
            break;
        }
    }
    // It came to its end: without this word what was taken is not kept.
    let _ = pieces.send(None).await;
    drop(pieces);
    let kept = writing.await.map_err(|error| Error::Plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))??;
    Ok((StatusCode::CREATED, Json(kept)))
}

/// A body on its way, read where waiting is allowed.
struct Coming {
    pieces: mpsc::Receiver<Option<io::Result<Vec<u8>>>>,
    rest: Vec<u8>,
}

impl Read for Coming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.rest = piece?,
                Some(None) => return Ok(0),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = self.rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.rest.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }
}

/// Decided as `listCodeExecs` is.
pub(super) async fn inputs(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
) -> Result<Json<Value>, Error> {
    permit(&app, &principal, "listCodeExecs", &json!({})).await?;
    Ok(Json(json!({ "files": app.shelf.inputs(&principal.grant)? })))
}

/// Decided as a status is.
pub(super) async fn input(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let id = input_id(&id)?;
    permit(&app, &principal, "checkCodeExecStatus", &json!({ "file": id })).await?;
    let found = app.shelf.input(&principal.grant, id)?.ok_or_else(|| no_input(id))?;
    let file = app.shelf.get(Owner { grant: &principal.grant, id }, &found.hash)?;
    answer(Described { name: &found.name, kind: &found.kind, size: found.size, hash: &found.hash }, file, &headers)
        .await
}

/// What an execution was given. Decided as a status is.
pub(super) async fn given(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path((uuid, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let file = input_id(&file)?;
    let id = looked_at(&app, &principal, &uuid).await?;
    let Some((hash, content)) = app.executor.given_file(&principal.grant, id, file)? else {
        return Err(Error::unknown(format!(
            "execution `{id}` was given no file `{file}`, or that is not kept any more, or it is not yours"
        )));
    };
    let size = content.metadata().map_err(crate::store::Error::Io)?.len();
    let described = Described { name: &file.to_string(), kind: "application/octet-stream", size, hash: &hash };
    answer(described, content, &headers).await
}

/// Decided as `cancelCodeExec` is. An execution that has it keeps it.
pub(super) async fn forget(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Error> {
    let id = input_id(&id)?;
    permit(&app, &principal, "cancelCodeExec", &json!({ "file": id })).await?;
    if app.shelf.forget(&principal.grant, id)? {
        return Ok(Json(json!({ "id": id, "removed": true })));
    }
    Err(no_input(id))
}

fn input_id(text: &str) -> Result<Uuid, Error> {
    text.parse().map_err(|_| Error::wrong(format!("`{text}` is not the id of a file: `POST /v1/files` answers one")))
}

fn no_input(id: Uuid) -> Error {
    Error::unknown(format!("there is no file `{id}`, it has expired, or it is not yours"))
}

impl From<shelf::Error> for Error {
    fn from(error: shelf::Error) -> Self {
        let status = match error {
            shelf::Error::Store(error) => return error.into(),
            shelf::Error::Name(_) => StatusCode::UNPROCESSABLE_ENTITY,
            shelf::Error::Unknown(_) => StatusCode::NOT_FOUND,
            shelf::Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            shelf::Error::TooMany { .. } | shelf::Error::GrantFull | shelf::Error::Full => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            shelf::Error::Source(_) => StatusCode::BAD_REQUEST,
        };
        Self::Plain(status, error.to_string())
    }
}
