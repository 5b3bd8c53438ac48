//! The exchanges of one execution, by the numbers that its program gave them.

use super::Egress;
use super::connection::Connection;
use super::connector::Connector;
use super::exchange::{self, Began, Receiving, Sending, Way};
use super::failure::Failure;
use super::message::{Begin, More, Number, Ok as Answered, Piece};
use super::passage::{Passage, Traffic};
use super::pool::Origin;
use super::request::Asked;
use super::secrets;
use super::upload::Body;
use crate::executions::Live;
use crate::gate::Asker;
use crate::secrets::Bound;
use exuvia_policies::{EgressPermit, EgressRequest};
use exuvia_runtime::{Message, Witness};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Mutex as Turn, Semaphore};
use tokio_util::task::AbortOnDropHandle;

/// Most exchanges of one execution that are under way. Each may hold a head, and two pieces of a body.
const MOST_OPEN: usize = 256;
/// Most steps of exchanges that are done at a time; others wait for their turn. Each may hold a head and a piece.
const MOST_AT_ONCE: usize = 64;
/// Most exchanges of one execution in all.
const MOST_EXCHANGES: u64 = 1_000_000;

/// What one execution has to do with servers. Dropped, everything of it ends.
pub(crate) struct Exchanges {
    egress: Arc<Egress>,
    traffic: Arc<Traffic>,
    connector: Connector,
    begun: AtomicU64,
    at_once: Semaphore,
    open: Mutex<HashMap<u64, Arc<Turn<Stage>>>>,
}

/// Where an exchange is.
enum Stage {
    Sending(Box<Sending>),
    Receiving(Box<Receiving>),
    /// It failed, or is being moved on.
    Over,
}

impl Exchanges {
    /// `most`: bytes that the execution may send and receive, by its policy.
    pub(crate) fn new(egress: Arc<Egress>, live: Arc<Live>, bound: Arc<Bound>, most: Option<u64>) -> Self {
        let traffic = Arc::new(Traffic { gate: Arc::clone(&egress.gate), live, bound, most });
        let connector = Connector::new(Arc::clone(&egress), Arc::clone(&traffic));
        Self {
            egress,
            traffic,
            connector,
            begun: AtomicU64::new(0),
            at_once: Semaphore::new(MOST_AT_ONCE),
            open: Mutex::default(),
        }
    }

    /// Makes a request, and gives the answer message: its response, or that its body may follow.
    pub(crate) async fn begin(&self, begin: Begin, body: Option<Vec<u8>>, witness: Witness) -> Vec<u8> {
        let id = begin.id;
        // It is never closed.
        let _turn = self.at_once.acquire().await;
        match self.begun(begin, body.unwrap_or_default(), witness).await {
            Ok((stage, None)) => {
                self.lock().insert(id, Arc::new(Turn::new(stage)));
                told(&Answered { ok: () }, &[])
            }
            Ok((stage, Some(answered))) => self.response(id, stage, &answered),
            Err(failure) => self.failed(failure),
        }
    }

    /// Takes one more piece of a request's body; after the last one, gives the response.
    pub(crate) async fn send(&self, piece: Piece, body: Option<Vec<u8>>) -> Vec<u8> {
        let Some(stage) = self.find(piece.id) else { return Failure::InDoubt.into_answer().to_message() };
        let mut stage = stage.lock().await;
        let Stage::Sending(sending) = &mut *stage else {
            return Failure::Request("the body of this request has ended".into()).into_answer().to_message();
        };
        let sent = sending.send(body.unwrap_or_default()).await;
        if sent.is_ok() && !piece.end {
            return told(&Answered { ok: () }, &[]);
        }
        let Stage::Sending(sending) = std::mem::replace(&mut *stage, Stage::Over) else {
            return Failure::Lost.into_answer().to_message();
        };
        drop(stage);
        self.close(Number { id: piece.id });
        let ended = match sent {
            Ok(()) => sending.ended().await,
            Err(failure) => Err(failure),
        };
        match ended {
            Ok((receiving, began)) => self.response(piece.id, Stage::Receiving(Box::new(receiving)), &began),
            Err(failure) => self.failed(failure),
        }
    }

    /// Gives the next piece of a response's body.
    pub(crate) async fn read(&self, number: Number) -> Vec<u8> {
        let Some(stage) = self.find(number.id) else { return Failure::Lost.into_answer().to_message() };
        let mut stage = stage.lock().await;
        let Stage::Receiving(receiving) = &mut *stage else {
            return Failure::Request("there is no response to read from yet".into()).into_answer().to_message();
        };
        let turn = self.at_once.acquire().await;
        let read = receiving.next().await;
        drop(turn);
        let is_over = read.as_ref().map_or(true, |(_, end)| *end);
        drop(stage);
        if is_over {
            self.close(Number { id: number.id });
        }
        match read {
            Ok((piece, end)) => told(&Answered { ok: More { end } }, &piece),
            Err(failure) => self.failed(failure),
        }
    }

