//! The body of a request: whole, or in pieces that come as the program makes them.

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A part of a body that comes in pieces. Without an end it is not whole, and must not look so to the server: a program that
/// fails while it makes a body has not made a shorter one.
pub(super) enum Part {
    Piece(Bytes),
    End,
}

#[derive(Debug, thiserror::Error)]
#[error("the program ended before its request's body did")]
pub(super) struct Unfinished;

/// What hyper sends.
pub(super) struct Body {
    content: Content,
    /// As long as this is, hyper may have something of it to send.
    going: Arc<()>,
}

enum Content {
    Whole(Option<Bytes>),
    Pieces {
        parts: mpsc::Receiver<Part>,
        /// Bytes to come, when the request says how many.
        left: Option<u64>,
    },
}

impl Body {
    /// None: there is no body.
    pub(super) fn whole(bytes: Option<Bytes>) -> Self {
        Self { content: Content::Whole(bytes), going: Arc::default() }
    }

    /// Nothing, in chunks.
    pub(super) fn empty_chunks() -> Self {
        let (parts, body) = Self::pieces(None);
        // There is room for one.
        let _ = parts.try_send(Part::End);
        body
    }

    /// A body in pieces, and where they are put in. One waits at most: memory holds two pieces, not the body.
    pub(super) fn pieces(length: Option<u64>) -> (mpsc::Sender<Part>, Self) {
        let (sender, parts) = mpsc::channel(1);
        (sender, Self { content: Content::Pieces { parts, left: length }, going: Arc::default() })
    }

    /// Tells whether it is still being sent.
    pub(super) fn going(&self) -> Weak<()> {
        Arc::downgrade(&self.going)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Unfinished;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unfinished>>> {
        match &mut self.get_mut().content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Pieces { parts, left } => parts.poll_recv(context).map(|part| match part {
                Some(Part::Piece(piece)) => {
                    if let Some(left) = left {
                        *left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                    }
                    Some(Ok(Frame::data(piece)))
                }
                Some(Part::End) => None,
                None => Some(Err(Unfinished)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_none(),
            Content::Pieces { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Pieces { left: Some(left), .. } => SizeHint::with_exact(*left),
            Content::Pieces { left: None, .. } => SizeHint::default(),
        }
    }
}
