//! The body of a request: whole, or in pieces that come as the program makes them.

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What hyper sends.
pub(super) enum Body {
    Whole(Option<Bytes>),
    Pieces {
        pieces: mpsc::Receiver<Bytes>,
        /// Bytes to come, when the request says how many.
        left: Option<u64>,
    },
}

impl Body {
    /// Nothing; in chunks that is one that says so.
    pub(super) fn empty(is_chunked: bool) -> Self {
        if is_chunked { Self::pieces(None).1 } else { Self::Whole(None) }
    }

    /// A body in pieces, and where they are put in. One waits at most: memory holds two pieces, not the body.
    pub(super) fn pieces(length: Option<u64>) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, pieces) = mpsc::channel(1);
        (sender, Self::Pieces { pieces, left: length })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces { pieces, left } => pieces.poll_recv(context).map(|piece| {
                let piece = piece?;
                if let Some(left) = left {
                    *left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                }
                Some(Ok(Frame::data(piece)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Pieces { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces { left: Some(left), .. } => SizeHint::with_exact(*left),
            Self::Pieces { left: None, .. } => SizeHint::default(),
        }
    }
}
