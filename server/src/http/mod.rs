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
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Largest body of a request: a script, its inputs, the arguments of a tool.
pub(crate) const LARGEST_BODY: usize = 64 << 20;

/// For the last answers, once no execution is under way.
const LAST: Duration = Duration::from_secs(2);

/// The end of a server.
pub(crate) struct Stop {
    /// Nothing more is accepted from then on.
    pub(crate) begun: CancellationToken,
    /// No execution is under way from then on, so nobody has anything to wait for.
    pub(crate) over: CancellationToken,
}

impl Stop {
    /// Until whoever has not sent a request by now, or not read the answer, may not do so at all.
    pub(crate) async fn late(&self) {
        self.over.cancelled().await;
        tokio::time::sleep(LAST).await;
    }
}

/// Serves until the stop has begun. Requests under way are finished, those that wait for an execution when that has ended or is left to
/// the next process.
pub(crate) async fn serve(listener: TcpListener, app: App, guard: Arc<Guard>, stop: &Stop) -> io::Result<()> {
    let guarded = Router::new()
        .merge(rest::routes())
        .route_service("/mcp", mcp::service(app.clone()))
        .layer(from_fn_with_state(Arc::clone(&guard), guard::admit));
    let router = guarded.merge(of_operator(guard)).with_state(app).layer(DefaultBodyLimit::max(LARGEST_BODY));
    // Small answers would otherwise wait for the acknowledgement of earlier ones.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.begun.clone().cancelled_owned());
    tokio::select! {
        served = serving.into_future() => served,
        () = stop.late() => Ok(()),
    }
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
