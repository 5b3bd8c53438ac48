//! The port: who may come in, and which way leads where.

mod guard;

pub(crate) use guard::{Guard, Hosts, refuse};

use crate::app::App;
use crate::{mcp, rest};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest body of a request: a script, its inputs, the arguments of a tool.
pub(crate) const LARGEST_BODY: usize = 64 << 20;

/// Serves until `stop`; requests under way are finished.
pub(crate) async fn serve(listener: TcpListener, app: App, guard: Guard, stop: CancellationToken) -> io::Result<()> {
    let guard = Arc::new(guard);
    let guarded = Router::new()
        .merge(rest::routes())
        .route_service("/mcp", mcp::service(app.clone(), stop.child_token()))
        .layer(from_fn_with_state(Arc::clone(&guard), guard::admit));
    let of_operator = rest::operator_routes().layer(from_fn_with_state(guard, guard::admit_operator));
    let router = guarded.merge(of_operator).with_state(app).layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY));
    // Small answers would otherwise wait for the acknowledgement of earlier ones.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
