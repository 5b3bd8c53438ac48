//! The port, and the operator's socket: who may come in, and which way leads where.

mod guard;
mod socket;

pub(crate) use guard::{Guard, Hosts, refuse};
pub(crate) use socket::{Address, Socket};

use crate::app::App;
use crate::{mcp, rest};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest body of a request: a script, its inputs, the arguments of a tool.
pub(crate) const LARGEST_BODY: usize = 64 << 20;

/// Serves until `stop`; requests under way are finished.
pub(crate) async fn serve(
    listener: TcpListener,
    app: App,
    guard: Arc<Guard>,
    stop: CancellationToken,
) -> io::Result<()> {
    let guarded = Router::new()
        .merge(rest::routes())
        .route_service("/mcp", mcp::service(app.clone(), stop.child_token()))
        .layer(from_fn_with_state(Arc::clone(&guard), guard::admit));
    let router = guarded.merge(of_operator(guard)).with_state(app).layer(DefaultBodyLimit::max(LARGEST_BODY));
    // Small answers would otherwise wait for the acknowledgement of earlier ones.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Serves the operator alone, until `stop`.
pub(crate) async fn serve_operator(
    mut socket: Socket,
    app: App,
    guard: Arc<Guard>,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = of_operator(guard).with_state(app).layer(DefaultBodyLimit::max(LARGEST_BODY));
    axum::serve(socket.listener()?, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn of_operator(guard: Arc<Guard>) -> Router<App> {
    rest::operator_routes().layer(from_fn_with_state(guard, guard::admit_operator))
}
