//! Servers that are added, changed and authorized while running: what `addRemoteMcpServer` and its like do. Here the
//! connections, the file that keeps them, and their authorization come together.

use super::config::{LISTS, Server, Transport, address, check_header, check_name};
use super::error::short;
use super::expand::expand;
use super::oauth::{Begun, Oauth, OauthError};
use super::registry::{Registered, Registry, RegistryError};
use super::secret::Secret;
use super::status::State;
use super::vault::Vault;
use super::{ChangeError, Upstreams};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The arguments that are a token, whatever it is called.
const TOKENS: [&str; 5] = ["AUTHORIZATION", "BEARER_TOKEN", "ACCESS_TOKEN", "API_KEY", "TOKEN"];
/// How long an answer waits for the server to be connected. Its work goes on in the background.
const PATIENCE: Duration = Duration::from_secs(45);

/// All that changes servers at run time.
pub(crate) struct Remotes {
    upstreams: Upstreams,
    registry: Registry,
    vault: Arc<Vault>,
    pub(crate) oauth: Oauth,
}

/// How a server is after it was added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Added {
    /// With the aliases of its tools.
    Ready { tools: Vec<String> },
    /// Its user has to open an address first.
    RequiresAuth(Begun),
    /// It is kept, and connected when it can be.
    Down { error: String },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("the MCP server `{name}` is not kept here but in {}: change it there", LISTS.map(|list| format!("`{list}` of mcp.json")).join(" or "))]
    Configured { name: String },
    #[error("the server could not be kept")]
    Keep(#[from] RegistryError),
    #[error(transparent)]
    Oauth(#[from] OauthError),
}

impl Remotes {
    /// The servers of `registry` must be among those that `upstreams` was started with.
    pub(crate) fn new(upstreams: Upstreams, registry: Registry, vault: Arc<Vault>, redirect: String) -> Self {
        let oauth = Oauth::new(upstreams.clone(), Arc::clone(&vault), redirect);
        Self { upstreams, registry, vault, oauth }
    }

    /// Adds a server, or asks again about one that was added with the same address.
    pub(crate) async fn add(
        &self,
        name: &str,
        url: &str,
        arguments: &BTreeMap<String, String>,
    ) -> Result<Added, RemoteError> {
        let server = registered(name, url, arguments).map_err(RemoteError::Refused)?;
        match self.upstreams.configured(name) {
            None => {
                self.registry.put(server.clone())?;
                self.upstreams.add(server.into())?;
            }
            // As clients do once their user has authorized it.
            Some(known) if self.registry.has(name) && is_same(&known, &server) => self.upstreams.retry(name),
            Some(_) => return Err(ChangeError::Exists(name.to_owned()).into()),
        }
        self.outcome(name).await
    }

    /// Changes a server's address, or its token, or both; connects again and reads its tools anew in any case.
    pub(crate) async fn update(
        &self,
        name: &str,
        url: Option<&str>,
        arguments: Option<&BTreeMap<String, String>>,
    ) -> Result<Added, RemoteError> {
        let before = self.registry.all().into_iter().find(|server| server.name == name);
        let Some(before) = before else { return Err(self.not_kept(name)) };
        let unchanged = before.url.to_string();
        let none = BTreeMap::new();
        let mut server =
            registered(name, url.unwrap_or(&unchanged), arguments.unwrap_or(&none)).map_err(RemoteError::Refused)?;
        if arguments.is_none() && server.url.origin() == before.url.origin() {
            // To another origin, headers do not go without being given again.
            server.headers = before.headers;
        }
        self.registry.put(server.clone())?;
        self.upstreams.update(server.into()).await?;
        self.outcome(name).await
    }

    /// Removes a server, its tokens and all that is kept of it.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), RemoteError> {
        if !self.registry.remove(name)? {
            return Err(self.not_kept(name));
        }
        self.upstreams.remove(name).await?;
        if let Err(error) = self.vault.forget(name) {
            tracing::warn!(server = name, %error, "tokens are left");
        }
        Ok(())
    }

    async fn outcome(&self, name: &str) -> Result<Added, RemoteError> {
        match self.upstreams.settled_one(name, PATIENCE).await {
            None => Err(ChangeError::Unknown(name.to_owned()).into()),
            Some(State::Ready { .. }) => {
                let catalog = self.upstreams.catalog();
                let tools = catalog.of_server(name).into_iter().map(|tool| tool.alias.clone()).collect();
                Ok(Added::Ready { tools })
            }
            Some(State::NeedsAuthorization { .. }) => Ok(Added::RequiresAuth(self.oauth.begin(name).await?)),
            Some(State::Down { error, .. }) => Ok(Added::Down { error }),
            Some(other) => Ok(Added::Down { error: other.to_string() }),
        }
    }

    fn not_kept(&self, name: &str) -> RemoteError {
        match self.upstreams.configured(name) {
            Some(_) => RemoteError::Configured { name: name.to_owned() },
            None => ChangeError::Unknown(name.to_owned()).into(),
        }
    }
}

