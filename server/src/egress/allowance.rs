//! What a server of HTTP/2 may make this process read. Beside the responses that were asked for, a server can send frames for
//! as long as the connection is open: settings, pings, priorities, padding, and nobody's limits are about those. So what comes
//! over a connection is held against what the program took of it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that a server is ahead of the program: the responses that wait to be read, their frames, and some to spare.
const MOST_AHEAD: u64 = 4 << 20;
/// What a frame of a body is longer than its bytes: its head, and padding.
const AROUND_A_FRAME: u64 = 9 + 256;

/// Servers give room for more after a few kilobytes at the least, with two frames of 13 bytes: one byte for so many.
const A_WORD_FOR: u64 = 64;

/// What may still come over a connection until the program has taken more of it.
pub(super) struct Allowance(AtomicU64);

impl Default for Allowance {
    fn default() -> Self {
        Self(AtomicU64::new(MOST_AHEAD))
    }
}

impl Allowance {
    /// The program took a frame with so many bytes, or does not wait for them any more.
    pub(super) fn took(&self, bytes: u64) {
        let more = |left: u64| Some((left + bytes + AROUND_A_FRAME).min(MOST_AHEAD));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// So many bytes of requests went: the server says of them that it takes more.
    fn went(&self, bytes: usize) {
        let more = |left: u64| Some((left + bytes as u64 / A_WORD_FOR).min(MOST_AHEAD));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn came(&self, bytes: usize) -> io::Result<()> {
        let less = |left: u64| left.checked_sub(bytes as u64);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "the server sends what nobody asked for")),
        }
    }
}

/// A connection whose incoming bytes are held against an allowance.
pub(super) struct Metered<S> {
    pub(super) stream: S,
    pub(super) allowance: Arc<Allowance>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let before = into.filled().len();
        ready!(Pin::new(&mut own.stream).poll_read(context, into))?;
        Poll::Ready(own.allowance.came(into.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let written = ready!(Pin::new(&mut own.stream).poll_write(context, bytes))?;
        own.allowance.went(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let written = ready!(Pin::new(&mut own.stream).poll_write_vectored(context, parts))?;
        own.allowance.went(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_is_not_stopped() {
        let allowance = Allowance::default();
        for _ in 0..1000 {
            allowance.came(20_000).unwrap();
            allowance.took(20_000);
        }
    }

    /// As Go's server does for a body that it reads by 4 KiB. Seen to fail with nothing given for what goes.
    #[test]
    fn a_long_upload_is_not_broken_off_by_its_own_windows() {
        let allowance = Allowance::default();
        for _ in 0..1_000_000 {
            allowance.went(4096);
            allowance.came(26).unwrap();
        }
    }

    #[test]
    fn nobody_saves_up_for_a_flood() {
        let allowance = Allowance::default();
        allowance.took(1 << 30);
        allowance.came(4 << 20).unwrap();
        assert_eq!(allowance.came(1).unwrap_err().kind(), io::ErrorKind::InvalidData);
        allowance.took(0);
        allowance.came(200).unwrap();
    }
}
