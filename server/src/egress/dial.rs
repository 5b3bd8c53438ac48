//! A connection for a request that was let through, to an address that was let through: what is checked is what is
//! connected to, and the name is not asked for a second time.

use super::connection::Line;
use super::failure::Failure;
use super::http1::Exclusive;
use super::http2::Shared;
use super::{Egress, tls};
use crate::gate::Asker;
use exuvia_policies::{AddressPermit, EgressPermit};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one of several addresses is tried, so that one that is dead does not take all the time.
const ONE_OF_SEVERAL: Duration = Duration::from_secs(3);

pub(super) struct Dialler<'a> {
    pub(super) egress: &'a Egress,
    pub(super) asker: Asker<'a>,
    /// None: the request is not encrypted.
    pub(super) tls: Option<&'a TlsConnector>,
}

impl Dialler<'_> {
    pub(super) async fn dial(&self, permit: &EgressPermit, within: Duration) -> Result<Line, Failure> {
        let dialled = tokio::time::timeout(within, self.dialled(permit)).await;
        dialled.unwrap_or(Err(Failure::ConnectTimeout(within)))
    }

    async fn dialled(&self, permit: &EgressPermit) -> Result<Line, Failure> {
        let host = permit.host();
        let permitted = self.permitted(permit, &host).await?;
        let (address, stream) = connect(permitted, permit.port()).await?;
        if !permit.is_encrypted() {
            return Ok(Line::Exclusive(Exclusive::speaking(address, stream).await?));
        }
        let Some(tls) = self.tls else { return Err(Failure::Tls("this connection is to be encrypted".into())) };
        let stream = tls::handshake(tls, &host, stream).await?;
        if tls::is_http2(&stream) {
            Ok(Line::Shared(Arc::new(Shared::speaking(address, stream).await?)))
        } else {
            Ok(Line::Exclusive(Exclusive::speaking(address, stream).await?))
        }
    }

    /// Those of the host's addresses that may be connected to. When there are none, the first refusal is the answer.
    async fn permitted(&self, permit: &EgressPermit, host: &str) -> Result<Vec<AddressPermit>, Failure> {
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in self.egress.names.addresses(host).await? {
            match permit.connect(address) {
                Ok(address) => permitted.push(address),
                Err(denial) => refused = refused.or(Some((denial, address))),
            }
        }
        match refused {
            Some((denial, address)) if permitted.is_empty() => {
                Err(Failure::Denied(self.egress.gate.refused_address(self.asker, permit, &denial, address)))
            }
            _ => Ok(permitted),
        }
    }
}

async fn connect(permitted: Vec<AddressPermit>, port: u16) -> Result<(IpAddr, TcpStream), Failure> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut left = permitted.len();
    for permitted in permitted {
        left -= 1;
        let address = permitted.address();
        let connecting = TcpStream::connect((address, port));
        let connected = if left == 0 {
            connecting.await
        } else {
            let tried = tokio::time::timeout(ONE_OF_SEVERAL, connecting).await;
            tried.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match connected {
            Ok(stream) => {
                // Small requests are not held back; a failure only makes it slower.
                let _ = stream.set_nodelay(true);
                return Ok((address, stream));
            }
            Err(error) => last = error,
        }
    }
    Err(Failure::Connect(last.to_string()))
}
