//! The REST face of the server: executions, DataGen's tool call, and what machines ask of servers.

mod approvals;
mod error;
mod events;
mod executions;
mod health;
mod oauth;
mod sessions;
mod timeline;
mod tools;

use crate::app::App;
use axum::Router;
use axum::routing::{delete, get, post};

/// What the operator alone may do.
pub(crate) fn operator_routes() -> Router<App> {
    Router::new()
        .route("/operator/v1/approvals", get(approvals::list))
        .route("/operator/v1/approvals/{id}", get(approvals::show))
        .route("/operator/v1/approvals/{id}/approve", post(approvals::approve))
        .route("/operator/v1/approvals/{id}/deny", post(approvals::deny))
}

/// All ways but `/mcp` and the operator's.
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
        .route("/v1/executions/{uuid}/timeline", get(timeline::timeline))
        .route("/v1/executions/{uuid}/journal", get(timeline::journal))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", delete(sessions::remove))
}
