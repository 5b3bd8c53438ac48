//! The user's MCP servers: connected in parallel, kept warm, restarted, and called.
//!
//! Each server has a task of its own (`supervisor`), so that none can delay another. What all of them offer is one
//! immutable `Catalog`, replaced whole at every change.

mod arguments;
mod bounded;
mod call;
mod catalog;
mod child;
mod config;
mod connection;
mod error;
mod expand;
mod files;
mod http;
mod keys;
mod names;
mod oauth;
mod pipe;
mod registry;
mod remote;
mod schema;
mod sealed;
mod secret;
mod status;
mod supervisor;
mod tool;
mod vault;

pub(crate) use catalog::Catalog;
pub(crate) use child::{GUARD, guard};
pub(crate) use config::{ConfigError, LISTS, Loaded, Server, Transport, address, check_header, check_name, load, read};
pub(crate) use error::{CallError, chain};
pub(crate) use files::{clear_beside, replace};
pub(crate) use names::alias;
pub(crate) use oauth::Flow;
#[cfg(test)]
pub(crate) use registry::Registered;
pub(crate) use registry::{Registry, RegistryError};
pub(crate) use remote::{Added, Remotes};
pub(crate) use sealed::{Sealed, SealedError};
pub(crate) use secret::Secret;
pub(crate) use status::{State, Status};
pub(crate) use tool::{Signature, Tool};
pub(crate) use vault::Vault;

use arc_swap::ArcSwap;
use rmcp::model::{CallToolResult, JsonObject};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use supervisor::Upstream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How servers are connected and called.
#[derive(Clone)]
pub(crate) struct Settings {
    /// How long a server has to answer the handshake, and again to list its tools.
    pub(crate) connect: Duration,
    /// How long a call may take, unless the server's own `timeout` says otherwise.
    pub(crate) call: Duration,
    /// How many calls to one server may be in progress.
    pub(crate) parallel: usize,
    /// The pause before the second attempt. It doubles with each further one.
    pub(crate) first_retry: Duration,
    pub(crate) longest_retry: Duration,
    /// Largest message of a server, in bytes. `parallel` of them may be in memory at once, for each server.
    pub(crate) largest_answer: usize,
    /// A binary whose command `stdio-guard` starts servers such that they die with this process; this one, usually.
    pub(crate) guard: Option<PathBuf>,
    /// Where the tokens of servers with OAuth are.
    pub(crate) vault: Option<Arc<Vault>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            call: Duration::from_secs(300),
            parallel: 16,
            first_retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(60),
            largest_answer: 16 << 20,
            guard: None,
            vault: None,
        }
    }
}

impl Settings {
    /// The pause after `failures` failures in a row.
    fn delay(&self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => self.first_retry.saturating_mul(1 << doublings.min(16)).min(self.longest_retry),
        }
    }
}

/// The user's MCP servers. Cheap to clone; when the last clone is dropped, their connections end.
#[derive(Clone)]
pub(crate) struct Upstreams {
    shared: Arc<Shared>,
    _end: Arc<DropGuard>,
}

/// What the tasks of all servers share.
struct Shared {
    settings: Settings,
    servers: RwLock<BTreeMap<String, Arc<Upstream>>>,
    catalog: ArcSwap<Catalog>,
    /// Held while a catalog is made, so that an older one never replaces a newer one.
    rebuilding: Mutex<()>,
    stop: CancellationToken,
}

/// Why a server was not added, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is an MCP server `{0}` already: update it, or choose another name")]
    Exists(String),
    #[error("there is no MCP server `{0}`")]
    Unknown(String),
}

