//! Keeps one server connected: connects, watches, refreshes its tools, and connects again.

use super::Shared;
use super::config::{Server, Transport};
use super::connection::{Connection, Listed, Protocol};
use super::error::ConnectError;
use super::status::State;
use super::tool::Definition;
use arc_swap::{ArcSwap, ArcSwapOption};
use rmcp::RoleClient;
use rmcp::service::Peer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// A connection that has lasted this long had succeeded: the next attempt is made at once.
const LASTING: Duration = Duration::from_secs(30);
/// How long a server that says nothing to a call has to list its tools, before it counts as hung.
const PROBE: Duration = Duration::from_secs(10);
/// Least time between two refreshes of one list: a server may say all the time that it has changed.
const REFRESH: Duration = Duration::from_millis(200);

/// One server, and what calls need of its connection.
pub(super) struct Upstream {
    pub(super) server: Server,
    began: Instant,
    pub(super) state: watch::Sender<State>,
    /// There while the state is `Ready`.
    pub(super) peer: ArcSwapOption<Peer<RoleClient>>,
    /// The last known tools. They stay while the server is down, so that calls can say so.
    pub(super) tools: ArcSwap<Vec<Arc<Definition>>>,
    /// One for each call that may be in progress.
    pub(super) permits: Semaphore,
    /// Why the last connection ended or was not made.
    pub(super) reason: watch::Sender<String>,
    /// A call had no answer: is the server still there?
    pub(super) doubt: Notify,
    /// Something has changed that makes an attempt worth while.
    pub(super) again: Notify,
    pub(super) stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Upstream {
    /// Starts to connect, in the background. `tools` are those known from before.
    pub(super) fn start(server: Server, shared: &Arc<Shared>, tools: Arc<Vec<Arc<Definition>>>) -> Arc<Self> {
        let state = match &server.transport {
            Transport::Misconfigured(error) => State::Misconfigured { error: error.clone() },
            _ if server.disabled => State::Disabled,
            _ => State::Connecting,
        };
        let starts = !state.is_settled();
        let upstream = Arc::new(Self {
            server,
            began: Instant::now(),
            state: watch::Sender::new(state),
            peer: ArcSwapOption::empty(),
            tools: ArcSwap::new(tools),
            permits: Semaphore::new(shared.settings.parallel),
            reason: watch::Sender::new(String::new()),
            doubt: Notify::new(),
            again: Notify::new(),
            stop: shared.stop.child_token(),
            task: Mutex::new(None),
        });
        if starts {
            let task = tokio::spawn(supervise(Arc::clone(&upstream), Arc::clone(shared)));
            *upstream.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        upstream
    }

    /// Waits until it is ready or known not to be, for `most` after its start: who comes later does not wait for a
    /// server that says nothing.
    pub(super) async fn settled(&self, most: Duration) {
        let mut state = self.state.subscribe();
        let _ = timeout_at(self.began + most, state.wait_for(State::is_settled)).await;
    }

    /// Ends its connection and waits until its process is gone.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }

    /// Takes over a new list; tools that say the same as before stay the same tools.
    fn accept(&self, listed: Listed) -> State {
        let before = self.tools.load();
        let before: HashMap<&str, &Arc<Definition>> = before.iter().map(|tool| (tool.name.as_str(), tool)).collect();
        let keep = |tool: Definition| {
            let same = before.get(tool.name.as_str()).copied().filter(|known| known.same(&tool));
            same.cloned().unwrap_or_else(|| Arc::new(tool))
        };
        let tools: Vec<_> = listed.tools.into_iter().map(keep).collect();
        let state = State::Ready { tools: tools.len(), refused: listed.refused };
        self.tools.store(Arc::new(tools));
        state
    }

    /// No call finds a connection any more.
    fn unset(&self, state: State) {
        // The state first: who finds no peer must not find `Ready`.
        self.state.send_replace(state);
        self.peer.store(None);
    }
}

/// Why a connection is over.
enum Over {
    Stopped,
    Failed(ConnectError),
}

async fn supervise(upstream: Arc<Upstream>, shared: Arc<Shared>) {
    let name = upstream.server.name.as_str();
    let mut protocol = Protocol::Unknown;
    let mut failures: u32 = 0;
    loop {
        let opened = tokio::select! {
            opened = open(&upstream, &shared, protocol) => opened,
            () = upstream.stop.cancelled() => return,
        };
        let error = match opened {
            Ok(connection) => {
                protocol = connection.protocol;
                tracing::info!(server = name, "upstream connected");
                let since = Instant::now();
                match keep(&upstream, &shared, connection).await {
                    Over::Stopped => return,
                    Over::Failed(error) => {
                        failures = if since.elapsed() >= LASTING { 0 } else { failures + 1 };
                        error
                    }
                }
            }
            Err(error) => {
                failures += 1;
                // It may have been replaced by one that speaks another revision.
                protocol = Protocol::Unknown;
                error
            }
        };
        tracing::warn!(server = name, %error, failures, "upstream is not connected");
        if !pause(&upstream, error, failures, &shared).await {
            return;
        }
    }
}

async fn open(upstream: &Upstream, shared: &Arc<Shared>, protocol: Protocol) -> Result<Connection, ConnectError> {
    let connection = Connection::open(&upstream.server, &shared.settings, protocol).await?;
    let listed = match connection.list(&upstream.server.name, shared.settings.connect).await {
        Ok(listed) => listed,
        Err(ConnectError::Ended { .. }) => return Err(connection.post_mortem().await),
        Err(error) => {
            connection.close().await;
            return Err(error);
        }
    };
    let ready = upstream.accept(listed);
    shared.rebuild();
    upstream.peer.store(Some(Arc::new(connection.peer.clone())));
    upstream.state.send_replace(ready);
    Ok(connection)
}

/// Watches a connection until it is over.
async fn keep(upstream: &Upstream, shared: &Arc<Shared>, mut connection: Connection) -> Over {
    let changed = Arc::clone(&connection.changed);
    let over = loop {
        let within = tokio::select! {
            () = upstream.stop.cancelled() => break Over::Stopped,
            () = connection.ended() => {
                // Calls that are to come wait for the next connection; `pause` says why this one is gone.
                upstream.unset(State::Connecting);
                return Over::Failed(connection.post_mortem().await);
            }
            () = changed.notified() => shared.settings.connect,
            () = upstream.doubt.notified() => {
                // A server may do one thing at a time: while other calls are in progress, silence means nothing.
                if upstream.permits.available_permits() < shared.settings.parallel {
                    continue;
                }
                PROBE.min(shared.settings.connect)
            }
        };
        let refreshed = tokio::select! {
            () = upstream.stop.cancelled() => break Over::Stopped,
            refreshed = refresh(upstream, shared, &connection, within) => refreshed,
        };
        match refreshed {
            Ok(()) => {}
            // The end itself comes next.
            Err(ConnectError::Ended { .. }) if connection.peer.is_transport_closed() => {}
            Err(ConnectError::Silent { after, .. }) => break Over::Failed(connection.hung(after)),
            Err(error) => break Over::Failed(error),
        }
    };
    upstream.unset(State::Connecting);
    connection.close().await;
    over
}

async fn refresh(
    upstream: &Upstream,
    shared: &Arc<Shared>,
    connection: &Connection,
    within: Duration,
) -> Result<(), ConnectError> {
    let listed = connection.list(&upstream.server.name, within).await?;
    let ready = upstream.accept(listed);
    shared.rebuild();
    upstream.state.send_replace(ready);
    sleep(REFRESH).await;
    Ok(())
}

/// Says why there is no connection, and waits until the next attempt. False when there is to be none.
async fn pause(upstream: &Upstream, error: ConnectError, failures: u32, shared: &Arc<Shared>) -> bool {
    if let ConnectError::Unauthorized { challenge } = error {
        upstream.reason.send_replace("it needs authorization".into());
        upstream.unset(State::NeedsAuthorization { challenge });
        tokio::select! {
            () = upstream.again.notified() => {}
            () = upstream.stop.cancelled() => return false,
        }
        upstream.state.send_replace(State::Connecting);
        return true;
    }
    let delay = shared.settings.delay(failures);
    let error = error.to_string();
    upstream.reason.send_replace(error.clone());
    upstream.unset(State::Down { error: error.clone(), retry_at: Some(Instant::now() + delay) });
    tokio::select! {
        () = sleep(delay) => match failures {
            0 => upstream.state.send_replace(State::Connecting),
            _ => upstream.state.send_replace(State::Down { error, retry_at: None }),
        },
        // Somebody waits for this attempt.
        () = upstream.again.notified() => upstream.state.send_replace(State::Connecting),
        () = upstream.stop.cancelled() => return false,
    };
    true
}
