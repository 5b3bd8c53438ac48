//! One call of a tool, from its arguments to its result or the reason why there is none.

use super::error::{CallError, chain, http, short};
use super::pipe::{GARBLED, TOO_LARGE};
use super::status::State;
use super::supervisor::Upstream;
use super::{Settings, Tool};
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult, JsonObject};
use rmcp::service::{Peer, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a call whose connection ended waits to hear why.
const REASON: Duration = Duration::from_secs(2);

/// One call, as its errors name it.
pub(super) struct Call<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) settings: &'a Settings,
    pub(super) tool: &'a Tool,
    /// All that it may take: waiting for the connection and for its turn, too.
    pub(super) within: Duration,
}

impl Call<'_> {
    /// Dropping the future cancels the call, and tells the server so.
    pub(super) async fn run(self, arguments: JsonObject) -> Result<CallToolResult, CallError> {
        let deadline = Instant::now() + self.within;
        // From here on, so that a reason that comes before it is asked for is not missed.
        let reason = self.upstream.reason.subscribe();
        // Before waiting for a turn: a server that is down says so at once.
        self.peer(deadline).await?;
        let Ok(Ok(_turn)) = timeout_at(deadline, self.upstream.permits.acquire()).await else {
            return Err(CallError::Busy { server: self.server(), most: self.settings.parallel, after: self.within });
        };
        let peer = self.peer(deadline).await?;
        let parameters = CallToolRequestParams::new(self.tool.name.clone()).with_arguments(arguments);
        match timeout_at(deadline, peer.call_tool_once(parameters)).await {
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(result),
            Ok(Ok(_)) => Err(self.protocol("it asks for something that a program cannot give".into())),
            Ok(Err(error)) => Err(self.failed(error, &peer, reason).await),
            Err(_) => {
                self.upstream.doubt.notify_one();
                Err(CallError::Timeout { server: self.server(), tool: self.tool.name.clone(), after: self.within })
            }
        }
    }

    /// The connection, as soon as there is one.
    async fn peer(&self, deadline: Instant) -> Result<Arc<Peer<RoleClient>>, CallError> {
        let mut state = self.upstream.state.subscribe();
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                State::Connecting => {}
                State::Ready { .. } => match self.upstream.peer.load_full() {
                    Some(peer) if !peer.is_transport_closed() => return Ok(peer),
                    // Its end is known here before it is known to its supervisor.
                    _ => {}
                },
                other => return Err(self.absent(&other)),
            }
            let changed = tokio::select! {
                changed = timeout_at(deadline, state.changed()) => changed,
                () = self.upstream.stop.cancelled() => return Err(CallError::Gone { server: self.server() }),
            };
            if !matches!(changed, Ok(Ok(()))) {
                let error = "it is still connecting".to_owned();
                return Err(CallError::Down { server: self.server(), error, retry_in: None });
            }
        }
    }

    fn absent(&self, state: &State) -> CallError {
        let server = self.server();
        match state {
            State::Down { error, .. } => CallError::Down { server, error: error.clone(), retry_in: state.retry_in() },
            State::NeedsAuthorization { .. } => CallError::NeedsAuthorization { server },
            State::Disabled => CallError::Unusable { server, why: "it is disabled".into() },
            other => CallError::Unusable { server, why: other.to_string() },
        }
    }

    async fn failed(&self, error: ServiceError, peer: &Peer<RoleClient>, reason: watch::Receiver<String>) -> CallError {
        let (server, tool) = (self.server(), self.tool.name.clone());
        match error {
            ServiceError::McpError(error) if error.code == TOO_LARGE => self.too_large(),
            ServiceError::McpError(error) if error.code == GARBLED => self.protocol(error.message.into_owned()),
            ServiceError::McpError(error) => {
                CallError::Refused { server, tool, message: format!("{} ({})", short(&error.message), error.code.0) }
            }
            // A stream of events that ended although the connection has not.
            ServiceError::TransportClosed if !peer.is_transport_closed() => {
                CallError::Lost { server, tool, error: "its answer broke off".into() }
            }
            ServiceError::TransportClosed => self.lost(reason).await,
            ServiceError::Cancelled { reason } => CallError::Cancelled {
                server,
                tool,
                reason: short(&reason.unwrap_or_else(|| "no reason given".into())),
            },
            ServiceError::TransportSend(error) => self.not_sent(error.error.as_ref()),
            ServiceError::UnexpectedResponse => self.protocol("it is not the result of a tool".into()),
            other => self.protocol(short(&other.to_string())),
        }
    }

    /// The connection ended. Its supervisor finds out why.
    async fn lost(&self, mut reason: watch::Receiver<String>) -> CallError {
        let error = match timeout(REASON, reason.changed()).await {
            Ok(Ok(())) => reason.borrow().clone(),
            _ => "it did not say why".to_owned(),
        };
        CallError::Lost { server: self.server(), tool: self.tool.name.clone(), error }
    }

    fn not_sent(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> CallError {
        let (server, tool) = (self.server(), self.tool.name.clone());
        let redacted = |text: String| super::secret::redact(&short(&text), &self.upstream.server.secrets);
        match http(error) {
            Some(StreamableHttpError::ResponseBodyTooLarge { .. }) => return self.too_large(),
            Some(StreamableHttpError::AuthRequired(_) | StreamableHttpError::Auth(_)) => {
                self.upstream.doubt.notify_one();
                return CallError::NeedsAuthorization { server };
            }
            Some(StreamableHttpError::HttpStatus(status)) => {
                let after = status.retry_after.as_deref().map(|after| format!("; it asks to retry after {after}"));
                let message = format!("HTTP status {}{}", status.status, short(&after.unwrap_or_default()));
                return CallError::Refused { server, tool, message };
            }
            Some(StreamableHttpError::UnexpectedServerResponse(text)) => {
                return self.protocol(redacted(text.to_string()));
            }
            Some(StreamableHttpError::UnexpectedContentType(kind)) => {
                return self
                    .protocol(redacted(format!("its content type is {}", kind.as_deref().unwrap_or("missing"))));
            }
            Some(StreamableHttpError::Client(error)) => {
                self.upstream.doubt.notify_one();
                let why = redacted(super::error::causes(error));
                return if error.is_connect() {
                    CallError::Down { server, error: format!("it could not be reached: {why}"), retry_in: None }
                } else {
                    CallError::Lost { server, tool, error: why }
                };
            }
            _ => {}
        }
        self.upstream.doubt.notify_one();
        CallError::Lost { server, tool, error: redacted(chain(error)) }
    }

    fn too_large(&self) -> CallError {
        CallError::TooLarge { tool: self.tool.name.clone(), most: self.settings.largest_answer }
    }

    fn protocol(&self, error: String) -> CallError {
        CallError::Protocol { server: self.server(), tool: self.tool.name.clone(), error }
    }

    fn server(&self) -> String {
        self.upstream.server.name.clone()
    }
}
