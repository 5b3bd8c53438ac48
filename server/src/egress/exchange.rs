//! One exchange: the request's body going out in pieces, then the response's coming in.

use super::connection::{Answered, Connection, MOST_HEADERS, Unanswered};
use super::failure::{Failure, chain};
use super::message::{Head, Times};
use super::passage::Passage;
use super::pool::{Origin, Pool};
use super::upload::Part;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::ext::ReasonPhrase;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Most bytes of a body that are handed to the guest at once.
const LARGEST_PIECE: usize = 256 << 10;
/// How long more of a body is waited for when there is something to hand over: most responses are one answer so.
const GRACE: Duration = Duration::from_millis(1);

/// What belongs to an exchange from its beginning to its end.
pub(super) struct Way {
    pub(super) passage: Passage,
    pub(super) times: Times,
    /// When it has to be over.
    pub(super) until: Instant,
    pub(super) longest: Duration,
    /// Where its connection goes when it is over, unless it is to be closed.
    pub(super) back: Option<(Origin, Arc<Pool>)>,
}

/// A response's head, as an answer's JSON is made of it.
pub(super) type Began = (http::response::Parts, Vec<u8>, bool);

/// A request on its way.
pub(super) struct Sending {
    pub(super) way: Way,
    pub(super) parts: mpsc::Sender<Part>,
    /// Bytes to come, when the request said how many.
    pub(super) left: Option<u64>,
    pub(super) answer: AbortOnDropHandle<Result<Answered, Unanswered>>,
}

/// A response being read.
pub(super) struct Receiving {
    way: Way,
    connection: Option<Connection>,
    body: Incoming,
    /// What came with a piece and did not fit.
    rest: Bytes,
    /// What is told at the next reading: there was something to hand over first.
    failed: Option<Failure>,
}

impl Way {
    /// Does something of it, at most for so long, and not longer than the whole may take.
    pub(super) async fn within<T>(
        &self,
        most: Duration,
        late: impl FnOnce(Duration) -> Failure,
        doing: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.too_long());
        }
        match tokio::time::timeout(most.min(left), doing).await {
            Ok(done) => Ok(done),
            Err(_) if left < most => Err(self.too_long()),
            Err(_) => Err(late(most)),
        }
    }

    fn too_long(&self) -> Failure {
        Failure::TooMuch(format!(
            "the exchange took longer than the {:?} that this server allows (`egress.exchange_timeout`)",
            self.longest
        ))
    }

    /// The response's head, once it is there.
    pub(super) async fn response(
        &self,
        answer: impl Future<Output = Result<Answered, Unanswered>>,
    ) -> Result<Result<Answered, Unanswered>, Failure> {
        self.within(self.times.read, Failure::ReadTimeout, answer).await
    }
}

impl Sending {
    /// One more piece of the body. When the server takes no more of it, its response says why.
    pub(super) async fn send(&mut self, piece: Vec<u8>) -> Result<(), Failure> {
        let length = piece.len() as u64;
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or_else(too_long_or_short)?;
        }
        let piece = self.way.passage.leaves(piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        self.part(Part::Piece(piece)).await
    }

    /// What the passage has held back of the body, and that it is whole.
    async fn rest(&mut self) -> Result<(), Failure> {
        let piece = self.way.passage.left()?;
        if !piece.is_empty() {
            self.part(Part::Piece(piece)).await?;
        }
        self.part(Part::End).await
    }

    async fn part(&self, part: Part) -> Result<(), Failure> {
        drop(self.way.within(self.way.times.write, Failure::WriteTimeout, self.parts.send(part)).await?);
        Ok(())
    }

    /// The body is whole: waits for the response.
    pub(super) async fn ended(mut self) -> Result<(Receiving, Began), Failure> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(too_long_or_short());
        }
        self.rest().await?;
        let Self { way, answer, .. } = self;
        let lost = |_| Unanswered::Failed(Failure::Disconnected);
        let answered = way.response(async { answer.await.map_err(lost)? }).await??;
        Receiving::begin(way, answered).await
    }
}

fn too_long_or_short() -> Failure {
    Failure::Request("the body is longer or shorter than its `Content-Length` says".into())
}

