//! A connection to a server, and what an exchange has of one: all of it, or a stream.

use super::failure::Failure;
use super::http1::Exclusive;
use super::http2::{Shared, Stream};
use super::pool::{Origin, Pool};
use super::request::Asked;
use super::upload::Body;
use hyper::Response;
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;

/// Most bytes and headers of the head of a response. Both are host memory.
pub(super) const LARGEST_HEAD: usize = 256 << 10;
pub(super) const MOST_HEADERS: usize = 256;

/// A connection as it is made and kept.
pub(super) enum Line {
    /// HTTP/1.1.
    Exclusive(Exclusive),
    /// HTTP/2.
    Shared(Arc<Shared>),
}

impl Line {
    pub(super) fn address(&self) -> IpAddr {
        match self {
            Self::Exclusive(exclusive) => exclusive.address,
            Self::Shared(shared) => shared.address,
        }
    }
}

/// What an exchange has of a connection, from its beginning to its end.
pub(super) enum Connection {
    Exclusive(Exclusive),
    Stream(Stream),
}

pub(super) type Answered = (Connection, Response<Incoming>);

pub(super) enum Unanswered {
    /// The server has seen nothing of it, or says so: it can be sent again. If it is not, that is the failure.
    Unsent(Failure),
    Failed(Failure),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Unsent(failure) | Unanswered::Failed(failure) => failure,
        }
    }
}

impl Connection {
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Waits until one that had waited can be used. False: it never will.
    pub(super) async fn ready(&mut self) -> bool {
        match self {
            Self::Exclusive(exclusive) => exclusive.ready().await,
            Self::Stream(_) => true,
        }
    }

    /// Sends a request, and waits for its response's head.
    pub(super) async fn answered(mut self, asked: Asked, body: Body) -> Result<Answered, Unanswered> {
        let response = match &mut self {
            Self::Exclusive(exclusive) => exclusive.answered(asked, body).await,
            Self::Stream(stream) => stream.answered(asked, body).await,
        };
        Ok((self, response?))
    }

    /// The program took so many bytes of the response.
    pub(super) fn took(&self, bytes: usize) {
        if let Self::Stream(stream) = self {
            stream.took(bytes);
        }
    }

    /// The exchange is over: it can be used for another one.
    pub(super) fn over(self, back: Option<(Origin, Arc<Pool>)>) {
        match (self, back) {
            (Self::Exclusive(exclusive), Some((origin, pool))) => pool.keep(origin, Line::Exclusive(exclusive)),
            (Self::Exclusive(_), None) => {}
            (Self::Stream(stream), _) => stream.over(),
        }
    }
}
