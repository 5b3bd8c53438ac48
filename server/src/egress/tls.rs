//! TLS to the servers that programs talk to: always verified, with the system's authorities and the operator's own. Each
//! execution has sessions of its own, so that a server cannot tell by them that two belong to one client.

use super::failure::{Failure, chain};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, crypto};
use rustls_platform_verifier::Verifier;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// TLS sessions that one execution keeps.
const SESSIONS: usize = 32;
const HTTP2: &[u8] = b"h2";

pub(super) struct Tls {
    /// Or why no server can be verified on this machine.
    config: Result<ClientConfig, String>,
}

impl Tls {
    /// # Errors
    /// When the file cannot be read, or has no certificate.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let own = ca_file.map(certificates).transpose()?.unwrap_or_default();
        Ok(Self { config: config(own) })
    }

    /// For one execution.
    pub(super) fn connector(&self) -> Result<TlsConnector, Failure> {
        let mut config = self.config.clone().map_err(Failure::Tls)?;
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |why: String| format!("`egress.ca_file` is wrong: `{}` {why}", path.display());
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> =
        read.map_err(|error: rustls::pki_types::pem::Error| failed(format!("cannot be read: {error}")))?;
    if found.is_empty() { Err(failed("has no certificate".into())) } else { Ok(found) }
}

fn config(own: Vec<CertificateDer<'static>>) -> Result<ClientConfig, String> {
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(own, Arc::clone(&provider))
        .map_err(|error| format!("no server's certificate can be verified on this machine: {error}"))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether the server chose HTTP/2 of what it was offered.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// The handshake, for the name that the gate has decided on.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| Failure::Tls(error.to_string()))?;
    connector.connect(name, stream).await.map_err(|error| {
        let is_certificate = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref())
            .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)));
        let why = chain(&error);
        if is_certificate {
            Failure::Certificate(format!("certificate verify failed: {why}"))
        } else {
            Failure::Tls(why)
        }
    })
}
