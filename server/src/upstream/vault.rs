//! OAuth tokens of servers, sealed on disk, and the HTTP clients that use them.

use super::files;
use super::http::{is_loopback, provide_tls};
use super::sealed::Sealed;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, CredentialStore, OAuthHttpClient, OAuthHttpClientFuture,
    OAuthHttpRedirectPolicy, OAuthHttpRequest, StoredCredentials,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

const FOLDER: &str = "tokens";
/// How long one request to an authorization server may take, and how much it may answer, in bytes.
const REQUEST: Duration = Duration::from_secs(30);
const LARGEST_ANSWER: usize = 1 << 20;

/// The tokens of all servers: one sealed file each.
#[derive(Debug)]
pub(crate) struct Vault {
    folder: PathBuf,
    sealed: Arc<Sealed>,
}

impl Vault {
    pub(crate) fn open(data: &Path, sealed: Arc<Sealed>) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, sealed })
    }

    /// The client for a server that has been authorized; None for one that has not.
    pub(super) async fn client(
        self: &Arc<Self>,
        server: &str,
        url: &reqwest::Url,
        http: reqwest::Client,
    ) -> Result<Option<AuthClient<reqwest::Client>>, AuthError> {
        let tokens = self.tokens(server, url);
        if tokens.load().await?.is_none() {
            return Ok(None);
        }
        let mut manager = self.manager(server, url).await?;
        if !manager.initialize_from_store().await? {
            return Ok(None);
        }
        Ok(Some(AuthClient::new(http, manager)))
    }

    /// rmcp's state machine for one server. Metadata may name hosts of this machine or of a private network only when the
    /// server's own address is one: otherwise a server could have us ask our own network.
    pub(super) async fn manager(
        self: &Arc<Self>,
        server: &str,
        url: &reqwest::Url,
    ) -> Result<AuthorizationManager, AuthError> {
        provide_tls();
        let mut manager = if is_loopback(url) {
            AuthorizationManager::new_with_oauth_http_client(url.clone(), Arc::new(Local::new()?)).await?
        } else {
            AuthorizationManager::new(url.clone()).await?
        };
        manager.set_credential_store(self.tokens(server, url));
        Ok(manager)
    }

    /// Removes a server's tokens.
    pub(crate) fn forget(&self, server: &str) -> io::Result<()> {
        match fs::remove_file(self.file(server)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn file(&self, server: &str) -> PathBuf {
        // A name may be anything, and so no file's name.
        let name: String = blake3::hash(server.as_bytes()).to_hex().chars().take(32).collect();
        self.folder.join(name)
    }

    fn tokens(self: &Arc<Self>, server: &str, url: &reqwest::Url) -> Tokens {
        // Sealed for the address, too: a token must not go elsewhere when the server's address is changed.
        Tokens { vault: Arc::clone(self), file: self.file(server), place: format!("token {server} {}", url.as_str()) }
    }
}

/// The tokens of one server. Files are small, and on the machine: they are read and written where they are asked for.
struct Tokens {
    vault: Arc<Vault>,
    file: PathBuf,
    place: String,
}

#[async_trait::async_trait]
impl CredentialStore for Tokens {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AuthError::CredentialStoreError(error.to_string())),
        };
        // What cannot be opened is for another address or from another key: the server must be authorized again.
        let Ok(plain) = self.vault.sealed.unseal(&self.place, &text) else {
            tracing::warn!(place = self.place, "tokens cannot be opened");
            return Ok(None);
        };
        Ok(serde_json::from_slice(&plain).ok())
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let failed = |error: String| AuthError::CredentialStoreError(error);
        let plain = serde_json::to_vec(&credentials).map_err(|error| failed(error.to_string()))?;
        let sealed = self.vault.sealed.seal(&self.place, &plain).map_err(|error| failed(error.to_string()))?;
        files::replace(&self.file, sealed.as_bytes()).map_err(|error| failed(error.to_string()))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AuthError::CredentialStoreError(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// Requests to an authorization server on this machine: without a proxy, and to this machine alone.
struct Local {
    follow: reqwest::Client,
    stop: reqwest::Client,
}

impl Local {
    fn new() -> Result<Self, AuthError> {
        let here = reqwest::redirect::Policy::custom(|attempt| {
            if is_loopback(attempt.url()) && attempt.previous().len() <= 5 { attempt.follow() } else { attempt.stop() }
        });
        let client = |policy| reqwest::Client::builder().no_proxy().timeout(REQUEST).redirect(policy).build();
        Ok(Self { follow: client(here)?, stop: client(reqwest::redirect::Policy::none())? })
    }
}

impl OAuthHttpClient for Local {
    fn execute(&self, request: OAuthHttpRequest) -> OAuthHttpClientFuture<'_> {
        Box::pin(async move {
            let client = match request.redirect_policy {
                OAuthHttpRedirectPolicy::Follow => &self.follow,
                _ => &self.stop,
            };
            let request = reqwest::Request::try_from(request.request)?;
            if !is_loopback(request.url()) {
                return Err(format!("`{}` is not on this machine, as the server is", request.url()).into());
            }
            let mut response = client.execute(request).await?;
            let mut answer = ::http::Response::builder().status(response.status());
            for (name, value) in response.headers() {
                answer = answer.header(name, value);
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > LARGEST_ANSWER {
                    return Err(format!("the answer is larger than {LARGEST_ANSWER} bytes").into());
                }
                body.extend_from_slice(&chunk);
            }
            Ok(answer.body(body)?)
        })
    }
}
