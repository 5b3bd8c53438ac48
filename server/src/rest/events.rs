//! `/v1/executions/{uuid}/events`: output as it comes, as server-sent events.

use super::error::Error;
use super::executions::{cursor, id, permit, unknown};
use crate::app::App;
use crate::executions::{Cursor, Live, Status};
use crate::grants::Principal;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Output within this time is one event: a program that prints letter by letter must not make an event of each.
const TOGETHER: Duration = Duration::from_millis(20);

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct From {
    since: Option<String>,
}

/// Events `output` with what was printed, and one `end` with the whole status. An event's id may be given as `since`.
pub(super) async fn events(
    State(app): State<App>,
    Extension(principal): Extension<Principal>,
    Path(uuid): Path<String>,
    Query(from): Query<From>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Error> {
    let id = id(&uuid)?;
    let since = cursor(from.since.as_deref())?;
    permit(&app, &principal, "checkCodeExecStatus", &json!({ "execution_uuid": id })).await?;
    let first = match app.executor.attend(&principal.grant, id)? {
        Some(live) => Next::Follow(live, since),
        None => match app.executor.status(&principal.grant, id, Cursor::default())? {
            Some(status) => Next::End(Box::new(status)),
            None => return Err(unknown(id)),
        },
    };
    let events = unfold(first, |next| async move {
        let (event, next) = next.step().await?;
        Some((Ok(event), next))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

enum Next {
    Follow(Arc<Live>, Cursor),
    End(Box<Status>),
    Over,
}

impl Next {
    async fn step(self) -> Option<(Event, Self)> {
        match self {
            Self::Follow(live, since) => follow(live, since).await,
            Self::End(status) => Some((end(&status), Self::Over)),
            Self::Over => None,
        }
    }
}

/// The next event; none when the next process is to be asked.
async fn follow(live: Arc<Live>, since: Cursor) -> Option<(Event, Next)> {
    let mut changes = live.watch();
    loop {
        let is_over = live.state().is_final();
        let printed = live.printed(since);
        if printed.next != since {
            let data = json!({ "stdout": printed.stdout, "stderr": printed.stderr });
            let event = Event::default().event("output").id(printed.next.to_string()).data(data.to_string());
            return Some((event, Next::Follow(live, printed.next)));
        }
        if is_over {
            return Some((end(&Status::of_live(&live, Cursor::default())), Next::Over));
        }
        if live.is_left() {
            return None;
        }
        // The sender lives as long as `live`, so this cannot fail.
        let _ = changes.changed().await;
        tokio::time::sleep(TOGETHER).await;
    }
}

fn end(status: &Status) -> Event {
    let data = serde_json::to_string(status).unwrap_or_default();
    Event::default().event("end").data(data)
}
