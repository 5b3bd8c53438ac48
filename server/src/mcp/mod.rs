//! The MCP face of the server: DataGen's tools by their names, over streamable HTTP and standard input.

mod answer;
mod arguments;
mod code;
#[cfg(feature = "conformance")]
mod conformance;
mod files;
mod gated;
mod guide;
mod handler;
mod progress;
mod schema;
mod tools;
mod upstream;

pub(crate) use arguments::Way;
pub(crate) use code::{request, unknown_state};
pub(crate) use gated::decide;
pub(crate) use upstream::{parsed, servers};

use crate::app::App;
use crate::grants::Principal;
use crate::http::LARGEST_BODY;
use handler::Handler;
use rmcp::ServiceExt;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;

/// Whether this server itself has a tool of that name.
pub(crate) fn is_own(tool: &str) -> bool {
    tools::ALL.iter().any(|own| own.name == tool)
}

/// The service behind `/mcp`. Hosts, origins and keys have been checked when it is called.
pub(crate) fn service(app: App) -> StreamableHttpService<Served, NeverSessionManager> {
    // Sessions would end a silent call after some minutes, and bind a client to one process.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(LARGEST_BODY);
    let handler = served(Handler::new(app, None));
    StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(NeverSessionManager::default()), config)
}

#[cfg(not(feature = "conformance"))]
type Served = Handler;
#[cfg(feature = "conformance")]
type Served = conformance::Fixtures;

fn served(handler: Handler) -> Served {
    #[cfg(feature = "conformance")]
    let handler = conformance::Fixtures(handler);
    handler
}

/// Serves whoever started this process, until its input ends.
pub(crate) async fn serve_stdio(app: App) -> Result<(), String> {
    let handler = Handler::new(app, Some(Principal::local()));
    let service = handler.serve(rmcp::transport::stdio()).await.map_err(|error| error.to_string())?;
    service.waiting().await.map(drop).map_err(|error| error.to_string())
}
