//! One connection to one server, from its start to its end. When to connect again is `supervisor`'s to decide.

use super::Settings;
use super::bounded::Bounded;
use super::child::{Child, Tail};
use super::config::{Http, Server, Stdio, Transport};
use super::error::{ConnectError, chain, short};
use super::http;
use super::pipe::{Noise, Pipe};
use super::secret::{Secret, redact};
use super::tool::Definition;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ErrorCode, Implementation, PaginatedRequestParams, ProtocolVersion,
    SubscriptionFilter,
};
use rmcp::service::{
    ClientCacheConfig, ClientLifecycleMode, NotificationContext, Peer, QuitReason, RunningService, ServiceError,
    serve_client_with_lifecycle_and_ct,
};
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use rmcp::{ClientHandler, RoleClient};
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bounds for one list of tools: how many there are, and on how many pages.
const MOST_TOOLS: usize = 10_000;
const MOST_PAGES: usize = 1_000;
/// How long the end of a connection may take, its process included.
const CLOSING: Duration = Duration::from_secs(6);

/// What is known about the revision of MCP that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    /// It speaks one with the handshake `initialize`: it is not asked for `server/discover` again.
    Legacy,
}

pub(super) struct Connection {
    pub(super) peer: Peer<RoleClient>,
    pub(super) protocol: Protocol,
    /// Wakes when the server says that its list of tools has changed.
    pub(super) changed: Arc<Notify>,
    said: Said,
    service: JoinHandle<Result<QuitReason, JoinError>>,
    cancel: DropGuard,
    child: Option<Child>,
    listener: Option<JoinHandle<()>>,
}

/// The tools of a server, and how many of its list were refused.
pub(super) struct Listed {
    pub(super) tools: Vec<Definition>,
    pub(super) refused: usize,
}

/// What a server wrote beside its messages, for errors.
#[derive(Clone, Default)]
struct Said {
    stderr: Option<Arc<Tail>>,
    noise: Arc<Noise>,
    secrets: Vec<Secret>,
}

impl Said {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some((lines, last)) = self.noise.read() {
            let _ = write!(text, "; it wrote {lines} lines to stdout that are no messages, the last: {last}");
        }
        if let Some(tail) = self.stderr.as_ref().map(|tail| tail.text()).filter(|tail| !tail.is_empty()) {
            let _ = write!(text, "; it wrote to stderr: {tail}");
        }
        redact(&text, &self.secrets)
    }
}

/// Our side of the connection: it has no capabilities, and listens for changes of the list.
struct Handler {
    changed: Arc<Notify>,
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("exuvia", env!("CARGO_PKG_VERSION")))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

impl Connection {
    /// Connects, within `settings.connect`. A server that gives up at `server/discover` gets a second attempt with the
    /// handshake that it knows.
    pub(super) async fn open(server: &Server, settings: &Settings, protocol: Protocol) -> Result<Self, ConnectError> {
        let first = Self::attempt(server, settings, protocol).await;
        match first {
            Err(error) if error.may_be_protocol(protocol) => {
                // The first error is about a message that the server does not know; the second one is about the server.
                Self::attempt(server, settings, Protocol::Legacy).await
            }
            other => other,
        }
    }

    async fn attempt(server: &Server, settings: &Settings, protocol: Protocol) -> Result<Self, ConnectError> {
        let said = Said { secrets: server.secrets.clone(), ..Said::default() };
        let opened = match &server.transport {
            Transport::Stdio(stdio) => Self::stdio(stdio, settings, protocol, said).await,
            Transport::Http(http) => Self::http(&server.name, http, settings, protocol, said).await,
            Transport::Misconfigured(why) => Err(ConnectError::Protocol { why: why.clone(), said: String::new() }),
        };
        opened.map_err(|error| error.redacted(&server.secrets))
    }

    async fn stdio(
        stdio: &Stdio,
        settings: &Settings,
        protocol: Protocol,
        mut said: Said,
    ) -> Result<Self, ConnectError> {
        let (child, input, output) = Child::start(stdio, settings.guard.as_deref()).await?;
        said.stderr = Some(child.stderr());
        let pipe = Pipe::new(output, input, settings.largest_answer, Arc::clone(&said.noise));
        match Self::serve(pipe, settings, protocol, said.clone()).await {
            Ok(connection) => Ok(Self { child: Some(child), ..connection }),
            Err(ConnectError::Ended { .. }) => {
                let status = child.ended().await;
                Err(ConnectError::Exited { status, said: said.text() })
            }
            Err(error) => Err(error),
        }
    }

    async fn http(
        name: &str,
        http: &Http,
        settings: &Settings,
        protocol: Protocol,
        said: Said,
    ) -> Result<Self, ConnectError> {
        let client = http::client(&http.url).map_err(|error| ConnectError::Protocol {
            why: format!("no HTTP client: {}", chain(&error)),
            said: String::new(),
        })?;
        let config = http::transport(http, settings);
        let authorized = match &settings.vault {
            Some(vault) => {
                vault.client(name, &http.url, client.clone()).await.map_err(|error| ConnectError::Protocol {
                    why: format!("its tokens cannot be used: {}", short(&chain(&error))),
                    said: String::new(),
                })?
            }
            None => None,
        };
        if let Some(client) = authorized {
            let transport = StreamableHttpClientTransport::with_client(Bounded(client), config);
            Self::serve(transport, settings, protocol, said).await
        } else {
            let transport = StreamableHttpClientTransport::with_client(Bounded(client), config);
            Self::serve(transport, settings, protocol, said).await
        }
    }

