//! From a host to addresses. Nothing is remembered: an execution keeps its connections, and a name may change its mind.

use super::dns;
use super::failure::Failure;
use std::net::{IpAddr, SocketAddr};

/// Most addresses of one name that are looked at.
const MOST_ADDRESSES: usize = 32;

pub(super) struct Names {
    /// Instead of the system's resolver.
    server: Option<SocketAddr>,
}

impl Names {
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        Self { server }
    }

    /// The addresses of a host that the gate has let through; at least one.
    pub(super) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let found = match self.server {
            Some(server) => dns::addresses(server, host).await,
            None => tokio::net::lookup_host((host, 0))
                .await
                .map(|found| found.map(|address| address.ip()).collect())
                .map_err(|error| error.to_string()),
        };
        let mut found: Vec<IpAddr> = found.map_err(|why| Failure::Name(format!("`{host}` has no address: {why}")))?;
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() {
            return Err(Failure::Name(format!("`{host}` has no address: there is no such name")));
        }
        Ok(found)
    }
}
