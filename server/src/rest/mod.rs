//! The REST face of the server: executions, DataGen's tool call, and what machines ask of servers.

mod approvals;
mod content;
mod counters;
mod error;
mod events;
mod executions;
mod files;
mod health;
mod oauth;
mod secrets;
mod sessions;
mod timeline;
mod tools;

use crate::app::App;
use axum::Router;
use axum::routing::{delete, get, post, put};

/// What the operator alone may do.
pub(crate) fn operator_routes() -> Router<App> {
    Router::new()
        .route("/operator/v1/approvals", get(approvals::list))
        .route("/operator/v1/approvals/{id}", get(approvals::show))
        .route("/operator/v1/approvals/{id}/approve", post(approvals::approve))
        .route("/operator/v1/approvals/{id}/deny", post(approvals::deny))
        .route("/operator/v1/counters/{grant}", get(counters::of_grant))
        .route("/operator/v1/secrets", get(secrets::list))
        .route("/operator/v1/secrets/{name}", put(secrets::set).delete(secrets::remove))
        .route("/mcp/cli/secrets/upsert", post(secrets::upsert))
}

/// All ways but `/mcp` and the operator's.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(health::openapi))
        .route("/oauth/callback", get(oauth::callback))
        .route("/api/tools/execute", post(tools::execute))
        .route("/mcp/user-secrets/keys", get(secrets::keys))
        .route("/v1/executions", post(executions::submit).get(executions::list))
        .route("/v1/executions/{uuid}", get(executions::status).delete(executions::cancel))
        .route("/v1/executions/{uuid}/events", get(events::events))
        .route("/v1/executions/{uuid}/files", get(files::list))
        .route("/v1/executions/{uuid}/files/{*name}", get(files::file))
        .route("/v1/executions/{uuid}/output/{*name}", get(files::output))
        .route("/v1/executions/{uuid}/given/{id}", get(files::given))
        .route("/v1/files", post(files::give).get(files::inputs))
        .route("/v1/files/{id}", get(files::input).delete(files::forget))
        .route("/v1/executions/{uuid}/timeline", get(timeline::timeline))
        .route("/v1/executions/{uuid}/journal", get(timeline::journal))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", delete(sessions::remove))
}
