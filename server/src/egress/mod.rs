//! HTTP for programs: the guest hands over a request, and this makes it. What may be asked is the gate's to decide, request
//! by request and address by address; what is here makes sure that what was decided is what is sent.
//!
//! - `message`: what the guest says (`python-wasm/guest/ABI.md`); `request`: a request out of that, checked;
//! - `names`: from a name to addresses, `dns`: with a name server of the operator's choice;
//! - `dial`: a connection to an address that was let through; `connection`: what an exchange has of it, by `http1` all, by `http2`
//!   a stream, within an `allowance`; `pool`: those of one execution that can be used again; `connector`: one of either;
//! - `exchanges`: the exchanges of one execution; `exchange`: one of them; `upload`: a request's body, in pieces;
//! - `passage`: where everything passes that leaves for a server or comes from one; `secrets`: puts their values in, and takes
//!   them out;
//! - `failure`: what the program is told instead of an answer.

mod allowance;
mod connection;
mod connector;
mod dial;
mod dns;
mod exchange;
mod exchanges;
mod failure;
mod http1;
mod http2;
mod message;
mod names;
mod passage;
mod pool;
mod request;
mod secrets;
mod tls;
mod upload;

pub(crate) use exchanges::Exchanges;
pub(crate) use message::{Begin, Number, Piece};

use crate::gate::Gate;
use names::Names;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;

/// What an operator decides about HTTP from programs, beside the policy.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Certificates, in PEM, of authorities that are trusted beside the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// The name server that is asked instead of the system's resolver.
    pub(crate) dns: Option<SocketAddr>,
    /// Most time for a connection: resolving, connecting and TLS together.
    pub(crate) connect: Duration,
    /// Most time in which not a byte comes or goes.
    pub(crate) idle: Duration,
    /// Most time for one exchange.
    pub(crate) exchange: Duration,
    /// Most bytes of the body of one response.
    pub(crate) largest_response: u64,
}

/// What all executions have in common.
pub(crate) struct Egress {
    gate: Arc<Gate>,
    settings: Settings,
    names: Names,
    tls: Tls,
}

impl Egress {
    /// # Errors
    /// When the file of certificates cannot be read; the text is for people.
    pub(crate) fn new(gate: Arc<Gate>, settings: Settings) -> Result<Self, String> {
        let tls = Tls::new(settings.ca_file.as_deref())?;
        Ok(Self { gate, names: Names::new(settings.dns), tls, settings })
    }
}
