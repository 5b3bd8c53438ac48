//! OAuth tokens of servers, sealed on disk, and the HTTP clients that use them.

use super::files;
use super::http::{is_loopback, provide_tls};
use super::sealed::Sealed;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, CredentialStore, OAuthHttpClient, OAuthHttpClientFuture,
    OAuthHttpRedirectPolicy, OAuthHttpRequest, StoredCredentials,
};
use serde::{Deserialize, Serialize};
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

    /// The files, each sealed with the first key. What does not open stays as it is.
    pub(crate) fn renewed(data: &Path, sealed: &Sealed) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let files = match fs::read_dir(data.join(FOLDER)) {
            Ok(files) => files.collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut renewed = Vec::new();
        for path in files.into_iter().map(|file| file.path()) {
            if !path.is_file() {
                continue;
            }
            let text = String::from_utf8(fs::read(&path)?).unwrap_or_default();
            if let Ok(sealed) = sealed.renewed(&place(&path), &text) {
                renewed.push((path, sealed.into_bytes()));
            }
        }
        Ok(renewed)
    }

    fn file(&self, server: &str) -> PathBuf {
        // A name may be anything, and so no file's name.
        let name: String = blake3::hash(server.as_bytes()).to_hex().chars().take(32).collect();
        self.folder.join(name)
    }

    fn tokens(self: &Arc<Self>, server: &str, url: &reqwest::Url) -> Tokens {
        Tokens { vault: Arc::clone(self), file: self.file(server), of: format!("{server} {}", url.as_str()) }
    }
}

/// What a file of tokens is sealed for: its own name, which is made of the server's.
fn place(file: &Path) -> String {
    format!("token {}", file.file_name().unwrap_or_default().display())
}

/// What is sealed in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// The server and its address: a token must not go elsewhere when the address is changed.
    of: String,
    credentials: StoredCredentials,
}

/// The tokens of one server. Files are small, and on the machine: they are read and written where they are asked for.
struct Tokens {
    vault: Arc<Vault>,
    file: PathBuf,
    of: String,
}

impl Tokens {
    /// None when they do not open, or are for another address.
    fn kept(&self) -> io::Result<Option<Kept>> {
        let plain = self.vault.sealed.unseal(&place(&self.file), &fs::read_to_string(&self.file)?).ok();
        let kept = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        Ok(kept.filter(|kept: &Kept| kept.of == self.of))
    }
}

#[async_trait::async_trait]
impl CredentialStore for Tokens {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let kept = match self.kept() {
            // The key may be changed between the reading and the opening.
            Ok(None) => self.kept(),
            kept => kept,
        };
        match kept {
            Ok(Some(kept)) => Ok(Some(kept.credentials)),
            // What cannot be opened is for another address or from another key: the server must be authorized again.
            Ok(None) => {
                tracing::warn!(file = %self.file.display(), "tokens cannot be opened");
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(AuthError::CredentialStoreError(error.to_string())),
        }
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let failed = |error: String| AuthError::CredentialStoreError(error);
        let kept = Kept { of: self.of.clone(), credentials };
        let plain = serde_json::to_vec(&kept).map_err(|error| failed(error.to_string()))?;
        let _lock = self.vault.sealed.lock().map_err(|error| failed(error.to_string()))?;
        let sealed = self.vault.sealed.seal(&place(&self.file), &plain).map_err(|error| failed(error.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn tokens_are_of_one_server_at_one_address() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Arc::new(Sealed::of_file(&folder.path().join("key")).unwrap());
        let vault = Arc::new(Vault::open(folder.path(), sealed).unwrap());
        let tokens = |server: &str, url: &str| vault.tokens(server, &url.parse().unwrap());
        let credentials = serde_json::from_value(json!({ "client_id": "c", "token_response": null })).unwrap();
        tokens("s", "https://a.example/mcp").save(credentials).await.unwrap();
        let of = async |server, url| tokens(server, url).load().await.unwrap().map(|kept| kept.client_id);
        assert_eq!(of("s", "https://a.example/mcp").await.as_deref(), Some("c"));
        for (server, url) in
            [("s", "https://b.example/mcp"), ("s", "http://a.example/mcp"), ("t", "https://a.example/mcp")]
        {
            assert_eq!(of(server, url).await, None, "{server} {url}");
        }
        // Nor at the place of another server's.
        std::fs::copy(vault.file("s"), vault.file("t")).unwrap();
        assert_eq!(of("t", "https://a.example/mcp").await, None);
    }
}
