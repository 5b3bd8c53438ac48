//! The one place where everything passes that leaves for a server, and everything that comes from one: a request whole,
//! with the permit that it is sent under, and each piece of a body either way. Here it is counted.

use super::failure::Failure;
use super::request::Asked;
use super::secrets::Secrets;
use crate::executions::Live;
use crate::gate::{Asker, Gate};
use crate::secrets::Bound;
use bytes::Bytes;
use exuvia_policies::EgressPermit;
use http::response::Parts;
use std::sync::Arc;

/// What the line of a request or a response, and each of its headers, has beside its words: spaces, a colon, line ends.
const PUNCTUATION: u64 = 4;

/// The way of one exchange. The permit is spent with it.
pub(super) struct Passage {
    permit: EgressPermit,
    traffic: Arc<Traffic>,
    /// Bytes that may still come of the response's body.
    left: u64,
    largest: u64,
    secrets: Secrets,
}

/// What one execution has sent and received, and how much it may.
pub(super) struct Traffic {
    pub(super) gate: Arc<Gate>,
    pub(super) live: Arc<Live>,
    /// Its secrets.
    pub(super) bound: Arc<Bound>,
    /// By the policy.
    pub(super) most: Option<u64>,
}

impl Traffic {
    /// Counts bytes that pass. They are refused when the policy's bound is reached with them.
    pub(super) fn pass(&self, bytes: u64) -> Result<(), Failure> {
        let total = self.live.exchanged(bytes);
        if self.most.is_none_or(|most| total <= most) {
            return Ok(());
        }
        let reason = "This execution has sent and received as many bytes over HTTP as the policy allows.";
        let asker = Asker::program(&self.live);
        Err(Failure::Denied(self.gate.capped(asker, "http", "egress_bytes", reason)))
    }
}

impl Passage {
    /// `largest`: most bytes of the response's body.
    pub(super) fn new(permit: EgressPermit, traffic: Arc<Traffic>, largest: u64) -> Self {
        let Traffic { gate, live, bound, .. } = &*traffic;
        let secrets = Secrets::new(Arc::clone(bound), Arc::clone(gate), Arc::clone(live), &permit);
        Self { permit, traffic, left: largest, largest, secrets }
    }

    pub(super) fn permit(&self) -> &EgressPermit {
        &self.permit
    }

    /// A request leaves, but for its body, which follows in pieces if it `streams`.
    pub(super) fn request(&mut self, asked: &mut Asked, streams: bool) -> Result<(), Failure> {
        self.secrets.request(&self.permit, asked, streams)?;
        let line = asked.method.as_str().len() + asked.target.to_string().len();
        let headers = asked.headers.iter().map(|(name, value)| size(name.as_str().len() + value.len())).sum::<u64>();
        self.traffic.pass(size(line) + headers)
    }

    /// Whether the bytes of its body are not those that the program counts.
    pub(super) fn changes_length(&self) -> bool {
        self.secrets.changes_length()
    }

    /// All of its body leaves.
    pub(super) fn whole(&mut self, body: &[u8], asked: &mut Asked) -> Result<Bytes, Failure> {
        let body = self.secrets.whole(&self.permit, body, asked)?;
        self.traffic.pass(body.len() as u64)?;
        Ok(body.into())
    }

    /// A piece of its body leaves.
    pub(super) fn leaves(&mut self, piece: Vec<u8>) -> Result<Bytes, Failure> {
        let piece = self.secrets.leaves(&self.permit, piece)?;
        self.traffic.pass(piece.len() as u64)?;
        Ok(piece.into())
    }

    /// The last of its pieces has left, but for this.
    pub(super) fn left(&mut self) -> Result<Bytes, Failure> {
        let piece = self.secrets.left(&self.permit)?;
        self.traffic.pass(piece.len() as u64)?;
        Ok(piece.into())
    }

    /// A response comes, but for its body.
    pub(super) fn response(&mut self, head: &mut Parts) -> Result<(), Failure> {
        let headers = head.headers.iter().map(|(name, value)| size(name.as_str().len() + value.len())).sum::<u64>();
        self.traffic.pass(size(0) + headers)?;
        self.secrets.response(head)
    }

    /// The first piece of its body is there, and may be all of it.
    pub(super) fn length(&self, head: &mut Parts, first: usize, is_all: bool) {
        self.secrets.length(head, first, is_all);
    }

    /// A piece of its body comes.
    pub(super) fn comes(&mut self, piece: Bytes) -> Result<Bytes, Failure> {
        let length = piece.len() as u64;
        self.traffic.pass(length)?;
        self.left = self.left.checked_sub(length).ok_or_else(|| {
            Failure::TooMuch(format!(
                "the response is larger than the {} bytes that this server takes: ask for less of it, or raise \
                 `egress.largest_response`",
                self.largest
            ))
        })?;
        Ok(self.secrets.comes(piece))
    }

    /// The last piece of its body has come, but for this.
    pub(super) fn came(&mut self) -> Bytes {
        self.secrets.came()
    }
}

fn size(words: usize) -> u64 {
    words as u64 + PUNCTUATION
}
