//! `/oauth/callback`: where a browser comes back to when its user has authorized an upstream server.

use crate::app::App;
use axum::extract::{Query, State};
use axum::response::Html;
use http::StatusCode;
use serde::Deserialize;

/// What an authorization server adds to the address. It may add more.
#[derive(Deserialize)]
pub(super) struct Back {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Ends a flow. The secret in `state` says which, so nobody else can.
pub(super) async fn callback(State(app): State<App>, Query(back): Query<Back>) -> (StatusCode, Html<String>) {
    let oauth = &app.remotes.oauth;
    let state = back.state.unwrap_or_default();
    let ended = match (back.code, back.error) {
        (Some(code), None) => oauth.callback(&code, &state, back.iss.as_deref()).await.map(|server| (server, true)),
        (_, error) => {
            let error = back.error_description.or(error).unwrap_or_else(|| "no code came back".into());
            oauth.refused(&state, &error).map(|server| (server, false))
        }
    };
    match ended {
        Ok((server, true)) => page(StatusCode::OK, &format!("{server} is authorized. You can close this page.")),
        Ok((server, false)) => page(StatusCode::OK, &format!("{server} was not authorized. You can close this page.")),
        Err(error) => page(StatusCode::BAD_REQUEST, &crate::upstream::chain(&error)),
    }
}

fn page(status: StatusCode, text: &str) -> (StatusCode, Html<String>) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    (status, Html(format!("<!doctype html><meta charset=utf-8><title>Exuvia</title><p>{text}</p>")))
}