    /// Whether nothing is open, and no step under way: each holds this while it lasts.
    pub(crate) fn is_idle(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && self.lock().is_empty()
    }

    /// Forgets an exchange. What of it is under way ends with its connection.
    pub(crate) fn close(&self, number: Number) {
        self.lock().remove(&number.id);
    }

    /// An earlier process had this exchange: it counts, and is not made again.
    pub(crate) fn replayed(&self, message: &Message, answer: &[u8]) {
        let tail = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0).map_or(0, |at| bytes.len() - at);
        let sent = message.tail.as_ref().map_or(0, Vec::len);
        self.traffic.live.exchanged((sent + tail(answer)) as u64);
    }

    /// What to tell the program of an exchange that must not be made twice.
    pub(crate) fn in_doubt() -> Vec<u8> {
        Failure::InDoubt.into_answer().to_message()
    }

    /// What the program is told of a failure: it may have what the request had.
    fn failed(&self, failure: Failure) -> Vec<u8> {
        let mut answer = failure.into_answer();
        if let Some(scrubber) = self.traffic.bound.scrubber() {
            answer.scrub(scrubber);
        }
        answer.to_message()
    }

    fn response(&self, id: u64, stage: Stage, began: &Began) -> Vec<u8> {
        if !began.2 {
            self.lock().insert(id, Arc::new(Turn::new(stage)));
        }
        told(&Answered { ok: exchange::head(began) }, &began.1)
    }

    async fn begun(&self, begin: Begin, body: Vec<u8>, witness: Witness) -> Result<(Stage, Option<Began>), Failure> {
        if begin.stream && !body.is_empty() {
            return Err(Failure::Request("a body that follows in pieces does not begin with the request".into()));
        }
        let mut asked = Asked::read(&begin, (!begin.stream).then_some(body.len()))?;
        self.room(begin.id)?;
        let Traffic { gate, live, bound, .. } = &*self.traffic;
        secrets::before(bound, gate, live, &begin)?;
        let permit = self.decided(&begin, &asked)?;
        let origin = Origin::of(&permit);
        let settings = &self.egress.settings;
        let mut way = Way {
            passage: Passage::new(permit, Arc::clone(&self.traffic), settings.largest_response),
            times: begin.times(settings),
            until: Instant::now() + settings.exchange,
            longest: settings.exchange,
            back: (!asked.closes).then(|| (origin.clone(), Arc::clone(self.connector.pool()))),
        };
        way.passage.request(&mut asked, begin.stream)?;
        // What must not leave is refused before there is a connection.
        let body = if body.is_empty() { None } else { Some(way.passage.whole(&body, &mut asked)?) };
        let connection = self.connector.connected(&origin, &way).await?;
        if !asked.is_repeatable() {
            witness.leaves().await?;
        }
        if begin.stream {
            return Ok((Self::uploading(way, asked, connection), None));
        }
        let answered = self.connector.exchanged(&origin, &way, connection, &asked, body.as_ref()).await?;
        let (receiving, first) = Receiving::begin(way, answered).await?;
        Ok((Stage::Receiving(Box::new(receiving)), Some(first)))
    }

    /// Sends a request whose body follows.
    fn uploading(mut way: Way, asked: Asked, connection: Connection) -> Stage {
        let left = asked.length;
        let (parts, body) = Body::pieces(left.filter(|_| !way.passage.changes_length()));
        // A server may answer before it has read all: then the connection is of no further use.
        way.back = None;
        let answer = AbortOnDropHandle::new(tokio::spawn(connection.answered(asked, body)));
        Stage::Sending(Box::new(Sending { way, parts, left, answer }))
    }

    fn decided(&self, begin: &Begin, asked: &Asked) -> Result<EgressPermit, Failure> {
        let request = EgressRequest {
            scheme: begin.scheme.into(),
            host: &begin.host,
            port: begin.port,
            method: asked.method.as_str(),
            path: asked.path(),
        };
        self.egress.gate.decide_egress(Asker::program(&self.traffic.live), &request).map_err(Failure::Denied)
    }

    fn room(&self, id: u64) -> Result<(), Failure> {
        let open = self.lock();
        if open.contains_key(&id) {
            return Err(Failure::Request("this number is that of an exchange under way".into()));
        }
        if open.len() >= MOST_OPEN {
            return Err(Failure::TooMuch(format!(
                "{MOST_OPEN} responses are open, which is the most: read them to their end, or close them"
            )));
        }
        if self.begun.fetch_add(1, Ordering::Relaxed) >= MOST_EXCHANGES {
            return Err(Failure::TooMuch(format!("an execution makes at most {MOST_EXCHANGES} HTTP requests")));
        }
        Ok(())
    }

    fn find(&self, id: u64) -> Option<Arc<Turn<Stage>>> {
        self.lock().get(&id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Turn<Stage>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer message of JSON and a piece.
fn told(json: &impl serde::Serialize, piece: &[u8]) -> Vec<u8> {
    let json = serde_json::to_vec(json).unwrap_or_else(|_| b"{}".to_vec());
    Message::answer(json, piece)
}
