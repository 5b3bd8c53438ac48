//! A connection for each request of one execution: one that is there, or a new one.

use super::Egress;
use super::connection::{Answered, Connection, Line, Unanswered};
use super::dial::Dialler;
use super::exchange::Way;
use super::failure::Failure;
use super::passage::Traffic;
use super::pool::{Origin, Pool};
use super::request::Asked;
use super::upload::Body;
use crate::gate::Asker;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;

/// How long a connection that waited may take to say that it can be used.
const READY: Duration = Duration::from_millis(100);
/// How often a request is sent that no server has looked at.
const ATTEMPTS: usize = 3;

pub(super) struct Connector {
    egress: Arc<Egress>,
    traffic: Arc<Traffic>,
    pool: Arc<Pool>,
    tls: OnceLock<TlsConnector>,
}

impl Connector {
    pub(super) fn new(egress: Arc<Egress>, traffic: Arc<Traffic>) -> Self {
        Self { egress, traffic, pool: Arc::default(), tls: OnceLock::new() }
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// A connection, which may have waited. While nobody knows whether a server's connections are shared, one exchange connects
    /// and others wait for what it finds.
    pub(super) async fn connected(&self, origin: &Origin, way: &Way) -> Result<Connection, Failure> {
        if let Some(connection) = self.waiting(origin, way).await {
            return Ok(connection);
        }
        let Some(turn) = self.pool.turn(origin) else { return self.anew(origin, way, way.times.connect).await };
        let within = way.times.connect;
        let began = Instant::now();
        let turn = tokio::time::timeout(within, turn.lock_owned()).await;
        let _turn = turn.map_err(|_| Failure::ConnectTimeout(within))?;
        if let Some(connection) = self.waiting(origin, way).await {
            return Ok(connection);
        }
        self.anew(origin, way, within.saturating_sub(began.elapsed())).await
    }

    /// Sends a request whose body is whole. A connection that had waited may have been ended meanwhile, and a server that ends
    /// one that is shared says what it has not looked at: such a request goes over another.
    pub(super) async fn exchanged(
        &self,
        origin: &Origin,
        way: &Way,
        mut connection: Connection,
        asked: &Asked,
        body: Option<&Bytes>,
    ) -> Result<Answered, Failure> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let body = match body {
                None if asked.is_chunked => Body::empty_chunks(),
                body => Body::whole(body.cloned()),
            };
            match way.response(connection.answered(asked.clone(), body)).await? {
                Err(Unanswered::Unsent(_)) if left > 0 => {}
                answered => return Ok(answered?),
            }
            connection = match left {
                1 => self.anew(origin, way, way.times.connect).await?,
                _ => self.connected(origin, way).await?,
            };
        }
    }

    async fn waiting(&self, origin: &Origin, way: &Way) -> Option<Connection> {
        while let Some(mut connection) = self.pool.take(origin, way.passage.permit()) {
            if tokio::time::timeout(READY, connection.ready()).await == Ok(true) {
                return Some(connection);
            }
        }
        None
    }

    async fn anew(&self, origin: &Origin, way: &Way, within: Duration) -> Result<Connection, Failure> {
        match self.dialled(way, within).await? {
            Line::Exclusive(exclusive) => {
                self.pool.is_exclusive(origin);
                Ok(Connection::Exclusive(exclusive))
            }
            Line::Shared(shared) => {
                let stream = shared.open().ok_or(Failure::Disconnected)?;
                self.pool.keep(origin.clone(), Line::Shared(shared));
                Ok(Connection::Stream(stream))
            }
        }
    }

    async fn dialled(&self, way: &Way, within: Duration) -> Result<Line, Failure> {
        let permit = way.passage.permit();
        let tls = match self.tls.get() {
            Some(tls) => Some(tls),
            None if permit.is_encrypted() => {
                let made = self.egress.tls.connector()?;
                Some(self.tls.get_or_init(|| made))
            }
            None => None,
        };
        Dialler { egress: &self.egress, asker: Asker::program(&self.traffic.live), tls }.dial(permit, within).await
    }
}
