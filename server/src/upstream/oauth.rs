//! Authorizing servers with OAuth: a flow is begun, its user opens an address, and the callback ends it.

use super::config::Transport;
use super::error::{chain, short};
use super::status::State;
use super::vault::Vault;
use super::{ChangeError, Upstreams};
use rmcp::transport::auth::{AuthError, AuthorizationRequest, AuthorizationSession};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the user has to open the address and agree.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a flow that is over can still be asked about.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Most flows that are remembered.
const MOST_FLOWS: usize = 200;
/// How long an authorization server may take for all that begins a flow, or that ends it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The flows of this process. They end with it; the tokens that they brought stay.
pub(crate) struct Oauth {
    vault: Arc<Vault>,
    upstreams: Upstreams,
    /// Where authorization servers send the user back to.
    redirect: String,
    flows: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    server: String,
    /// The secret that authorization servers hand back.
    state: String,
    begun: Instant,
    session: Option<AuthorizationSession>,
    flow: Flow,
}

/// How a flow is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flow {
    Pending,
    Authorized,
    Expired,
    Failed { error: String },
}

/// A flow that has begun: its user has to open `auth_url`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) auth_url: String,
    pub(crate) flow_id: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum OauthError {
    #[error(transparent)]
    Server(#[from] ChangeError),
    #[error("the MCP server `{0}` is not reached over HTTP, so that OAuth does not apply to it")]
    NotHttp(String),
    #[error("the authorization of `{server}` failed: {error}")]
    Failed { server: String, error: String },
    #[error("the authorization server of `{0}` did not answer in time: try again")]
    Silent(String),
    #[error("this authorization is unknown or older than 15 minutes: start it again")]
    Unknown,
}

impl Oauth {
    /// `redirect` is `<public base url>/oauth/callback`.
    pub(crate) fn new(upstreams: Upstreams, vault: Arc<Vault>, redirect: String) -> Self {
        Self { vault, upstreams, redirect, flows: Mutex::default() }
    }

    /// Begins a flow for a server that is known already. Its present tokens stay until the flow has brought new ones.
    pub(crate) async fn begin(&self, server: &str) -> Result<Begun, OauthError> {
        let configured = self.upstreams.configured(server).ok_or_else(|| ChangeError::Unknown(server.to_owned()))?;
        let Transport::Http(http) = &configured.transport else { return Err(OauthError::NotHttp(server.to_owned())) };
        let challenge = match self.upstreams.server(server).map(|status| status.state) {
            Some(State::NeedsAuthorization { challenge }) => challenge,
            _ => None,
        };
        let session = timeout(PATIENCE, self.session(server, &http.url, challenge.as_deref()))
            .await
            .map_err(|_| OauthError::Silent(server.to_owned()))?
            .map_err(|error| failed(server, &error))?;
        let auth_url = session.auth_url.clone();
        let state = reqwest::Url::parse(&auth_url)
            .ok()
            .and_then(|url| url.query_pairs().find(|(key, _)| key == "state").map(|(_, state)| state.into_owned()));
        let Some(state) = state else { return Err(OauthError::Unknown) };
        let flow_id = uuid::Uuid::now_v7().to_string();
        let entry = Entry {
            server: server.to_owned(),
            state,
            begun: Instant::now(),
            session: Some(session),
            flow: Flow::Pending,
        };
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.retain(|_, entry| entry.begun.elapsed() < REMEMBERED);
        while flows.len() >= MOST_FLOWS {
            let oldest = flows.iter().min_by_key(|(_, entry)| entry.begun).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            flows.remove(&oldest);
        }
        flows.insert(flow_id.clone(), entry);
        Ok(Begun { auth_url, flow_id })
    }

    /// Begins a flow for a server that has been authorized before. Its configuration stays.
    pub(crate) async fn reauthorize(&self, server: &str) -> Result<Begun, OauthError> {
        self.begin(server).await
    }

    /// How a flow is doing; None when it is unknown.
    pub(crate) fn status(&self, flow_id: &str) -> Option<Flow> {
        let flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = flows.get(flow_id)?;
        Some(if entry.is_expired() { Flow::Expired } else { entry.flow.clone() })
    }

    /// The server that a flow is for.
    pub(crate) fn server(&self, flow_id: &str) -> Option<String> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(flow_id).map(|entry| entry.server.clone())
    }

    /// What the user's browser brings back. Returns the name of the server that is now authorized.
    pub(crate) async fn callback(&self, code: &str, state: &str, issuer: Option<&str>) -> Result<String, OauthError> {
        let (flow_id, server, session) = self.take(state)?;
        let exchanged = timeout(PATIENCE, session.handle_callback_with_issuer(code, state, issuer)).await;
        let result = match exchanged {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(&server, &error)),
            Err(_) => Err(OauthError::Silent(server.clone())),
        };
        let flow = match &result {
            Ok(()) => Flow::Authorized,
            Err(error) => Flow::Failed { error: error.to_string() },
        };
        self.set(&flow_id, flow);
        result?;
        // A new connection, with the new tokens.
        if let Some(configured) = self.upstreams.configured(&server) {
            self.upstreams.update(configured).await?;
        }
        Ok(server)
    }

    /// What the user's browser brings back when the user has refused, or the authorization server has.
    pub(crate) fn refused(&self, state: &str, error: &str) -> Result<String, OauthError> {
        let (flow_id, server, _) = self.take(state)?;
        self.set(&flow_id, Flow::Failed { error: format!("the authorization server answered: {}", short(error)) });
        Ok(server)
    }

    /// Takes the session of the flow with this secret: a code is exchanged once.
    fn take(&self, state: &str) -> Result<(String, String, AuthorizationSession), OauthError> {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let found = flows.iter_mut().find(|(_, entry)| entry.state == state && !entry.is_expired());
        let (id, entry) = found.ok_or(OauthError::Unknown)?;
        let session = entry.session.take().ok_or(OauthError::Unknown)?;
        Ok((id.clone(), entry.server.clone(), session))
    }

    /// As if a flow had begun earlier.
    #[cfg(test)]
    pub(super) fn age(&self, flow_id: &str, by: Duration) {
        let mut flows = self.flows.lock().unwrap();
        let entry = flows.get_mut(flow_id).unwrap();
        // Instants cannot go back past the start of a machine; its tests run later than that.
        entry.begun = entry.begun.checked_sub(by).unwrap();
    }

    fn set(&self, flow_id: &str, flow: Flow) {
        if let Some(entry) = self.flows.lock().unwrap_or_else(PoisonError::into_inner).get_mut(flow_id) {
            entry.flow = flow;
        }
    }

    async fn session(
        &self,
        server: &str,
        url: &reqwest::Url,
        challenge: Option<&str>,
    ) -> Result<AuthorizationSession, AuthError> {
        let mut manager = self.vault.manager(server, url).await?;
        let resolution = manager.resolve_metadata_from_challenge(challenge).await?;
        manager.set_metadata(resolution.metadata);
        let request =
            AuthorizationRequest::new(self.redirect.as_str()).with_client_name("Exuvia").with_initial_scope_selection();
        AuthorizationSession::new(manager, request).await.map_err(|(_, error)| error)
    }
}

impl Entry {
    fn is_expired(&self) -> bool {
        self.flow == Flow::Pending && self.begun.elapsed() >= LIFETIME
    }
}

fn failed(server: &str, error: &AuthError) -> OauthError {
    OauthError::Failed { server: server.to_owned(), error: short(&chain(error)) }
}