impl Upstreams {
    /// Starts connecting to all of `servers` in the background; answers at once. Of two servers with one name, the first
    /// is used.
    pub(crate) fn start(servers: Vec<Server>, settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            settings,
            servers: RwLock::default(),
            catalog: ArcSwap::default(),
            rebuilding: Mutex::default(),
            stop: stop.clone(),
        });
        let upstreams = Self { shared, _end: Arc::new(stop.drop_guard()) };
        for server in servers {
            if let Err(error) = upstreams.add(server) {
                tracing::warn!(%error, "server ignored");
            }
        }
        upstreams
    }

    /// All known tools, those of servers that are down included.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.load_full()
    }

    /// All servers, sorted by name.
    pub(crate) fn servers(&self) -> Vec<Status> {
        self.all().iter().map(|upstream| status(upstream)).collect()
    }

    pub(crate) fn server(&self, name: &str) -> Option<Status> {
        self.find(name).map(|upstream| status(&upstream))
    }

    /// Waits until each server is ready or known not to be, for `most` after its start at most.
    pub(crate) async fn settled(&self, most: Duration) {
        for upstream in self.all() {
            upstream.settled(most).await;
        }
    }

    /// The same for the server that a tool of this alias would be of, when its tools are not known yet.
    pub(crate) async fn settled_for(&self, alias: &str, most: Duration) {
        if let Some(upstream) = self.unlisted(alias) {
            upstream.settled(most).await;
        }
    }

    /// Calls a tool with checked arguments. Dropping the future cancels the call, and tells the server so.
    pub(crate) async fn call(
        &self,
        tool: &Tool,
        arguments: JsonObject,
        within: Duration,
    ) -> Result<CallToolResult, CallError> {
        let upstream = self.find(&tool.server).ok_or_else(|| CallError::Gone { server: tool.server.clone() })?;
        let settings = &self.shared.settings;
        let within = within.min(upstream.server.timeout.unwrap_or(settings.call));
        call::Call { upstream: &upstream, settings, tool, within }.run(arguments).await
    }

    /// Why no tool has the alias, when that is because its server has not been connected yet.
    pub(crate) fn explain(&self, alias: &str) -> Option<String> {
        let server = self.unlisted(alias)?;
        let state = server.state.borrow().clone();
        Some(format!("the tools of the MCP server `{}` are not known: it is {state}", server.server.name))
    }

    fn unlisted(&self, alias: &str) -> Option<Arc<Upstream>> {
        self.all().into_iter().find(|upstream| {
            upstream.tools.load().is_empty() && alias.starts_with(&names::prefix(&upstream.server.name))
        })
    }

    /// Adds a server and starts to connect to it.
    pub(crate) fn add(&self, server: Server) -> Result<(), ChangeError> {
        let mut servers = self.shared.servers.write().unwrap_or_else(PoisonError::into_inner);
        if servers.contains_key(&server.name) {
            return Err(ChangeError::Exists(server.name));
        }
        servers.insert(server.name.clone(), Upstream::start(server, &self.shared, Arc::default()));
        Ok(())
    }

    /// Replaces the server of the same name and starts to connect to it. Calls in progress are lost.
    pub(crate) async fn update(&self, server: Server) -> Result<(), ChangeError> {
        let before = self.find(&server.name).ok_or_else(|| ChangeError::Unknown(server.name.clone()))?;
        before.end().await;
        let mut servers = self.shared.servers.write().unwrap_or_else(PoisonError::into_inner);
        servers.insert(server.name.clone(), Upstream::start(server, &self.shared, before.tools.load_full()));
        drop(servers);
        self.shared.rebuild();
        Ok(())
    }

    /// Ends a server's connection and forgets it.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), ChangeError> {
        let removed = self.shared.servers.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let removed = removed.ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
        self.shared.rebuild();
        removed.end().await;
        Ok(())
    }

    /// Attempts to connect now, when the server is down or waits for authorization.
    pub(crate) fn retry(&self, name: &str) {
        if let Some(upstream) = self.find(name) {
            upstream.again.notify_one();
        }
    }

    /// Waits until the server is ready or known not to be, for `most` at most.
    pub(crate) async fn settled_one(&self, name: &str, most: Duration) -> Option<State> {
        let upstream = self.find(name)?;
        let mut state = upstream.state.subscribe();
        let settled = tokio::time::timeout(most, state.wait_for(State::is_settled)).await;
        drop(settled);
        let state = state.borrow().clone();
        Some(state)
    }

    /// The configuration of a server.
    pub(crate) fn configured(&self, name: &str) -> Option<Server> {
        self.find(name).map(|upstream| upstream.server.clone())
    }

    /// Ends all connections, and waits until all processes are gone.
    pub(crate) async fn stop(&self) {
        self.shared.stop.cancel();
        for upstream in self.all() {
            upstream.end().await;
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Upstream>> {
        self.shared.servers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn all(&self) -> Vec<Arc<Upstream>> {
        self.shared.servers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Shared {
    /// Makes the catalog anew from what is known of all servers.
    fn rebuild(&self) {
        let _one = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = self.servers.read().unwrap_or_else(PoisonError::into_inner);
        let tools = servers.values().flat_map(|upstream| upstream.tools.load().iter().cloned().collect::<Vec<_>>());
        let tools = tools.collect();
        drop(servers);
        let catalog = Catalog::new(tools, &self.catalog.load());
        for tool in catalog.renamed() {
            tracing::info!(
                server = tool.server,
                tool = tool.name,
                alias = tool.alias,
                "another tool has its plain alias"
            );
        }
        self.catalog.store(Arc::new(catalog));
    }
}

fn status(upstream: &Upstream) -> Status {
    Status {
        name: upstream.server.name.clone(),
        transport: upstream.server.transport.kind(),
        address: upstream.server.transport.to_string(),
        state: upstream.state.borrow().clone(),
    }
}

#[cfg(test)]
mod tests;