fn is_same(known: &Server, server: &Registered) -> bool {
    matches!(&known.transport, Transport::Http(http) if http.url == server.url && http.headers == server.headers)
}

/// A server from what a client gave. An argument is a token, a header (its name has a `-`), or a variable of the address.
fn registered(name: &str, url: &str, arguments: &BTreeMap<String, String>) -> Result<Registered, String> {
    check_name(name)?;
    let mut headers = BTreeMap::new();
    let mut used = Vec::new();
    for (key, value) in arguments {
        let (header, value) = if TOKENS.contains(&key.to_ascii_uppercase().as_str()) {
            // A value with a space names its scheme itself.
            let value = if value.contains(' ') { value.clone() } else { format!("Bearer {value}") };
            ("Authorization".to_owned(), value)
        } else if key.contains('-') {
            (key.clone(), value.clone())
        } else {
            continue;
        };
        used.push(key);
        let value = Secret::new(value);
        check_header(&header, &value)?;
        if headers.insert(header, value).is_some() {
            return Err(format!("`env_args` has more than one token: give one of {}", TOKENS.join(", ")));
        }
    }
    let unused = arguments.keys().find(|key| !used.contains(key) && !url.contains(&format!("${{{key}}}")));
    if let Some(unused) = unused {
        return Err(format!(
            "`env_args` has `{}`, which goes nowhere: give a token as one of {}, a header by its name, such as \
             `X-Api-Key`, or write `${{NAME}}` in `server_url`",
            short(unused),
            TOKENS.join(", ")
        ));
    }
    // Only what was given along is expanded: the environment of this process is nobody else's.
    let url = expand(url, &|name| arguments.get(name).cloned(), &mut Vec::new())
        .map_err(|_| "`server_url` has a variable that `env_args` does not have".to_owned())?;
    let url = address(&url).map_err(|error| format!("`server_url`: {error}"))?;
    Ok(Registered { name: name.to_owned(), url, headers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(url: &str, arguments: &[(&str, &str)]) -> Result<Registered, String> {
        let arguments = arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        registered("s", url, &arguments)
    }

    #[test]
    fn arguments_become_tokens_headers_and_variables() {
        let header = |arguments| made("https://h/", arguments).unwrap().headers["Authorization"].expose().to_owned();
        assert_eq!(header(&[("API_KEY", "k")]), "Bearer k");
        assert_eq!(header(&[("Authorization", "Basic abc")]), "Basic abc");
        let server = made("https://h/${TEAM}", &[("TEAM", "t"), ("X-Api-Key", "k")]).unwrap();
        assert_eq!(server.url.as_str(), "https://h/t");
        assert_eq!(server.headers["X-Api-Key"].expose(), "k");
    }

    #[test]
    fn what_goes_nowhere_is_refused() {
        assert!(
            made("https://h/", &[("TEAM", "t")]).unwrap_err().starts_with("`env_args` has `TEAM`, which goes nowhere")
        );
        assert!(made("https://h/", &[("TOKEN", "a"), ("API_KEY", "b")]).unwrap_err().contains("more than one token"));
        assert!(made("https://h/${HOME}", &[]).unwrap_err().contains("has a variable"));
        assert!(made("ftp://h/", &[]).unwrap_err().starts_with("`server_url`: "));
        assert!(made("https://h/", &[("Host", "x")]).is_err());
    }
}