    async fn serve<T, E, A>(
        transport: T,
        settings: &Settings,
        protocol: Protocol,
        said: Said,
    ) -> Result<Self, ConnectError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let changed = Arc::new(Notify::new());
        let handler = Handler { changed: Arc::clone(&changed) };
        let mode = match protocol {
            Protocol::Legacy => ClientLifecycleMode::Initialize,
            Protocol::Unknown => ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::V_2025_11_25),
            },
        };
        let stop = CancellationToken::new();
        let handshake = serve_client_with_lifecycle_and_ct(handler, transport, mode, stop.clone());
        let service = match timeout(settings.connect, handshake).await {
            Ok(Ok(service)) => service,
            Ok(Err(error)) => return Err(ConnectError::initialize(&error, said.text())),
            Err(_) => return Err(ConnectError::Silent { after: settings.connect, said: said.text() }),
        };
        Ok(Self::running(service, stop.drop_guard(), changed, said).await)
    }

    async fn running(
        service: RunningService<RoleClient, Handler>,
        cancel: DropGuard,
        changed: Arc<Notify>,
        said: Said,
    ) -> Self {
        let peer = service.peer().clone();
        // Lists are asked for when they have changed, and must then not come from a cache.
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        let info = peer.peer_info();
        let legacy = info.as_ref().is_none_or(|info| info.protocol_version.has_initialize());
        let announces = info
            .is_some_and(|info| info.capabilities.tools.as_ref().is_some_and(|tools| tools.list_changed == Some(true)));
        // Since 2026-07-28, changes are told only to those who ask.
        let listener = (announces && !legacy).then(|| tokio::spawn(listen(peer.clone(), Arc::clone(&changed))));
        let protocol = if legacy { Protocol::Legacy } else { Protocol::Unknown };
        let service = tokio::spawn(service.waiting());
        Self { peer, protocol, changed, said, service, cancel, child: None, listener }
    }

    /// The server's tools, page by page, within `within`.
    pub(super) async fn list(&self, server: &str, within: Duration) -> Result<Listed, ConnectError> {
        match timeout(within, self.pages(server)).await {
            Ok(Ok(listed)) => Ok(listed),
            Ok(Err(error)) => Err(ConnectError::service(&error, self.said.text()).redacted(&self.said.secrets)),
            Err(_) => Err(ConnectError::Silent { after: within, said: self.said.text() }),
        }
    }

    async fn pages(&self, server: &str) -> Result<Listed, ServiceError> {
        let mut listed = Listed { tools: Vec::new(), refused: 0 };
        let mut names = HashSet::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = match self.peer.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await {
                // A server without tools need not know the method.
                Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => return Ok(listed),
                page => page?,
            };
            for tool in page.tools {
                let name = tool.name.to_string();
                match Definition::new(server, tool) {
                    Ok(tool) if listed.tools.len() < MOST_TOOLS && names.insert(name.clone()) => {
                        listed.tools.push(tool);
                    }
                    Ok(_) => listed.refused += 1,
                    Err(error) => {
                        tracing::warn!(server, tool = short(&name), %error, "tool refused");
                        listed.refused += 1;
                    }
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() || listed.tools.len() >= MOST_TOOLS {
                return Ok(listed);
            }
        }
        tracing::warn!(server, pages = MOST_PAGES, "list of tools does not end; the rest is ignored");
        Ok(listed)
    }

    /// Completes when the connection has ended by itself.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.service).await;
    }

    /// Why a connection that has ended by itself did, with the end of its process.
    pub(super) async fn post_mortem(mut self) -> ConnectError {
        let Some(child) = self.child.take() else { return ConnectError::Ended { said: String::new() } };
        let status = child.ended().await;
        ConnectError::Exited { status, said: self.said.text() }.after_start()
    }

    pub(super) fn hung(&self, after: Duration) -> ConnectError {
        ConnectError::Hung { after, said: self.said.text() }
    }

    /// Ends it in order: the session first, then the process.
    pub(super) async fn close(mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
        }
        drop(self.cancel);
        let child = self.child.take();
        let orderly = async {
            let _ = self.service.await;
            if let Some(child) = child {
                child.stop().await;
            }
        };
        // Past this, dropping the child kills it.
        let _ = timeout(CLOSING, orderly).await;
    }
}

/// Asks for the changes of the list, for as long as the connection lasts.
async fn listen(peer: Peer<RoleClient>, changed: Arc<Notify>) {
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let Ok(mut subscription) = peer.listen(filter).await else {
        tracing::debug!("server does not let us listen for changes of its tools");
        return;
    };
    while let Ok(Some(_)) = subscription.next().await {
        changed.notify_one();
    }
}
