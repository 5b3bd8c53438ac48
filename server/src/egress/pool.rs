//! The connections of one execution that wait to be used again. They end with it: no other execution ever gets one.

use super::upload::Body;
use exuvia_policies::EgressPermit;
use hyper::client::conn::http1::SendRequest;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Most connections of one execution that wait, to all hosts together. Each is a descriptor and buffers of this process.
const MOST_IDLE: usize = 64;
/// How long one waits. Many servers end theirs after a minute, some after 15 seconds.
const LONGEST_IDLE: Duration = Duration::from_secs(15);

/// A connection, and the address that it leads to.
pub(super) struct Connection {
    pub(super) address: IpAddr,
    pub(super) sender: SendRequest<Body>,
    /// Moves its bytes, and ends with it.
    _driver: AbortOnDropHandle<()>,
}

impl Connection {
    pub(super) fn new(address: IpAddr, sender: SendRequest<Body>, driver: AbortOnDropHandle<()>) -> Self {
        Self { address, sender, _driver: driver }
    }
}

/// What connections have in common that can be used for the same request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    is_encrypted: bool,
    host: String,
    port: u16,
}

impl Origin {
    pub(super) fn of(permit: &EgressPermit) -> Self {
        Self { is_encrypted: permit.is_encrypted(), host: permit.host(), port: permit.port() }
    }
}

#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<Origin, Vec<Idle>>>);

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// A connection for a request. It leads to an address that this request may be sent to: the policy may have changed
    /// since it was made, and what it was made for may have been another path.
    pub(super) fn take(&self, origin: &Origin, permit: &EgressPermit) -> Option<Connection> {
        let mut all = self.lock();
        let idle = all.get_mut(origin)?;
        idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE && idle.connection.sender.is_ready());
        // The one that was used last: the others may be ended for having waited.
        let place = idle.iter().rposition(|idle| permit.connect(idle.connection.address).is_ok())?;
        Some(idle.remove(place).connection)
    }

    /// Keeps a connection whose exchange is over.
    pub(super) fn give_back(&self, origin: Origin, connection: Connection) {
        let mut all = self.lock();
        if all.values().map(Vec::len).sum::<usize>() >= MOST_IDLE {
            all.clear();
        }
        all.entry(origin).or_default().push(Idle { connection, since: Instant::now() });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
