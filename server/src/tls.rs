//! The one way to make an HTTP client: rustls with ring, and the system's roots.

/// A client that follows no proxy of the environment to loopback addresses.
pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    builder().build()
}

/// What to make such a client of.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    install();
    reqwest::Client::builder().user_agent(concat!("exuvia/", env!("CARGO_PKG_VERSION"))).no_proxy()
}

/// Chooses ring for all of this process. Harmless when it has been done.
pub(crate) fn install() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
