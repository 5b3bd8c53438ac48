//! The connections of one execution that can be used again. They end with it: no other execution ever gets one.

use super::connection::{Connection, Line};
use exuvia_policies::EgressPermit;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as Turn;

/// Most connections of one execution that are kept, to all hosts together. Each is a descriptor and buffers of this process.
const MOST_KEPT: usize = 64;
/// Most servers of which is remembered what they speak.
const MOST_ORIGINS: usize = 256;
/// How long one waits. Many servers end theirs after a minute, some after 15 seconds.
pub(super) const LONGEST_IDLE: Duration = Duration::from_secs(15);

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
pub(super) struct Pool(Mutex<HashMap<Origin, Known>>);

/// What is known of a server.
#[derive(Default)]
struct Known {
    kept: Vec<Kept>,
    /// It speaks HTTP/1.1: connections to it are not shared.
    is_exclusive: bool,
    /// Held by whoever connects while that is not known, so that others need not.
    turn: Arc<Turn<()>>,
}

struct Kept {
    line: Line,
    since: Instant,
}

impl Kept {
    fn is_usable(&self) -> bool {
        match &self.line {
            Line::Exclusive(exclusive) => self.since.elapsed() < LONGEST_IDLE && exclusive.is_ready(),
            Line::Shared(shared) => shared.is_usable(),
        }
    }
}

impl Pool {
    /// A connection for a request. It leads to an address that this request may be sent to: the policy may have changed
    /// since it was made, and what it was made for may have been another path.
    pub(super) fn take(&self, origin: &Origin, permit: &EgressPermit) -> Option<Connection> {
        let mut all = self.lock();
        let kept = &mut all.get_mut(origin)?.kept;
        kept.retain(Kept::is_usable);
        let mut shared = None;
        // The one that was used last: the others may be ended for having waited.
        let place = kept.iter().rposition(|kept| {
            if permit.connect(kept.line.address()).is_err() {
                return false;
            }
            match &kept.line {
                Line::Exclusive(_) => true,
                Line::Shared(line) => {
                    shared = line.open();
                    shared.is_some()
                }
            }
        })?;
        if let Some(stream) = shared {
            return Some(Connection::Stream(stream));
        }
        match kept.remove(place).line {
            Line::Exclusive(exclusive) => Some(Connection::Exclusive(exclusive)),
            Line::Shared(_) => None,
        }
    }

    /// Keeps a connection: one that is shared from its beginning, any other when its exchange is over.
    pub(super) fn keep(&self, origin: Origin, line: Line) {
        let mut all = self.lock();
        if all.values().map(|known| known.kept.len()).sum::<usize>() >= MOST_KEPT {
            all.values_mut().for_each(|known| known.kept.clear());
        }
        all.entry(origin).or_default().kept.push(Kept { line, since: Instant::now() });
    }

    /// The turn to connect to a server. None: nobody has to wait for another there.
    pub(super) fn turn(&self, origin: &Origin) -> Option<Arc<Turn<()>>> {
        let mut all = self.lock();
        if all.len() >= MOST_ORIGINS {
            all.retain(|_, known| !known.kept.is_empty() || Arc::strong_count(&known.turn) > 1);
        }
        let known = all.entry(origin.clone()).or_default();
        (origin.is_encrypted && !known.is_exclusive).then(|| Arc::clone(&known.turn))
    }

    /// The server speaks HTTP/1.1.
    pub(super) fn is_exclusive(&self, origin: &Origin) {
        self.lock().entry(origin.clone()).or_default().is_exclusive = true;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
