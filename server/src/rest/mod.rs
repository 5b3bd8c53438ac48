//! The REST face of the server: executions, DataGen's tool call, and what machines ask of servers.

mod error;
mod events;
mod executions;
mod health;
mod oauth;
mod tools;

use crate::app::App;
use axum::Router;
use axum::routing::{get, post};

/// All ways but `/mcp`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(health::openapi))
        .route("/oauth/callback", get(oauth::callback))
        .route("/api/tools/execute", post(tools::execute))
        .route("/v1/executions", post(executions::submit).get(executions::list))
        .route("/v1/executions/{uuid}", get(executions::status).delete(executions::cancel))
        .route("/v1/executions/{uuid}/events", get(events::events))
}
