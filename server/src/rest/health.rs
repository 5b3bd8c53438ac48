//! Whether the server lives, whether it can work, and what it offers.

use crate::app::App;
use crate::mcp::servers;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

/// What this API is, in the words that tools read. A test holds it against the routes.
const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Ready means: executions are accepted. Upstream servers that are down do not count; they are listed.
pub(super) async fn readyz(State(app): State<App>) -> Json<Value> {
    Json(json!({ "status": "ready", "executions": app.executor.under_way(), "servers": servers(&app) }))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