impl Receiving {
    pub(super) async fn begin(mut way: Way, (connection, response): Answered) -> Result<(Self, Began), Failure> {
        let (mut head, body) = response.into_parts();
        if head.headers.len() > MOST_HEADERS {
            return Err(Failure::Protocol(format!("the server's response has more than {MOST_HEADERS} headers")));
        }
        connection.took(head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
        way.passage.response(&mut head)?;
        let mut receiving = Self { way, connection: Some(connection), body, rest: Bytes::new(), failed: None };
        let (piece, end) = receiving.piece(false).await?;
        receiving.way.passage.length(&mut head, piece.len(), end);
        Ok((receiving, (head, piece, end)))
    }

    /// The next piece of the body, and whether it is the last one.
    pub(super) async fn next(&mut self) -> Result<(Vec<u8>, bool), Failure> {
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => self.piece(true).await,
        }
    }

    /// `waits`: until there is something, or the end. Without it, an empty piece may be all there is.
    async fn piece(&mut self, waits: bool) -> Result<(Vec<u8>, bool), Failure> {
        let mut piece = Vec::new();
        let rest = std::mem::take(&mut self.rest);
        self.put(rest, &mut piece);
        while piece.len() < LARGEST_PIECE && !self.is_over() {
            let frame = if waits && piece.is_empty() {
                Some(self.way.within(self.way.times.read, Failure::ReadTimeout, self.body.frame()).await?)
            } else {
                tokio::time::timeout(GRACE, self.body.frame()).await.ok()
            };
            let frame = match frame {
                // There will be more; what is there is not held back for it.
                None => break,
                // A stream that is reset may end so, too.
                Some(None) if self.is_cut() => Err(Failure::Read(CUT.into())),
                Some(None) => {
                    self.over();
                    break;
                }
                Some(Some(frame)) => frame.map_err(|error| ended_early(&error)),
            };
            let bytes = frame.and_then(|frame| self.comes(frame));
            match bytes {
                Ok(bytes) => self.put(bytes, &mut piece),
                Err(failure) if piece.is_empty() && waits => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        if self.is_over() {
            let last = self.way.passage.came();
            self.put(last, &mut piece);
            self.over();
        }
        Ok((piece, self.connection.is_none() && self.rest.is_empty() && self.failed.is_none()))
    }

    /// What are no bytes are the headers behind a body, which no library here has a place for.
    fn comes(&mut self, frame: Frame<Bytes>) -> Result<Bytes, Failure> {
        let bytes = frame.into_data().unwrap_or_default();
        if let Some(connection) = &self.connection {
            connection.took(bytes.len());
        }
        self.way.passage.comes(bytes)
    }

    /// Whether the body ended without its end.
    fn is_cut(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_stream) && !self.body.is_end_stream()
    }

    fn put(&mut self, bytes: Bytes, piece: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.rest);
        let mut bytes = if rest.is_empty() { bytes } else { [rest, bytes].concat().into() };
        let room = LARGEST_PIECE.saturating_sub(piece.len()).min(bytes.len());
        piece.extend_from_slice(&bytes.split_to(room));
        self.rest = bytes;
    }

    fn is_over(&self) -> bool {
        self.connection.is_none() || self.body.is_end_stream()
    }

    /// Nothing more comes: the connection can be used for another exchange.
    fn over(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.over(self.way.back.take());
        }
    }
}

const CUT: &str = "the server ended the connection before the end of the response";

fn ended_early(error: &hyper::Error) -> Failure {
    let is_lost = error.source().and_then(|source| source.downcast_ref()).is_some_and(h2::Error::is_io);
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_lost {
        return Failure::Read(CUT.into());
    }
    Failure::Read(format!("the response ended before its end: {}", chain(error)))
}

/// An answer of a response's head and the first piece of its body.
pub(super) fn head((head, _, end): &Began) -> Head<'_> {
    let reason = head.extensions.get::<ReasonPhrase>();
    let reason = reason.map_or_else(
        || head.status.canonical_reason().unwrap_or_default().as_bytes(),
        hyper::ext::ReasonPhrase::as_bytes,
    );
    Head::new(head.status, head.version, reason, &head.headers, *end)
}
